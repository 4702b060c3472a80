"""Small changes and another encoding, so that being encoded anew tells nothing about a pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prodseek.duplicates.planting.files import encoded, resized
from prodseek.duplicates.planting.marks import plain_colour
from prodseek.duplicates.planting.variants import Variant


def both_disguised(
    made: tuple[NDArray[np.uint8], NDArray[np.uint8]], variant: Variant, rng: np.random.Generator
) -> tuple[bytes, bytes]:
    """Both encoded by themselves; at most one is also changed in another way that copies are changed."""
    touched = int(rng.integers(2)) if rng.random() < 0.6 else None
    a, b = (_disguised(Image.fromarray(pixels), side == touched, variant, rng) for side, pixels in enumerate(made))
    return a, b


def _disguised(photo: Image.Image, touched: bool, variant: Variant, rng: np.random.Generator) -> bytes:
    if touched:
        ways = _DISGUISES[: -1 if variant.of_tone else None]
        photo = ways[int(rng.integers(len(ways)))](photo, variant.fine, rng)
    least = 90 if variant.faint else 75 if variant.fine else 55
    if rng.random() < 0.15:
        return encoded(photo, rng, ("WEBP", {"quality": int(rng.integers(max(60, least), 96)), "method": 2}))
    if rng.random() < 0.1:
        return encoded(photo, rng, ("PNG", {"compress_level": 1}))
    return encoded(photo, rng, ("JPEG", {"quality": int(rng.integers(least, 96))}))


def _scaled(photo: Image.Image, fine: bool, rng: np.random.Generator) -> Image.Image:
    scale = float(rng.uniform(1.0 if fine else 0.6, 1.4))
    return resized(photo, scale, scale, rng)


def _with_margin(photo: Image.Image, _: bool, rng: np.random.Generator) -> Image.Image:
    x, y = (round(side * float(rng.uniform(0.0, 0.2))) for side in photo.size)
    return ImageOps.expand(photo, (x, y), fill=plain_colour(rng))


def _trimmed(photo: Image.Image, _: bool, rng: np.random.Generator) -> Image.Image:
    """A few of the outermost pixels are cut off."""
    left, top, right, bottom = (int(value) for value in rng.integers(0, max(2, min(photo.size) // 40), 4))
    return photo.crop((left, top, photo.width - right, photo.height - bottom))


def _toned(photo: Image.Image, _: bool, rng: np.random.Generator) -> Image.Image:
    gain, offset = float(rng.uniform(0.88, 1.12)), float(rng.uniform(-12, 12))
    return photo.point([round(min(255.0, max(0.0, gain * value + offset))) for value in range(256)] * 3)


_DISGUISES: tuple[Callable[[Image.Image, bool, np.random.Generator], Image.Image], ...] = (
    _scaled, _scaled, _with_margin, _trimmed, _toned,
)  # fmt: skip # the one of tone comes last
