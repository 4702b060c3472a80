"""What a feature map holds under boxes: RoIAlign, on a CPU by matrix products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import roi_align

from prodseek.runs.slice_layout import MapReading


def align_boxes(
    values: torch.Tensor, boxes: Sequence[torch.Tensor], stride: int, side: int, samples: int
) -> torch.Tensor:
    """RoIAlign (He et al., Mask R-CNN, 2017, section 3): the map's mean, by bilinear samples, in side x side cells
    of every box.

    values: (B, C, h, w), `stride` network-input pixels a cell. boxes: for each of the B images (R, 4) float32 x1 y1
    x2 y2 network-input pixels. samples: a side of a cell, 0 for one a cell of the map. Returns (all R,
    side x side, C), what torchvision's `roi_align(aligned=True)` gives to float tolerance.
    """
    if values.device.type != "cpu":
        aligned: torch.Tensor = roi_align(values, list(boxes), side, 1 / stride, samples or -1, aligned=True)
        return aligned.flatten(2).transpose(1, 2)
    # A sample's bilinear weights are a product of one along y and one along x, and so is the grid of samples: a cell's
    # mean is two small matrix products, over channels that lie together in a channels_last map. That is several times
    # as fast as torchvision's loop over channels.
    n_channels, height, width = values.shape[1:]
    intervals: NDArray[np.float32] = (torch.cat(list(boxes)) / stride).numpy()
    along_y = torch.from_numpy(_weights(intervals[:, 1::2], side, samples, height))
    along_x = torch.from_numpy(_weights(intervals[:, 0::2], side, samples, width))
    pooled = values.new_empty(len(along_y), side, side, n_channels)
    start = 0
    for image, of_image in zip(values.permute(0, 2, 3, 1), boxes, strict=True):
        span = slice(start, start + len(of_image))
        rows = along_y[span].flatten(0, 1) @ image.reshape(height, width * n_channels)
        rows = rows.view(len(of_image), side, width, n_channels)
        torch.matmul(along_x[span, None], rows, out=pooled[span])
        start = span.stop
    return pooled.flatten(1, 2)


def read_cells(box: NDArray[np.float32], stride: int, side: int, samples: int, shape: tuple[int, int]) -> MapReading:
    """What `align_boxes` reads of a map of shape (h, w) under a box, (4,) x1 y1 x2 y2 network-input pixels; stride, side and
    samples as there."""
    interval = np.asarray(box, np.float32) / np.float32(stride)
    along_x, along_y = interval[None, 0::2], interval[None, 1::2]
    weights = np.outer(
        _weights(along_y, side, samples, shape[0])[0].mean(axis=0),
        _weights(along_x, side, samples, shape[1])[0].mean(axis=0),
    )
    x_px, y_px = (
        (_samples(line, side, samples)[0] + np.float32(0.5)).flatten() * np.float32(stride)
        for line in (along_x, along_y)
    )
    return MapReading(stride, side, weights, x_px, y_px)


def _weights(intervals: NDArray[np.float32], side: int, samples: int, length: int) -> NDArray[np.float32]:
    """How much each of a line's `length` values counts in each of `side` cells. (R, 2), in values of the line ->
    (R, side, length)"""
    places, index, n_samples = _samples(intervals, side, samples)
    # A box with fewer samples than another has the rest count nothing.
    counts = (index < n_samples) & (places >= -1) & (places <= length)
    away = np.abs(np.clip(places, 0, length - 1)[..., None] - np.arange(length, dtype=np.float32))
    shares = np.maximum(1 - away, 0) * counts[..., None]
    weights: NDArray[np.float32] = shares.sum(axis=2) / n_samples
    return weights


def _samples(
    intervals: NDArray[np.float32], side: int, samples: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Where the samples of each of `side` cells lie on a line, 0 being its first value: (R, side, most samples of a cell). With
    it their numbers within a cell, and how many of them each box has, (R, 1, 1)."""
    starts, ends = (intervals[:, index, None, None] for index in (0, 1))
    cell = (ends - starts) / np.float32(side)
    n_samples = np.full_like(cell, samples) if samples else np.maximum(np.ceil(cell), 1)
    index = np.arange(n_samples.max(initial=1), dtype=np.float32)
    offsets = np.arange(side, dtype=np.float32)[:, None] + (index + np.float32(0.5)) / n_samples
    return starts - np.float32(0.5) + offsets * cell, index, n_samples
