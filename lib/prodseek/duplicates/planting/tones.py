"""Copies that keep the outline: other encodings, tones, sharpness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from prodseek.duplicates.planting.files import Alter, Altered


def jpeg_between(low: int, high: int) -> Alter:
    def alter(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
        return Altered(photo, None, ("JPEG", {"quality": int(rng.integers(low, high + 1))}))

    return alter


def webp(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    return Altered(photo, None, ("WEBP", {"quality": int(rng.integers(10, 81)), "method": 2}))


def palette(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    n_colours = round(float(np.exp(rng.uniform(np.log(24), np.log(256)))))
    dither = Image.Dither.FLOYDSTEINBERG if rng.random() < 0.7 else Image.Dither.NONE
    coarse = photo.quantize(n_colours, Image.Quantize.FASTOCTREE, dither=dither)
    fine = photo.convert("P", palette=Image.Palette.ADAPTIVE, colors=n_colours)
    return Altered(fine if rng.random() < 0.7 else coarse, None, ("PNG", {"compress_level": 1}))


def enhanced(enhancer: Callable[[Image.Image], ImageEnhance._Enhance], low: float, high: float) -> Alter:
    """A factor from 1 / high to 1 / low or from low to high, never near 1."""

    def alter(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
        factor = float(rng.uniform(low, 0.92)) if rng.random() < 0.5 else float(rng.uniform(1.08, high))
        return Altered(enhancer(photo).enhance(factor))

    return alter


def grey(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    grey = ImageOps.grayscale(photo)
    return Altered(grey if rng.random() < 0.3 else grey.convert("RGB"))


def sepia(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    brown = ImageOps.colorize(ImageOps.grayscale(photo), (30, 18, 8), (255, 240, 205), (165, 130, 90))
    return Altered(Image.blend(photo, brown, float(rng.uniform(0.6, 1.0))))


def gamma(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    gamma = float(np.exp(rng.uniform(0.15, 0.7) * rng.choice([-1, 1])))
    return Altered(photo.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3))


def white_balance(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    gains = np.exp(rng.uniform(-0.22, 0.22, 3))
    if np.ptp(gains) < 0.1:
        gains[0] *= 1.15
    return Altered(Image.fromarray(np.clip(np.asarray(photo) * gains, 0, 255).astype(np.uint8)))


def blurred(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    radius = float(rng.uniform(0.0015, 0.006)) * max(photo.size)
    return Altered(photo.filter(ImageFilter.GaussianBlur(max(0.9, radius))))


def sharpened(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    mask = ImageFilter.UnsharpMask(float(rng.uniform(1, 3)), int(rng.integers(60, 220)), int(rng.integers(0, 4)))
    return Altered(photo.filter(mask))


def noisy(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    pixels = np.asarray(photo, np.float32)
    channels = 1 if rng.random() < 0.5 else 3
    noise = rng.standard_normal((*pixels.shape[:2], channels), np.float32) * float(rng.uniform(3, 16))
    return Altered(Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)))
