"""Screenshots: a photo between the bars of a screen."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from prodseek.duplicates.planting.marks import Box, Colour, contrasting, fitting_font, random_colour, words


def screenshot(photo: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Box]:
    """The photo between bars of a screen with text and icons, 5 to 30 % of each side; and where it lies, x1, y1, x2, y2 px."""
    above, below, left, right = (
        round(float(share) * side * (rng.random() < chance))
        for share, side, chance in zip(
            rng.uniform(0.05, 0.30, 4),
            (photo.height, photo.height, photo.width, photo.width),
            (0.95, 0.8, 0.15, 0.15),
            strict=True,
        )
    )
    above = above or round(0.08 * photo.height)
    ground = (255, 255, 255) if rng.random() < 0.5 else (18, 18, 18) if rng.random() < 0.5 else random_colour(rng)
    out = Image.new("RGB", (photo.width + left + right, photo.height + above + below), ground)
    draw = ImageDraw.Draw(out)
    ink = contrasting(ground, rng)
    _bar(draw, (0, 0, out.width, above), ink, rng)
    _bar(draw, (0, out.height - below, out.width, out.height), ink, rng)
    _bar(draw, (0, above, left, out.height - below), ink, rng)
    _bar(draw, (out.width - right, above, out.width, out.height - below), ink, rng)
    out.paste(photo, (left, above))
    return out, (left, above, left + photo.width, above + photo.height)


def _bar(draw: ImageDraw.ImageDraw, box: Box, ink: Colour, rng: np.random.Generator) -> None:
    """A line of text at its start, and some icons."""
    x1, y1, x2, y2 = box
    short = min(x2 - x1, y2 - y1)
    if short < 12:
        return
    size = float(rng.uniform(0.25, 0.5)) * min(short, 90)
    text = f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}  {words(rng)}"
    draw.text((x1 + 6, y1 + 4), text, fill=ink, font=fitting_font(text, x2 - x1 - 12, size))
    n_icons = int(rng.integers(2, 6))
    for place in range(n_icons):
        x = x1 + (place + 0.7) / (n_icons + 0.4) * (x2 - x1)
        y = y2 - 0.30 * short
        radius = 0.14 * min(short, 120)
        shape = int(rng.integers(3))
        if shape == 0:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=2)
        elif shape == 1:
            draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=ink)
        else:
            draw.polygon([(x - radius, y), (x + radius, y - radius), (x + radius, y + radius)], fill=ink)
