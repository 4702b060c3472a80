"""Photos of any mode as RGB: depth scaled to 8 bits, transparency on a ground on which the photo shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Colour = tuple[int, int, int]

# Grounds of transparent photos, the better one first: shops show them on white. The last ones are for prints in white, grey and
# black at once, and in colours besides.
_WHITE, _GREY, _BLACK = (255, 255, 255), (128, 128, 128), (0, 0, 0)
_GROUNDS: tuple[Colour, ...] = (_WHITE, _GREY, _BLACK, (205, 205, 205), (65, 65, 65), (0, 130, 130), (150, 90, 20))
# Levels by which what is drawn must differ from its ground to show, and what share of the outline a ground may hide that another
# one shows. A highlight at the edge of a product may go (by 6 levels white hides more of 3 of 811 rendered pieces of furniture),
# a line of white text may not; and the copies of a photo that is pale all round are not found on white.
_HIDDEN_SHARES = ((6, 0.02), (15, 0.5))
# Outlines are looked at in this size. An edge shows by what is drawn so near to it: cut-outs have a fringe of their old ground.
_OUTLINE_SIDE_PX, _FRINGE_PX = 512, 3
# Parts of what is drawn, such as letters, have more opacity than these shares of the greatest. Smaller ones are dust; a ground
# hides a part of which less than this share of the pixels differs from it by so many levels.
_PART_OPACITIES, _LEAST_PART_PX, _HIDDEN_PARTS_PX = (1 / 16, 3 / 4), 8, 20
_SHOWS_LEVELS, _SHOWS_SHARE = 15, 0.1
# Less of the greatest opacity has no colour to speak of.
_FAINT = 16


def eight_bits(image: Image.Image) -> Image.Image:
    """A photo of 8 bits a channel: grey of any other depth is scaled."""
    return Image.fromarray(_scaled(np.asarray(image))) if image.mode.startswith(("I", "F")) else image


def rgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A photo of 8 bits a channel as RGB, and its opacity; None for an opaque photo.

    Transparent photos stand on white, or, where white would hide a part of what is drawn, on grey, black, or another colour.
    """
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), None
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB"), None
    return _on_ground(rgba, alpha, _ground_of(rgba)), alpha


def _on_ground(rgba: Image.Image, alpha: Image.Image, colour: Colour) -> Image.Image:
    ground = Image.new("RGB", rgba.size, colour)
    ground.paste(rgba, mask=alpha)
    return ground


def _ground_of(rgba: Image.Image) -> Colour:
    """The first ground that shows every part of what is drawn, and its outline, as well as any."""
    scale = _OUTLINE_SIDE_PX / max(rgba.size)
    if scale < 1:
        size = (max(1, round(rgba.width * scale)), max(1, round(rgba.height * scale)))
        # Pillow weighs colours by their opacity.
        rgba = rgba.resize(size, Image.Resampling.BOX)
    drawn = np.asarray(rgba)
    outline = _outline(drawn[..., 3])
    parts = _parts(drawn[..., 3])
    hidden_px = [_hidden_parts_px(drawn, parts, ground) for ground in _GROUNDS]
    most_px = min(hidden_px) + _HIDDEN_PARTS_PX
    grounds = tuple(ground for ground, one in zip(_GROUNDS, hidden_px, strict=True) if one <= most_px)
    for levels, share in _HIDDEN_SHARES:
        hidden = [_hidden(drawn, outline, ground, levels) for ground in grounds]
        most = min(hidden) + share * float(outline.sum())
        grounds = tuple(ground for ground, one in zip(grounds, hidden, strict=True) if one <= most)
    return grounds[0]


def _outline(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much opacity changes towards the pixels to the right and below: (H, W), of (H, W)."""
    levels = np.pad(alpha, ((0, 1), (0, 1)), mode="edge").astype(np.float32)
    here = levels[:-1, :-1]
    return np.asarray(np.abs(levels[:-1, 1:] - here) + np.abs(levels[1:, :-1] - here), np.float32)


def _hidden(drawn: NDArray[np.uint8], outline: NDArray[np.float32], ground: Colour, levels: int) -> float:
    """How much of the outline a ground hides, if what differs from it by more than so many levels shows.

    drawn: (H, W, 4) uint8 RGBA. outline: (H, W) float32.
    """
    alpha = drawn[..., 3]
    differs = np.abs(drawn[..., :3].astype(np.int16) - np.array(ground, np.int16)).max(axis=2) > levels
    differs &= alpha > alpha.max() // _FAINT
    near = Image.fromarray(differs.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * _FRINGE_PX + 1))
    return float(outline[np.asarray(near) == 0].sum())


def _parts(alpha: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """The parts of what is drawn, numbered from 1, for each of `_PART_OPACITIES`: (H * W,), 0 between them."""
    # Photos without transparency are decoded where there is no OpenCV too.
    import cv2

    opaque = ((alpha > share * alpha.max()).astype(np.uint8) for share in _PART_OPACITIES)
    return [np.asarray(cv2.connectedComponents(one, connectivity=8)[1], np.int32).ravel() for one in opaque]


def _hidden_parts_px(drawn: NDArray[np.uint8], parts: list[NDArray[np.int32]], ground: Colour) -> int:
    """Pixels of the parts that a ground hides as a whole: of a wreath and a white name within it, each leaf and letter is one.

    drawn: (H, W, 4) uint8 RGBA. parts: as `_parts` gives them.
    """
    differs = np.abs(drawn[..., :3].astype(np.int16) - np.array(ground, np.int16)).max(axis=2) > _SHOWS_LEVELS
    found = 0
    for numbers in parts:
        area = np.bincount(numbers)
        shown = np.bincount(numbers, weights=differs.ravel(), minlength=len(area))
        is_hidden = (area >= _LEAST_PART_PX) & (shown < _SHOWS_SHARE * area)
        # What lies between the parts is none.
        is_hidden[0] = False
        found = max(found, int(area[is_hidden].sum()))
    return found


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale grey values of any depth to 0..255; Pillow's own conversion would clip 16-bit values to white."""
    if np.issubdtype(values.dtype, np.floating):
        full_scale = 1.0 if np.nanmax(values) <= 1.0 else 255.0
    else:
        full_scale = 255.0 if values.max() <= 255 and values.dtype.itemsize > 2 else 65535.0
    scaled = np.nan_to_num(values.astype(np.float64)) * (255.0 / full_scale)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
