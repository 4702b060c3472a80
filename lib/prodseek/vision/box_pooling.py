"""What a feature map holds under boxes: RoIAlign, on a CPU by matrix products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchvision.ops import roi_align


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
    along_y = _weights(torch.cat(list(boxes))[:, 1::2] / stride, side, samples, height)
    along_x = _weights(torch.cat(list(boxes))[:, 0::2] / stride, side, samples, width)
    pooled = values.new_empty(len(along_y), side, side, n_channels)
    start = 0
    for image, of_image in zip(values.permute(0, 2, 3, 1), boxes, strict=True):
        span = slice(start, start + len(of_image))
        rows = along_y[span].flatten(0, 1) @ image.reshape(height, width * n_channels)
        rows = rows.view(len(of_image), side, width, n_channels)
        torch.matmul(along_x[span, None], rows, out=pooled[span])
        start = span.stop
    return pooled.flatten(1, 2)


def _weights(intervals: torch.Tensor, side: int, samples: int, length: int) -> torch.Tensor:
    """How much each of a line's `length` values counts in each of `side` cells. (R, 2), in values of the line ->
    (R, side, length)"""
    starts, sizes = intervals[:, 0] - 0.5, intervals[:, 1] - intervals[:, 0]
    cell = sizes / side
    n_samples = torch.full_like(sizes, samples) if samples else cell.ceil().clamp_(min=1)
    index = torch.arange(int(n_samples.max()) if len(n_samples) else 1)
    # (R, side, samples); a box with fewer samples than another has the rest count nothing.
    offsets = torch.arange(side)[None, :, None] + (index + 0.5) / n_samples[:, None, None]
    places = starts[:, None, None] + offsets * cell[:, None, None]
    counts = (index < n_samples[:, None, None]) & (places >= -1) & (places <= length)
    away = (places.clamp(0, length - 1)[..., None] - torch.arange(length)).abs_()
    shares = (1 - away).clamp_(min=0) * counts[..., None]
    return shares.sum(2) / n_samples[:, None, None]
