"""Hard negatives of colour: a product or a part of it in another colour or pattern."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planting.grounds import Mask, Pixels, blended, differs, product_mask, to_lab, to_rgb
from prodseek.duplicates.planting.marks import random_colour

Pair = tuple[Pixels, Pixels]
TRIES = 8


def _recoloured(pixels: Pixels, mask: Mask, rng: np.random.Generator) -> Pixels | None:
    """The masked part in another hue, another shade, in grey or beige, with its shading."""
    lab = to_lab(pixels)
    for _ in range(TRIES):
        out = lab.copy()
        way = str(rng.choice(["hue", "shade", "grey", "tint"]))
        if way == "hue":
            turn = float(rng.uniform(0.4, 2 * np.pi - 0.4))
            out[..., 1] = np.cos(turn) * lab[..., 1] - np.sin(turn) * lab[..., 2]
            out[..., 2] = np.sin(turn) * lab[..., 1] + np.cos(turn) * lab[..., 2]
        elif way == "shade":
            factor = float(rng.uniform(0.45, 0.85)) if rng.random() < 0.5 else float(rng.uniform(1.15, 1.7))
            out[..., 0] = lab[..., 0] * factor if factor < 1 else 100 - (100 - lab[..., 0]) / factor
        else:
            chroma = float(rng.uniform(1, 4) if way == "grey" else rng.uniform(8, 45))
            angle = float(rng.uniform(0, 2 * np.pi))
            # Not exactly neutral, because no product is: a filter makes grey what is wholly without colour.
            rest = float(rng.uniform(0.12, 0.3))
            out[..., 1] = rest * lab[..., 1] + chroma * np.cos(angle)
            out[..., 2] = rest * lab[..., 2] + chroma * np.sin(angle)
            out[..., 0] = lab[..., 0] + float(rng.uniform(-10, 10))
        new = blended(pixels, to_rgb(out), mask, float(rng.uniform(0.6, 1.2)))
        if differs(pixels, new, mask):
            return new
    return None


def whole_recoloured(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    mask = product_mask(photo, without_shadows=True)
    new = _recoloured(photo, mask, rng) if mask is not None else None
    return (photo, new) if new is not None else None


def segment(photo: Pixels, rng: np.random.Generator, largest: float = 0.4) -> Mask | None:
    """A connected part of the product of about one colour, or of the photo where the ground is not plain."""
    mask = product_mask(photo, without_shadows=True)
    within = np.ones(photo.shape[:2], bool) if mask is None else mask
    scale = 200 / max(photo.shape[:2])
    small = cv2.resize(cv2.GaussianBlur(photo, (0, 0), 2), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(within.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    lab = to_lab(np.asarray(small, np.uint8))
    values = lab[inside]
    if len(values) < 200:
        return None
    start = np.full((len(values), 1), 0, np.int32)
    start[:, 0] = rng.integers(0, 5, len(values))
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0.0)
    _, found, _ = cv2.kmeans(values, 5, start, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    labels = np.full(small.shape[:2], 255, np.uint8)
    labels[inside] = found[:, 0]
    parts = []
    for label in range(5):
        same = cv2.morphologyEx((labels == label).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        n, components, stats, _ = cv2.connectedComponentsWithStats(same, connectivity=4)
        areas = stats[1:, cv2.CC_STAT_AREA] / inside.sum()
        rows = [row + 1 for row in range(n - 1) if 0.01 < areas[row] < largest]
        parts += [components == row for row in rows if mask is None or not _is_shadow(lab, components == row, ~inside)]
    if not parts:
        return None
    chosen = parts[int(rng.integers(len(parts)))].astype(np.float32)
    size = photo.shape[1::-1]
    return np.asarray((cv2.resize(chosen, size, interpolation=cv2.INTER_LINEAR) > 0.5) & within, np.bool_)


def _is_shadow(lab: NDArray[np.float32], part: Mask, ground: Mask) -> bool:
    """Whether a part is darker than the ground, of the ground's hue, and smooth."""
    shift = np.median(lab[part], axis=0) - np.median(lab[ground], axis=0)
    slope = cv2.morphologyEx(lab[..., 0], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return bool(shift[0] < 0 and np.hypot(shift[1], shift[2]) < 5 and np.median(slope[part]) < 3.0)


def part_recoloured(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    part = segment(photo, rng)
    new = _recoloured(photo, part, rng) if part is not None else None
    return (photo, new) if new is not None else None


def band_recoloured(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """A hem, legs, drawers, a sleeve: a band of the product, level or upright."""
    mask = product_mask(photo, without_shadows=True)
    if mask is None:
        return None
    axis = 1 if rng.random() < 0.7 else 0
    filled = np.flatnonzero(mask.any(axis=axis))
    extent = filled[-1] - filled[0] + 1
    height = round(extent * float(rng.uniform(0.04, 0.30)))
    first = filled[0] + round((extent - height) * float(rng.choice([0.0, 1.0, rng.random()])))
    band = np.zeros_like(mask)
    band[(slice(first, first + height), slice(None))[:: 1 if axis else -1]] = True
    part = np.asarray(band & mask, np.bool_)
    new = _recoloured(photo, part, rng)
    return (photo, new) if new is not None else None


def _pattern(shape: tuple[int, ...], other: Pixels, rng: np.random.Generator) -> Pixels:
    """Stripes, dots, checks, or the texture of another photo. Returns (H, W, 3) uint8."""
    height, width = shape[:2]
    kind = str(rng.choice(["stripes", "dots", "checks", "texture"]))
    if kind == "texture":
        return np.asarray(cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    colours = np.array([random_colour(rng), random_colour(rng)], np.uint8)
    rows, columns = np.mgrid[:height, :width]
    period = max(6.0, max(shape) * float(rng.uniform(0.015, 0.08)))
    angle = float(rng.uniform(0, np.pi))
    u = (rows * np.cos(angle) + columns * np.sin(angle)) / period
    v = (columns * np.cos(angle) - rows * np.sin(angle)) / period
    if kind == "stripes":
        second = u % 1 < rng.uniform(0.2, 0.8)
    elif kind == "dots":
        second = (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < rng.uniform(0.05, 0.15)
    else:
        second = (u % 1 < 0.5) ^ (v % 1 < 0.5)
    return np.asarray(colours[second.astype(int)], np.uint8)


def _printed(photo: Pixels, mask: Mask, other: Pixels, rng: np.random.Generator) -> Pixels:
    """A pattern on the product, with the product's shading."""
    light = cv2.GaussianBlur(to_lab(photo)[..., :1], (0, 0), 1.0)[..., None]
    shade = np.clip(light / max(20.0, float(np.median(light[mask]))), 0.3, 1.3)
    over = np.clip(_pattern(photo.shape, other, rng) * shade, 0, 255)
    opacity = float(rng.uniform(0.6, 1.0))
    return blended(photo, np.rint(opacity * over + (1 - opacity) * photo).astype(np.uint8), mask)


def another_pattern(photo: Pixels, other: Pixels, rng: np.random.Generator) -> Pair | None:
    """The same outline with a pattern and without, or with two patterns."""
    mask = product_mask(photo, without_shadows=True)
    if mask is None:
        mask = segment(photo, rng, 0.7)
    if mask is None or mask.sum() < 500:
        return None
    for _attempt in range(TRIES):
        first = photo if rng.random() < 0.5 else _printed(photo, mask, other, rng)
        second = _printed(photo, mask, other, rng)
        if differs(first, second, mask):
            return first, second
    return None


def same_scene(photo: Pixels, other: Pixels, rng: np.random.Generator) -> Pair | None:
    """One scene, and another product at the same place in it: the product in two designs."""
    mask = product_mask(photo)
    if mask is None:
        return None
    printed = _recoloured(photo, mask, rng) if rng.random() < 0.5 else _printed(photo, mask, other[:, ::-1], rng)
    if printed is None or not differs(photo, printed, mask):
        return None
    scale = float(rng.uniform(0.25, 0.7)) * min(other.shape[1] / photo.shape[1], other.shape[0] / photo.shape[0])
    size = (max(24, round(photo.shape[1] * scale)), max(24, round(photo.shape[0] * scale)))
    if size[0] >= other.shape[1] or size[1] >= other.shape[0]:
        return None
    x, y = int(rng.integers(other.shape[1] - size[0])), int(rng.integers(other.shape[0] - size[1]))
    weight = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    made = []
    for one in (photo, printed):
        out = other.copy()
        part = out[y : y + size[1], x : x + size[0]]
        part[:] = np.rint(cv2.resize(one, size, interpolation=cv2.INTER_AREA) * weight + part * (1 - weight))
        made.append(out)
    return made[0], made[1]
