"""Small pictures of photos and their regions, as WebP."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

LARGE_SIDE_PX = 360
SMALL_SIDE_PX = 200

# The largest WebP (RFC 9649, section 2.6).
_MAX_SIDE_PX = 16383
# Almost as small as with the encoder's highest effort, in half the time.
_QUALITY, _EFFORT = 70, 2

Box = tuple[float, float, float, float]


def thumbnail(
    pixels: NDArray[np.uint8],
    side_px: int,
    box: Box | None = None,
    box_as: Literal["draw", "crop"] = "draw",
    photo_size_px: tuple[int, int] | None = None,
) -> bytes:
    """A WebP with a longer side of at most side_px; a smaller photo is not enlarged.

    pixels: (H, W, 3) uint8 RGB. box: x1 y1 x2 y2 in pixels of the photo, clipped to it; it is drawn as a frame, or the photo is
    cropped to it. photo_size_px: width and height of the full photo, if `pixels` is smaller. Raises ValueError for anything
    else, and for a box with no part inside the photo.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"pixels must be (H, W, 3) uint8 and not empty, got {pixels.shape} {pixels.dtype}")
    if not 1 <= side_px <= _MAX_SIDE_PX:
        raise ValueError(f"side_px must be 1 to {_MAX_SIDE_PX}, got {side_px}")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if box is not None:
        inside = _inside(box, image.size, photo_size_px or image.size)
        if box_as == "crop":
            image = _fit(image.crop(_whole_pixels(inside)), side_px)
        else:
            full_width_px, full_height_px = image.size
            image = _fit(image, side_px)
            scale_x, scale_y = image.width / full_width_px, image.height / full_height_px
            x1, y1, x2, y2 = inside
            _draw_frame(image, _whole_pixels((x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y)))
    else:
        image = _fit(image, side_px)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=_EFFORT)
    return buffer.getvalue()


def _fit(image: Image.Image, side_px: int) -> Image.Image:
    scale = side_px / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _inside(box: Box, size_px: tuple[int, int], photo_size_px: tuple[int, int]) -> Box:
    """The box in pixels of the array, clipped to it."""
    width_px, height_px = size_px
    scale_x, scale_y = width_px / photo_size_px[0], height_px / photo_size_px[1]
    x1, x2 = max(0.0, box[0] * scale_x), min(float(width_px), box[2] * scale_x)
    y1, y2 = max(0.0, box[1] * scale_y), min(float(height_px), box[3] * scale_y)
    if not (np.isfinite(box).all() and x1 < x2 and y1 < y2):
        raise ValueError(
            f"the box {tuple(float(side) for side in box)} has no part inside the photo of "
            f"{photo_size_px[0]} x {photo_size_px[1]} px"
        )
    return x1, y1, x2, y2


def _whole_pixels(box: Box) -> tuple[int, int, int, int]:
    x1, y1 = int(box[0]), int(box[1])
    return x1, y1, max(x1 + 1, int(np.ceil(box[2]))), max(y1 + 1, int(np.ceil(box[3])))


def _draw_frame(image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Draw a dark line between two light ones, which is visible on any background."""
    draw = ImageDraw.Draw(image)
    x1, y1, x2, y2 = box
    unit_px = max(1, max(image.size) // 180)
    lines = (("#ffffff", 0, unit_px), ("#c2185b", unit_px, 2 * unit_px), ("#ffffff", 3 * unit_px, unit_px))
    for colour, inset_px, width_px in lines:
        frame = (x1 + inset_px, y1 + inset_px, x2 - 1 - inset_px, y2 - 1 - inset_px)
        if frame[0] <= frame[2] and frame[1] <= frame[3]:
            draw.rectangle(frame, outline=colour, width=width_px)
