"""The texture of a region, in one word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Mean change of brightness from pixel to pixel, as a share of 255, in photos about 96 px wide. Below PLAIN a surface is called
# plain, above PATTERNED it is called patterned. Set by eye on the sample catalogue.
PLAIN, PATTERNED = 0.015, 0.06
# Above this coherence of the structure tensor, a pattern has one direction.
STRIPED = 0.6


def texture_word(pixels: NDArray[np.uint8]) -> str | None:
    """`plain`, `patterned` or `striped`; None if none of them is clear.

    pixels: (H, W, 3) uint8 RGB of a box. Only its middle counts, because the outline of an object is not texture. The word is
    chosen by energy and coherence of the structure tensor. Source: Bigun and Granlund, "Optimal Orientation Detection of
    Linear Symmetry", 1987.
    """
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : height - height // 4, width // 4 : width - width // 4].mean(axis=2) / 255
    if min(middle.shape) < 4:
        return None
    along_y, along_x = np.gradient(middle)
    energy = float(np.hypot(along_x, along_y).mean())
    if energy < PLAIN:
        return "plain"
    if energy < PATTERNED:
        return None
    xx, yy, xy = (float((a * b).mean()) for a, b in ((along_x, along_x), (along_y, along_y), (along_x, along_y)))
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy)
    return "striped" if coherence > STRIPED else "patterned"
