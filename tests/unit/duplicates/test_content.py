import io

import numpy as np
import pytest
from made_photos import packshot, pixels, scene
from PIL import Image, ImageOps

from prodseek.duplicates.content import WHOLE, content_box, content_pixels
from prodseek.duplicates.hashes import hamming, hashes_from_hex
from prodseek.duplicates.prints import photo_prints
from prodseek.photos.hashes import pdq_hash


def jpeg(image: Image.Image, quality: int = 85) -> np.ndarray:  # type: ignore[type-arg]
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("colour", ["white", "black", (243, 240, 232), (200, 30, 60)])
@pytest.mark.parametrize("quality", [10, 90])
def test_the_margin_is_left_out_whatever_its_colour(colour, quality):
    photo = scene(1, 240, 180)
    padded = Image.new("RGB", (480, 300), colour)
    padded.paste(photo, (150, 40))
    found = content_box(jpeg(padded, quality))
    # JPEG at quality 10 carries edges into the margin, up to a block far.
    atol = 0.02 if quality == 90 else 0.03
    np.testing.assert_allclose(found, (150 / 480, 40 / 300, 390 / 480, 220 / 300), atol=atol)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [((0, 70, 0, 50), "white"), ((9, 9, 9, 9), "white"), ((60, 0, 60, 0), (90, 90, 90))],
    ids=["bars above and below", "a frame", "bars at the sides"],
)
def test_behind_a_frame_or_bars_the_next_margin_is_left_out_too(outer, inner):
    photo = ImageOps.expand(scene(2, 240, 180), (40, 30, 20, 50), inner)
    framed = ImageOps.expand(photo, outer, (20, 20, 60))
    left, top = outer[0] + 40, outer[1] + 30
    expected = (left / framed.width, top / framed.height, (left + 240) / framed.width, (top + 180) / framed.height)
    np.testing.assert_allclose(content_box(jpeg(framed)), expected, atol=0.02)


def test_a_scene_has_no_margin_and_a_plain_photo_no_content():
    assert content_box(pixels(scene(3))) == WHOLE
    assert content_box(np.full((300, 200, 3), 255, np.uint8)) == WHOLE
    almost_empty = np.full((300, 200, 3), 255, np.uint8)
    almost_empty[150:156, 90:96] = 0
    assert content_box(almost_empty) == WHOLE
    assert photo_prints(almost_empty, WHOLE).content_hash is None


@pytest.mark.parametrize("size", [(1, 1), (16, 300), (20, 20)])
def test_tiny_photos_have_a_content(size):
    assert content_box(np.full((*size, 3), 7, np.uint8)) == WHOLE


def prints_of(image: Image.Image):  # type: ignore[no-untyped-def]
    values = jpeg(image)
    return photo_prints(values, content_box(values))


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: ImageOps.expand(photo, (200, 30, 90, 10), "white"),
        lambda photo: ImageOps.pad(photo, (640, 360), color="white"),
        lambda photo: ImageOps.pad(photo, (360, 480), color="white"),
        lambda photo: ImageOps.expand(ImageOps.expand(photo, 40, "white"), (0, 90, 0, 90), "black"),
    ],
    ids=["wider margin", "16 to 9", "3 to 4", "screenshot"],
)
def test_copies_with_other_margins_have_nearly_the_same_content_hash(change):
    photo, other = packshot(4), packshot(5)
    first, second, third = (prints_of(image).content_hash for image in (photo, change(photo), change(other)))
    assert first and second and third
    hashes = hashes_from_hex([first, second, third])
    assert hamming(hashes[0], hashes[1]) <= 40 < 80 < hamming(hashes[0], hashes[2])


def test_the_content_of_a_padded_scene_is_the_whole_of_the_scene():
    photo = scene(6)
    padded = prints_of(ImageOps.expand(photo, 80, (210, 190, 40))).content_hash
    assert padded
    whole, _ = pdq_hash(pixels(photo))
    assert prints_of(photo).content_hash is None
    hashes = hashes_from_hex([padded, whole])
    assert hamming(hashes[0], hashes[1]) <= 30


def test_a_content_that_is_plain_itself_has_no_hash():
    square = Image.new("RGB", (300, 300), "white")
    square.paste((225, 225, 225), (100, 100, 200, 200))
    values = pixels(square)
    assert content_box(values) == WHOLE
    assert photo_prints(values, content_box(values)).content_hash is None
    assert photo_prints(values, (0.33, 0.33, 0.67, 0.67)).content_hash is None


def test_another_colour_of_the_product_has_other_colours():
    blue = packshot(7)
    red = Image.merge("RGB", blue.split()[::-1])
    same, other = prints_of(blue.resize((200, 150))), prints_of(red)
    reference = prints_of(blue)
    assert reference.colours.shape == same.colours.shape == (2, 48)
    assert np.abs(reference.colours.astype(int) - same.colours).max() <= 4
    assert np.abs(reference.colours.astype(int) - other.colours).max() > 8
    hash_bytes, colours = reference.to_bytes()
    assert hash_bytes is not None and len(hash_bytes) == 32 and len(colours) == 96


def test_content_pixels_are_never_empty():
    values = pixels(scene(8, 20, 20))
    assert content_pixels(values, (0.999, 0.999, 1.0, 1.0)).shape == (1, 1, 3)
