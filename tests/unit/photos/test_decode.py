"""Every kind of photo a catalogue may hold, good and bad."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw, ImageFilter

from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason, content_id, decode_image
from prodseek.photos.hashes import pixel_hash

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


def on_nothing(shape: str, colour: tuple[int, int, int], size: int = 200) -> Image.Image:
    """A drawing on transparent ground. The colour beneath the transparency is another one in each, and shows nowhere."""
    image = Image.new("RGBA", (size, size), (255, 255, 255, 0) if shape == "circle" else (9, 99, 199, 0))
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse([size // 4, size // 4, 3 * size // 4, 3 * size // 4], fill=colour)
    else:
        draw.rectangle([size * 9 // 20, size // 8, size * 11 // 20, size * 7 // 8], fill=colour)
    return image


@pytest.mark.parametrize("max_side_px", [None, 64])
def test_white_drawings_on_nothing_do_not_become_one_white_photo(max_side_px: int | None) -> None:
    images = [
        decode_image(encoded(on_nothing(shape, (250, 252, 255)), "PNG"), max_side_px=max_side_px)
        for shape in ("circle", "cross")
    ]
    circle, cross = (image.pixels for image in images)
    assert (circle[0, 0] == 128).all() and (circle[len(circle) // 2, len(circle) // 2] >= 250).all()
    assert (circle != cross).any() and pixel_hash(circle) != pixel_hash(cross)


def test_a_drawing_that_shows_on_white_stands_on_white() -> None:
    image = decode_image(encoded(on_nothing("circle", (250, 60, 60)), "PNG"))
    assert (image.pixels[0, 0] == 255).all()


def print_of(letter: str | None, ink: tuple[int, int, int, int]) -> Image.Image:
    """A dark frame on nothing, and a letter in it."""
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle([20, 20, 380, 380], outline=(20, 20, 20, 255), width=10)
    if letter is not None:
        draw.text((200, 200), letter, fill=ink, anchor="mm", font_size=60)
    return image


def shoe(edge: int, share: float) -> Image.Image:
    """A shaded thing that was cut out, with a soft shadow under it. edge: the grey of its upper edge, along a share of it."""
    image = Image.new("RGBA", (900, 900), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse([150, 650, 750, 800], fill=(0, 0, 0, 90))
    image = image.filter(ImageFilter.GaussianBlur(25))
    draw = ImageDraw.Draw(image)
    draw.rectangle([200, 300, 700, 700], fill=(90, 120, 160, 255))
    draw.rectangle([400, 300, 400 + round(500 * share), 330], fill=(edge, edge, edge, 255))
    return image


@pytest.mark.parametrize(
    ("drawn", "ground"),
    [
        (print_of(None, (0, 0, 0, 0)), 255),
        (print_of("XL", (200, 30, 30, 255)), 255),
        (print_of("XL", (255, 255, 255, 255)), 128),
        (print_of("XL", (252, 252, 252, 255)), 128),
        (print_of("XL", (255, 255, 255, 120)), 128),
        (on_nothing("circle", (244, 244, 244)), 128),
        (shoe(90, 0), 255),
        (shoe(255, 0.05), 255),
        (shoe(245, 0.5), 255),
        (shoe(255, 0.5), 128),
    ],
    ids=[
        "a dark frame",
        "red letters",
        "white letters",
        "near-white letters",
        "faint white letters",
        "pale all round",
        "a soft shadow",
        "a highlight at the edge",
        "a bright edge",
        "a white part",
    ],
)
def test_transparent_photos_stand_on_white_unless_it_hides_a_part(drawn: Image.Image, ground: int) -> None:
    image = decode_image(encoded(drawn, "PNG"))
    assert (image.pixels[0, 0] == ground).all()
    # The same at another size, and saved with losses.
    half = drawn.resize((drawn.width * 2 // 3, drawn.height * 2 // 3), Image.Resampling.LANCZOS)
    assert (decode_image(encoded(half, "PNG")).pixels[0, 0] == ground).all()
    assert (decode_image(encoded(drawn, "WEBP", quality=80)).pixels[0, 0] == ground).all()


def test_white_and_grey_drawings_stand_on_black() -> None:
    drawn = on_nothing("cross", (255, 255, 255))
    ImageDraw.Draw(drawn).rectangle([20, 20, 60, 60], fill=(128, 128, 128))
    assert (decode_image(encoded(drawn, "PNG")).pixels[0, 0] == 0).all()


@pytest.mark.parametrize("grey", [112, 128, 205])
def test_a_print_in_black_white_and_grey_shows_all_of_its_letters(grey: int) -> None:
    def pixels_of(number: str) -> NDArray[np.uint8]:
        drawn = print_of("VARSITY", (255, 255, 255, 255))
        ImageDraw.Draw(drawn).text((200, 300), number, fill=(grey, grey, grey, 255), anchor="mm", font_size=60)
        return decode_image(encoded(drawn, "PNG")).pixels

    some, others = pixels_of("37"), pixels_of("42")
    assert (some != others).any(axis=2).sum() > 300
    ground = some[0, 0].astype(int)
    for colour in (20, 255, grey):
        assert np.abs(ground - colour).max() > 15, "the frame, the letters or the number cannot be seen"


def wreath(name: str, n_leaves: int = 70) -> Image.Image:
    """Dark leaves round a small white name."""
    image = Image.new("RGBA", (800, 800), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for leaf in range(n_leaves):
        turn = 2 * np.pi * leaf / n_leaves
        x, y, reach = 400 + 320 * np.cos(turn), 400 + 320 * np.sin(turn), 12 + 8 * (leaf % 3)
        draw.ellipse([x - reach, y - 10, x + reach, y + 10], fill=(40, 90, 50, 255))
    draw.text((400, 400), name, fill=(255, 255, 255, 255), anchor="mm", font_size=16)
    return image


def test_a_small_white_name_in_a_wreath_can_be_read() -> None:
    anna, otto = (decode_image(encoded(wreath(name), "PNG")).pixels for name in ("Anna", "Otto"))
    assert (anna[0, 0] == 128).all()
    assert (anna != otto).any(axis=2).sum() > 100


def test_white_dust_beside_a_cut_out_says_nothing() -> None:
    dusty = wreath("")
    for x in range(100, 700, 60):
        ImageDraw.Draw(dusty).point((x, 400), fill=(255, 255, 255, 255))
    assert (decode_image(encoded(dusty, "PNG")).pixels[0, 0] == 255).all()


def test_a_cut_out_with_a_white_fringe_stands_on_white() -> None:
    """Whoever cuts a product out of a white ground leaves some of it."""
    drawn = shoe(90, 0)
    fringe = Image.new("RGBA", drawn.size, (255, 255, 255, 0))
    ImageDraw.Draw(fringe).rectangle([198, 298, 702, 702], fill=(255, 255, 255, 255))
    fringe.paste(drawn.crop((200, 300, 701, 701)), (200, 300))
    assert (decode_image(encoded(fringe, "PNG")).pixels[0, 0] == 255).all()


def test_opacity_tells_photos_apart_that_look_alike_on_white() -> None:
    flat = np.full((40, 40, 3), 255, np.uint8)
    flat[10:30, 10:30] = (200, 30, 30)
    layered = Image.fromarray(flat).convert("RGBA")
    layered.putalpha(Image.fromarray(np.where(flat[..., 1] < 255, 255, 0).astype(np.uint8)))
    whole, cut_out = decode_image(encoded(Image.fromarray(flat), "PNG")), decode_image(encoded(layered, "PNG"))
    assert (whole.pixels == cut_out.pixels).all() and whole.alpha is None and cut_out.alpha is not None
    assert pixel_hash(whole.pixels, whole.alpha) != pixel_hash(cut_out.pixels, cut_out.alpha)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF"])
def test_photos_that_go_on_otherwise_after_an_equal_frame_have_other_hashes(name: str) -> None:
    first, red, blue = (Image.new("RGB", (60, 40), colour) for colour in ("white", "red", "blue"))

    def hash_of(data: bytes) -> str:
        image = decode_image(data)
        assert (image.pixels > 250).all()
        return pixel_hash(image.pixels, image.alpha, image.moving_id)

    # Encoded once each, because AVIF's container has the time of encoding in it.
    still, to_red, to_blue = (encoded(first, name, save_all=True, append_images=later) for later in ([], [red], [blue]))
    assert len({hash_of(data) for data in (still, to_red, to_blue)}) == 3
    assert hash_of(to_red) == hash_of(to_red)
    # What stands still has the hash of its pixels, whatever its format.
    assert hash_of(still) == pixel_hash(decode_image(encoded(first, name)).pixels)


def test_what_a_file_holds_besides_its_photo_does_not_count() -> None:
    first, other = Image.fromarray(HALVES), Image.new("RGB", (60, 40), "red")
    assert decode_image(encoded(first, "MPO", save_all=True, append_images=[other])).moving_id is None


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_an_opaque_photo_has_the_hash_of_its_pixels_alone(mode: str) -> None:
    image = decode_image(encoded(Image.fromarray(HALVES).convert(mode), "PNG"))
    assert image.alpha is None
    assert pixel_hash(image.pixels, image.alpha) == hashlib.sha256(b"60x40:" + image.pixels.tobytes()).hexdigest()


def test_opacity_is_turned_and_shrunk_with_the_photo() -> None:
    layered = Image.fromarray(HALVES).convert("RGBA")
    layered.putalpha(Image.fromarray(np.where(HALVES[..., 0] > 0, 255, 0).astype(np.uint8)))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = decode_image(encoded(layered, "PNG", exif=exif), max_side_px=30)
    assert image.alpha is not None and image.alpha.shape == image.pixels.shape[:2] == (30, 20)
    assert (image.alpha[:14] == 255).all() and (image.alpha[16:] == 0).all()


@pytest.mark.parametrize(
    ("noted", "taken_at"),
    [
        ("2021:05:31 14:03:59", "2021-05-31 14:03:59"),
        ("2021:05:31 14:03:59\0", "2021-05-31 14:03:59"),
        ("0000:00:00 00:00:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_when_a_photo_was_taken(noted: str | None, taken_at: str | None) -> None:
    exif = Image.Exif()
    if noted is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = noted
    for format in ("JPEG", "PNG", "WEBP"):
        assert decode_image(encoded(Image.fromarray(HALVES), format, exif=exif.tobytes())).taken_at == taken_at


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
