"""Lay two photos over each other as exactly as their corners allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.frames import filled, onto_frame, warped
from prodseek.duplicates.geometry import Matrix, corners, transformed
from prodseek.duplicates.planes import Mask, Plane, luma

_LEAST_CONTRAST = 2.0
_LEAST_SIDE_PX = 16
# Corners of two frames within this share of a side of one another are the same.
_SAME_FRAME = 0.01
# Corners that are followed from one photo to the other.
_CORNERS, _LEAST_CORNERS, _LEAST_FOLLOWED = 400, 12, 0.25
_WINDOW_SIDE_PX = 15
_FOLLOWED_WITHIN_PX, _MOST_MOVED = 1.0, 0.06


@dataclass(frozen=True)
class Laid:
    """Two photos in one frame.

    a, b: (H, W, 3) float32 RGB, 0 to 255. inside: (H, W) bool, where both are. a_onto, b_onto: (2, 3), pixels of each photo ->
    pixels of the frame.
    """

    a: Plane
    b: Plane
    inside: Mask
    a_onto: Matrix
    b_onto: Matrix

    @property
    def matrix(self) -> Matrix:
        """(2, 3), pixels of a -> pixels of b, by way of the frame."""
        back = cv2.invertAffineTransform(self.b_onto)
        return np.asarray(
            np.column_stack([back[:, :2] @ self.a_onto[:, :2], back[:, :2] @ self.a_onto[:, 2] + back[:, 2]])
        )


def laid_over(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix, side_px: int) -> Laid | None:
    """Both photos in their common frame, at most side_px; None where they share too little, or nothing but plain ground."""
    frame = onto_frame(matrix, a.shape[1::-1], b.shape[1::-1], side_px)
    if frame is None or min(frame.size) < _LEAST_SIDE_PX:
        return None
    planes = warped(a, frame.a_onto, frame.size), warped(b, frame.b_onto, frame.size)
    if min(float(luma(plane)[frame.inside].std()) for plane in planes) < _LEAST_CONTRAST:
        return None
    return Laid(*planes, frame.inside, frame.a_onto, frame.b_onto)


def refined(a: NDArray[np.uint8], laid: Laid, light_a: Plane, light_b: Plane) -> tuple[Laid, float, float]:
    """The photos laid more exactly, by corners that are followed from b to a; the share followed, their distance in pixels.

    light_a, light_b: (H, W) float32, what is followed: luminance of both, as equal as they can be made.
    Source: Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000.
    """
    inside = laid.inside
    spread_a, spread_b = float(light_a[inside].std()), float(light_b[inside].std())
    alike = (light_a - light_a[inside].mean()) * (spread_b / max(spread_a, 1e-6)) + light_b[inside].mean()
    grey_a, grey_b = (np.clip(light, 0, 255).astype(np.uint8) for light in (alike, light_b))
    points = cv2.goodFeaturesToTrack(grey_b, _CORNERS, 0.01, 5, mask=inside.astype(np.uint8) * 255)
    if points is None or len(points) < _LEAST_CORNERS:
        return laid, 0.0, math.nan
    window = (_WINDOW_SIDE_PX, _WINDOW_SIDE_PX)
    there, seen, _ = cv2.calcOpticalFlowPyrLK(grey_b, grey_a, points, points.copy(), winSize=window, maxLevel=2)
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(grey_a, grey_b, there, points.copy(), winSize=window, maxLevel=2)
    good = (seen.ravel() > 0) & (seen_back.ravel() > 0) & (np.abs(back - points).max(axis=(1, 2)) < _FOLLOWED_WITHIN_PX)
    if good.sum() < _LEAST_CORNERS:
        return laid, float(good.mean()), math.nan
    found, agree = cv2.estimateAffine2D(
        there[good], points[good], ransacReprojThreshold=_FOLLOWED_WITHIN_PX, confidence=0.995
    )
    if found is None:
        return laid, 0.0, math.nan
    kept = agree.ravel() > 0
    share = float(kept.sum() / len(points))
    error = np.linalg.norm(transformed(found, there[good][kept][:, 0]) - points[good][kept][:, 0], axis=1)
    size = laid.a.shape[1], laid.a.shape[0]
    moved = float(np.abs(transformed(found, corners(size)) - corners(size)).max()) / max(size)
    if share < _LEAST_FOLLOWED or kept.sum() < _LEAST_CORNERS or moved > _MOST_MOVED:
        return laid, share, float(np.median(error))
    a_onto = np.column_stack(
        [found[:, :2] @ laid.a_onto[:, :2], found[:, :2] @ laid.a_onto[:, 2] + found[:, 2]]
    ).astype(np.float64)
    covered = filled(transformed(a_onto, corners(a.shape[1::-1])), size)
    moved_a = warped(a, a_onto, size)
    return Laid(moved_a, laid.b, inside & covered, a_onto, laid.b_onto), share, float(np.median(error))


def compared_part(a: NDArray[np.uint8], b: NDArray[np.uint8], laid: Laid) -> Mask:
    """Where both photos are, without the outermost pixels, into which the surroundings bleed, unless both show just the frame."""
    size = laid.inside.shape[1], laid.inside.shape[0]
    frames = [transformed(onto, corners(photo.shape[1::-1])) for onto, photo in ((laid.a_onto, a), (laid.b_onto, b))]
    apart = [np.abs(frame[:, None] - corners(size)[None]).max(axis=2).min(axis=0) for frame in frames]
    if max(float(one.max()) for one in apart) <= _SAME_FRAME * max(size):
        return laid.inside
    inner = cv2.erode(
        laid.inside.astype(np.uint8), np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(inner > 0, np.bool_)
