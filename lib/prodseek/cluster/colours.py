"""The dominant colour of a region, and its name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prodseek.photos.colour import rgb_to_lab

# The sixteen basic colours of HTML 4.01 (section 6.5), and greys, browns and pastels of CSS Color 4 (section 6.1) in which
# furniture, food and clothes come, by their everyday names.
COLOUR_NAMES: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "dark grey": (64, 64, 64),
    "grey": (128, 128, 128),
    "light grey": (192, 192, 192),
    "white": (245, 245, 245),
    "red": (220, 20, 30),
    "dark red": (128, 10, 20),
    "orange": (255, 140, 0),
    "yellow": (255, 215, 0),
    "light green": (144, 238, 144),
    "green": (40, 140, 50),
    "dark green": (0, 70, 20),
    "olive": (128, 128, 0),
    "turquoise": (64, 200, 200),
    "light blue": (150, 190, 230),
    "blue": (40, 80, 200),
    "navy": (10, 10, 90),
    "purple": (128, 0, 128),
    "pink": (255, 160, 190),
    "beige": (235, 220, 190),
    "tan": (205, 170, 125),
    "brown": (139, 85, 40),
    "dark brown": (75, 45, 25),
}
_BINS = 6  # along each side of the RGB cube; wide enough to gather the shades of one surface in uneven light

# Lightness below and above which a colour is dark or light, of 0..100.
_DARK, _LIGHT = 40, 70


def dominant_colour(pixels: NDArray[np.uint8], ignore_background: bool = True) -> tuple[int, int, int]:
    """The mean RGB of the most frequent shades in a box, 0..255 each.

    pixels: (H, W, 3) uint8 RGB. ignore_background: leave out shades like those along the border, unless they are more than
    nine tenths of all.
    """
    flat = pixels.reshape(-1, 3).astype(np.int32)
    if ignore_background:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int32)
        inside = np.abs(flat - np.median(border, axis=0)).max(axis=1) > 24
        if inside.mean() >= 0.1:
            flat = flat[inside]
    cells = (flat * _BINS // 256) @ np.array([_BINS * _BINS, _BINS, 1])
    most = np.bincount(cells).argmax()
    red, green, blue = np.rint(flat[cells == most].mean(axis=0)).astype(int).tolist()
    return red, green, blue


def colour_name(rgb: tuple[int, int, int]) -> str:
    """The nearest named colour in CIELAB, by the CIE76 difference. rgb: 0..255 each."""
    names = list(COLOUR_NAMES)
    palette = rgb_to_lab(np.array([COLOUR_NAMES[name] for name in names], np.float64))
    return names[int(np.linalg.norm(palette - rgb_to_lab(np.array([rgb], np.float64)), axis=1).argmin())]


def is_colour_word(text: str) -> bool:
    """Whether a text is nothing but a colour's name, or part of one."""
    named = {word for name in COLOUR_NAMES for word in name.split()} | {"gray", "silver", "gold"}
    return all(word in named for word in text.casefold().replace("-", " ").split())


def tone_name(rgb: tuple[int, int, int]) -> str | None:
    """`dark` or `light` where a colour is clearly so, by its lightness in CIELAB. rgb: 0..255 each."""
    lightness = float(rgb_to_lab(np.array([rgb], np.float64))[0, 0])
    return "dark" if lightness < _DARK else "light" if lightness > _LIGHT else None
