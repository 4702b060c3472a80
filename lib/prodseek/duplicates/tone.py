"""How the tone of a product changed between two photos, and whether what changed it changed the ground too."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.grounds import colour_difference
from prodseek.duplicates.planes import Mask, Plane, luma
from prodseek.photos.colour import ciede2000, rgb_to_lab

_COLOUR_CELL_PX = 8
_LEAST_CHROMA = 8.0


def tone_of(
    source: Plane,
    expected: Plane,
    target: Plane,
    product: Mask,
    toned: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    grounds: tuple[NDArray[np.float32], ...] | None,
) -> dict[str, float]:
    """How far the product's colours have moved, and how much of that a change of tone explains: numbers of `Proof`.

    source, expected, target: (H, W, 3) float32 RGB: one photo, what it should look like in the other, and the other. product:
    (H, W) bool. toned: what the tone alone makes of colours, (..., 3) float32 RGB. grounds: colours of the plain ground, expected
    and found; None if there is none.
    """
    inside = _averaged_mask(product)
    before, after, explained = (rgb_to_lab(_averaged(plane))[inside] for plane in (source, target, expected))
    curve = curve_of(source, product, toned)
    moved, left = ciede2000(before, after), ciede2000(explained, after)
    chroma_before, chroma_after = (np.hypot(lab[:, 1], lab[:, 2]) for lab in (before, after))
    weight = np.where(chroma_before > _LEAST_CHROMA, chroma_before, 0)
    hues = np.exp(1j * np.arctan2(before[:, 2], before[:, 1]))
    one_hue = abs(complex((hues * weight).sum())) / float(weight.sum()) if weight.any() else 1.0
    missed = math.nan if grounds is None else colour_difference(*grounds)
    chromas = sorted(float(np.percentile(chroma, 95)) for chroma in (chroma_before, chroma_after))
    return {
        "ground_missed": missed,
        "tone_change": float(moved.mean()),
        "tone_change_90": float(np.percentile(moved, 90)),
        "curve_least": float(np.percentile(curve, 10)),
        "curve_most": float(np.percentile(curve, 99)),
        "light_change": _light_change(source, target, inside, before, after),
        "colour_left": float(left.mean()),
        "colour_left_95": float(np.percentile(left, 95)),
        "colour_left_most": float(np.percentile(left, 99.5)),
        "chroma_low": chromas[0],
        "chroma_high": chromas[1],
        "hue_spread": 1 - one_hue,
        "hue_change": _hue_change(before, after),
    }


def curve_of(
    source: Plane, product: Mask, toned: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """How far the tone alone moves the product's colours, CIEDE2000 of cells; as `tone_of`.

    Blur moves the colours of small things too, but is no change of tone.
    """
    inside, averaged = _averaged_mask(product), _averaged(source)
    return np.asarray(ciede2000(rgb_to_lab(averaged)[inside], rgb_to_lab(toned(averaged))[inside]), np.float64)


def _light_change(
    source: Plane, target: Plane, inside: Mask, before: NDArray[np.float64], after: NDArray[np.float64]
) -> float:
    """The mean change of light, 0 to 100: of L* or of luma, whichever is less, because either may be kept without colours."""
    lights = [luma(_averaged(plane))[inside] for plane in (source, target)]
    of_luma = float(np.abs(lights[1] - lights[0]).mean()) * 100 / 255
    return min(of_luma, float(np.abs(before[:, 0] - after[:, 0]).mean()))


def _hue_change(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """The median change of hue in degrees, where both are coloured; 0 if nothing is. before, after: (N, 3) CIELAB."""
    chromas = [np.hypot(lab[:, 1], lab[:, 2]) for lab in (before, after)]
    coloured = np.minimum(*chromas) > _LEAST_CHROMA
    if not coloured.any():
        return 0.0
    hues = [np.degrees(np.arctan2(lab[coloured, 2], lab[coloured, 1])) for lab in (before, after)]
    return float(np.median(np.abs((hues[1] - hues[0] + 180) % 360 - 180)))


def _averaged(plane: Plane) -> NDArray[np.float32]:
    size = tuple(max(4, side // _COLOUR_CELL_PX) for side in plane.shape[1::-1])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _averaged_mask(mask: Mask) -> Mask:
    inside = _averaged(mask.astype(np.float32)) > 0.9
    return inside if inside.any() else np.ones_like(inside)
