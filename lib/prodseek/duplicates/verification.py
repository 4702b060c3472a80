"""Two photos compared pixel by pixel after one is laid over the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from prodseek.duplicates.alignment import Placement, locate
from prodseek.duplicates.colour import ciede2000, rgb_to_lab
from prodseek.duplicates.hashes import Orientation, turn

WORKING_SIDE_PX = 256
_COMPARED_SIDE_PX = 128
# Frames whose aspect differs by less than this are first laid over each other whole.
_SAME_ASPECT = 0.04
# A whole-frame likeness from which no crop or pad is looked for.
_SURE_WITHOUT_SEARCH = 0.90
_SMOOTHING_PX = 0.7
_EXTRA_BLURS_PX = (0.0, 0.8, 1.4, 2.2)
# Standard deviation of luminance within a window from which it holds structure, not only noise.
_STRUCTURE = 5.0
_WINDOW_PX = 7
# SSIM's C2, Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
_SSIM_C2 = (0.03 * 255) ** 2
_DIFFERS_BY = 22.0
_GREY_CHROMA = 4.0
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Box = tuple[float, float, float, float]
FULL: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Comparison:
    """What two photos, laid over each other, have in common. Boxes are x1 y1 x2 y2 as fractions of their photo.

    orientation: how a was turned. box_a: the shared part in a before it was turned; box_b: in b. correlation: of the placement.
    structural_similarity: mean SSIM structure and contrast term over pixels with structure, after the tone fit.
    outside_similarity: the same outside differing_box. mean_abs_difference: of luminance after the tone fit, 0 to 255.
    differing_fraction: share of pixels whose luminance has no like within a pixel's distance. differing_box: holds them, in the
    shared part, or None. gain, offset: luminance of b = gain * a + offset. blur_px: by how much one had to be blurred to match,
    positive if b is the blurred one. ciede2000: mean over the object, as seen; ciede2000_toned: after the tone fit.
    chroma_a, chroma_b: 95th percentile. contrast: standard deviation of a's luminance. structured_fraction: share of pixels with
    structure. overlaid_side: 'a' or 'b', whichever has more edges within differing_box.
    """

    orientation: Orientation
    box_a: Box
    box_b: Box
    correlation: float
    structural_similarity: float
    matching_fraction: float
    outside_similarity: float
    outside_structure: float
    mean_abs_difference: float
    object_difference: float
    differing_fraction: float
    differing_box: Box | None
    overlaid_side: str | None
    gain: float
    offset: float
    blur_px: float
    ciede2000: float
    ciede2000_toned: float
    chroma_a: float
    chroma_b: float
    contrast: float
    structured_fraction: float


def compare_photos(
    pixels_a: NDArray[np.uint8], pixels_b: NDArray[np.uint8], orientation: Orientation = Orientation.IDENTITY
) -> Comparison:
    """Turn a, find the part both photos share (all, or one within the other), and measure how it differs.

    pixels_a, pixels_b: (H, W, 3) uint8 RGB of any size, of which at most WORKING_SIDE_PX a side are used.
    """
    a = _working(turn(pixels_a, orientation))
    b = _working(pixels_b)
    comparisons = []
    if abs(math.log(_aspect(a) / _aspect(b))) < _SAME_ASPECT:
        whole = _measure(a, b, FULL, FULL, orientation, 1.0)
        if whole.structural_similarity >= _SURE_WITHOUT_SEARCH:
            return whole
        comparisons.append(whole)
    luminance_a, luminance_b = a @ _LUMA, b @ _LUMA
    inside_b = _box_of(locate(luminance_a, luminance_b), b)
    comparisons.append(_measure(a, _cut(b, inside_b), FULL, inside_b, orientation, 1.0))
    inside_a = _box_of(locate(luminance_b, luminance_a), a)
    comparisons.append(_measure(_cut(a, inside_a), b, inside_a, FULL, orientation, 1.0))
    return max(comparisons, key=lambda c: c.structural_similarity)


def _working(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    scale = WORKING_SIDE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels.astype(np.float32)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), dtype=np.float32)


def _aspect(pixels: NDArray[np.float32]) -> float:
    return pixels.shape[1] / pixels.shape[0]


def _box_of(place: Placement, scene: NDArray[np.float32]) -> Box:
    height, width = scene.shape[:2]
    return place.x1_px / width, place.y1_px / height, place.x2_px / width, place.y2_px / height


def _cut(pixels: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    height, width = pixels.shape[:2]
    x1, x2 = round(box[0] * width), round(box[2] * width)
    y1, y2 = round(box[1] * height), round(box[3] * height)
    return pixels[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
