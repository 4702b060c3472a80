"""Align two photos: match local features, find the transform that most agree on, and the part that both frames share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.features import LocalFeatures, mirrored_descriptors
from prodseek.duplicates.hashes import ORIENTATIONS, STEPS, Orientation

Matrix = NDArray[np.float64]
# Lowe's ratio test: distance to the nearest descriptor, divided by the distance to the next.
_MAX_RATIO = 0.85
_MAX_ERROR_PX = 3.0
_MIN_MATCHES = 4
# If the hashes differ, fewer verified matches say nothing, because chance matches agree as often.
LEAST_MATCHES = 6
_MAX_SCALE = 6.0
# Frames whose corners coincide within this share of a side count as the same frame.
_SAME_FRAME = 0.02


@dataclass(frozen=True)
class Alignment:
    """How photo a is laid over photo b. matrix: (2, 3), pixels of a -> pixels of b, pixel centres at whole numbers.

    matched_px: (N, 2) float32, points of b whose matches agree with the matrix; N is the number of verified matches.
    n_tried: number of all matches.
    """

    matrix: Matrix
    matched_px: NDArray[np.float32]
    n_tried: int


def align(a: LocalFeatures, b: LocalFeatures) -> Alignment | None:
    """The similarity transform, with or without mirroring, that most matches of local features agree on; None if none.

    Features of a are looked up in b, and where that finds too little, those of b in a.

    Sources: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", 2004, section 7; Fischler and Bolles, "Random
    Sample Consensus", 1981.
    """
    if min(len(a.points_px), len(b.points_px)) < _MIN_MATCHES:
        return None
    forth = _looked_up(a, b)
    if forth is not None and len(forth.matched_px) >= LEAST_MATCHES:
        return forth
    # Among the many features of a scene fewer matches stand out than among the few of a smooth thing.
    back = _looked_up(b, a)
    if back is None or (forth is not None and len(forth.matched_px) >= len(back.matched_px)):
        return forth
    matrix = inverse(back.matrix)
    return Alignment(matrix, transformed(matrix, back.matched_px).astype(np.float32), back.n_tried)


def _looked_up(a: LocalFeatures, b: LocalFeatures) -> Alignment | None:
    """What the matches of a's features among b's agree on."""
    found = [
        _consensus(a.points_px * sign, b.points_px, descriptors @ b.descriptors.T, sign)
        for sign, descriptors in (
            (np.array([1, 1], np.float32), a.descriptors),
            (np.array([-1, 1], np.float32), mirrored_descriptors(a.descriptors)),
        )
    ]
    return max((f for f in found if f is not None), key=lambda f: len(f.matched_px), default=None)


def whole_frame(orientation: Orientation, size_a: tuple[int, int], size_b: tuple[int, int]) -> Matrix:
    """The (2, 3) matrix that lays the whole of a, turned, over the whole of b. Sizes: (width, height) in pixels."""
    transposed, mirrored, flipped = STEPS[orientation]
    turned = size_a[::-1] if transposed else size_a
    linear = np.array([[0.0, 1.0], [1.0, 0.0]]) if transposed else np.eye(2)
    scale = np.array([size_b[0] / turned[0], size_b[1] / turned[1]])
    sign = np.where([mirrored, flipped], -1.0, 1.0)
    linear = (scale * sign)[:, None] * linear
    middle_a, middle_b = (np.array(size) / 2 - 0.5 for size in (size_a, size_b))
    return np.column_stack([linear, middle_b - linear @ middle_a])


def nearest_orientation(matrix: Matrix) -> Orientation:
    """The orientation of a, of the eight, that is nearest to the matrix."""
    linear = matrix[:, :2] / np.linalg.norm(matrix[:, :2])
    return max(ORIENTATIONS, key=lambda o: float((whole_frame(o, (1, 1), (1, 1))[:, :2] * linear).sum()))


def same_frame(matrix: Matrix, size_a: tuple[int, int], size_b: tuple[int, int]) -> Matrix:
    """The matrix that lays the whole frames over each other if the given matrix almost does so, else the given matrix."""
    whole = whole_frame(nearest_orientation(matrix), size_a, size_b)
    apart = np.abs(transformed(matrix, corners(size_a)) - transformed(whole, corners(size_a)))
    return whole if (apart <= _SAME_FRAME * max(size_b)).all() else matrix


def shared_polygon(matrix: Matrix, size_a: tuple[int, int], size_b: tuple[int, int]) -> NDArray[np.float32]:
    """The corners of the part that both frames share, (N, 2) float32 in pixels of b; empty if there is none."""
    frame_a = transformed(matrix, corners(size_a)).astype(np.float32)
    area, polygon = cv2.intersectConvexConvex(cv2.convexHull(frame_a), corners(size_b).astype(np.float32))
    if not area or polygon is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(polygon, np.float32).reshape(-1, 2)


def corners(size: tuple[int, int]) -> NDArray[np.float64]:
    """The outer corners of a frame of (width, height) pixels, (4, 2)."""
    x, y = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [x, -0.5], [x, y], [-0.5, y]])


def transformed(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply a matrix to points, (N, 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: Matrix) -> Matrix:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _consensus(
    points_a: NDArray[np.float32],
    points_b: NDArray[np.float32],
    cosine: NDArray[np.float32],
    sign: NDArray[np.float32],
) -> Alignment | None:
    rows = np.arange(len(cosine))
    nearest = cosine.argmax(axis=1)
    best = cosine[rows, nearest]
    mutual = cosine.argmax(axis=0)[nearest] == rows
    cosine[rows, nearest] = -1.0
    # The squared distance of two unit vectors is 2 - 2 cos.
    distinct = 1 - best < _MAX_RATIO**2 * (1 - cosine.max(axis=1))
    kept = mutual & distinct
    if kept.sum() < _MIN_MATCHES:
        return None
    matched_a, matched_b = points_a[kept], points_b[nearest[kept]]
    matrix, agree = cv2.estimateAffinePartial2D(
        matched_a, matched_b, ransacReprojThreshold=_MAX_ERROR_PX, confidence=0.995
    )
    if matrix is None or agree.sum() < _MIN_MATCHES:
        return None
    scale = float(np.hypot(*matrix[:, 0]))
    if not 1 / _MAX_SCALE <= scale <= _MAX_SCALE:
        return None
    matrix[:, :2] *= sign
    return Alignment(matrix, matched_b[agree.ravel() > 0], int(kept.sum()))
