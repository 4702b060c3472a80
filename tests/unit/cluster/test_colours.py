import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.colours import COLOUR_NAMES, colour_name, dominant_colour, tone_name


@pytest.mark.parametrize("name", COLOUR_NAMES)
def test_each_colour_is_called_by_its_name(name):
    assert colour_name(COLOUR_NAMES[name]) == name


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 250, 252), "white"),
        ((12, 12, 12), "black"),
        ((120, 125, 122), "grey"),
        ((150, 90, 45), "brown"),
        ((225, 30, 40), "red"),
    ],
)
def test_shades_are_called_as_people_say(rgb, name):
    assert colour_name(rgb) == name


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_colour_has_a_name(rgb):
    assert colour_name(rgb) in COLOUR_NAMES


def photo(ground, thing, share=0.5):
    pixels = np.full((40, 40, 3), ground, np.uint8)
    side = round(40 * share**0.5)
    start = (40 - side) // 2
    pixels[start : start + side, start : start + side] = thing
    return pixels


def test_the_thing_gives_the_colour_not_its_ground():
    assert dominant_colour(photo((255, 255, 255), (200, 20, 30), 0.3)) == (200, 20, 30)
    assert dominant_colour(photo((255, 255, 255), (200, 20, 30), 0.3), ignore_background=False) == (255, 255, 255)


def test_a_photo_of_one_colour_has_that_colour():
    assert dominant_colour(photo((10, 200, 30), (10, 200, 30))) == (10, 200, 30)


def test_one_pixel_has_a_colour():
    assert dominant_colour(np.full((1, 1, 3), 77, np.uint8)) == (77, 77, 77)


@pytest.mark.parametrize(
    ("rgb", "tone"),
    [((10, 10, 30), "dark"), ((60, 20, 20), "dark"), ((128, 128, 128), None), ((235, 220, 190), "light")],
)
def test_tones(rgb, tone):
    assert tone_name(rgb) == tone
