"""What the notebooks that prodseek grew out of compare objects by: the baseline of the benchmarks of embedding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prodseek.vision.darknet import DarknetNetwork
from prodseek.vision.inference import Detector
from prodseek.vision.letterbox import place
from prodseek.vision.slicing import network_boxes

WINDOW = 3  # cells a side
STRIDE_PX = 32
HEAD = "15"  # yolov3-tiny's layer that turns the last hidden layer into boxes


@contextmanager
def hidden_maps(detector: Detector) -> Iterator[deque[NDArray[np.float32]]]:
    """While it is open, every forward pass appends the last hidden layer of each of its images, (C, h, w) float32."""
    maps: deque[NDArray[np.float32]] = deque()
    network = detector._network
    if not isinstance(network, DarknetNetwork) or network.name != "yolov3-tiny":
        raise ValueError("the notebooks' slice is defined for yolov3-tiny")

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        maps.extend(inputs[0].float().cpu().numpy())

    handle = network.convolutions[HEAD].register_forward_pre_hook(keep)
    try:
        yield maps
    finally:
        handle.remove()


def notebook_slice(
    hidden: NDArray[np.float32], width_px: int, height_px: int, input_px: int, box: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """The WINDOW x WINDOW cells round a box's centre, mirrored at the map's edges, flattened, of unit length.

    hidden: (C, h, w) of `hidden_maps`. width_px, height_px: of the photo at full size. box: x1 y1 x2 y2 in its pixels.
    """
    x1, y1, x2, y2 = network_boxes(place(width_px, height_px, input_px), np.array([box], np.float32))[0]
    reach = WINDOW // 2
    padded = np.pad(hidden, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    column, row = int((x1 + x2) / 2 / STRIDE_PX), int((y1 + y2) / 2 / STRIDE_PX)
    window = padded[:, row : row + WINDOW, column : column + WINDOW].ravel()
    unit: NDArray[np.float32] = window / np.linalg.norm(window)
    return unit
