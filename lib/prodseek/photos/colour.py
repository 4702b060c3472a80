"""Colour as people see it: CIELAB, and the difference of two colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# IEC 61966-2-1 (sRGB), D65.
RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE_XYZ = np.array([0.95047, 1.0, 1.08883])


def rgb_to_lab(rgb: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Convert sRGB to CIELAB (D65). rgb: (..., 3), 0 to 255. Returns (..., 3) float64: L*, a*, b*."""
    channel = np.asarray(rgb, dtype=np.float64) / 255.0
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    ratio = linear @ RGB_TO_XYZ.T / WHITE_XYZ
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    lab: NDArray[np.float64] = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def cie94_of_textiles(lab_a: NDArray[np.float64], lab_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE94 colour difference with the constants of textiles, which halve differences of lightness; the same both ways.

    lab_a, lab_b: (..., 3) CIELAB. Returns (...) float64. Source: CIE 116, "Industrial Colour-Difference Evaluation", 1995;
    chroma is the geometric mean of both, as it says where neither colour is the standard.
    """
    delta_l, delta_a, delta_b = np.moveaxis(np.asarray(lab_a, np.float64) - lab_b, -1, 0)
    chroma_a, chroma_b = np.hypot(lab_a[..., 1], lab_a[..., 2]), np.hypot(lab_b[..., 1], lab_b[..., 2])
    chroma, delta_c = np.sqrt(chroma_a * chroma_b), chroma_a - chroma_b
    delta_h2 = np.maximum(delta_a**2 + delta_b**2 - delta_c**2, 0)
    difference: NDArray[np.float64] = np.sqrt(
        (delta_l / 2) ** 2 + (delta_c / (1 + 0.048 * chroma)) ** 2 + delta_h2 / (1 + 0.014 * chroma) ** 2
    )
    return difference


def ciede2000(lab_a: NDArray[np.float64], lab_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIEDE2000 colour difference (kL = kC = kH = 1); a difference of about 1 is just noticeable.

    lab_a, lab_b: (..., 3) CIELAB. Returns (...) float64. Source: Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference
    Formula: Implementation Notes, Supplementary Test Data, and Mathematical Observations", 2005, equations 2 to 22.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(lab_a, dtype=np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(lab_b, dtype=np.float64), -1, 0)
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_c7 / (mean_c7 + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1 = np.degrees(np.arctan2(b1, a1 * stretch)) % 360
    h2 = np.degrees(np.arctan2(b2, a2 * stretch)) % 360
    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(grey, 0.0, np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn)))
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    mean_h = np.where(grey, h1 + h2, (h1 + h2 + np.where(far, np.where(h1 + h2 < 360, 360, -360), 0)) / 2)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    weight_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    weight_c = 1 + 0.045 * mean_c
    weight_h = 1 + 0.015 * mean_c * t
    c7 = mean_c**7
    rotation = -2 * np.sqrt(c7 / (c7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    dl, dc, dh = delta_l / weight_l, delta_c / weight_c, delta_h / weight_h
    difference: NDArray[np.float64] = np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)
    return difference
