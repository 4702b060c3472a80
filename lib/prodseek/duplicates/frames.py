"""The common frame of two photos: the part that both show, at the resolution of the one that shows it smaller."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.geometry import Matrix, shared_polygon, transformed


@dataclass(frozen=True)
class Frame:
    """A common frame. a_onto, b_onto: (2, 3), pixels of each photo -> pixels of the frame. size: (width, height) in pixels.

    inside: (H, W) bool, where both photos are.
    """

    a_onto: Matrix
    b_onto: Matrix
    size: tuple[int, int]
    inside: NDArray[np.bool_]


def onto_frame(matrix: Matrix, size_a: tuple[int, int], size_b: tuple[int, int], side_px: int) -> Frame | None:
    """The frame around the part that both photos show, upright as in b, at most side_px; None if there is none.

    matrix: (2, 3), pixels of a -> pixels of b. size_a, size_b: (width, height) in pixels.
    """
    polygon = shared_polygon(matrix, size_a, size_b)
    if not len(polygon):
        return None
    x1, y1 = np.maximum(polygon.min(axis=0) + 0.5, 0)
    x2, y2 = np.minimum(polygon.max(axis=0) + 0.5, size_b)
    return box_frame(matrix, polygon, (float(x1), float(y1), float(x2), float(y2)), side_px)


def box_frame(
    matrix: Matrix, polygon: NDArray[np.float32], box_px: tuple[float, float, float, float], side_px: int
) -> Frame:
    """The frame for a box of b. polygon: (N, 2) float32, the shared part in pixels of b. box_px: x1 y1 x2 y2 around it."""
    x1, y1, x2, y2 = box_px
    longer = max(x2 - x1, y2 - y1)
    scale = min(side_px, longer, longer / np.sqrt(abs(np.linalg.det(matrix[:, :2])))) / longer
    size = (max(8, round((x2 - x1) * scale)), max(8, round((y2 - y1) * scale)))
    linear = np.diag([size[0] / (x2 - x1), size[1] / (y2 - y1)])
    onto = np.column_stack([linear, -linear @ np.array([x1, y1]) - 0.5 + linear @ np.array([0.5, 0.5])])
    a_onto = np.column_stack([linear @ matrix[:, :2], transformed(onto, matrix[:, 2][None])[0]])
    return Frame(a_onto, onto, size, filled(transformed(onto, polygon), size))


def in_pixels(fractions: tuple[float, ...], size_a: tuple[int, int], size_b: tuple[int, int]) -> Matrix:
    """The (2, 3) matrix, pixels of a -> pixels of b, from six numbers in fractions of the photos' sides."""
    matrix = np.array(fractions, np.float64).reshape(2, 3)
    linear = matrix[:, :2] * np.array(size_b)[:, None] / np.array(size_a)
    return np.column_stack([linear, matrix[:, 2] * size_b + linear @ np.array([0.5, 0.5]) - 0.5])


def in_fractions(matrix: Matrix, size_a: tuple[int, int], size_b: tuple[int, int]) -> tuple[float, ...]:
    """The inverse of `in_pixels`."""
    scaled = matrix[:, :2] * np.array(size_a) / np.array(size_b)[:, None]
    moved = (transformed(matrix, np.array([[-0.5, -0.5]]))[0] + 0.5) / size_b
    return tuple(float(value) for value in np.column_stack([scaled, moved]).ravel())


def warped(pixels: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int]) -> NDArray[np.float32]:
    """A photo in a frame of (width, height), (H, W, 3) float32; averaged where it becomes smaller."""
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrink < 0.9:
        small_size = tuple(max(1, round(side * shrink)) for side in pixels.shape[1::-1])
        matrix = matrix.copy()
        steps = np.array(pixels.shape[1::-1]) / small_size
        matrix[:, 2] += matrix[:, :2] @ ((steps - 1) / 2)
        matrix[:, :2] *= steps
        pixels = np.asarray(cv2.resize(pixels, small_size, interpolation=cv2.INTER_AREA), np.uint8)
    moved = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def filled(polygon: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a frame of (width, height) inside a convex polygon, (H, W) bool. polygon: (N, 2), in pixels."""
    mask = np.zeros(size[::-1], np.uint8)
    if len(polygon) >= 3:
        cv2.fillConvexPoly(mask, np.rint(polygon).astype(np.int32), 1)
    return mask > 0
