"""Painted floors, walls and studio backdrops: small procedural images, all seeded."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Generator = np.random.Generator

FLOORS = ("planks", "tiles", "carpet", "concrete", "checker", "herringbone")
WALLS = ("paint", "stripes", "brick", "wainscot", "dots", "square_tiles")
FLOOR_COLOURS: dict[str, list[Colour]] = {
    "planks": [(186, 142, 96), (150, 104, 66), (205, 178, 142), (112, 78, 54), (170, 158, 144)],
    "tiles": [(206, 200, 190), (176, 184, 188), (196, 150, 120)],
    "carpet": [(150, 138, 128), (118, 132, 142), (178, 166, 142), (140, 112, 112)],
    "concrete": [(168, 166, 162), (142, 144, 146)],
    "checker": [(214, 208, 198), (196, 202, 206)],
    "herringbone": [(176, 128, 84), (196, 160, 118)],
}
WALL_COLOURS: list[Colour] = [
    (214, 206, 192),
    (176, 196, 200),
    (202, 186, 176),
    (168, 184, 160),
    (222, 214, 206),
    (140, 156, 172),
    (216, 190, 150),
    (186, 172, 190),
    (120, 140, 132),
]
RUG_COLOURS: list[Colour] = [
    (150, 52, 48),
    (58, 84, 120),
    (196, 178, 148),
    (92, 112, 84),
    (214, 160, 70),
    (96, 70, 100),
]


def _noise(rng: Generator, height: int, width: int, coarse: int, strength: float) -> np.ndarray:
    small = rng.normal(0, 1, (max(2, height // coarse), max(2, width // coarse)))
    image = Image.fromarray(small.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image) * strength


def _shade(colour: Colour, factor: float) -> Colour:
    r, g, b = (int(np.clip(c * factor, 0, 255)) for c in colour)
    return r, g, b


def _grain(image: Image.Image, rng: Generator, across: bool, strength: float) -> Image.Image:
    array = np.asarray(image).astype(np.float64)
    height, width = array.shape[:2]
    small = rng.normal(
        0, 1, (height // 2, max(2, width // 60)) if across else (max(2, height // 60), width // 2)
    )
    streaks = np.asarray(
        Image.fromarray(small.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    )
    return Image.fromarray(np.clip(array * (1 + strength * streaks[..., None]), 0, 255).astype(np.uint8))


def floor(kind: str, colour: Colour, size_px: int, unit_px: float, rng: Generator) -> Image.Image:
    """A square floor; `unit_px` is about the width of a plank or a third of a tile."""
    image = Image.new("RGB", (size_px, size_px), colour)
    draw = ImageDraw.Draw(image)
    u = max(6.0, unit_px)
    if kind == "planks":
        for row in range(int(size_px / u) + 1):
            x = -float(rng.uniform(0, 9 * u))
            while x < size_px:
                length = float(rng.uniform(6, 11) * u)
                box = (x, row * u, x + length, (row + 1) * u)
                draw.rectangle(box, fill=_shade(colour, rng.normal(1, 0.07)), outline=_shade(colour, 0.72))
                x += length
        image = _grain(image, rng, True, 0.035)
    elif kind in ("tiles", "checker"):
        t = 3 * u
        for i in range(int(size_px / t) + 1):
            for j in range(int(size_px / t) + 1):
                factor = rng.normal(1, 0.02)
                if kind == "checker" and (i + j) % 2:
                    factor *= 0.38
                draw.rectangle(
                    (j * t, i * t, j * t + t, i * t + t),
                    fill=_shade(colour, factor),
                    outline=_shade(colour, 0.8),
                    width=max(1, int(u / 12)),
                )
    elif kind == "herringbone":
        w, length = u, 4 * u
        for i in range(-2, int(size_px / w) + 6):
            for j in range(-2, int(size_px / (2 * length)) + 3):
                x, y = j * 2 * length + (i % 8) * w, i * w
                draw.rectangle(
                    (x, y, x + length, y + w),
                    fill=_shade(colour, rng.normal(1.03, 0.05)),
                    outline=_shade(colour, 0.75),
                )
                draw.rectangle(
                    (x + length, y - 0 * w, x + 2 * length, y + w),
                    fill=_shade(colour, rng.normal(0.9, 0.05)),
                    outline=_shade(colour, 0.75),
                )
        image = image.rotate(45, Image.Resampling.BILINEAR, fillcolor=colour)
        image = _grain(image, rng, False, 0.03)
    array = np.asarray(image).astype(np.float64)
    speckle = {"carpet": 0.055, "concrete": 0.02}.get(kind, 0.012)
    array *= 1 + _noise(rng, size_px, size_px, 2, speckle)[..., None]
    array *= 1 + _noise(rng, size_px, size_px, 90, 0.035)[..., None]
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def add_rug(
    image: Image.Image,
    centre: tuple[float, float],
    half: tuple[float, float],
    colour: Colour,
    round_rug: bool,
    rng: Generator,
) -> Image.Image:
    """A rug with a border and a repeating motif, drawn at `centre` (x, y) with half sizes in pixels."""
    out = image.copy()
    draw = ImageDraw.Draw(out)
    light = _shade(tuple(min(255, c + 60) for c in colour), 1.0)  # type: ignore[arg-type]
    shape = draw.ellipse if round_rug else draw.rectangle
    for k, c in ((1.0, colour), (0.93, light), (0.89, colour)):
        shape(
            (
                centre[0] - half[0] * k,
                centre[1] - half[1] * k,
                centre[0] + half[0] * k,
                centre[1] + half[1] * k,
            ),
            fill=c,
        )
    step = max(14.0, min(half) / float(rng.integers(4, 7)))
    ring = 0.78
    for i, y in enumerate(np.arange(-half[1] * ring, half[1] * ring, step)):
        for x in np.arange(-half[0] * ring + (i % 2) * step / 2, half[0] * ring, step):
            if round_rug and (x / half[0]) ** 2 + (y / half[1]) ** 2 > ring**2:
                continue
            r = step * 0.22
            cx, cy = centre[0] + x, centre[1] + y
            draw.polygon([(cx - r, cy), (cx, cy - r), (cx + r, cy), (cx, cy + r)], fill=light)
    mask = Image.new("L", image.size, 0)
    box = (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])
    (ImageDraw.Draw(mask).ellipse if round_rug else ImageDraw.Draw(mask).rectangle)(box, fill=255)
    array = np.asarray(out).astype(np.float64)
    array *= 1 + _noise(rng, image.height, image.width, 2, 0.05)[..., None]
    return Image.composite(Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)), image, mask)


def wall(
    kind: str,
    colour: Colour,
    width_px: int,
    height_px: int,
    unit_px: float,
    rng: Generator,
    skirting: bool = True,
) -> Image.Image:
    """A wall, its foot at the bottom row; lighter in the middle, with a soft window-like patch of light."""
    image = Image.new("RGB", (width_px, height_px), colour)
    draw = ImageDraw.Draw(image)
    u = max(6.0, unit_px)
    if kind == "stripes":
        for i in range(int(width_px / u) + 1):
            if i % 2:
                draw.rectangle((i * u, 0, i * u + u, height_px), fill=_shade(colour, 0.88))
    elif kind == "brick":
        brick = _shade((176, 104, 82), float(rng.uniform(0.85, 1.15)))
        image.paste(_shade(brick, 1.18), (0, 0, width_px, height_px))
        for row in range(int(height_px / (u * 0.5)) + 1):
            for col in range(-1, int(width_px / (u * 1.6)) + 1):
                x, y = (col + 0.5 * (row % 2)) * u * 1.6, row * u * 0.5
                draw.rectangle(
                    (x + 1.5, y + 1.5, x + u * 1.6 - 1.5, y + u * 0.5 - 1.5),
                    fill=_shade(brick, rng.normal(1, 0.08)),
                )
    elif kind == "wainscot":
        top = int(height_px * 0.62)
        draw.rectangle((0, top, width_px, height_px), fill=(226, 224, 218))
        draw.rectangle((0, top, width_px, top + u * 0.3), fill=(206, 203, 196))
        for i in range(int(width_px / (u * 4)) + 1):
            draw.rectangle(
                (i * u * 4 + u * 0.5, top + u, i * u * 4 + u * 3.5, height_px - u),
                outline=(198, 195, 188),
                width=max(2, int(u * 0.12)),
            )
    elif kind == "dots":
        for i in range(int(height_px / u) + 1):
            for j in range(int(width_px / u) + 1):
                x, y, r = (j + 0.5 * (i % 2)) * u, i * u, u * 0.16
                draw.ellipse(
                    (x - r, y - r, x + r, y + r), fill=_shade(colour, 1.13 if sum(colour) < 560 else 0.86)
                )
    elif kind == "square_tiles":
        for i in range(int(height_px / u) + 1):
            for j in range(int(width_px / u) + 1):
                draw.rectangle(
                    (j * u, height_px - i * u - u, j * u + u, height_px - i * u),
                    fill=_shade(colour, rng.normal(1, 0.025)),
                    outline=_shade(colour, 1.12),
                )
    if skirting:
        draw.rectangle((0, height_px - u * 0.9, width_px, height_px), fill=(236, 234, 230))
        draw.line((0, height_px - u * 0.9, width_px, height_px - u * 0.9), fill=(190, 188, 184), width=2)
    array = np.asarray(image).astype(np.float64)
    array *= 1 + _noise(rng, height_px, width_px, 2, 0.008)[..., None]
    x = np.linspace(-1, 1, width_px)[None, :]
    y = np.linspace(-1, 1, height_px)[:, None]
    array *= (1.04 - 0.20 * (x - 0.15) ** 2 - 0.06 * (y + 0.2) ** 2)[..., None]
    patch = Image.new("L", (width_px, height_px), 0)
    pen = ImageDraw.Draw(patch)
    left, w, h = width_px * float(rng.uniform(0.3, 0.55)), width_px * 0.13, height_px * 0.42
    y0, skew = height_px * float(rng.uniform(0.12, 0.35)), height_px * 0.10
    for i in range(2):
        for j in range(2):
            x0, x1 = left + i * w * 0.53, left + i * w * 0.53 + w * 0.47
            t0, t1 = y0 + j * h * 0.53, y0 + j * h * 0.53 + h * 0.47
            s0, s1 = skew * (x0 - left) / w, skew * (x1 - left) / w
            pen.polygon([(x0, t0 + s0), (x1, t0 + s1), (x1, t1 + s1), (x0, t1 + s0)], fill=255)
    glow = (
        np.asarray(patch.filter(ImageFilter.GaussianBlur(max(2.0, width_px / 220)))).astype(np.float64) / 255
    )
    array = array * (1 + 0.17 * glow[..., None] * np.array([1.0, 0.97, 0.85]))
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def hang_picture(image: Image.Image, box: tuple[float, float, float, float], rng: Generator) -> Image.Image:
    """A framed abstract print on a wall image; box in pixels of that image."""
    out = image.copy()
    x0, y0, x1, y1 = box
    shade = Image.new("L", image.size, 0)
    ImageDraw.Draw(shade).rectangle((x0 + 8, y0 + 10, x1 + 10, y1 + 14), fill=110)
    out = Image.composite(
        Image.new("RGB", image.size, (40, 38, 36)), out, shade.filter(ImageFilter.GaussianBlur(8))
    )
    draw = ImageDraw.Draw(out)
    b = (x1 - x0) * 0.05
    draw.rectangle(box, fill=_shade((90, 64, 44), float(rng.uniform(0.5, 1.6))))
    draw.rectangle((x0 + b, y0 + b, x1 - b, y1 - b), fill=(238, 234, 226))
    m = 3 * b
    draw.rectangle((x0 + m, y0 + m, x1 - m, y1 - m), fill=RUG_COLOURS[int(rng.integers(len(RUG_COLOURS)))])
    for _ in range(4):
        cx, cy = rng.uniform(x0 + m, x1 - m), rng.uniform(y0 + m, y1 - m)
        r = rng.uniform(0.05, 0.16) * (x1 - x0)
        draw.ellipse(
            (max(x0 + m, cx - r), max(y0 + m, cy - r), min(x1 - m, cx + r), min(y1 - m, cy + r)),
            fill=WALL_COLOURS[int(rng.integers(len(WALL_COLOURS)))],
        )
    return out


def shade_floor(
    image: Image.Image, shadow: np.ndarray, box: tuple[int, int, int, int], strength: float
) -> Image.Image:
    """Darkens a floor image by a shadow map (0..1) laid over the pixel box."""
    x0, y0, x1, y1 = box
    soft = Image.fromarray((np.clip(shadow, 0, 1) * 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(soft.width / 220)).resize(
        (x1 - x0, y1 - y0), Image.Resampling.BICUBIC
    )
    values = np.zeros((image.height, image.width))
    values[y0:y1, x0:x1] = np.asarray(soft) / 255
    array = np.asarray(image).astype(np.float64) * (1 - strength * values[..., None])
    return Image.fromarray(array.astype(np.uint8))


def finish(image: Image.Image, rng: Generator, vignette: float = 0.22, noise: float = 1.6) -> Image.Image:
    """A camera's touch: vignette, a little sensor noise, a small change of white balance."""
    array = np.asarray(image).astype(np.float64)
    y = np.linspace(-1, 1, image.height)[:, None]
    x = np.linspace(-1, 1, image.width)[None, :]
    array *= (1 - vignette * ((x**2 + y**2) / 2) ** 1.4)[..., None]
    array *= np.array([1 + rng.normal(0, 0.012), 1.0, 1 + rng.normal(0, 0.018)])
    array += rng.normal(0, noise, array.shape[:2])[..., None]
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
