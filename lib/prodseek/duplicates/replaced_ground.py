"""What of two photos is compared where the ground of one was replaced: things without the edge at which they mix with it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.explained import Mask, Plane
from prodseek.duplicates.grounds import Grounds, replaced_ground

# How far the edge of a thing mixes with its ground, pixels of the coarse and of the fine frame.
_EDGE_PX, _FINE_EDGE_PX = 3, 8
# Of the frame: what is smaller may be a letter.
_LARGE = 0.01
# Levels of a channel by which a thin part differs, beside all of the change of the ground: of two pixels none is without it.
_THIN_DIFFERS = 20.0


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


def thin_part_px(predicted: Plane, target: Plane, inside: Mask, compared: Mask, grounds: Grounds) -> float:
    """Pixels of the largest thin part, such as a leg, that has another colour: it is all edge, and so not compared otherwise.

    predicted, target: (H, W, 3) float32 RGB of the coarse frame. inside, compared: (H, W) bool, what both show, and
    `without_ground`.
    """
    things = (inside & ~grounds.either).astype(np.uint8)
    middle = cv2.erode(things, np.ones((3, 3), np.uint8)) > 0
    around = np.ones((2 * _EDGE_PX + 3,) * 2, np.uint8)
    thin = middle & (cv2.dilate(compared.astype(np.uint8), around) == 0)
    change = float(np.abs(grounds.colour_a - grounds.colour_b).max())
    differs = thin & (np.abs(target - predicted).max(axis=2) > _THIN_DIFFERS + change)
    _, _, stats, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8), connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0))


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
