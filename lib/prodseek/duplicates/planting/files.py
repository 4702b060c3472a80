"""A photo that was altered, before it is a file and after."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from prodseek.duplicates.planting.marks import Box

WORKING_SIDE_PX = 1000
QUALITIES = (60, 96)  # of JPEG, where the kind does not set it


@dataclass(frozen=True)
class Altered:
    """A copy before it is encoded. source_box: x1, y1, x2, y2 px of the whole original in it; None if not known.

    encoding: Pillow's format and its options; None: a JPEG of random quality. cuts_ground_alone: whether a crop shows the whole
    product on its plain ground, as does an original to which a margin was added.
    """

    image: Image.Image
    source_box: Box | None = None
    encoding: tuple[str, dict[str, int]] | None = None
    cuts_ground_alone: bool = False


Alter = Callable[[Image.Image, Image.Image, np.random.Generator], Altered | None]


def opened(photo: bytes) -> Image.Image:
    """The photo upright, RGB, at most WORKING_SIDE_PX on its longer side."""
    with Image.open(io.BytesIO(photo)) as stored:
        stored.draft("RGB", (WORKING_SIDE_PX, WORKING_SIDE_PX))
        upright = ImageOps.exif_transpose(stored)
        if upright.mode in ("RGBA", "LA", "P"):
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright.convert("RGBA"))
        upright = upright.convert("RGB")
    upright.thumbnail((WORKING_SIDE_PX, WORKING_SIDE_PX), Image.Resampling.LANCZOS, reducing_gap=3)
    return upright


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """The image as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def encoded(image: Image.Image, rng: np.random.Generator, encoding: tuple[str, dict[str, int]] | None = None) -> bytes:
    """The image as a file; encoding None: a JPEG of random quality and sampling of chroma."""
    if encoding is None:
        encoding = ("JPEG", {"quality": int(rng.integers(*QUALITIES)), "subsampling": int(rng.choice([0, 2, 2]))})
    buffer = io.BytesIO()
    image.save(buffer, encoding[0], **encoding[1])
    return buffer.getvalue()


def resized(photo: Image.Image, scale_x: float, scale_y: float, rng: np.random.Generator) -> Image.Image:
    """The photo scaled with a random filter."""
    size = (max(1, round(photo.width * scale_x)), max(1, round(photo.height * scale_y)))
    filters = [Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.BOX]
    shrinks = scale_x < 1
    return photo.resize(size, filters[int(rng.integers(4 if shrinks else 3))])
