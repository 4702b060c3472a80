"""Two photos laid over each other: which part they share, and how that part differs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prodseek.duplicates.alignment import locate
from prodseek.duplicates.difference import LUMA, Box, Difference, measure_difference
from prodseek.duplicates.hashes import STEPS, Orientation, turn

WORKING_SIDE_PX = 256
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# Frames whose aspect differs by less than this are first laid over each other whole.
_SAME_ASPECT = 0.04
# Below this correlation of the placement the frames taken whole, if they can be, say enough.
_PROMISING = 0.7
# The photo's own edge, blurred by resizing, reaches this far into what surrounds it.
_BLEED_PX = 3
# A whole-frame likeness from which no crop or pad is looked for.
_SURE_WITHOUT_SEARCH = 0.90


@dataclass(frozen=True)
class Comparison:
    """What two photos share. orientation: how a was turned. box_a, box_b: x1 y1 x2 y2 of the shared part, as
    fractions of each photo as it is (not turned). surrounding_contrast: standard deviation of luminance around the
    shared part in the photo that shows more, 0 where both show the same. correlation: of the placement, 1 for whole
    frames. difference: of the shared part.
    """

    orientation: Orientation
    box_a: Box
    box_b: Box
    correlation: float
    surrounding_contrast: float
    difference: Difference


def compare_photos(
    pixels_a: NDArray[np.uint8], pixels_b: NDArray[np.uint8], orientation: Orientation = Orientation.IDENTITY
) -> Comparison:
    """Turn a, find the part both photos share (all of both, or one within the other), and measure how it differs.

    pixels_a, pixels_b: (H, W, 3) uint8 RGB of any size, of which at most WORKING_SIDE_PX a side are used.
    """
    a, b = _working(turn(pixels_a, orientation)), _working(pixels_b)
    found: list[Comparison] = []
    if abs(math.log(a.shape[1] * b.shape[0] / (a.shape[0] * b.shape[1]))) < _SAME_ASPECT:
        whole = Comparison(orientation, WHOLE, WHOLE, 1.0, 0.0, measure_difference(a, b))
        if whole.difference.structural_similarity >= _SURE_WITHOUT_SEARCH:
            return whole
        found.append(whole)
    light_a, light_b = a @ LUMA, b @ LUMA
    for template, scene, a_is_scene in ((light_a, light_b, False), (light_b, light_a, True)):
        place = locate(template, scene)
        if found and place.correlation < _PROMISING:
            continue
        height, width = scene.shape
        box = (place.x1_px / width, place.y1_px / height, place.x2_px / width, place.y2_px / height)
        around = _surrounding_contrast(scene, box)
        if a_is_scene:
            difference = measure_difference(_cut(a, box), b)
            box_a = _box_before_turn(box, orientation)
            found.append(Comparison(orientation, box_a, WHOLE, place.correlation, around, difference))
        else:
            difference = measure_difference(a, _cut(b, box))
            found.append(Comparison(orientation, WHOLE, box, place.correlation, around, difference))
    return max(found, key=lambda comparison: comparison.difference.structural_similarity)


def _surrounding_contrast(scene: NDArray[np.float32], box: Box) -> float:
    height, width = scene.shape
    x1, x2 = round(box[0] * width) - _BLEED_PX, round(box[2] * width) + _BLEED_PX
    y1, y2 = round(box[1] * height) - _BLEED_PX, round(box[3] * height) + _BLEED_PX
    around = np.ones(scene.shape, dtype=bool)
    around[max(0, y1) : y2, max(0, x1) : x2] = False
    return float(scene[around].std()) if around.any() else 0.0


def _box_before_turn(box: Box, orientation: Orientation) -> Box:
    x1, y1, x2, y2 = box
    transposed, mirrored, flipped = STEPS[orientation]
    if mirrored:
        x1, x2 = 1 - x2, 1 - x1
    if flipped:
        y1, y2 = 1 - y2, 1 - y1
    return (y1, x1, y2, x2) if transposed else (x1, y1, x2, y2)


def _working(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    scale = WORKING_SIDE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels.astype(np.float32)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), dtype=np.float32)


def _cut(pixels: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    x1, x2 = round(box[0] * width), round(box[2] * width)
    y1, y2 = round(box[1] * height), round(box[3] * height)
    return pixels[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
