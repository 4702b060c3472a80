"""The parts of a slice that come from pixels: the colours under a box, the silhouette and the edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from prodseek.photos.colour import RGB_TO_XYZ, WHITE_XYZ
from prodseek.runs.slice_layout import COLOUR_BINS, EDGE_ORIENTATIONS, EDGE_SIDE, SILHOUETTE_SIDE

PATCH_PX = 48  # each box is resampled to this side; a multiple of SILHOUETTE_SIDE and EDGE_SIDE
CHROMA_LIMIT = 80.0  # a* and b* are clipped to this
MIN_COVER = 0.04  # share of a box; if the product covers less, the box is about something else
CENTRE_SIGMA = 0.3  # of the box's side
EDGE_FLOOR = 12.0  # of L*, summed over a cell's edges; weaker cells hold only noise

_CHUNK_REGIONS = 16  # regions computed together, few enough for a core's cache


def pixel_parts(
    canvases: Sequence[NDArray[np.uint8]],
    masks: Sequence[NDArray[np.bool_] | None],
    boxes: Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The `colour` and `shape` parts of the slices of all boxes of all views, view after view.

    canvases: (H, W, 3) uint8 RGB. masks: (h, w) bool over the same view, True on the product, or None if the background is
    not plain. boxes: for each view (R, 4) float32 x1 y1 x2 y2 in canvas pixels, inside the canvas. Returns (all R, colour
    length) and (all R, shape length), float32.
    """
    cuts = [
        cut for canvas, mask, of_view in zip(canvases, masks, boxes, strict=True) for cut in _cut(canvas, mask, of_view)
    ]
    colours, shapes = [], []
    with torch.inference_mode():
        for start in range(0, max(1, len(cuts)), _CHUNK_REGIONS):
            chunk = cuts[start : start + _CHUNK_REGIONS]
            patches = torch.from_numpy(
                np.array([patch for patch, _ in chunk], np.uint8).reshape(-1, PATCH_PX, PATCH_PX, 3)
            )
            # If the product is not known, everything counts as product, but colours count more in the middle.
            known = torch.tensor([cover is not None for _, cover in chunk], dtype=torch.bool)[:, None]
            covers = torch.ones(patches.shape[:3])
            weights = _centre_weights().repeat(len(chunk), 1, 1)
            for index, (_, cover) in enumerate(chunk):
                if cover is not None:
                    covers[index] = weights[index] = torch.from_numpy(cover)
            lightness, a, b = _to_lab(patches)
            colours.append(_colour_histograms(lightness, a, b, weights))
            shapes.append(torch.cat((_silhouettes(covers) * known, _edges(lightness, covers)), 1))
    sides = np.concatenate([of_view[:, 2:] - of_view[:, :2] for of_view in boxes])
    aspect = np.log(sides[:, :1] / sides[:, 1:]).astype(np.float32)
    return torch.cat(colours).numpy(), np.concatenate((torch.cat(shapes).numpy(), aspect), axis=1)


def _cut(
    canvas: NDArray[np.uint8], mask: NDArray[np.bool_] | None, boxes: NDArray[np.float32]
) -> list[tuple[NDArray[np.uint8], NDArray[np.float32] | None]]:
    """For each box its pixels (PATCH_PX, PATCH_PX, 3) uint8, and how much of each pixel is product, 0..1, or None."""
    height, width = canvas.shape[:2]
    size = (PATCH_PX, PATCH_PX)
    image = Image.fromarray(canvas)
    mask_image = None if mask is None else Image.fromarray(mask.astype(np.uint8) * 255)
    cuts: list[tuple[NDArray[np.uint8], NDArray[np.float32] | None]] = []
    for x1, y1, x2, y2 in boxes.tolist():
        patch = np.asarray(image.resize(size, Image.Resampling.BOX, box=(x1, y1, x2, y2)))
        cover = None
        if mask_image is not None:
            x_scale, y_scale = mask_image.width / width, mask_image.height / height
            mask_box = (
                x1 * x_scale,
                y1 * y_scale,
                min(x2 * x_scale, mask_image.width),
                min(y2 * y_scale, mask_image.height),
            )
            shrunk = mask_image.resize(size, Image.Resampling.BOX, box=mask_box)
            cover = np.asarray(shrunk, np.float32) / np.float32(255)
        cuts.append((patch, cover if cover is not None and cover.mean() >= MIN_COVER else None))
    return cuts


