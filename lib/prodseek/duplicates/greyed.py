"""Which of two copies has lost its colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from prodseek.duplicates.planes import Mask, Plane
from prodseek.duplicates.registration import Laid

_LEAST_PIXELS = 400
_GREY_CHROMA = 5.0
# Chroma that does not follow from the lightness: a photo in one tone has none. The share that is left in one that lost colours.
_LEAST_HUES, _LOST_HUES = 4.0, 0.45
# A photo without hues whose greys have this chroma is in one tone itself.
_TINTED = 4.0
# A coloured frame or badge leaves no other photo grey.
_FRAME_SHARE, _AROUND_PX = 0.1, 21
_COLOURS_EVERY = 5


def grey_side_of(laid: Laid, where: Mask, mark: Mask) -> str | None:
    """The photo that shows no colours, or in one tone what the other shows in several: "a", "b", or None.

    where: (H, W) bool, what is compared. mark: (H, W) bool, where the photos show something else.
    """
    plain = _without_marks_and_frames(where, mark)
    if plain.sum() < _LEAST_PIXELS:
        return None
    a, b = (_colours(plane, plain) for plane in (laid.a, laid.b))
    grey, other, side = (a, b, "a") if a.most < b.most else (b, a, "b")
    is_toned = other.hues < _LEAST_HUES and other.least > _TINTED
    if grey.most <= _GREY_CHROMA and other.most - grey.most >= _GREY_CHROMA and not is_toned:
        return side
    grey, other, side = (a, b, "a") if a.hues < b.hues else (b, a, "b")
    return side if other.hues >= _LEAST_HUES and grey.hues <= _LOST_HUES * other.hues else None


def _without_marks_and_frames(where: Mask, mark: Mask) -> Mask:
    around = cv2.dilate(mark.astype(np.uint8), np.ones((_AROUND_PX, _AROUND_PX), np.uint8)) > 0
    inner = np.zeros_like(where)
    top, left = (int(side * _FRAME_SHARE) for side in where.shape)
    inner[top : where.shape[0] - top, left : where.shape[1] - left] = True
    return where & inner & ~around


@dataclass(frozen=True)
class _Colours:
    """Chroma, CIELAB. least, most: 10th and 95th percentile. hues: 95th of what the lightness does not explain."""

    least: float
    most: float
    hues: float


def _colours(plane: Plane, where: Mask) -> _Colours:
    some = np.clip(plane[where][None, ::_COLOURS_EVERY] / 255, 0, 1).astype(np.float32)
    lab = cv2.cvtColor(some, cv2.COLOR_RGB2LAB)[0]
    light, chroma = lab[:, 0] / 100, lab[:, 1:]
    tones = np.column_stack([np.ones_like(light), light, light**2, light**3])
    left = chroma - tones @ np.linalg.lstsq(tones, chroma, rcond=None)[0]
    in_all, in_hues = (np.hypot(one[:, 0], one[:, 1]) for one in (chroma, left))
    least, most = np.quantile(in_all, (0.1, 0.95))
    return _Colours(float(least), float(most), float(np.quantile(in_hues, 0.95)))
