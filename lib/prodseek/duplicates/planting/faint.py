"""Variants that differ faintly: a weave or a relief on a plain cloth, a part in the next shade."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planting.grounds import Mask, Pixels, blended, product_mask, to_lab, to_rgb
from prodseek.duplicates.planting.recolouring import Pair, segment

_LEAST_PX = 500
# Grey levels to either side, and the distance of two lines in a photo of 1,000 px. Finer or weaker ones do not survive a JPEG.
_LEVELS, _PITCH = (12.0, 24.0), (6.0, 20.0)
_LEAST_PITCH_PX = 6.0
# Distance in CIELAB of a shade that people still see beside the other.
_SHADES = (6.0, 12.0)


def faint_pattern(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """Stripes, a weave, a relief or a mottle of few grey levels on the product, and without it."""
    mask = _product(photo, rng)
    if mask is None:
        return None
    levels = float(rng.uniform(*_LEVELS)) * _pattern(photo.shape[:2], rng)
    new = blended(photo, np.clip(photo + levels[..., None], 0, 255).astype(np.uint8), mask)
    # Black and white have no room for all of it.
    is_seen = np.abs(new.astype(np.float32) - photo)[mask].mean() >= _LEVELS[0] / 3
    return (photo, new) if is_seen else None


def faint_shade(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """A part of the product, or a band of it, in a shade that is only just another one."""
    mask = segment(photo, rng)
    if mask is None or mask.sum() < _LEAST_PX:
        return None
    angle = float(rng.uniform(0, 2 * np.pi))
    step = float(rng.uniform(*_SHADES)) * np.array([0.0, np.cos(angle), np.sin(angle)])
    if rng.random() < 0.5:
        step = step[[1, 0, 2]]
    new = blended(photo, to_rgb((to_lab(photo) + step).astype(np.float32)), mask)
    is_seen = np.median(np.linalg.norm(to_lab(new) - to_lab(photo), axis=2)[mask]) >= _SHADES[0] - 1
    return (photo, new) if is_seen else None


def _product(photo: Pixels, rng: np.random.Generator) -> Mask | None:
    mask = product_mask(photo, without_shadows=True)
    if mask is None:
        mask = segment(photo, rng, 0.7)
    return mask if mask is not None and mask.sum() >= _LEAST_PX else None


def _pattern(size: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) float32, -1 to 1."""
    height, width = size
    pitch_px = max(_LEAST_PITCH_PX, float(rng.uniform(*_PITCH)) * max(size) / 1000)
    kind = str(rng.choice(["stripes", "weave", "mottle"]))
    if kind == "mottle":
        noise = cv2.GaussianBlur(rng.standard_normal(size).astype(np.float32), (0, 0), pitch_px / 3)
        return np.asarray(np.clip(noise / (2 * noise.std()), -1, 1), np.float32)
    rows, columns = np.mgrid[:height, :width]
    angle = float(rng.uniform(0, np.pi))
    waves = np.sin(2 * np.pi * (rows * np.cos(angle) + columns * np.sin(angle)) / pitch_px)
    if kind == "weave":
        waves *= np.sin(2 * np.pi * (columns * np.cos(angle) - rows * np.sin(angle)) / pitch_px)
    return np.asarray(np.sign(waves) if rng.random() < 0.3 else waves, np.float32)
