"""Hard negatives of form: a part more or less, or a thing more."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prodseek.duplicates.planting.grounds import Mask, Pixels, blended, changed, differs, product_mask
from prodseek.duplicates.planting.marks import fitting_font, plain_colour, random_colour, words
from prodseek.duplicates.planting.recolouring import TRIES, Pair, segment

# Of the photo's longer side: a thing beside the product, and letters of a caption. Grey levels by which a pale thing differs.
_BESIDE, _CAPTION, _PALE = (0.08, 0.5), (0.02, 0.05), (9.0, 30.0)


def _product_box(photo: Pixels) -> tuple[Mask, tuple[int, int, int, int]]:
    mask = product_mask(photo, without_shadows=True)
    if mask is None:
        mask = np.ones(photo.shape[:2], bool)
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return mask, (x, y, width, height)


def part_moved(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """A part is added: a patch of the product once more elsewhere on it, or at its edge."""
    mask, (x, y, width, height) = _product_box(photo)
    for _attempt in range(TRIES):
        side = np.sqrt(float(np.exp(rng.uniform(np.log(0.001), np.log(0.08)))) * mask.sum())
        shape = float(np.exp(rng.uniform(-0.7, 0.7)))
        patch_w, patch_h = max(6, round(side * shape)), max(6, round(side / shape))
        if patch_w >= width or patch_h >= height:
            continue
        (x1, y1), (x2, y2) = (
            (x + int(rng.integers(width - patch_w + 1)), y + int(rng.integers(height - patch_h + 1))) for _ in range(2)
        )
        source = slice(y1, y1 + patch_h), slice(x1, x1 + patch_w)
        target = slice(y2, y2 + patch_h), slice(x2, x2 + patch_w)
        shape_mask = np.zeros((patch_h, patch_w), np.uint8)
        if rng.random() < 0.5:
            cv2.ellipse(shape_mask, (patch_w // 2, patch_h // 2), (patch_w // 2, patch_h // 2), 0, 0, 360, 1, -1)
        else:
            shape_mask[:] = 1
        part = np.zeros_like(mask)
        part[target] = (shape_mask > 0) & mask[source]
        if mask[source].mean() < 0.8 or mask[target].mean() < 0.2 or part.sum() < 40:
            continue
        over = photo.copy()
        over[target] = photo[source]
        new = blended(photo, over, part, 0.7)
        if differs(photo, new, part):
            return photo, new
    return None


def knob(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """A knob, a handle, or a hole on the product, with light and shade."""
    mask = _product_box(photo)[0]
    rows = np.flatnonzero(cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)))
    if len(rows) < 100:
        return None
    for _attempt in range(TRIES):
        radius = max(4.0, np.sqrt(float(np.exp(rng.uniform(np.log(0.001), np.log(0.02)))) * mask.sum() / np.pi))
        row = int(rows[int(rng.integers(len(rows)))])
        centre = (row % mask.shape[1], row // mask.shape[1])
        axes = (round(radius), round(radius * float(rng.uniform(0.25, 1.0))))
        part = np.zeros(mask.shape, np.uint8)
        cv2.ellipse(part, centre, axes, float(rng.choice([0, 90, rng.uniform(0, 180)])), 0, 360, 1, -1)
        part_mask = np.asarray((part > 0) & mask, np.bool_)
        base = np.array(random_colour(rng), np.float32) if rng.random() < 0.6 else np.full(3, 25.0, np.float32)
        slope = (np.arange(mask.shape[0], dtype=np.float32)[:, None, None] - centre[1]) / max(1.0, radius)
        over = np.clip(base * (1.0 - 0.25 * np.clip(slope, -1, 1)), 0, 255)
        new = blended(photo, np.broadcast_to(over, photo.shape).astype(np.uint8), part_mask, 0.7)
        if differs(photo, new, part_mask):
            return photo, new
    return None


def part_removed(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """A part with structure is painted over from around it."""
    for _attempt in range(TRIES):
        part = segment(photo, rng, 0.08)
        if part is None or part.sum() < 40:
            continue
        grown = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8))
        left, top, w, h = cv2.boundingRect(grown)
        edge = 8
        box = (slice(max(0, top - edge), top + h + edge), slice(max(0, left - edge), left + w + edge))
        if grown[box].size > 60_000:
            continue
        new = photo.copy()
        new[box] = cv2.inpaint(np.ascontiguousarray(photo[box]), np.ascontiguousarray(grown[box]), 3, cv2.INPAINT_TELEA)
        if differs(photo, new, part):
            return photo, new
    return None


def counted(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """n of a thing on a plain ground, and one more or half as many."""
    mask = product_mask(photo)
    if mask is None:
        return None
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    item, shape = photo[y : y + height, x : x + width], mask[y : y + height, x : x + width]
    columns, n_rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    n = columns * n_rows
    if n < 2:
        columns, n = 2, 2
    scale = 800 / max(columns * width, n_rows * height)
    size = (max(12, round(width * scale * 0.9)), max(12, round(height * scale * 0.9)))
    small = cv2.resize(item, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(shape.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    cell = (round(size[0] / 0.9), round(size[1] / 0.9))
    edge = round(0.05 * max(columns * cell[0], n_rows * cell[1]))
    ground = np.array(plain_colour(rng) if rng.random() < 0.4 else (255, 255, 255), np.float32)
    out = np.tile(ground, (n_rows * cell[1] + 2 * edge, columns * cell[0] + 2 * edge, 1))
    kept: Pixels | None = None
    n_fewer = n - 1 if rng.random() < 0.7 else max(1, n // 2)
    order = np.arange(n) if rng.random() < 0.7 else rng.permutation(n)
    for count, place in enumerate(order.tolist()):
        if count == n_fewer:
            kept = np.rint(out).astype(np.uint8)
        left = edge + (place % columns) * cell[0]
        top = edge + (place // columns) * cell[1]
        part = slice(top, top + size[1]), slice(left, left + size[0])
        out[part] = small * weight + out[part] * (1 - weight)
    whole = np.rint(out).astype(np.uint8)
    if kept is None or changed(kept, whole).mean() < 0.003:
        return None
    return kept, whole


def thing_beside(photo: Pixels, other: Pixels, rng: np.random.Generator) -> Pair | None:
    """A product on a plain ground, and with something in a wider margin: another product, a pale thing, or a caption."""
    if product_mask(photo) is None:
        return None
    longer = max(photo.shape[:2])
    ground = np.median(np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]]), axis=0)
    kind = str(rng.choice(["product", "pale thing", "caption"]))
    size = max(16, round(longer * float(np.exp(rng.uniform(*np.log(_BESIDE))))))
    tile: NDArray[np.float64] | None
    if kind == "caption":
        tile = _caption(photo.shape[1], longer * float(rng.uniform(*_CAPTION)), ground, rng)
    else:
        tile = _pale_thing(size, ground, rng) if kind == "pale thing" else _product_on(other, size, ground)
    if tile is None:
        return None
    height, width = tile.shape[:2]
    edge = max(4, round(0.15 * max(height, width)))
    is_below = kind == "caption" or rng.random() < 0.5
    more = (height + 2 * edge, 0) if is_below else (0, width + 2 * edge)
    whole = np.tile(ground, (photo.shape[0] + more[0], photo.shape[1] + more[1], 1))
    whole[: photo.shape[0], : photo.shape[1]] = photo
    rows, columns = (whole.shape[side] - tile.shape[side] - edge for side in (0, 1))
    top = rows if is_below else int(rng.integers(max(1, rows + 1)))
    left = columns if not is_below else int(rng.integers(max(1, columns + 1)))
    if top < 0 or left < 0:
        return None
    whole[top : top + height, left : left + width] = tile
    return photo, np.rint(np.clip(whole, 0, 255)).astype(np.uint8)


def _product_on(photo: Pixels, size_px: int, ground: NDArray[np.float64]) -> NDArray[np.float64] | None:
    mask = product_mask(photo, without_shadows=True)
    if mask is None:
        return None
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    scale = size_px / max(width, height)
    small = max(4, round(width * scale)), max(4, round(height * scale))
    box = slice(y, y + height), slice(x, x + width)
    weight = cv2.resize(mask[box].astype(np.float64), small, interpolation=cv2.INTER_AREA)[..., None]
    made = cv2.resize(photo[box].astype(np.float64), small, interpolation=cv2.INTER_AREA) * weight + ground * (
        1 - weight
    )
    is_seen = np.abs(made - ground).max(axis=2) > _PALE[0]
    return made if is_seen.mean() > 0.1 else None


def _pale_thing(size_px: int, ground: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    height, width = (max(12, round(size_px * float(rng.uniform(0.5, 1.0)))) for _ in range(2))
    shape = np.zeros((height, width), np.uint8)
    if rng.random() < 0.5:
        cv2.ellipse(shape, (width // 2, height // 2), (width // 2 - 1, height // 2 - 1), 0, 0, 360, 1, -1)
    else:
        shape[1:-1, 1:-1] = 1
    level = float(rng.uniform(*_PALE)) * (-1 if ground.mean() > 128 else 1)
    weight = cv2.GaussianBlur(shape.astype(np.float64), (0, 0), 0.7)[..., None]
    return np.asarray(ground + level * weight, np.float64)


def _caption(
    width_px: int, size_px: float, ground: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    text = f"{words(rng)} {int(rng.integers(2, 12))}"
    chosen = fitting_font(text, 0.8 * width_px, max(10.0, size_px))
    box = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=chosen)
    red, green, blue = (int(value) for value in ground)
    tile = Image.new("RGB", (int(box[2]) + 4, int(box[3]) + 4), (red, green, blue))
    ink = 40 if ground.mean() > 128 else 230
    ImageDraw.Draw(tile).text((2, 2), text, font=chosen, fill=(ink, ink, ink))
    return np.asarray(tile, np.float64)
