"""Bytes of photos: whatever they are, they are decoded or rejected, always alike, and within the limits."""

from __future__ import annotations

import io
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
from fuzzing import mutated
from hypothesis import strategies as st
from icc_profiles import cmyk_profile, grey_profile, rgb_profile
from PIL import ExifTags, Image

from prodseek.photos.decode import FORMATS, ImageLimits, ImageRejected, decode_image
from prodseek.photos.hashes import pdq_hash, pixel_hash

LIMITS = ImageLimits(max_bytes=1 << 20, max_pixels=1 << 18, min_side_px=8)
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "images"
_TOKENS = (
    b"\xff\xda", b"\xff\xc2", b"\xff\xe1\x00\x10Exif\x00\x00", b"\xff\xe2\x00\x08MPF\x00", b"IHDR", b"tRNS", b"acTL",
    b"fcTL", b"zTXt", b"iCCP", b"eXIf", b"VP8X", b"ANIM", b"EXIF", b"\x2c", b"\x21\xf9\x04", b"ispe", b"irot", b"grid",
    b"iref", b"\xff" * 8, b"\x00" * 16, b"(", b"%!PS-Adobe", b"8BPS", b"SIMPLE", b"DDS ", b"qoif", b"P6 ", b"\x89PNG",
    b"\xff\xd9", b"\xff\xd0", b"\xff\xdd\x00\x04\x00\x01", b"\xff\xee\x00\x07Adobe", b"\xff\xe0\x00\x07JFIF\x00",
    b"\xff\xe2\x00\x10ICC_PROFILE\x00\x01\x01", b"acsp", b"mft1", b"mft2", b"mAB ", b"para", b"curv", b"A2B0", b"rTRC", b"CMYK",
    b"ICCP", b"XMP ", b"tEXt", b"iTXt", b"pHYs", b"cHRM",
)  # fmt: skip


# A JPEG, a progressive one, a PNG and a WebP among the seeds.
_PLAIN = (0, 1, 5, 12)


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
    made = [_saved(image, kind, **options) for image, kind, options in saved]
    made += _with_profiles(rgb, generator) + _with_odd_metadata(*(made[at] for at in _PLAIN))
    small = sorted(SAMPLE.glob("*.jpg"), key=lambda path: path.stat().st_size)
    return (*made, *(path.read_bytes() for path in small[3:9]))


def _with_profiles(rgb: Image.Image, generator: np.random.Generator) -> list[bytes]:
    """Photos of every kind of colour profile, in the containers that carry them."""
    inks = Image.fromarray(generator.integers(0, 255, (24, 32, 4), dtype=np.uint8), "CMYK")
    kept = [
        (rgb, rgb_profile("display_p3"), ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")),
        (rgb, rgb_profile("srgb"), ("JPEG",)),
        (rgb.convert("RGBA"), rgb_profile("adobe_rgb"), ("PNG",)),
        (rgb.convert("P"), rgb_profile("prophoto_rgb"), ("PNG",)),
        (rgb.convert("LA"), grey_profile(1.8), ("PNG",)),
        (inks, cmyk_profile(), ("JPEG", "TIFF")),
    ]
    return [_saved(image, kind, icc_profile=profile) for image, profile, kinds in kept for kind in kinds]


def _with_odd_metadata(jpeg: bytes, progressive: bytes, png: bytes, webp: bytes) -> list[bytes]:
    """Photos whose metadata is damaged, and JPEGs that lack their end."""
    app = b"\xff\xe1\x00\x10Exif\x00\x00\x00\x08\x00\x02\x01\x12\x00\x03"
    restarts = _saved(Image.open(io.BytesIO(jpeg)).convert("RGB"), "JPEG", restart_marker_blocks=2)
    text = b"\x00\x00\x00\x0czTXtComment\x00\x07abc"
    return [
        jpeg[:-2], progressive[:-2], restarts, restarts[:-2], jpeg[:2] + app + jpeg[2:], jpeg[:-9],
        jpeg[:2] + b"\xff\xee\x00\x07Adobe" + jpeg[2:], jpeg[:2] + b"\xff\xe0\x00\x07JFIF\x00" + jpeg[20:-2],
        png[:33] + text + zlib.crc32(text[4:]).to_bytes(4, "big") + png[33:], png[:-12],
        _saved(Image.open(io.BytesIO(webp)), "WEBP", xmp=b"x" * 60)[:-9],
    ]  # fmt: skip


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


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
