"""Copies of another outline: scaled, cropped, with margins, on another ground, turned, in a scene."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image, ImageOps

from prodseek.duplicates.planting.files import Alter, Altered, resized
from prodseek.duplicates.planting.grounds import product_mask, soft
from prodseek.duplicates.planting.marks import plain_colour, random_colour

_WHOLE_PRODUCT = 0.995
_LEAST_DEVIATION = 12.0  # of a crop's grey values: a crop of plain ground proves nothing


def scaled_between(low: float, high: float) -> Alter:
    def alter(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
        scale = float(rng.uniform(low, high))
        return Altered(resized(photo, scale, scale, rng))

    return alter


def stretched(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    ratio = float(rng.uniform(0.80, 0.96)) if rng.random() < 0.5 else float(rng.uniform(1.04, 1.25))
    return Altered(resized(photo, ratio, 1.0, rng) if rng.random() < 0.5 else resized(photo, 1.0, ratio, rng))


def _cut(photo: Image.Image, width: int, height: int, rng: np.random.Generator) -> Altered | None:
    """The crop of this size with most to see of ten random ones' first that shows enough."""
    whole = np.asarray(photo.convert("L"), np.float32)
    mask = product_mask(np.asarray(photo))
    for _ in range(10):
        x, y = (round(float(rng.uniform(0, free))) for free in (photo.width - width, photo.height - height))
        part = slice(y, y + height), slice(x, x + width)
        if whole[part].std() > _LEAST_DEVIATION and (mask is None or mask[part].sum() > 0.25 * mask.sum()):
            box = (-x, -y, photo.width - x, photo.height - y)
            ground_alone = _shows_whole_product(photo, part)
            return Altered(photo.crop((x, y, x + width, y + height)), box, cuts_ground_alone=ground_alone)
    return None


def _shows_whole_product(photo: Image.Image, part: tuple[slice, slice]) -> bool:
    """Whether a part of a photo leaves out nothing but plain ground and shadows on it."""
    mask = product_mask(np.asarray(photo), without_shadows=True)
    return mask is not None and bool(mask[part].sum() > _WHOLE_PRODUCT * mask.sum())


