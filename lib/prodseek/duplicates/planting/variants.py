"""Made hard negatives: two photos of different products, or of one product in two colours or counts, that are equal elsewhere.

Every kind draws both photos from one, or from two. A person who looks at both closely sees the difference; what could not be
seen is not made, and the kind gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from prodseek.duplicates.planting.faint import faint_pattern, faint_shade
from prodseek.duplicates.planting.grounds import (
    LEAST_DIFFERING_PX,
    Pixels,
    changed,
)
from prodseek.duplicates.planting.marks import (
    MARKS,
    contrasting,
    fitting_font,
    font,
    random_colour,
    words,
)
from prodseek.duplicates.planting.parts import counted, knob, part_moved, part_removed, thing_beside
from prodseek.duplicates.planting.recolouring import (
    TRIES,
    Pair,
    another_pattern,
    band_recoloured,
    part_recoloured,
    same_scene,
    whole_recoloured,
)


@dataclass(frozen=True)
class Variant:
    """A kind of hard negative. family: kinds left out together. make: (photo, another, random numbers) -> two photos.

    fine: it shows in details that resizing or strong compression would wipe out. faint: in such that any but light compression
    would. of_tone: a change of tone could undo it.
    """

    family: str
    make: Callable[[Pixels, Pixels, np.random.Generator], Pair | None]
    fine: bool = False
    faint: bool = False
    of_tone: bool = False


_TEXT_PAIRS = (
    ("100 cm", "150 cm"), ("S", "M"), ("XL", "L"), ("500 ml", "750 ml"), ("3-pack", "6-pack"), ("2023", "2024"),
    ("Vol. 1", "Vol. 7"), ("left", "right"), ("€ 25", "€ 50"), ("16 GB", "64 GB"), ("90 x 200", "140 x 200"),
    ("decaf", "espresso"), ("SPF 30", "SPF 50"), ("No. 5", "No. 8"), ("cotton", "linen"), ("vanilla", "lemon"),
)  # fmt: skip


def _two_texts(rng: np.random.Generator) -> tuple[str, str]:
    """Texts that differ in a word or a number: a line, or a table of several."""
    chance = rng.random()
    if chance < 0.6:
        pair = _TEXT_PAIRS[int(rng.integers(len(_TEXT_PAIRS)))]
        around = "{}" if rng.random() < 0.5 else f"{words(rng)} {{}}"
        return around.format(pair[0]), around.format(pair[1])
    numbers = rng.integers(10, 999, int(rng.integers(1, 8)))
    others = numbers.copy()
    row = int(rng.integers(len(numbers)))
    while others[row] == numbers[row] or min(abs(others[row] // 10 - numbers[row] // 10), 1) == 0:
        others[row] = rng.integers(10, 999)
    units = [str(rng.choice(["g", "kcal", "cm", "%", "mg"])) for _ in numbers]
    first, second = (
        "\n".join(f"{number} {unit}" for number, unit in zip(column, units, strict=True))
        for column in (numbers, others)
    )
    return first, second


def _text_changed(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    """Letters of 6 to 80 px in 1000 px of the longer side, on the ground or on the product."""
    longer = max(photo.shape[:2])
    size = max(9.0, float(np.exp(rng.uniform(np.log(8), np.log(100)))) / 1000 * longer)
    texts = _two_texts(rng)
    height, width = photo.shape[:2]
    chosen = fitting_font(max(texts, key=len), 0.95 * width, size)
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    boxes = [measure.multiline_textbbox((0, 0), text, font=chosen) for text in texts]
    right, bottom = (max(box[side] for box in boxes) for side in (2, 3))
    if right >= width - 4 or bottom >= height - 4:
        return None
    for _attempt in range(TRIES):
        x, y = float(rng.uniform(2, width - right - 2)), float(rng.uniform(2, height - bottom - 2))
        under = photo[round(y) : round(y + bottom) + 1, round(x) : round(x + right) + 1].reshape(-1, 3)
        if under.std(axis=0).max() > 25:
            continue
        red, green, blue = (int(value) for value in np.median(under, axis=0))
        colour = contrasting((red, green, blue), rng)
        made = []
        for text in texts:
            image = Image.fromarray(photo)
            ImageDraw.Draw(image).multiline_text((x, y), text, fill=colour, font=chosen)
            made.append(np.asarray(image))
        if changed(made[0], made[1]).sum() >= LEAST_DIFFERING_PX:
            return made[0], made[1]
    return None


def _logo(size_px: int, rng: np.random.Generator) -> Image.Image:
    """A small mark of a maker: a shape with letters."""
    tile = Image.new("RGBA", (size_px, size_px))
    draw = ImageDraw.Draw(tile)
    colour = random_colour(rng)
    shape = int(rng.integers(4))
    box = (0, 0, size_px - 1, size_px - 1)
    if shape == 0:
        draw.ellipse(box, fill=colour)
    elif shape == 1:
        draw.rectangle((0, size_px // 5, size_px - 1, 4 * size_px // 5), fill=colour)
    elif shape == 2:
        points = rng.uniform(0, size_px, (int(rng.integers(4, 8)), 2))
        draw.polygon([(float(x), float(y)) for x, y in points], fill=colour)
    else:
        draw.arc(box, int(rng.integers(0, 180)), int(rng.integers(200, 360)), fill=colour, width=max(2, size_px // 6))
    letters = "".join(chr(65 + int(letter)) for letter in rng.integers(0, 26, int(rng.integers(1, 4))))
    ink = contrasting(colour, rng) if shape < 3 else colour
    draw.text((size_px / 2, size_px / 2), letters, fill=ink, font=font(size_px / 2.2), anchor="mm")
    return tile


def _logo_changed(photo: Pixels, _: Pixels, rng: np.random.Generator) -> Pair | None:
    size = max(14, round(max(photo.shape[:2]) * float(rng.uniform(0.02, 0.12))))
    height, width = photo.shape[:2]
    if min(height, width) <= 2 * size:
        return None
    place = (int(rng.integers(width - size)), int(rng.integers(height - size)))
    for _attempt in range(TRIES):
        made = []
        for _side in range(2):
            image = Image.fromarray(photo).convert("RGBA")
            image.alpha_composite(_logo(size, rng), place)
            made.append(np.asarray(image.convert("RGB")))
        if changed(made[0], made[1]).sum() >= max(LEAST_DIFFERING_PX, 0.25 * size * size):
            return made[0], made[1]
    return None


def _fitted(photo: Pixels, size: tuple[int, int]) -> Pixels:
    """The whole photo in the middle of a canvas of this size, on its border's colour."""
    width, height = size
    scale = min(width / photo.shape[1], height / photo.shape[0])
    small = cv2.resize(
        photo,
        (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))),
        interpolation=cv2.INTER_AREA,
    )
    colour = np.median(np.concatenate([photo[0], photo[-1]]), axis=0).astype(np.uint8)
    out = np.tile(colour, (height, width, 1))
    x, y = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
    out[y : y + small.shape[0], x : x + small.shape[1]] = small
    return out


