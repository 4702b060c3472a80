"""The same part of two photos, pixel on pixel where they have one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.geometry import Matrix, corners, inverse, transformed
from prodseek.duplicates.planes import Mask, Plane

# The side of JPEG's blocks.
BLOCK_PX = 8
# A part of this size tells as much of how a photo was made as all of it.
_WINDOW_PX, _LEAST_WINDOW_PX = 384, 48
# Photos of one scale, turned by right angles or not at all, lie pixel on pixel.
_SAME_SCALE, _UPRIGHT, _SAME_PLACE_PX = 0.006, 0.004, 2.5
_DARKEST, _BRIGHTEST = 4.0, 251.0

Corner = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A part of what two photos share, laid as it lies in a.

    a, b: (H, W) float32, luminance, 0 to 255. grid_a, grid_b: column and row of the first corner of JPEG's blocks; None unless
    the pixels of b lie on those of a. low: column and row of a's first pixel in the photo.
    """

    a: Plane
    b: Plane
    grid_a: Corner
    grid_b: Corner | None
    low: Corner

    @property
    def clear(self) -> Mask:
        """(H, W) bool: where neither is clipped."""
        return (self.a > _DARKEST) & (self.a < _BRIGHTEST) & (self.b > _DARKEST) & (self.b < _BRIGHTEST)


def shared_window(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> Window | None:
    """The middle of what two photos share; None if that is too small. a, b: (H, W, 3) uint8 RGB. matrix: (2, 3), a -> b, px."""
    size_a, size_b = (np.array(photo.shape[1::-1]) for photo in (a, b))
    back = inverse(matrix)
    part = transformed(back, corners((int(size_b[0]), int(size_b[1]))))
    low = np.ceil(np.maximum(part.min(axis=0), 0)).astype(int)
    high = np.floor(np.minimum(part.max(axis=0), size_a)).astype(int)
    # Where the photos meet is known to a pixel or so.
    low, high = low + 1, high - 1
    size = np.minimum(high - low, _WINDOW_PX)
    if size.min() < _LEAST_WINDOW_PX:
        return None
    low = low + (high - low - size) // 2
    light_a = _light(_cut(a, low, size))
    grid_a, corner = _first_corner(low), (int(low[0]), int(low[1]))
    # A quarter turn is a transposed photo that is flipped.
    is_transposed = abs(matrix[0, 0]) < abs(matrix[0, 1])
    upright, onto = (b.swapaxes(0, 1), matrix[::-1]) if is_transposed else (b, matrix)
    turn = onto[:, :2]
    if max(abs(turn[0, 1]), abs(turn[1, 0])) < _UPRIGHT and np.abs(np.abs(np.diag(turn)) - 1).max() < _SAME_SCALE:
        flips, size_upright = np.diag(turn) < 0, np.array(upright.shape[1::-1])
        lying = upright[:: -1 if flips[1] else 1, :: -1 if flips[0] else 1]
        middle = low + size / 2
        there = turn @ middle + onto[:, 2]
        offset = np.where(flips, size_upright - 1 - there, there) - middle
        at = _pixel_on_pixel(light_a, lying, low, offset, a.shape == upright.shape)
        if at is not None:
            grid_b = _first_corner(np.where(flips, at - size_upright, at))
            return Window(light_a, _light(_cut(lying, at, size)), grid_a, grid_b, corner)
    moved = np.asarray(back, np.float64).copy()
    moved[:, 2] -= low
    laid = cv2.warpAffine(b, moved, tuple(size.tolist()), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Window(light_a, _light(np.asarray(laid, np.uint8)), grid_a, None, corner)


def _pixel_on_pixel(
    light_a: Plane, b: NDArray[np.uint8], low: NDArray[np.int64], offset: NDArray[np.float64], same_size: bool
) -> NDArray[np.int64] | None:
    """Where in b the window begins: the whole offset, near the one that was measured, at which b looks most like a."""
    height, width = light_a.shape
    if same_size and np.abs(offset).max() < _SAME_PLACE_PX:
        return low
    near = np.round(offset).astype(np.int64)
    some = light_a[::3, ::3].ravel()
    best, best_at = -math.inf, None
    for step in np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2):
        x, y = low + near + step
        if min(x, y) < 0 or x + width > b.shape[1] or y + height > b.shape[0]:
            continue
        # Green is most of the luminance.
        alike = float(np.corrcoef(b[y : y + height : 3, x : x + width : 3, 1].ravel(), some)[0, 1])
        if alike > best:
            best, best_at = alike, np.array([x, y])
    return best_at


def _first_corner(at: NDArray[np.int64]) -> Corner:
    return int(-at[0] % BLOCK_PX), int(-at[1] % BLOCK_PX)


def _cut(photo: NDArray[np.uint8], low: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(photo[low[1] : low[1] + size[1], low[0] : low[0] + size[0]])


def _light(photo: NDArray[np.uint8]) -> Plane:
    return np.asarray(cv2.cvtColor(photo.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32)
