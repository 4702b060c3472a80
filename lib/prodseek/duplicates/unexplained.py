"""What is not explained between two photos: its shape, and how well everything beside it agrees."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.explained import LeftOver
from prodseek.duplicates.grounds import Grounds
from prodseek.duplicates.planes import Mask, Plane, blurred, gradient, luma

_SHAPE = (
    "one_sided", "correlation", "on_ground", "box", "thick", "parts", "largest", "at_border", "crosses", "ink", "ink_beneath",
)  # fmt: skip
_STRUCTURE_VARIANCE = 36.0
_SSIM_C2 = (0.03 * 255) ** 2
_WINDOW_PX = 2.5
_LIKE = 0.8
_CELLS_A_SIDE = 24
# A cell has structure if this share of it has; it agrees if this share of its structure does.
_CELL_FILLED, _CELL_AGREES = 0.08, 0.75
# A part crosses the product's outline if this share of it at least lies on either side.
_CROSSING = 0.1
# Colours within so many levels are one ink.
_INK_STEP = 24
_DETAIL_BLUR_PX = 4.0
_LEAST_DETAIL = 0.2


def marks_of(left: dict[int, LeftOver], shape: tuple[int, ...]) -> Mask:
    """Where anything is not explained, at whatever level, at full size."""
    found = np.zeros(shape, np.bool_)
    for level in left.values():
        if level.mask.any():
            found |= cv2.resize(level.mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return found


def structure_of(expected: Plane, target: Plane, where: Mask, mark: Mask) -> dict[str, float]:
    """How much structure agrees: numbers of `Proof`. expected, target: (H, W, 3) float32 RGB. where, mark: (H, W) bool.

    By SSIM without its term of luminance (Wang et al., "Image quality assessment", 2004, equation 10).
    """
    light_e, light = luma(expected), luma(target)
    mean_e, mean_l = blurred(light_e, _WINDOW_PX), blurred(light, _WINDOW_PX)
    variance_e = np.maximum(blurred(light_e * light_e, _WINDOW_PX) - mean_e**2, 0)
    variance_l = np.maximum(blurred(light * light, _WINDOW_PX) - mean_l**2, 0)
    covariance = blurred(light_e * light, _WINDOW_PX) - mean_e * mean_l
    agrees = (2 * covariance + _SSIM_C2) / (variance_e + variance_l + _SSIM_C2) > _LIKE
    structured = where & (np.maximum(variance_e, variance_l) > _STRUCTURE_VARIANCE)
    beside = structured & ~(cv2.dilate(mark.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    cell = max(8, max(light.shape) // _CELLS_A_SIDE)
    size = tuple(max(1, side // cell) for side in light.shape[::-1])
    filled_cells, agreeing = (
        cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for mask in (structured, structured & agrees)
    )
    cells = filled_cells > _CELL_FILLED
    matching = cells & (agreeing > _CELL_AGREES * filled_cells)
    return {
        "structured": float(structured.sum() / max(1, where.sum())),
        "matching": float(agrees[structured].mean()) if structured.any() else 0.0,
        "matching_beside": float(agrees[beside].mean()) if beside.any() else 0.0,
        "n_cells": float(cells.sum()),
        "cells_matching": float(matching.sum() / max(1, cells.sum())),
    }


def shape_of(mark: Mask, expected: Plane, target: Plane, grounds: Grounds, n_compared: int) -> dict[str, float]:
    """Whether what is not explained looks like something laid on top of one of the photos: numbers of `Proof`.

    mark: (H, W) bool. expected, target: (H, W, 3) float32 RGB. mark_one_sided is above 0 where target has more edges.
    """
    area = float(mark.sum() / max(1, n_compared))
    if not mark.any():
        return {"mark": area, **{f"mark_{name}": math.nan for name in _SHAPE}}
    around = cv2.dilate(mark.astype(np.uint8), np.ones((5, 5), np.uint8))
    lights = (luma(expected), luma(target))
    edges_source, edges_target = (float(gradient(plane)[around > 0].mean()) for plane in lights)
    one_sided = (edges_target - edges_source) / (edges_target + edges_source + 0.1)
    details = [(plane - blurred(plane, _DETAIL_BLUR_PX))[around > 0] for plane in lights]
    flat = min(float(detail.std()) for detail in details) < _LEAST_DETAIL
    inks = [_ink(plane[mark]) for plane in (expected, target)]
    busier = int(edges_target > edges_source)
    ys, xs = np.nonzero(mark)
    width, height = (np.percentile(values, 98) - np.percentile(values, 2) for values in (xs, ys))
    n_parts, parts, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=8)
    return {
        "mark": area,
        "mark_one_sided": one_sided,
        "mark_correlation": 0.0 if flat else float(np.corrcoef(details[0], details[1])[0, 1]),
        "mark_on_ground": float(grounds.either[mark].mean()),
        "mark_box": float(width * height / mark.size),
        "mark_thick": float((cv2.erode(mark.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0).sum() / mark.sum()),
        "mark_parts": float(n_parts - 1),
        "mark_largest": float(stats[1:, cv2.CC_STAT_AREA].max() / mark.size),
        "mark_at_border": float(np.concatenate([mark[0], mark[-1], mark[:, 0], mark[:, -1]]).mean()),
        "mark_crosses": _crossing(parts[mark], grounds.either[mark], n_parts),
        "mark_ink": inks[busier],
        "mark_ink_beneath": inks[1 - busier],
    }


def _crossing(parts: NDArray[Any], on_ground: NDArray[np.bool_], n_parts: int) -> float:
    """The share of the mark in parts that lie on the product and on the ground too. parts, on_ground: (N,), of its pixels."""
    size = np.bincount(parts, minlength=n_parts)
    share = np.bincount(parts, weights=on_ground, minlength=n_parts) / np.maximum(size, 1)
    crosses = (share > _CROSSING) & (share < 1 - _CROSSING)
    return float(size[crosses].sum() / max(1, len(parts)))


def _ink(colours: NDArray[np.float32]) -> float:
    """The share of pixels that have one of the two colours that most of them have. colours: (N, 3) float32 RGB."""
    steps = (colours / _INK_STEP).astype(np.int64)
    codes = (steps[:, 0] * 64 + steps[:, 1]) * 64 + steps[:, 2]
    return float(np.sort(np.unique(codes, return_counts=True)[1])[-2:].sum() / len(codes))
