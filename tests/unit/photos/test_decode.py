"""Every kind of photo a catalogue may hold, good and bad."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason, content_id, decode_image, pixel_hash

# Left half red, right half blue: tells colour, orientation and mirroring apart.
HALVES = np.zeros((40, 60, 3), np.uint8)
HALVES[:, :30] = (255, 0, 0)
HALVES[:, 30:] = (0, 0, 255)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def assert_halves(pixels: np.ndarray, tolerance: int = 40) -> None:
    height, width = pixels.shape[:2]
    left, right = pixels[height // 2, width // 6].astype(int), pixels[height // 2, -width // 6].astype(int)
    assert np.abs(left - (255, 0, 0)).max() <= tolerance
    assert np.abs(right - (0, 0, 255)).max() <= tolerance


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("GIF", {}),
        ("AVIF", {"quality": 95}),
    ],
)
def test_formats(format: str, options: dict[str, object]) -> None:
    image = decode_image(encoded(Image.fromarray(HALVES), format, **options))
    assert (image.width_px, image.height_px, image.format) == (60, 40, format)
    assert image.pixels.shape == (40, 60, 3) and image.pixels.dtype == np.uint8
    assert_halves(image.pixels)


def test_heic() -> None:
    pillow_heif.register_heif_opener()
    image = decode_image(encoded(Image.fromarray(HALVES), "HEIF", quality=95))
    assert image.format == "HEIF"
    assert_halves(image.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(HALVES)
    if orientation > 1:
        # The stored pixels are the upright ones turned the other way.
        stored = stored.transpose(Image.Transpose(inverse[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "JPEG", quality=95, exif=exif)
    for max_side_px in (None, 30):
        image = decode_image(data, max_side_px=max_side_px)
        assert (image.width_px, image.height_px) == (60, 40)
        assert_halves(image.pixels, 60)


def test_cmyk_jpeg() -> None:
    image = decode_image(encoded(Image.fromarray(HALVES).convert("CMYK"), "JPEG", quality=95))
    assert_halves(image.pixels)


def test_16_bit_grey_keeps_its_greys() -> None:
    grey = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    image = decode_image(encoded(Image.fromarray(grey), "PNG"))
    assert abs(int(image.pixels[32, 0, 0]) - 128) <= 2
    assert image.pixels.min() == 0 and image.pixels.max() == 255


def test_palette_and_transparency_on_white() -> None:
    palette = decode_image(encoded(Image.fromarray(HALVES).quantize(8), "PNG"))
    assert_halves(palette.pixels)
    clear = Image.new("RGBA", (32, 32), (10, 20, 30, 0))
    assert (decode_image(encoded(clear, "PNG")).pixels == 255).all()


def test_animated_gif_is_its_first_frame() -> None:
    frames = [Image.fromarray(HALVES), Image.new("RGB", (60, 40), (0, 255, 0))]
    image = decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert_halves(image.pixels)


def test_shrunk_decode_keeps_full_size_in_mind() -> None:
    data = encoded(Image.fromarray(HALVES).resize((1200, 800)), "JPEG")
    image = decode_image(data, max_side_px=100)
    assert image.pixels.shape == (67, 100, 3)
    assert (image.width_px, image.height_px) == (1200, 800)
    assert_halves(image.pixels)


@pytest.mark.parametrize(
    ("size", "orientation", "enough_side_px", "decoded_size"),
    [
        ((1200, 800), 1, 150, (150, 100)),
        ((1200, 800), 6, 150, (100, 150)),
        ((1200, 800), 1, 151, (300, 200)),
        ((1200, 800), 1, 700, (1200, 800)),
        ((1200, 800), 1, 5000, (1200, 800)),
        ((1201, 17), 1, 150, (151, 3)),
    ],
)
def test_enough_is_the_smallest_dct_scale_and_no_more(
    size: tuple[int, int], orientation: int, enough_side_px: int, decoded_size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photo = Image.fromarray(HALVES).resize(size)

    image = decode_image(encoded(photo, "JPEG", exif=exif), enough_side_px=enough_side_px)
    untouched = decode_image(encoded(photo, "PNG"), enough_side_px=enough_side_px)

    assert image.pixels.shape[1::-1] == decoded_size
    assert (image.width_px, image.height_px) == (size if orientation == 1 else size[::-1])
    assert untouched.pixels.shape[1::-1] == size


GOOD = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)), "JPEG")
PNG = encoded(Image.fromarray(HALVES), "PNG")
NOISE_PNG = encoded(Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 80, 3), np.uint8)), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", RejectReason.EMPTY),
        (GOOD[: len(GOOD) // 2], RejectReason.TRUNCATED),
        (GOOD[:30], RejectReason.TRUNCATED),
        (b"<!DOCTYPE html><html>404</html>", RejectReason.NOT_AN_IMAGE),
        (b"\x00\x01\x02\x03 nothing known", RejectReason.NOT_AN_IMAGE),
        (NOISE_PNG[:2000] + bytes(500) + NOISE_PNG[2500:], RejectReason.CORRUPT),
        (encoded(Image.new("RGB", (1, 1)), "JPEG"), RejectReason.TOO_SMALL),
        (encoded(Image.new("RGB", (20_000, 10)), "PNG"), RejectReason.TOO_SMALL),
        (encoded(Image.new("1", (20_000, 20_000)), "PNG"), RejectReason.TOO_MANY_PIXELS),
        (encoded(Image.fromarray(HALVES), "PPM"), RejectReason.UNSUPPORTED_FORMAT),
    ],
)
def test_bad_files_have_their_reason(data: bytes, reason: RejectReason) -> None:
    with pytest.raises(ImageRejected) as rejected:
        decode_image(data)
    assert rejected.value.reason == reason
    assert rejected.value.detail


def test_byte_limit() -> None:
    with pytest.raises(ImageRejected) as rejected:
        decode_image(GOOD, ImageLimits(max_bytes=100))
    assert rejected.value.reason == RejectReason.TOO_MANY_BYTES


def test_ids_and_hashes() -> None:
    assert content_id(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert pixel_hash(HALVES) == pixel_hash(decode_image(PNG).pixels)
    assert pixel_hash(HALVES) != pixel_hash(HALVES.reshape(60, 40, 3))
