"""The one protocol every network follows. Adding a network is one file that provides a `Network`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class FeatureMap:
    """A named feature map a network gives out: `stride` in network-input pixels a cell."""

    name: str
    stride: int
    channels: int


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
    """A batch in, boxes, scores and feature maps out.

    Call: (B, 3, H, W) float32 RGB in 0..1, H and W multiples of every stride -> NetworkOutput. feature_maps:
    what `NetworkOutput.maps` holds, from the finest stride to the coarsest; slicing uses the names `stride8`,
    `stride16` and `stride32`.
    """

    name: str
    class_names: tuple[str, ...]
    feature_maps: tuple[FeatureMap, ...]

    def __call__(self, batch: torch.Tensor) -> NetworkOutput: ...
