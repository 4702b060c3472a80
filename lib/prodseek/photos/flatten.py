"""Photos of any mode as RGB: depth scaled to 8 bits, transparency on a ground on which the photo shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = (255, 255, 255)
# The ground of transparent photos that would be invisible on white: on it, white and black stand out alike.
_GREY = (128, 128, 128)
# A pixel shows on white if one of its channels is darker by more than this; a photo shows if this share of what is drawn does.
_SHOWS_LEVELS = 15
_SHOWS_SHARE = 0.005


def eight_bits(image: Image.Image) -> Image.Image:
    """A photo of 8 bits a channel: grey of any other depth is scaled."""
    return Image.fromarray(_scaled(np.asarray(image))) if image.mode.startswith(("I", "F")) else image


def rgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A photo of 8 bits a channel as RGB, and its opacity; None for an opaque photo.

    Transparent photos stand on white, or on grey where white would hide all that is drawn.
    """
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), None
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    on_white = _on_ground(rgba, alpha, WHITE)
    if alpha.getextrema() == (255, 255):
        return on_white, None
    return on_white if _shows(on_white, alpha) else _on_ground(rgba, alpha, _GREY), alpha


def _on_ground(rgba: Image.Image, alpha: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    ground = Image.new("RGB", rgba.size, colour)
    ground.paste(rgba, mask=alpha)
    return ground


def _shows(on_white: Image.Image, alpha: Image.Image) -> bool:
    """Whether white leaves visible what is drawn. Where nothing is drawn, there is nothing to hide."""
    n_drawn = int(np.count_nonzero(np.asarray(alpha)))
    n_shown = int(np.count_nonzero(np.asarray(on_white).min(axis=2) < 255 - _SHOWS_LEVELS))
    return n_shown >= _SHOWS_SHARE * n_drawn


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale grey values of any depth to 0..255; Pillow's own conversion would clip 16-bit values to white."""
    if np.issubdtype(values.dtype, np.floating):
        full_scale = 1.0 if np.nanmax(values) <= 1.0 else 255.0
    else:
        full_scale = 255.0 if values.max() <= 255 and values.dtype.itemsize > 2 else 65535.0
    scaled = np.nan_to_num(values.astype(np.float64)) * (255.0 / full_scale)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