def _centre_weights() -> torch.Tensor:
    """Weights that favour the middle, because a box in a scene shows its object there, and other things in its corners."""
    offset = (torch.arange(PATCH_PX, dtype=torch.float64) + 0.5) / PATCH_PX - 0.5
    line = torch.exp(-0.5 * (offset / CENTRE_SIGMA) ** 2)
    return torch.outer(line, line).float()


def _to_lab(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Convert sRGB, 0..255, to CIELAB, D65 (IEC 61966-2-1, CIE 15): (..., 3) -> L*, a* and b*, each (...)."""
    linear = _linear_levels()[patches.int()]
    to_xyz = torch.from_numpy(RGB_TO_XYZ / WHITE_XYZ[:, None]).float()
    scaled = to_xyz @ linear.flatten(0, -2).T
    x, y, z = torch.where(scaled > 0.008856, scaled ** (1 / 3), 7.787 * scaled + 16.0 / 116.0)
    shape = patches.shape[:-1]
    return (116.0 * y - 16.0).view(shape), (500.0 * (x - y)).view(shape), (200.0 * (y - z)).view(shape)


def _linear_levels() -> torch.Tensor:
    levels = torch.arange(256, dtype=torch.float64) / 255.0
    return torch.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).float()


def _colour_histograms(
    lightness: torch.Tensor, a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Histograms over CIELAB bins; a pixel is divided among the eight bins around it (trilinear), and each row sums to 1.

    All arguments: (R, h, w). Returns (R, number of bins).
    """
    by_lightness = _shares(lightness / 100.0, COLOUR_BINS[0]) * weights.flatten(1)[:, None]
    by_a = _shares((a / CHROMA_LIMIT + 1) / 2, COLOUR_BINS[1])
    by_b = _shares((b / CHROMA_LIMIT + 1) / 2, COLOUR_BINS[2])
    by_hue = (by_a[:, :, None] * by_b[:, None, :]).flatten(1, 2)
    histograms = (by_lightness @ by_hue.transpose(1, 2)).flatten(1)
    return histograms / histograms.sum(1, keepdim=True)


def _shares(values: torch.Tensor, n_bins: int) -> torch.Tensor:
    """How much of a value each of n_bins bins gets: it is divided linearly between the two bins around it.

    values: (R, h, w), the bins evenly spaced over 0..1. Returns (R, n_bins, h x w).
    """
    position = values.flatten(1).clamp(0, 1)[:, None] * (n_bins - 1)
    return (1 - (position - torch.arange(n_bins)[:, None]).abs_()).clamp_(min=0)


def _silhouettes(covers: torch.Tensor) -> torch.Tensor:
    """How much of each cell the product covers, from -1 (nothing) to 1 (all): (R, h, w) -> (R, cells)."""
    return 2 * _cells(covers, SILHOUETTE_SIDE).mean((2, 4)).flatten(1) - 1


def _edges(lightness: torch.Tensor, covers: torch.Tensor) -> torch.Tensor:
    """Histograms of edge orientation in a grid of cells; each cell is a unit vector, or zero if it has no edge.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", 2005, section 6. A known background is
    painted in the product's mean lightness, so that its colour does not count; the outline is left to the silhouette.
    lightness, covers: (R, h, w). Returns (R, cells x EDGE_ORIENTATIONS).
    """
    mean = (lightness * covers).sum((1, 2), keepdim=True) / covers.sum((1, 2), keepdim=True)
    painted = lightness * covers + mean * (1 - covers)
    dy, dx = torch.gradient(painted, dim=(1, 2))
    strength = torch.hypot(
        dx, dy
    ).sqrt_()  # the root, so that strong edges count more, but not in proportion to contrast
    turn = torch.atan2(dy, dx) * (EDGE_ORIENTATIONS / math.pi)
    grids = []
    for orientation in range(EDGE_ORIENTATIONS):
        # Orientations are cyclic; an edge is divided between the two nearest ones.
        away = (turn - orientation).remainder_(EDGE_ORIENTATIONS)
        away = torch.minimum(away, EDGE_ORIENTATIONS - away)
        grids.append(_cells((1 - away).clamp_(min=0).mul_(strength), EDGE_SIDE).sum((2, 4)).flatten(1))
    grid = torch.stack(grids, -1)
    norms = torch.linalg.vector_norm(grid, dim=-1, keepdim=True)
    cells: torch.Tensor = grid / norms.clamp(min=EDGE_FLOOR)
    return cells.flatten(1)


def _cells(values: torch.Tensor, side: int) -> torch.Tensor:
    """Divide (R, PATCH_PX, PATCH_PX) into cells: (R, side, rows of a cell, side, columns of a cell)."""
    cell_px = PATCH_PX // side
    return values.view(-1, side, cell_px, side, cell_px)
