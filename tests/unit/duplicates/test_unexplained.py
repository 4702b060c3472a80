import math

import numpy as np
import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFont

from prodseek.duplicates.explained import Explanation, Faint, left_over
from prodseek.duplicates.grounds import grounds_of
from prodseek.duplicates.unexplained import marks_of, shape_of, structure_of

LEVELS = (0, 1, 2, 3)
FAINT = tuple(Faint(floor, 0.65) for floor in (7.5, 2.5, 1.5, 1.0))


def plane(image):
    return pixels(image).astype(np.float32)


def measured(a, b):
    """The mark that is left between two photos, its shape and the structure beside it, as a proof takes them."""
    source, target = plane(a), plane(b)
    where = np.ones(target.shape[:2], bool)
    grounds = grounds_of(source, target, where)
    predicted = Explanation(source, target, where & ~grounds.either).predicted()
    mark = marks_of(left_over(predicted, target, where, LEVELS, FAINT), where.shape)
    shape = shape_of(mark, predicted, target, grounds, int(where.sum()))
    return mark, shape, structure_of(predicted, target, where, mark)


def drawn(image, draw):
    image = image.copy()
    draw(ImageDraw.Draw(image))
    return image


def badged(image, place=(290, 15)):
    x, y = place
    return drawn(image, lambda d: d.rectangle((x, y, x + 50, y + 30), fill=(200, 20, 30)))


def lettered(image, text, place=(20, 110), size=28, fill=(30, 20, 90)):
    return drawn(image, lambda d: d.text(place, text, fill=fill, font=ImageFont.load_default(size=size)))


def watermarked(image, opacity=0.45):
    over = lettered(image, "SHOP.EXAMPLE", (90, 120), fill=(255, 255, 255))
    return Image.blend(image, over, opacity)


def test_without_a_difference_there_is_no_mark():
    mark, shape, structure = measured(packshot(2), jpeg(packshot(2), 90))
    assert not mark.any() and shape.pop("mark") == 0
    assert shape and all(math.isnan(value) for value in shape.values())
    assert structure["matching"] > 0.95 and structure["matching_beside"] > 0.95
    assert structure["cells_matching"] == 1 and structure["n_cells"] > 100


def test_a_badge_on_plain_ground_is_on_the_photo_that_has_it():
    original, marked = packshot(2), badged(packshot(2))
    mark, shape, _ = measured(original, jpeg(marked, 90))
    assert shape["mark_one_sided"] > 0.35
    # Coarse levels make it wider.
    assert 1 <= shape["mark"] * mark.size / (51 * 31) < 2
    assert measured(marked, original)[1]["mark_one_sided"] < -0.35


def test_letters_are_on_the_photo_that_has_them():
    plain = packshot(3)
    for marked in (lettered(plain, "SALE"), lettered(plain, "NEW IN STOCK", (10, 10))):
        assert measured(plain, marked)[1]["mark_one_sided"] > 0.35
        assert measured(marked, plain)[1]["mark_one_sided"] < -0.35


def test_other_letters_are_on_both():
    plain = drawn(packshot(4), lambda d: d.rectangle((100, 100, 260, 150), fill=(230, 230, 225)))
    _, shape, _ = measured(lettered(plain, "100 cm", (120, 105)), lettered(plain, "150 cm", (120, 105)))
    assert shape["mark"] > 0 and abs(shape["mark_one_sided"]) < 0.2
    # A letter that one has and the other has not is on one.
    _, shape, _ = measured(plain, lettered(plain, "150 cm", (120, 105)))
    assert shape["mark_one_sided"] > 0.35


def test_a_badge_beside_the_product_lies_on_the_ground_and_crosses_nothing():
    _, shape, _ = measured(packshot(5), badged(packshot(5)))
    assert shape["mark_on_ground"] > 0.95 and shape["mark_crosses"] == 0
    assert shape["mark_one_sided"] > 0.35


def test_a_banner_across_crosses_the_outline():
    banner = drawn(packshot(6), lambda d: d.rectangle((0, 120, 360, 145), fill=(20, 60, 160)))
    _, shape, _ = measured(packshot(6), banner)
    assert shape["mark_crosses"] > 0.9 and 0.2 < shape["mark_on_ground"] < 0.6
    assert shape["mark_at_border"] > 0.03