def cropped(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered | None:
    area = float(rng.uniform(0.30, 0.95))
    shape = float(np.exp(rng.uniform(-0.35, 0.35)))
    width = min(1.0, math.sqrt(area * shape))
    return _cut(photo, round(width * photo.width), round(min(1.0, area / width) * photo.height), rng)


def cropped_to(aspect: float) -> Alter:
    def alter(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered | None:
        width = min(photo.width, round(photo.height * aspect))
        height = min(photo.height, round(photo.width / aspect))
        kept = width * height / (photo.width * photo.height)
        return _cut(photo, width, height, rng) if 0.3 <= kept <= 0.97 else None

    return alter


def margin(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    share = float(rng.uniform(0.02, 0.60))
    x, y = round(share * photo.width), round(share * photo.height * float(rng.choice([1.0, rng.uniform(0.3, 1)])))
    return _bordered(photo, (x, y, x, y), rng)


def margin_on_some_sides(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    sides = rng.random(4) < 0.4
    sides[int(rng.integers(4))] = True
    shares = sides * rng.uniform(0.03, 0.60, 4)
    left, top, right, bottom = (round(float(share) * side) for share, side in zip(shares, photo.size * 2, strict=True))
    return _bordered(photo, (left, top, right, bottom), rng)


def squared(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered | None:
    """As shops do that want square photos."""
    side = max(photo.size)
    if min(photo.size) > 0.97 * side:
        return None
    x, y = side - photo.width, side - photo.height
    return _bordered(photo, (x // 2, y // 2, x - x // 2, y - y // 2), rng)


def _bordered(photo: Image.Image, sides: tuple[int, int, int, int], rng: np.random.Generator) -> Altered:
    left, top = sides[:2]
    out = ImageOps.expand(photo, sides, fill=plain_colour(rng))
    return Altered(out, (left, top, left + photo.width, top + photo.height))


def another_ground(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered | None:
    """A packshot's ground in another plain colour; shadows are kept or cut off."""
    pixels = np.asarray(photo)
    mask = product_mask(pixels)
    if mask is None:
        return None
    old = np.median(pixels[~mask], axis=0)
    for _attempt in range(20):
        new = np.array(_ground_colour(rng), np.float32)
        if np.abs(new - old).max() >= 6:
            break
    ground = (
        pixels * (new / np.maximum(old, 1))
        if rng.random() < 0.4 and old.min() > 150
        else np.broadcast_to(new, pixels.shape)
    )
    weight = soft(mask, float(rng.uniform(0.5, 1.5)))
    out = np.clip(pixels * weight + ground * (1 - weight), 0, 255)
    return Altered(Image.fromarray(np.rint(out).astype(np.uint8)))


def _ground_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    chance = rng.random()
    if chance < 0.4:  # off-white
        red, green, blue = (int(value) for value in rng.integers(232, 256, 3))
        return red, green, blue
    if chance < 0.7:
        grey = int(rng.integers(60, 245))
        return grey, grey, grey
    return random_colour(rng)


def mirrored(photo: Image.Image, _: Image.Image, __: np.random.Generator) -> Altered:
    return Altered(ImageOps.mirror(photo))


def rotated(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return Altered(photo.transpose(turns[int(rng.integers(3))]))


def tilted(photo: Image.Image, _: Image.Image, rng: np.random.Generator) -> Altered:
    """Rotated by 1 to 8 degrees: the corners are filled, or the largest part without them is cut out."""
    degrees = float(rng.uniform(1, 8) * rng.choice([-1, 1]))
    fill = plain_colour(rng)
    turned = photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
    if rng.random() < 0.5:
        return Altered(turned)
    sine, cosine = abs(math.sin(math.radians(degrees))), math.cos(math.radians(degrees))
    scale = 1 / (cosine + sine * max(photo.size) / min(photo.size))
    width, height = scale * photo.width, scale * photo.height
    x, y = (turned.width - width) / 2, (turned.height - height) / 2
    return Altered(turned.crop((math.ceil(x), math.ceil(y), math.floor(x + width), math.floor(y + height))))


def paste(photo: Image.Image, scene: Image.Image, rng: np.random.Generator) -> Altered:
    small, place, whole = _placed(photo, scene, rng)
    whole.paste(small, place)
    return Altered(whole, (*place, place[0] + small.width, place[1] + small.height))


def cut_out(photo: Image.Image, scene: Image.Image, rng: np.random.Generator) -> Altered | None:
    mask = product_mask(np.asarray(photo))
    if mask is None:
        return None
    small, place, whole = _placed(photo, scene, rng)
    weight = cv2.resize(soft(mask), small.size, interpolation=cv2.INTER_AREA)
    shape = Image.fromarray(np.rint(255 * weight).astype(np.uint8))
    whole.paste(small, place, shape)
    return Altered(whole, (*place, place[0] + small.width, place[1] + small.height))


def _placed(
    photo: Image.Image, scene: Image.Image, rng: np.random.Generator
) -> tuple[Image.Image, tuple[int, int], Image.Image]:
    """The photo at 15 to 70 % of the scene's longer side, its place, and the scene, which is no smaller than the photo."""
    enlarged = max(1.0, max(photo.size) / max(scene.size))
    whole = scene.resize((round(scene.width * enlarged), round(scene.height * enlarged)), Image.Resampling.BICUBIC)
    scale = float(rng.uniform(0.15, 0.70)) * max(whole.size) / max(photo.size)
    scale = min(scale, 0.95 * whole.width / photo.width, 0.95 * whole.height / photo.height)
    small = resized(photo, scale, scale, rng)
    x, y = (round(float(rng.uniform(0, free))) for free in (whole.width - small.width, whole.height - small.height))
    return small, (x, y), whole
