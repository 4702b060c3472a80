"""RoIAlign: the values of a feature map under boxes. On a CPU it is done by matrix products."""

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
    """RoIAlign: the mean of a map's bilinear samples in side x side cells of each box.

    Source: He et al., "Mask R-CNN", 2017, section 3. values: (B, C, h, w); a cell of the map is `stride` network-input
    pixels. boxes: for each of the B images (R, 4) float32 x1 y1 x2 y2, network-input pixels. samples: along each side of a
    cell; 0 for as many as the cell has cells of the map. Returns (all R, side x side, C), equal to torchvision's
    `roi_align(aligned=True)` within float tolerance.
    """
    if values.device.type != "cpu":
        aligned: torch.Tensor = roi_align(values, list(boxes), side, 1 / stride, samples or -1, aligned=True)
        return aligned.flatten(2).transpose(1, 2)
    # Bilinear weights are a product of one along y and one along x, and so is the grid of samples. So a cell's mean is two
    # small matrix products over channels, which are contiguous in a channels_last map. That is several times faster than
    # torchvision's loop over channels.
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
    """What `align_boxes` reads under one box of a map of shape (h, w).

    box: (4,) x1 y1 x2 y2, network-input pixels. stride, side, samples: as for `align_boxes`.
    """
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
    """How much each of the `length` values of a line counts in each of `side` cells.

    intervals: (R, 2), start and end in values of the line. Returns (R, side, length).
    """
    places, index, n_samples = _samples(intervals, side, samples)
    # Samples beyond a box's own number do not count.
    counts = (index < n_samples) & (places >= -1) & (places <= length)
    away = np.abs(np.clip(places, 0, length - 1)[..., None] - np.arange(length, dtype=np.float32))
    shares = np.maximum(1 - away, 0) * counts[..., None]
    weights: NDArray[np.float32] = shares.sum(axis=2) / n_samples
    return weights


def _samples(
    intervals: NDArray[np.float32], side: int, samples: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Positions of the samples of each of `side` cells on a line, on which 0 is the first value.

    Returns the positions (R, side, most samples of a cell), the samples' numbers within a cell, and how many samples along a
    cell each box has, (R, 1, 1).
    """
    starts, ends = (intervals[:, index, None, None] for index in (0, 1))
    cell = (ends - starts) / np.float32(side)
    n_samples = np.full_like(cell, samples) if samples else np.maximum(np.ceil(cell), 1)
    index = np.arange(n_samples.max(initial=1), dtype=np.float32)
    offsets = np.arange(side, dtype=np.float32)[:, None] + (index + np.float32(0.5)) / n_samples
    return starts - np.float32(0.5) + offsets * cell, index, n_samples