def _same_mark(photo: Pixels, other: Pixels, rng: np.random.Generator) -> Pair | None:
    """Two products with the same badge, banner, frame, text or watermark, often several of them."""
    size = (photo.shape[1], photo.shape[0])
    made = [Image.fromarray(photo), Image.fromarray(_fitted(other, size))]
    names = rng.choice(list(MARKS), int(rng.integers(1, 4)), replace=False).tolist()
    for name in names:
        seed = int(rng.integers(2**31))
        made = [MARKS[name](image, np.random.default_rng(seed)) for image in made]
    first, second = (np.asarray(image) for image in made)
    return (first, second) if changed(first, second).mean() > 0.05 else None


VARIANTS = {
    "product recoloured": Variant("recoloured", whole_recoloured, of_tone=True),
    "part recoloured": Variant("part recoloured", part_recoloured, of_tone=True),
    "band recoloured": Variant("part recoloured", band_recoloured, of_tone=True),
    "printed text changed": Variant("printed text", _text_changed, fine=True),
    "logo changed": Variant("logo", _logo_changed, fine=True),
    "part added": Variant("part", part_moved),
    "knob or hole added": Variant("part", knob),
    "part removed": Variant("part", part_removed),
    "one more": Variant("count", counted),
    "thing beside": Variant("count", thing_beside),
    "another pattern": Variant("pattern", another_pattern),
    "faint pattern": Variant("faint pattern", faint_pattern, fine=True, faint=True),
    "part in the next shade": Variant("part recoloured", faint_shade, fine=True, faint=True, of_tone=True),
    "same marks, other products": Variant("same marks", _same_mark),
    "same scene, other product": Variant("same scene", same_scene, of_tone=True),
}
