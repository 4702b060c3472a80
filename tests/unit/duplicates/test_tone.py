import math

import numpy as np
import pytest
from made_photos import packshot, pixels, scene
from PIL import ImageDraw

from prodseek.duplicates.explained import Explanation
from prodseek.duplicates.grounds import colour_difference, grounds_of
from prodseek.duplicates.planes import LUMA
from prodseek.duplicates.tone import tone_of
from prodseek.photos.colour import ciede2000, rgb_to_lab

WIDER = ((0.1, 0.15), (0.9, 0.2), (0.85, 0.88), (0.15, 0.8))


def plane(image):
    return pixels(image).astype(np.float32)


def everywhere(photo):
    return np.ones(photo.shape[:2], bool)


def grounds_between(a, b):
    return grounds_of(a, b, everywhere(a))


def toned(source, target):
    """The numbers of tone as a proof takes them."""
    grounds = grounds_between(source, target)
    product = ~grounds.ground
    explanation = Explanation(source, target, product)
    expected = (explanation.toned(grounds.colour_a), grounds.colour_b) if grounds.plain else None
    return tone_of(source, explanation.predicted(), target, product, explanation.toned, expected)


@pytest.mark.parametrize("ground", [(255, 255, 255), (128, 128, 128), (10, 60, 200), (240, 238, 230)])
def test_a_plain_ground_is_found_whatever_its_colour(ground):
    photo = plane(packshot(1, ground=ground))
    grounds = grounds_between(photo, photo)
    assert grounds.plain and grounds.change == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(grounds.colour_a, ground, atol=1)
    truth = (photo == np.array(ground)).all(axis=2)
    assert (grounds.ground == truth).mean() > 0.98
    np.testing.assert_array_equal(grounds.ground, grounds.either)


def test_a_scene_has_no_plain_ground():
    grounds = grounds_between(plane(scene(2)), plane(scene(2)))
    assert not grounds.plain and not grounds.ground.any() and not grounds.either.any()
    assert math.isnan(grounds.change) and math.isnan(grounds.outline_change(everywhere(plane(scene(2)))))


def test_both_grounds_must_be_plain():
    for a, b in ((scene(2), packshot(2)), (packshot(2), scene(2))):
        assert not grounds_between(plane(a), plane(b)).plain


def test_what_has_the_ground_s_colour_but_lies_within_the_product_is_no_ground():
    photo = plane(packshot(3))
    photo[120:150, 160:200] = 255
    assert not grounds_between(photo, photo).ground[130:140, 170:190].any()


def test_a_ground_that_was_replaced_is_measured():
    white, grey = plane(packshot(4)), plane(packshot(4, ground=(205, 208, 210)))
    grounds = grounds_between(white, grey)
    expected = ciede2000(rgb_to_lab(np.full(3, 255.0)), rgb_to_lab(np.array([205.0, 208.0, 210.0])))
    assert grounds.plain and grounds.change == pytest.approx(float(expected), abs=0.5)
    assert grounds.outline_change(everywhere(white)) < 0.005


def test_another_outline_on_another_ground_is_seen():
    one = plane(packshot(5))
    for other in (packshot(5, outline=WIDER), packshot(5, ground=(200, 200, 205), outline=WIDER)):
        for grounds in (grounds_between(one, plane(other)), grounds_between(plane(other), one)):
            assert grounds.outline_change(everywhere(one)) > 0.1


def test_only_the_compared_part_has_ground():
    photo = plane(packshot(6))
    inside = everywhere(photo)
    inside[:, :180] = False
    assert not grounds_of(photo, photo, inside).ground[:, :180].any()


def test_an_equal_photo_has_an_equal_tone():
    numbers = toned(plane(packshot(7)), plane(packshot(7)))
    for name in ("ground_missed", "tone_change", "light_change", "colour_left", "colour_left_most"):
        assert numbers[name] == pytest.approx(0, abs=0.1)
    assert numbers["chroma_low"] == numbers["chroma_high"] > 10


def test_a_darkened_photo_takes_its_ground_along():
    light = plane(packshot(8))
    numbers = toned(light, 0.7 * light)
    assert numbers["tone_change"] > 8 and numbers["light_change"] > 8
    assert numbers["ground_missed"] < 3 and numbers["colour_left"] < 1


