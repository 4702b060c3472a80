"""The protocol that every network follows, and what is known about a network before it is loaded. Does not import torch.

To add a network, write a module with two functions, and name it in `networks._MODULES`:

    describe(network: str, weights: PinnedFile) -> NetworkDescription
    load(network: str, weights: PinnedFile) -> Network

`describe` is called by the driver, so it reads the weights only if there is no other way. `load` returns the network in
evaluation mode, on the CPU, in float32. Neither may use a byte of the file before its SHA-256 was checked. A file that is a
pickle may create only an explicit list of classes. A fault in a file is a WeightsError of one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

SLICED_STRIDES = (8, 16, 32)  # each network has a map of each, named `stride8`, `stride16` and `stride32`


@dataclass(frozen=True)
class FeatureMap:
    """A named feature map of a network. stride: network-input pixels along each side of a cell."""

    name: str
    stride: int
    channels: int


@dataclass(frozen=True)
class NetworkDescription:
    """What is known about a network before it is loaded.

    name: the beginning of its model ids. class_names: in the order of its scores; empty for a network that detects nothing.
    feature_maps: from the finest stride to the coarsest. max_stride: the sides of the input are multiples of this many
    pixels. identity: text that changes whenever the same weights would give other results.
    """

    name: str
    class_names: tuple[str, ...]
    feature_maps: tuple[FeatureMap, ...]
    max_stride: int
    identity: str


@dataclass(frozen=True)
class NetworkOutput:
    """The output of one forward pass over B images, before NMS.

    boxes: (B, A, 4) float32 x1 y1 x2 y2, network-input pixels, not clipped.
    scores: (B, A, C) float32 in 0..1, a score for each class.
    maps: `FeatureMap.name` -> (B, channels, H / stride, W / stride) float32.
    For a network that detects nothing, such as a classifier, A = 0.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    maps: dict[str, torch.Tensor]


class Network(Protocol):
    """A network: a batch of images in; boxes, scores and feature maps out, all from one forward pass.

    It is called with (B, 3, H, W) RGB in 0..1, H and W multiples of each stride, in the dtype of the network's parameters:
    float32, or float16 or bfloat16 after `.to()`. It returns a NetworkOutput, always float32. Boxes are computed in float32,
    because float16 cannot tell neighbouring pixels apart beyond 2048. The output for an image does not depend on the rest of
    its batch. The network itself does the normalisation that it was trained with. feature_maps: the maps in
    `NetworkOutput.maps`, from the finest stride to the coarsest; slicing uses `stride8`, `stride16` and `stride32`. A
    network is a `torch.nn.Module`, so it can be moved to a device, a dtype and a memory format.
    """

    name: str
    class_names: tuple[str, ...]
    feature_maps: tuple[FeatureMap, ...]

    def __call__(self, batch: torch.Tensor) -> NetworkOutput: ...
