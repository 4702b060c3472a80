"""Bytes of photos: whatever they are, they are decoded or rejected, always alike, and within the limits."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
from fuzzing import mutated
from hypothesis import strategies as st
from PIL import ExifTags, Image

from prodseek.photos.decode import FORMATS, ImageLimits, ImageRejected, decode_image, pixel_hash
from prodseek.photos.hashes import pdq_hash

LIMITS = ImageLimits(max_bytes=1 << 20, max_pixels=1 << 18, min_side_px=8)
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "images"
_TOKENS = (
    b"\xff\xda", b"\xff\xc2", b"\xff\xe1\x00\x10Exif\x00\x00", b"\xff\xe2\x00\x08MPF\x00", b"IHDR", b"tRNS", b"acTL",
    b"fcTL", b"zTXt", b"iCCP", b"eXIf", b"VP8X", b"ANIM", b"EXIF", b"\x2c", b"\x21\xf9\x04", b"ispe", b"irot", b"grid",
    b"iref", b"\xff" * 8, b"\x00" * 16, b"(", b"%!PS-Adobe", b"8BPS", b"SIMPLE", b"DDS ", b"qoif", b"P6 ", b"\x89PNG",
)  # fmt: skip


@cache
def seeds() -> tuple[bytes, ...]:
    """Small photos in every format and mode that is read, and a few that are not."""
    pillow_heif.register_heif_opener()
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 255, (24, 32, 4), dtype=np.uint8)
    pixels[4:20, 8:24, :3] = 200
    rgba = Image.fromarray(pixels, "RGBA")
    rgb = rgba.convert("RGB")
    deep = Image.fromarray(generator.integers(0, 65535, (24, 32), dtype=np.uint16))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "maker"
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    saved: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "JPEG", {"exif": exif}), (rgb, "JPEG", {"progressive": True, "exif": exif}), (rgb.convert("L"), "JPEG", {}),
        (rgb.convert("CMYK"), "JPEG", {}), (rgb, "MPO", frames), (rgb, "PNG", {"exif": exif}), (rgba, "PNG", {}),
        (rgba.convert("LA"), "PNG", {}), (rgb.convert("P"), "PNG", {"transparency": 3}), (rgb.convert("1"), "PNG", {}),
        (deep, "PNG", {}), (rgb, "PNG", frames), (rgb, "WEBP", {}), (rgba, "WEBP", {"lossless": True, "exif": exif}),
        (rgba, "WEBP", frames), (rgb, "GIF", {}), (rgb.convert("P"), "GIF", {**frames, "transparency": 2}),
        (rgb, "BMP", {}), (rgb.convert("P"), "BMP", {}), (rgba, "BMP", {}), (rgb.convert("1"), "BMP", {}),
        (rgb, "TIFF", {}), (rgb, "TIFF", {"compression": "tiff_lzw", "exif": exif}), (rgb, "TIFF", {"compression": "jpeg"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}), (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        (rgb.convert("F"), "TIFF", {}), (rgb.convert("I"), "TIFF", {}), (deep, "TIFF", {}), (rgb.convert("LAB"), "TIFF", {}),
        (rgba, "TIFF", {"compression": "packbits"}), (rgb, "HEIF", {"exif": exif}), (rgba, "HEIF", {}), (rgb, "HEIF", frames),
        (rgb, "AVIF", {"exif": exif}), (rgba, "AVIF", {}), (rgb, "AVIF", frames), (rgb, "PPM", {}), (rgb, "ICO", {}),
        (rgb, "TGA", {}), (rgb, "PCX", {}), (rgb, "JPEG2000", {}), (rgb, "EPS", {}), (rgb, "DDS", {}), (rgb, "SGI", {}),
    ]  # fmt: skip
    made = []
    for image, kind, options in saved:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        made.append(buffer.getvalue())
    small = sorted(SAMPLE.glob("*.jpg"), key=lambda path: path.stat().st_size)
    return (*made, *(path.read_bytes() for path in small[3:9]))


def cases() -> st.SearchStrategy[bytes]:
    return mutated(seeds(), _TOKENS)


def check(data: bytes) -> None:
    try:
        image = decode_image(data, LIMITS)
    except ImageRejected as rejected:
        assert rejected.detail
        return
    assert image.format in FORMATS and image.pixels.dtype == np.uint8
    assert image.pixels.shape == (image.height_px, image.width_px, 3)
    assert image.width_px * image.height_px <= LIMITS.max_pixels
    assert min(image.width_px, image.height_px) >= LIMITS.min_side_px
    assert len(pdq_hash(image.pixels)[0]) == 64
    assert pixel_hash(image.pixels) == pixel_hash(decode_image(data, LIMITS).pixels), (
        "decoded otherwise the second time"
    )
    for options in ({"max_side_px": 12}, {"enough_side_px": 12}):
        smaller = decode_image(data, LIMITS, **options)
        assert (smaller.width_px, smaller.height_px) == (image.width_px, image.height_px)
        assert "enough_side_px" in options or max(smaller.pixels.shape[:2]) <= 12
