import io

import numpy as np
import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from prodseek.duplicates.added import mark_odds
from prodseek.duplicates.better import which_is_better
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


@pytest.mark.parametrize("quality", [30, 60, 85])
def test_compression_takes_no_detail_but_the_original_is_told(quality):
    original = photo(seed=6)
    forth, back = beside(original, jpeg(original, quality))
    assert abs(forth.finer) < 0.15 and forth.added_side is forth.grey_side is None
    assert forth.cleaner < -1 and back.cleaner > 1


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 8, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))


def saved_as(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize(
    "edit",
    [
        noisy,
        lambda i: jpeg(noisy(i), 97),
        lambda i: i.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).convert("RGB"),
        lambda i: saved_as(i, "WEBP", quality=50),
        lambda i: jpeg(i, 90),
        lambda i: jpeg(i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 80),
        lambda i: i.filter(ImageFilter.UnsharpMask(2, 150, 0)),
        lambda i: jpeg(i.crop((0, 0, i.width - 5, i.height)).transpose(Image.Transpose.ROTATE_90), 92),
        lambda i: i.crop((0, 0, i.width - 5, i.height - 3)).transpose(Image.Transpose.ROTATE_180),
        lambda i: jpeg(i.crop((5, 3, i.width, i.height)), 92),
    ],
    ids=[
        *("noise", "noise and JPEG 97", "palette", "WebP", "JPEG 90", "mirrored", "sharpened"),
        *("turned", "upside down", "blocks moved"),
    ],
)
@pytest.mark.parametrize("seed", [11, 12])
def test_what_was_made_from_a_compressed_photo_is_not_the_original(seed, edit):
    original = jpeg(scene(seed, *SIZE), 70)
    forth, back = beside(original, edit(original))
    assert abs(forth.finer) < 0.15 and abs(back.finer) < 0.15
    assert forth.cleaner < -1 and back.cleaner > 1


@pytest.mark.parametrize("seed", [11, 12])
def test_nobody_says_that_a_tilted_photo_is_the_original(seed):
    """Its blocks are gone, because every pixel was made anew."""
    original = jpeg(scene(seed, *SIZE), 70)
    tilted = original.rotate(2, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
    forth, back = beside(original, jpeg(tilted, 95))
    assert forth.cleaner < 1 and back.cleaner > -1


@pytest.mark.parametrize("seed", [11, 12])
def test_a_poor_photo_that_was_saved_again_as_a_good_one_is_no_better(seed):
    original = jpeg(scene(seed, *SIZE), 10)
    forth, back = beside(original, jpeg(original, 98))
    assert forth.cleaner < 1 and back.cleaner > -1


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
    sepia = ImageOps.colorize(ImageOps.grayscale(original), (30, 18, 8), (255, 240, 205), (165, 130, 90))
    assert [one.grey_side for one in beside(original, sepia)] == ["b", "a"]
    paler = Image.blend(original, ImageOps.grayscale(original).convert("RGB"), 0.4)
    assert [one.grey_side for one in beside(original, paler)] == [None, None]


def test_a_mark_of_a_few_pixels_or_on_neither_photo_says_nothing():
    plane = np.asarray(scene(9, *SIZE), np.float32)
    mark = np.zeros(plane.shape[:2], bool)
    assert mark_odds(plane, plane, mark) == 0
    mark[100:150, 100:180] = True
    assert abs(mark_odds(plane, plane, mark)) < 1e-6
