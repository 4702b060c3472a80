"""The one protocol every network follows, and what is known of a network before it is loaded. No torch.

Adding a network is one file with two functions, and one line in `networks._MODULES` that names it:

    describe(network: str, weights: PinnedFile) -> NetworkDescription
    load(network: str, weights: PinnedFile) -> Network

`describe` is what the driver calls, so it reads the weights only where nothing else tells. `load` gives the network in
evaluation mode, on the CPU, in float32. Neither uses a byte of the file before its SHA-256 was checked, and where the
file is a pickle, only an explicit list of classes comes out of it. What is wrong with a file is a WeightsError of one
sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

SLICED_STRIDES = (8, 16, 32)  # every network gives a map of each, named `stride8`, `stride16` and `stride32`


@dataclass(frozen=True)
class FeatureMap:
    """A named feature map a network gives out: `stride` in network-input pixels a cell."""

    name: str
    stride: int
    channels: int


@dataclass(frozen=True)
class NetworkDescription:
    """What is known of a network before it is loaded.

    name: what its model ids begin with. class_names: in the order of its scores, empty for a network that detects
    nothing. feature_maps: from the finest stride to the coarsest. max_stride: the input's sides are multiples of this
    many pixels. identity: text that differs whenever the same weights would give other results.
    """

    name: str
    class_names: tuple[str, ...]
    feature_maps: tuple[FeatureMap, ...]
    max_stride: int
    identity: str


@dataclass(frozen=True)
class NetworkOutput:
    """What one forward pass of B images gives, before NMS.

    boxes: (B, A, 4) float32, x1 y1 x2 y2, network-input pixels, not clipped.
    scores: (B, A, C) float32 in 0..1, a score for every class.
    maps: by `FeatureMap.name`, (B, channels, H / stride, W / stride) float32.
    A network that detects nothing (a classifier) gives A = 0.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    maps: dict[str, torch.Tensor]


class Network(Protocol):
    """A batch in, boxes, scores and feature maps out, all from one forward pass.

    Call: (B, 3, H, W) RGB in 0..1, H and W multiples of every stride, in the type of the network's parameters: float32,
    or float16 or bfloat16 after `.to()`. Gives NetworkOutput, float32 always; boxes are computed in float32, for a
    float16 cannot tell one pixel of 2048 from the next. An image's output does not depend on the rest of its batch.
    Whatever normalisation the network was trained with it does itself. feature_maps: what `NetworkOutput.maps` holds,
    from the finest stride to the coarsest; slicing uses the names `stride8`, `stride16` and `stride32`. Networks are
    `torch.nn.Module`s, so that they can be moved to a device, a type and a memory format.
    """

    name: str
    class_names: tuple[str, ...]
    feature_maps: tuple[FeatureMap, ...]

    def __call__(self, batch: torch.Tensor) -> NetworkOutput: ...