def test_a_patch_on_the_product_crosses_nothing():
    patch = drawn(packshot(7), lambda d: d.rectangle((140, 110, 200, 150), fill=(20, 60, 160)))
    _, shape, _ = measured(packshot(7), patch)
    assert shape["mark_crosses"] == 0 and shape["mark_on_ground"] < 0.05 and shape["mark_at_border"] == 0


def test_detail_shows_through_a_watermark_and_not_through_a_patch():
    marked = watermarked(scene(8))
    assert measured(scene(8), marked)[1]["mark_correlation"] > 0.6
    patch = scene(8)
    patch.paste(scene(9).crop((0, 0, 60, 40)), (140, 110))
    assert measured(scene(8), patch)[1]["mark_correlation"] < 0.5


def test_letters_have_one_ink_and_a_picture_has_many():
    plain = packshot(9)
    letters = measured(plain, lettered(plain, "SALE", (10, 200), 40))[1]
    assert letters["mark_ink"] > 0.6
    picture = plain.copy()
    picture.paste(scene(10).crop((0, 0, 80, 60)), (5, 5))
    assert measured(plain, picture)[1]["mark_ink"] < 0.5
    # Beneath is the plain ground, whichever of the two comes first.
    for shape in (measured(plain, picture)[1], measured(picture, plain)[1]):
        assert shape["mark_ink_beneath"] > 0.95


def test_thick_marks_are_told_from_thin_ones():
    source, target = plane(packshot(11)), plane(badged(packshot(11)))
    grounds = grounds_of(source, target, np.ones(target.shape[:2], bool))
    thick, thin = np.zeros(target.shape[:2], bool), np.zeros(target.shape[:2], bool)
    thick[15:46, 290:341] = True
    thin[20:24, 10:350] = True
    assert shape_of(thick, source, target, grounds, thick.size)["mark_thick"] > 0.7
    assert shape_of(thin, source, target, grounds, thin.size)["mark_thick"] == 0


def test_parts_are_counted_and_boxed():
    one = badged(packshot(12))
    two = badged(one, (5, 220))
    of_one, of_two = (measured(packshot(12), marked)[1] for marked in (one, two))
    assert of_one["mark_parts"] == 1 and of_two["mark_parts"] == 2
    assert of_two["mark_largest"] == pytest.approx(of_one["mark_largest"], rel=0.1)
    assert of_two["mark"] == pytest.approx(2 * of_one["mark"], rel=0.1)
    assert of_one["mark_box"] < 0.03 and of_two["mark_box"] > 0.5


def test_beside_a_mark_everything_agrees():
    _, _, structure = measured(scene(13), badged(scene(13), (100, 100)))
    assert structure["matching_beside"] > 0.98 > structure["matching"]
    assert 0.9 < structure["cells_matching"] < 1


def test_unlike_photos_agree_nowhere():
    source, target = plane(scene(14)), plane(scene(15))
    where = np.ones(target.shape[:2], bool)
    structure = structure_of(source, target, where, ~where)
    assert structure["structured"] > 0.8
    assert structure["matching"] < 0.1 and structure["matching_beside"] < 0.1 and structure["cells_matching"] < 0.05


def test_flat_photos_have_no_structure():
    flat = np.full((60, 80, 3), 200, np.float32)
    where = np.ones((60, 80), bool)
    assert structure_of(flat, flat, where, ~where) == {
        "structured": 0, "matching": 0, "matching_beside": 0, "n_cells": 0, "cells_matching": 0
    }  # fmt: skip


def test_marks_of_all_levels_are_put_together():
    source, target = plane(packshot(16)), plane(badged(packshot(16)))
    where = np.ones(target.shape[:2], bool)
    left = left_over(source, target, where, LEVELS, FAINT)
    assert set(left) == set(LEVELS)
    mark = marks_of(left, where.shape)
    assert mark.shape == where.shape
    assert (mark | ~left[0].mask).all()
    assert not marks_of({}, where.shape).any()