def test_a_darker_product_on_the_same_ground_does_not():
    light = plane(packshot(8))
    product = (light < 255).any(axis=2)[..., None]
    numbers = toned(light, np.where(product, 0.7 * light, light))
    assert numbers["tone_change"] > 8
    assert numbers["ground_missed"] > 15


def test_another_colour_of_the_product_does_not_move_the_ground():
    one = plane(packshot(9))
    grey = (one @ LUMA)[..., None]
    ground = (one == 255).all(axis=2)[..., None]
    blue, green = (
        np.where(ground, 255, grey * np.array(tint, np.float32)) for tint in ((0.5, 0.8, 1.2), (0.6, 1.1, 0.6))
    )
    numbers = toned(np.float32(blue), np.float32(green))
    assert numbers["tone_change"] > 20
    assert grounds_between(np.float32(blue), np.float32(green)).change < 0.5
    assert numbers["ground_missed"] > 5
    assert numbers["hue_spread"] < 0.05


def test_a_part_of_another_colour_is_left():
    one = plane(packshot(10))
    part = one.copy()
    part[110:150, 150:200] *= np.array([1.3, 0.7, 0.6], np.float32)
    numbers = toned(one, np.clip(part, 0, 255))
    assert numbers["colour_left_most"] > 10 > 2 > numbers["colour_left"]


def test_a_grey_copy_has_lost_several_hues_but_no_light():
    colourful = plane(packshot(11))
    grey = np.repeat((colourful @ LUMA)[..., None], 3, axis=2)
    numbers = toned(colourful, grey)
    assert numbers["chroma_low"] < 1 < 10 < numbers["chroma_high"]
    assert numbers["hue_spread"] > 0.1 and numbers["light_change"] < 2


def test_without_a_ground_nothing_is_said_of_it():
    assert math.isnan(toned(plane(scene(12)), 0.8 * plane(scene(12)))["ground_missed"])


def test_the_difference_of_two_colours_is_ciede2000():
    a, b = np.array([200, 40, 60], np.float32), np.array([180, 60, 60], np.float32)
    assert colour_difference(a, a) == 0
    assert (
        colour_difference(a, b)
        == colour_difference(b, a)
        == pytest.approx(float(ciede2000(rgb_to_lab(a), rgb_to_lab(b))))
    )


def test_small_products_have_a_tone_too():
    photo = plane(packshot(13, 40, 30))
    product = np.zeros(photo.shape[:2], bool)
    product[10:13, 10:13] = True
    numbers = tone_of(photo, photo, photo, product, lambda colour: colour, None)
    assert numbers["tone_change"] == 0 and math.isfinite(numbers["chroma_high"])


def on_ground(colour, *parts):
    """A thing on a ground; parts: boxes and colours of what stands out of it."""
    photo = packshot(14, 320, 320, ground=colour)
    for box, fill in parts:
        ImageDraw.Draw(photo).rectangle(box, fill=fill)
    return plane(photo)


WHITE, OFF_WHITE = (255, 255, 255), (246, 246, 243)
CAP, PALE_CAP = (((150, 20), (170, 45)), (60, 60, 60)), (((150, 20), (170, 45)), (238, 238, 235))


@pytest.mark.parametrize("part", [CAP, PALE_CAP], ids=["a dark cap", "a pale cap"])
def test_a_part_that_one_photo_alone_shows_on_its_ground_is_found_whatever_the_ground(part):
    for ground in (WHITE, OFF_WHITE):
        one, other = on_ground(WHITE, part), on_ground(ground)
        grounds = grounds_between(one, other)
        assert grounds.outline_part_px(one, other, np.ones(one.shape[:2], bool)) > 50


def test_another_ground_alone_is_no_other_part():
    one, other = on_ground(WHITE, CAP), on_ground(OFF_WHITE, CAP)
    grounds = grounds_between(one, other)
    assert grounds.outline_part_px(one, other, np.ones(one.shape[:2], bool)) == 0
    scenes = plane(scene(12)), plane(scene(13))
    assert math.isnan(grounds_between(*scenes).outline_part_px(*scenes, np.ones(scenes[0].shape[:2], bool)))
