"""Which of two photos that show the same has more real detail, and which has more noise."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane, blurred, luma

_LEAST_PIXELS = 400
# Of the pixels of a photo, those with the strongest detail.
_STRONGEST = 10
# Sizes that differ by less, log2, show the same detail.
_SAME_SCALE = 0.05
# How far noise agrees with a picture by chance.
_BY_CHANCE = 0.05
# A photo with more pixels, of which none shows more, is this much worse.
_ENLARGED = 0.25
# Where a photo was not enlarged, log2 of its detail beyond the other, divided by what is expected, is above a line in its scale.
# A logistic regression on photos that were enlarged or shrunk 1.06 to 2.5 times.
_REAL, _REAL_BY_SCALE = -0.09, -0.64
# Shrunk so, every third pixel is a mean of others than its neighbours, which looks like detail: it is measured beside it.
_UNEVEN, _NEAR_UNEVEN, _BESIDE_UNEVEN = 4 / 3, 0.01, (0.96, 1.04)


def detail_and_noise(light_a: Plane, light_b: Plane, where: Mask) -> tuple[float, float]:
    """log2 of b's detail divided by a's, and of b's noise divided by a's; 0 where one does not say more than the other.

    What one photo's finest detail says of the other's is detail; what it does not say is noise. light_a, light_b: (H, W)
    float32, laid over each other. where: (H, W) bool.
    """
    detail_a, detail_b = (light - blurred(light, 1.0) for light in (light_a, light_b))
    used = where & (np.maximum(np.abs(detail_a), np.abs(detail_b)) > 1)
    if used.sum() < _LEAST_PIXELS:
        return 0.0, 0.0
    a, b = detail_a[used].astype(np.float64), detail_b[used].astype(np.float64)
    both = float((a * b).mean())
    of_a, of_b = both / float((a * a).mean()), both / float((b * b).mean())
    if both <= 0:
        return 0.0, 0.0
    if max(of_a, of_b) <= 1 + _BY_CHANCE:
        return 0.0, math.log2(of_a / of_b)
    return 0.5 * math.log2(of_a / of_b), 0.0


def finer_by_size(a: NDArray[np.uint8], b: NDArray[np.uint8], scale: float) -> float:
    """log2 of the scale at which b shows the shared part, divided by that of a, if the larger of the two was not enlarged.

    a, b: (H, W, 3) uint8 RGB. scale: log2 of b's pixels for each of a's, along a side. Detail of a photo looks alike at all
    scales (Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987), so
    a photo of twice the size has as much detail beyond what the smaller can show as the smaller has beyond half its size.
    """
    if abs(scale) < _SAME_SCALE:
        return 0.0
    larger, smaller, factor = (b, a, 2**scale) if scale > 0 else (a, b, 2**-scale)
    factors = [factor * beside for beside in _BESIDE_UNEVEN] if abs(factor - _UNEVEN) < _NEAR_UNEVEN else [factor]
    more = [math.log2((_beyond(larger, one) + 1e-3) / (_beyond(smaller, one) + 1e-3)) for one in factors]
    is_real = sum(more) / len(more) > _REAL + _REAL_BY_SCALE * abs(scale)
    return scale if is_real else math.copysign(_ENLARGED, -scale)


def _beyond(pixels: NDArray[np.uint8], factor: float) -> float:
    """The strongest detail that a photo loses when it is shrunk by a factor, divided by the finest that is left."""
    light = luma(pixels.astype(np.float32))
    size = tuple(max(8, round(side / factor)) for side in light.shape[::-1])
    small = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
    back = cv2.resize(small, light.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return _strength(light - back) / max(_strength(small - blurred(small, 1.0)), 1e-3)


def _strength(detail: Plane) -> float:
    size = np.abs(detail).ravel()
    n_strongest = max(1, len(size) // _STRONGEST)
    return float(np.sqrt((np.partition(size, -n_strongest)[-n_strongest:] ** 2).mean()))
