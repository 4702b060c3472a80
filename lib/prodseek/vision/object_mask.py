"""Which pixels of a box show the object, and not the ground, the wall or the shadow behind it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prodseek.vision.foreground import Foreground

Box = tuple[int, int, int, int]

# How far beyond the box the ground is looked at, as a share of its sides.
_ROUND = 0.35
# With less ground than this share of what is looked at, nobody can tell it from the object.
_LEAST_GROUND = 0.08
_LEAST_SIDE_PX = 8
_ITERATIONS = 3


def object_mask(pixels: NDArray[np.uint8], box: Box, foreground: Foreground | None) -> NDArray[np.bool_] | None:
    """(H, W) bool, True on the object in a box; None if too little ground lies round the box to tell it from the object.

    pixels: (H, W, 3) uint8 RGB, some 200 px large. box: x1 y1 x2 y2, whole pixels. foreground: of the photo, if its ground is
    plain; else what is outside the box is taken for the ground, and colours like it inside are too.
    Source: Rother, Kolmogorov and Blake, "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts", 2004.
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box
    mask = np.zeros((height, width), bool)
    if foreground is not None:
        product = Image.fromarray(foreground.mask).resize((width, height), Image.Resampling.NEAREST)
        mask[y1:y2, x1:x2] = np.asarray(product)[y1:y2, x1:x2]
        return mask
    beside, above = int(_ROUND * (x2 - x1)), int(_ROUND * (y2 - y1))
    left, top = max(0, x1 - beside), max(0, y1 - above)
    seen = np.ascontiguousarray(pixels[top : y2 + above, left : x2 + beside])
    marks: NDArray[np.uint8] = np.full(seen.shape[:2], cv2.GC_BGD, np.uint8)
    marks[y1 - top : y2 - top, x1 - left : x2 - left] = cv2.GC_PR_FGD
    if (marks == cv2.GC_BGD).mean() < _LEAST_GROUND or min(seen.shape[:2]) < _LEAST_SIDE_PX:
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # the same photo has the same colour every night
    cv2.grabCut(seen, marks, (0, 0, 0, 0), *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    mask[top : y2 + above, left : x2 + beside] = marks == cv2.GC_PR_FGD
    return mask
