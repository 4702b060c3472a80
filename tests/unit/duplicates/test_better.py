import numpy as np
import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from prodseek.duplicates.better import blocking, mark_odds, which_is_better
from prodseek.duplicates.proof import prove
from prodseek.duplicates.verdicts import margin_side
from prodseek.duplicates.verification import compare_views, view

SIZE = (480, 360)


def photo(kind=scene, seed=1):
    return jpeg(kind(seed, *SIZE), 95)


def drawn(image, draw):
    image = image.copy()
    draw(ImageDraw.Draw(image))
    return image


def padded(image, colour):
    canvas = Image.new("RGB", (image.width + 120, image.height + 80), colour)
    canvas.paste(image, (60, 40))
    return canvas


def lettered(image):
    return drawn(
        image, lambda d: d.text((120, 150), "SALE 50 %", fill=(250, 230, 20), font=ImageFont.load_default(size=44))
    )


def badged(image):
    return drawn(image, lambda d: d.rectangle((20, 15, 130, 75), fill=(200, 20, 30)))


def bannered(image):
    return drawn(image, lambda d: d.rectangle((0, 290, 480, 340), fill=(20, 30, 60)))


def beside(a, b):
    """What the second photo is beside the first, and the other way round."""
    found = []
    for one, other in ((a, b), (b, a)):
        photos = pixels(one), pixels(other)
        comparison = compare_views(view(photos[0]), view(photos[1]))
        proof = prove(*photos, comparison, lambda photos=photos: photos)
        found.append(which_is_better(*photos, comparison, proof, margin_side(proof)))
    return found


@pytest.mark.parametrize("add", [lettered, badged, bannered])
@pytest.mark.parametrize("kind", [scene, packshot])
def test_what_was_laid_on_a_photo_is_on_its_side(kind, add):
    original = photo(kind)
    forth, back = beside(original, jpeg(add(original), 92))
    assert forth.added_side == "b" and back.added_side == "a"
    assert abs(forth.finer) < 0.15 and abs(back.finer) < 0.15


def test_a_margin_of_another_colour_is_added_however_clean_it_is():
    original = jpeg(scene(4, *SIZE), 60)
    forth, back = beside(original, padded(original, (255, 255, 255)))
    assert (forth.added_side, back.added_side) == ("b", "a")


@pytest.mark.parametrize("radius", [1.5, 3])
def test_a_blurred_photo_has_less_detail(radius):
    original = photo(seed=5)
    forth, back = beside(original, jpeg(original.filter(ImageFilter.GaussianBlur(radius)), 92))
    assert forth.finer < -0.4 and back.finer > 0.4


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_takes_no_detail_but_leaves_blocks(quality):
    original = photo(seed=6)
    forth, back = beside(original, jpeg(original, quality))
    assert abs(forth.finer) < 0.15 and forth.added_side is forth.grey_side is None
    assert forth.cleaner == pytest.approx(-back.cleaner, abs=0.05)
    assert forth.cleaner < (-0.5 if quality < 90 else 0.15)


@pytest.mark.parametrize(
    "worse", [lambda i: i.resize((450, 340), Image.Resampling.LANCZOS), lambda i: i.resize((1800, 1360))]
)
def test_neither_a_smaller_nor_an_enlarged_photo_is_finer(worse):
    original = jpeg(scene(7, 900, 680, 0.2), 95)
    forth, back = beside(original, jpeg(worse(original), 92))
    assert forth.finer < -0.15 and back.finer > 0.15


def test_the_photo_without_colours_is_named_and_a_paler_one_is_not():
    original = photo(packshot, 8)
    assert [one.grey_side for one in beside(original, ImageOps.grayscale(original).convert("RGB"))] == ["b", "a"]
    paler = Image.blend(original, ImageOps.grayscale(original).convert("RGB"), 0.4)
    assert [one.grey_side for one in beside(original, paler)] == [None, None]


def test_a_mark_of_a_few_pixels_or_on_neither_photo_says_nothing():
    plane = np.asarray(scene(9, *SIZE), np.float32)
    mark = np.zeros(plane.shape[:2], bool)
    assert mark_odds(plane, plane, mark) == 0
    mark[100:150, 100:180] = True
    assert abs(mark_odds(plane, plane, mark)) < 1e-6


def test_blocks_are_found_on_the_grid_of_the_whole_file():
    compressed = pixels(jpeg(scene(10, *SIZE), 10))
    part = np.array([(101, 51), (301, 51), (301, 251), (101, 251)], np.float32)
    assert blocking(compressed, part) > 1
    # Cut off at another place, the same pixels have their blocks elsewhere.
    assert blocking(compressed[3:, 5:], part) < 0.3
    assert blocking(pixels(scene(10, *SIZE)), part) < 0.3
