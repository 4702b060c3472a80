"""Slicing: the raw values of the feature maps, and of the pixels, under each box. No crop goes through a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from prodseek.runs.slice_layout import (
    GEM_CHANNELS,
    GEM_MAPS,
    GRID_CHANNELS,
    GRID_MAP,
    GRID_ROWS,
    MapReading,
    SlicePart,
    slice_length,
)
from prodseek.vision.box_pooling import align_boxes, read_cells
from prodseek.vision.letterbox import Letterbox
from prodseek.vision.network import FeatureMap
from prodseek.vision.pixel_parts import pixel_parts

GEM_POWER = 3.0
# Cells along each side of a box, and samples along each side of a cell (0: as many as it has cells of the map).
_GEM_POOLING = (1, 0)
_GRID_POOLING = (GRID_ROWS, 2)
MIN_SIDE_PX = 1.0  # network-input pixels
_PROJECTION_SEED = 20180408
_FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class View:
    """One image of a batch, with all that slicing needs.

    canvas: (input_px, input_px, 3) uint8 RGB. placed: where the photo is in it. mask: (h, w) bool over the photo, True on
    the product; None if the background is not plain. boxes: (R, 4) float32 x1 y1 x2 y2, source pixels.
    """

    canvas: NDArray[np.uint8]
    placed: Letterbox
    mask: NDArray[np.bool_] | None
    boxes: NDArray[np.float32]


def slice_regions(
    maps: Mapping[str, torch.Tensor],
    feature_maps: Sequence[FeatureMap],
    views: Sequence[View],
    layout: Mapping[str, SlicePart],
) -> list[NDArray[np.float16]]:
    """Slice all boxes of a batch of images: RoIAlign over the feature maps, and pixel statistics.

    Source of RoIAlign: He et al., "Mask R-CNN", 2017, section 3. maps: name -> (B, C, h, w). views: B of them. Returns for
    each image (R, slice_length) float16. Detected and drawn boxes are treated alike. A box is clipped to the photo, and
    widened around its centre to at least MIN_SIDE_PX of the network's input. A box smaller than a cell is interpolated
    between cells. Raises ValueError for a box that is not finite, is empty or is outside the photo.
    """
    boxes = [network_boxes(view.placed, view.boxes) for view in views]
    strides = {feature_map.name: feature_map.stride for feature_map in feature_maps}
    on_device = [torch.from_numpy(each).to(maps[GRID_MAP].device) for each in boxes]
    parts = {
        part: _generalised_mean(maps[name], on_device, strides[name], GEM_CHANNELS[part])
        for part, name in GEM_MAPS.items()
    }
    parts["grid"] = _grid(maps[GRID_MAP], on_device, strides[GRID_MAP])
    parts["colour"], parts["shape"] = pixel_parts(
        [view.canvas[view.placed.inner] for view in views],
        [view.mask for view in views],
        [of_image - _corner(view.placed) for view, of_image in zip(views, boxes, strict=True)],
    )

    slices = np.zeros((len(parts["grid"]), slice_length(layout)), np.float32)
    for name, part in layout.items():
        if len(slices):
            slices[:, part.span] = parts[name]
    rounded = np.clip(slices, -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16)
    ends = np.cumsum([len(of_image) for of_image in boxes])
    return np.split(rounded, ends[:-1])


def sliced_cells(placed: Letterbox, box: Sequence[float], feature_maps: Sequence[FeatureMap]) -> dict[str, MapReading]:
    """What `slice_regions` reads under one box: name -> MapReading, for each feature map that is sliced.

    box: x1 y1 x2 y2, source pixels. Raises ValueError as `slice_regions`.
    """
    (inside,) = network_boxes(placed, np.array([box], np.float32))
    pooling = dict.fromkeys(GEM_MAPS.values(), _GEM_POOLING) | {GRID_MAP: _GRID_POOLING}
    return {
        each.name: read_cells(inside, each.stride, *pooling[each.name], (placed.input_px // each.stride,) * 2)
        for each in feature_maps
        if each.name in pooling
    }


def network_boxes(placed: Letterbox, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert boxes from source pixels to the network-input pixels where they are sliced, (R, 4) float32.

    Raises ValueError as `slice_regions`.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    clipped = placed.clip_to_source(boxes)
    usable = np.isfinite(boxes).all(axis=1) & (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    if not usable.all():
        first = boxes[int(np.flatnonzero(~usable)[0])]
        raise ValueError(
            f"box x1 y1 x2 y2 = {', '.join(f'{value:g}' for value in first)} covers nothing of a photo of "
            f"{placed.width_px} x {placed.height_px} px; inside the photo, x1 < x2 and y1 < y2 must hold"
        )
    mapped = placed.to_network(clipped)
    low = np.tile(_corner(placed)[:2], 2)
    high = low + np.array((placed.inner_width_px, placed.inner_height_px) * 2, np.float32)
    centres = (mapped[:, :2] + mapped[:, 2:]) / 2
    halves = np.maximum(mapped[:, 2:] - mapped[:, :2], MIN_SIDE_PX) / 2
    # Keep a widened box inside the photo; the photo itself is at least MIN_SIDE_PX in the input.
    centres = np.clip(centres, low[:2] + halves, np.maximum(high[:2] - halves, low[:2] + halves))
    widened = np.concatenate((centres - halves, centres + halves), axis=1)
    inside: NDArray[np.float32] = np.clip(widened, low, high).astype(np.float32)
    return inside


def _corner(placed: Letterbox) -> NDArray[np.float32]:
    return np.array((placed.left_px, placed.top_px) * 2, np.float32)


def _generalised_mean(values: torch.Tensor, boxes: list[torch.Tensor], stride: int, limit: int) -> NDArray[np.float32]:
    """The generalised mean (GeM) of the positive values of a map under each box, (all boxes, at most `limit` channels).

    A channel that fires strongly on a part of the object counts more than one that fires weakly everywhere. Source:
    Radenovic, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018, equation 3.
    """
    powers = align_boxes(values.clamp(min=0) ** GEM_POWER, boxes, stride, *_GEM_POOLING)
    means = powers.clamp(min=0) ** (1 / GEM_POWER)
    return _as_array(_reduce(means, limit))


def _grid(values: torch.Tensor, boxes: list[torch.Tensor], stride: int) -> NDArray[np.float32]:
    """A map in 3 x 3 cells of each box, with the left and right columns averaged.

    So a product seen from the left and from the right gives the same values. Returns (all boxes, GRID_ROWS x GRID_COLUMNS x
    at most GRID_CHANNELS).
    """
    cells = align_boxes(values, boxes, stride, *_GRID_POOLING)
    square = cells.view(len(cells), GRID_ROWS, GRID_ROWS, -1)
    outer, middle = (square[:, :, 0] + square[:, :, 2]) / 2, square[:, :, 1]
    return _as_array(_reduce(torch.stack((outer, middle), 2).flatten(1, 2), GRID_CHANNELS))


def _reduce(cells: torch.Tensor, limit: int) -> torch.Tensor:
    """Project (boxes, cells, channels) to (boxes, cells x at most `limit` channels).

    Each cell has its own projection, so that their errors average out.
    """
    n_cells, channels = cells.shape[1:]
    if channels <= limit:
        return cells.flatten(1)
    reduced = torch.bmm(cells.transpose(0, 1), _projections(channels, limit, n_cells, cells.device))
    return reduced.transpose(0, 1).flatten(1)


def _as_array(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.cpu().numpy()
    return array


@lru_cache(maxsize=8)
def _projections(channels: int, limit: int, n_cells: int, device: torch.device) -> torch.Tensor:
    """Fixed random orthonormal projections, (n_cells, channels, limit) float32.

    They almost keep distances and angles (Johnson and Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert
    space", 1984).
    """
    bases = np.empty((n_cells, channels, limit), np.float32)
    for cell in range(n_cells):
        gaussian = np.random.default_rng((_PROJECTION_SEED, channels, limit, cell)).standard_normal((channels, limit))
        basis, triangle = np.linalg.qr(gaussian)
        bases[cell] = basis * np.sign(np.diag(triangle)) * np.sqrt(channels / limit)  # QR leaves the signs undefined
    return torch.from_numpy(bases).to(device)
