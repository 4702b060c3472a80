"""What of two photos is compared where the ground of one was replaced: things, and their edges as mixed with either ground."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.grounds import Grounds, replaced_ground
from prodseek.duplicates.planes import Mask, Plane, most_of_channels

# How far the edge of a thing mixes with its ground, pixels of the coarse and of the fine frame.
_EDGE_PX, _FINE_EDGE_PX = 3, 8
# Of the frame: what is smaller may be a letter.
_LARGE = 0.01
# Levels of a channel by which what is equal differs.
_EVEN_LEVELS = 4.0

Colour = NDArray[np.float32]


def without_ground(inside: Mask, grounds: Grounds) -> Mask:
    """The coarse frame without a ground that was replaced, and without the edge of what is larger than letters on it."""
    things = inside & ~grounds.either
    return things & ~_soft_edge(things, _EDGE_PX)


def ground_and_edge(a: Plane, b: Plane, grounds: Grounds) -> Mask:
    """Of the fine frame, the ground that was replaced, gaps too that the coarse one is too small for, and the edge of things.

    a, b: (H, W, 3) float32 RGB, laid over each other. grounds: of the coarse frame. Returns (H, W) bool.
    """
    replaced = replaced_ground(a, b, grounds.colour_a, grounds.colour_b).astype(np.uint8)
    size = replaced.shape[::-1]
    known = cv2.resize(grounds.ground.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    ground = _parts_with(replaced, known)
    return np.asarray(ground | _soft_edge(~ground, _FINE_EDGE_PX), np.bool_)


def mixed_with_ground(predicted: Plane, target: Plane, before: Colour, after: Colour) -> Plane:
    """What a photo should look like if each pixel may be ground by any share, and the ground changed from before to after.

    So thin parts and outlines can be compared, which are all edge. Where one photo shows nothing but ground, so must the other,
    if it shows anything else than before: some gaps keep the old ground.
    predicted, target: (H, W, 3) float32 RGB. before, after: (3,) float32 RGB.
    """
    change = after - before
    share = np.clip((target - predicted) @ change / max(float(change @ change), 1e-6), 0, 1)
    is_ground = (_is_even(predicted, before) | _is_even(target, after)) & ~_is_even(target, predicted)
    return np.asarray(predicted + np.where(is_ground, 1, share)[..., None] * change, np.float32)


def weighed_px(strengths: Mapping[int, float], scale: float) -> float:
    """How much the strongest area differs: pixels of the coarse frame, each weighed by how much is tolerated of it.

    strengths: by level, of a `LeftOver`. scale: how many pixels of this frame are one of the coarse frame, in each direction.
    """
    return max((float(2**strength - 1) * 4**level for level, strength in strengths.items()), default=0.0) / scale**2


def _is_even(plane: Plane, other: Plane | Colour) -> Mask:
    return np.asarray(most_of_channels(np.abs(plane - other)) <= _EVEN_LEVELS, np.bool_)


def _soft_edge(things: Mask, width_px: int) -> Mask:
    """The edge of things that are larger than letters."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(things.astype(np.uint8), connectivity=8)
    is_large = stats[:, cv2.CC_STAT_AREA] >= _LARGE * things.size
    is_large[0] = False
    core = cv2.erode(things.astype(np.uint8), np.ones((2 * width_px + 1,) * 2, np.uint8)) > 0
    return np.asarray(is_large[labels] & ~core, np.bool_)


def _parts_with(mask: NDArray[np.uint8], chosen: Mask) -> Mask:
    """The connected parts of a mask in which anything is chosen."""
    n_parts, labels = cv2.connectedComponents(mask, connectivity=8)
    has_chosen = np.bincount(labels[chosen], minlength=n_parts) > 0
    has_chosen[0] = False
    return np.asarray(has_chosen[labels], np.bool_)
