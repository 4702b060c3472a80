"""The parts of a slice that come from pixels: the colours under a box, and its silhouette and edges."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prodseek.slice_layout import COLOUR_BINS, EDGE_ORIENTATIONS, EDGE_SIDE, SILHOUETTE_SIDE

PATCH_PX = 48  # a multiple of SILHOUETTE_SIDE and EDGE_SIDE; every box is looked at in this many pixels a side
CHROMA_LIMIT = 80.0  # a* and b* beyond it count as it
MIN_COVER = 0.04  # of a box; a product that covers less is not what the box is about
CENTRE_SIGMA = 0.3  # of the box's side
EDGE_FLOOR = 12.0  # of L*, summed over a cell's edges; weaker cells hold no edge, only noise

_D65 = np.array((0.95047, 1.0, 1.08883))
_SRGB_TO_XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
)


def pixel_parts(
    canvas: NDArray[np.uint8], mask: NDArray[np.bool_] | None, box: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The `colour` and `shape` parts of the slice of one box.

    canvas: (H, W, 3) uint8 RGB. mask: (h, w) bool over the same view, True on the product, or None where the
    background is not plain. box: (4,) x1 y1 x2 y2 in canvas pixels, inside it.
    """
    patch, cover = _cut(canvas, mask, box)
    lab = _to_lab(patch)
    weights = _centre_weights() if cover is None else cover
    width_px, height_px = float(box[2] - box[0]), float(box[3] - box[1])
    shape = np.concatenate(
        (
            _silhouette(cover),
            _edges(lab[..., 0], cover),
            np.array([math.log(width_px / height_px)], np.float32),
        )
    )
    return _colour_histogram(lab, weights), shape


def _cut(
    canvas: NDArray[np.uint8], mask: NDArray[np.bool_] | None, box: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in box)
    size = (PATCH_PX, PATCH_PX)
    patch = Image.fromarray(canvas).resize(size, Image.Resampling.BOX, box=(x1, y1, x2, y2))
    if mask is None:
        return np.asarray(patch), None
    x_scale, y_scale = mask.shape[1] / width, mask.shape[0] / height
    mask_box = (
        x1 * x_scale,
        y1 * y_scale,
        min(x2 * x_scale, mask.shape[1]),
        min(y2 * y_scale, mask.shape[0]),
    )
    shrunk = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX, box=mask_box)
    cover = np.asarray(shrunk, np.float32) / 255.0
    return np.asarray(patch), cover if cover.mean() >= MIN_COVER else None


def _centre_weights() -> NDArray[np.float32]:
    """A box in a scene shows its object in the middle and something else in its corners."""
    offset = (np.arange(PATCH_PX) + 0.5) / PATCH_PX - 0.5
    line = np.exp(-0.5 * (offset / CENTRE_SIGMA) ** 2)
    return np.outer(line, line).astype(np.float32)


def _to_lab(patch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB to CIELAB, D65 (IEC 61966-2-1, CIE 15)."""
    linear = _linear_levels()[patch]
    scaled = linear @ (_SRGB_TO_XYZ / _D65[:, None]).T.astype(np.float32)
    f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16.0 / 116.0)
    lightness = 116.0 * f[..., 1] - 16.0
    return np.stack((lightness, 500.0 * (f[..., 0] - f[..., 1]), 200.0 * (f[..., 1] - f[..., 2])), axis=-1).astype(
        np.float32
    )


def _linear_levels() -> NDArray[np.float32]:
    levels = np.arange(256) / 255.0
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _colour_histogram(lab: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares of CIELAB bins, a pixel shared out among the eight bins round it; sums to 1."""
    position = np.stack(
        (
            lab[..., 0] / 100.0 * (COLOUR_BINS[0] - 1),
            (lab[..., 1] / CHROMA_LIMIT + 1) / 2 * (COLOUR_BINS[1] - 1),
            (lab[..., 2] / CHROMA_LIMIT + 1) / 2 * (COLOUR_BINS[2] - 1),
        ),
        axis=-1,
    ).reshape(-1, 3)
    last = np.array(COLOUR_BINS) - 1
    position = np.clip(position, 0, last)
    low = np.minimum(position.astype(np.int64), last - 1)
    high_share = position - low
    histogram = np.zeros(math.prod(COLOUR_BINS))
    flat_weights = weights.ravel().astype(np.float64)
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, high_share, 1 - high_share), axis=1)
        bins = np.ravel_multi_index(tuple((low + corner).T), COLOUR_BINS)
        histogram += np.bincount(bins, weights=share * flat_weights, minlength=histogram.size)
    shares: NDArray[np.float32] = (histogram / histogram.sum()).astype(np.float32)
    return shares


def _silhouette(cover: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """How much of each cell the product covers, -1 (none) .. 1 (all); 0 where that is not known."""
    if cover is None:
        return np.zeros(SILHOUETTE_SIDE * SILHOUETTE_SIDE, np.float32)
    filled: NDArray[np.float32] = 2 * _cells(cover, SILHOUETTE_SIDE).mean(axis=-1) - 1
    return filled


def _edges(lightness: NDArray[np.float32], cover: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Histograms of edge orientation in a grid of cells, each cell a unit vector or, without an edge, zero.

    After Dalal and Triggs, Histograms of Oriented Gradients (2005), section 6. A known background is painted
    the product's mean lightness and its outline left to the silhouette, so that the colour behind does not
    count.
    """
    if cover is not None:
        mean = float((lightness * cover).sum() / cover.sum())
        lightness = lightness * cover + mean * (1 - cover)
    dy, dx = np.gradient(lightness)
    strength = np.sqrt(np.hypot(dx, dy))  # its root: a strong edge counts more than a weak one, but not by contrast
    turn = np.arctan2(dy, dx) / math.pi * EDGE_ORIENTATIONS
    low = np.floor(turn).astype(np.int64)
    high_share = turn - low
    histograms = [
        _cells(
            strength
            * (
                np.where(low % EDGE_ORIENTATIONS == orientation, 1 - high_share, 0.0)
                + np.where((low + 1) % EDGE_ORIENTATIONS == orientation, high_share, 0.0)
            ),
            EDGE_SIDE,
        ).sum(axis=-1)
        for orientation in range(EDGE_ORIENTATIONS)
    ]
    grid = np.stack(histograms, axis=-1)
    norms = np.linalg.norm(grid, axis=-1, keepdims=True)
    cells: NDArray[np.float32] = (grid / np.maximum(norms, EDGE_FLOOR)).ravel().astype(np.float32)
    return cells


def _cells(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(PATCH_PX, PATCH_PX) -> (side x side, pixels of a cell)."""
    cell_px = PATCH_PX // side
    return values.reshape(side, cell_px, side, cell_px).transpose(0, 2, 1, 3).reshape(side * side, -1)
