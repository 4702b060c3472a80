"""Find the product on a plain background: the part of the photo that a flood fill from its border does not reach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

WORK_SIDE_PX = 208  # the flood fill runs on the photo shrunk to this: fast, and fine enough for a box
BORDER_PX = 3
NOISE_LEVELS = 14.0  # JPEG noise on a plain background stays within this many grey levels
MAX_GRADIENT_LEVELS = 70.0  # how much a plain background may brighten or darken across the photo
MIN_PLAIN_BORDER = 0.72  # share of the border's pixels; a product may extend beyond one side of the photo
SHADOW_DEPTH_LEVELS = 90.0
SHADOW_TINT_LEVELS = 10.0  # a shadow is a darker background, not another colour
SHADOW_SLOPE_LEVELS = 9.0  # a shadow fades; an object's edge jumps
MIN_AREA_FRACTION = 0.005
MAX_AREA_FRACTION = 0.97
MIN_NEIGHBOURS = (
    4  # foreground among the 3 x 3 pixels around a foreground pixel, itself included; with fewer it is a speck
)


@dataclass(frozen=True)
class Foreground:
    """A product on a plain background.

    mask: (h, w) bool, True on the product; the photo at a reduced size. x1_px to y2_px: the product's box, in pixels of the
    given array.
    """

    mask: NDArray[np.bool_]
    x1_px: float
    y1_px: float
    x2_px: float
    y2_px: float


def foreground_box(pixels: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
    """The box of the product on a plain background: x1 y1 x2 y2 in pixels of the given array; None if there is none.

    pixels: (H, W, 3) uint8 RGB.
    """
    found = find_foreground(pixels)
    return None if found is None else (found.x1_px, found.y1_px, found.x2_px, found.y2_px)


def find_foreground(pixels: NDArray[np.uint8]) -> Foreground | None:
    """Separate a product from a plain background.

    The background is a colour that changes linearly over the photo; it is fitted to the border. A flood fill from the border
    takes all pixels near that colour, and its soft shadows. The rest is the product. None if the border is not plain, or if
    almost nothing or almost everything would be product.

    pixels: (H, W, 3) uint8 RGB.
    """
    height_px, width_px = pixels.shape[:2]
    shrink = min(1.0, WORK_SIDE_PX / max(height_px, width_px))
    size = (max(1, round(width_px * shrink)), max(1, round(height_px * shrink)))
    if min(size) < 4 * BORDER_PX:
        return None
    shrunk = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    # Channels first, because numpy is several times faster on whole planes than on rows of three values.
    small = np.ascontiguousarray(np.asarray(shrunk).transpose(2, 0, 1), np.float32)
    background = _fit_background(small)
    if background is None:
        return None
    product = ~_flood(_looks_like(small, background))
    product &= _neighbour_count(product) >= MIN_NEIGHBOURS
    if product.mean() < MIN_AREA_FRACTION:
        return None
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    x_scale, y_scale = width_px / size[0], height_px / size[1]
    x1, y1 = columns[0] * x_scale, rows[0] * y_scale
    x2, y2 = (columns[-1] + 1) * x_scale, (rows[-1] + 1) * y_scale
    if (x2 - x1) * (y2 - y1) > MAX_AREA_FRACTION * width_px * height_px:
        return None
    return Foreground(product, float(x1), float(y1), float(x2), float(y2))


def _fit_background(pixels: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The plane a + b x + c y of each channel that fits most of the border; None if no plane does.

    pixels and the result: (3, h, w).
    """
    height, width = pixels.shape[1:]
    y = (np.arange(height, dtype=np.float32) / height - np.float32(0.5))[:, None]
    x = (np.arange(width, dtype=np.float32) / width - np.float32(0.5))[None, :]
    rows, columns = _border(height, width)
    terms = np.stack((np.ones(len(rows)), x[0, columns], y[rows, 0]))
    values = pixels[:, rows, columns].astype(np.float64)
    inside = np.abs(values - np.median(values, axis=1, keepdims=True)).max(axis=0) <= 3 * NOISE_LEVELS
    for _ in range(3):  # least squares, without the pixels that the last fit did not explain
        if inside.mean() < MIN_PLAIN_BORDER / 2:
            return None
        kept = terms * inside
        # The normal equations, because there are three unknowns and thousands of pixels.
        planes = np.linalg.lstsq(kept @ terms.T, kept @ values.T, rcond=None)[0]
        before, inside = inside, np.abs(values - planes.T @ terms).max(axis=0) <= NOISE_LEVELS
        if np.array_equal(before, inside):
            break
    if inside.mean() < MIN_PLAIN_BORDER or np.abs(planes[1:]).sum(axis=0).max() > MAX_GRADIENT_LEVELS:
        return None
    constant, along_x, along_y = planes[:, :, None, None].astype(np.float32)
    background: NDArray[np.float32] = (constant + along_y * y) + along_x * x
    return background


@lru_cache(maxsize=8)
def _border(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the border's pixels."""
    border = np.ones((height, width), bool)
    border[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    rows, columns = np.nonzero(border)
    return rows, columns


def _looks_like(pixels: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(h, w) bool: whether a pixel has the background's colour within noise, or is a soft shadow on it. Both are (3, h, w)."""
    difference = pixels - background
    near = np.abs(difference).max(axis=0) <= NOISE_LEVELS
    depth = -difference.mean(axis=0)
    tint = np.abs(difference + depth).max(axis=0)
    grey = pixels.mean(axis=0)
    slope = np.zeros_like(grey)
    down, across = np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1))
    for part, step in ((slope[:-1], down), (slope[1:], down), (slope[:, :-1], across), (slope[:, 1:], across)):
        np.maximum(part, step, out=part)
    shadow = (
        (depth > 0) & (depth <= SHADOW_DEPTH_LEVELS) & (tint <= SHADOW_TINT_LEVELS) & (slope <= SHADOW_SLOPE_LEVELS)
    )
    return np.asarray(near | shadow)


def _flood(passable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) bool: passable pixels that are 4-connected to the border."""
    labels, n_labels = label(passable)
    is_reached = np.zeros(n_labels + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_reached[edge] = True
    is_reached[0] = False  # label 0 is what is not passable
    return np.asarray(is_reached[labels])


def _neighbour_count(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    padded = np.pad(mask.astype(np.uint8), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    counts: NDArray[np.uint8] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return counts
