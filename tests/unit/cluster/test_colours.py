import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.colours import (
    COLOUR_NAMES,
    colour_name,
    english_colour,
    is_colour_word,
    may_look,
    middle_colour,
    object_colour,
    only_colour,
    tone_name,
)


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


@pytest.mark.parametrize(
    ("word", "name"),
    [
        *(("Navy", "navy"), ("gray", "grey"), ("schwarzer", "black"), ("weiße", "white"), ("bianchi", "white")),
        *(
            ("azules", "blue"),
            ("groene", "green"),
            ("marron", "brown"),
            ("rose", None),
            ("dark", None),
            ("Stuhl", None),
        ),
    ],
)
def test_colours_have_names_in_other_languages(word, name):
    assert english_colour(word) == name
    assert is_colour_word(word) == (name is not None or word == "dark")


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("Blue", "blue"),
        ("  light   GREY ", "light grey"),
        ("Navy Blue", "navy"),
        ("Weiß matt", "white"),
        ("azul marino", "blue"),
        ("03-Schwarz", "black"),
        ("Black/White", None),
        ("multi", None),
        ("Walnut", None),
        ("", None),
    ],
)
def test_what_a_column_of_colours_says(text, colour):
    assert only_colour(text) == colour


@pytest.mark.parametrize("name", COLOUR_NAMES)
def test_every_colour_may_look_as_it_is_called(name):
    assert may_look(name, COLOUR_NAMES[name])


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        *(("white", (205, 170, 125)), ("white", (200, 205, 212)), ("black", (50, 50, 55)), ("black", (90, 90, 92))),
        *(("blue", (90, 110, 140)), ("blue", (30, 35, 50)), ("navy", (35, 40, 60)), ("green", (110, 120, 70))),
        *(("red", (120, 20, 25)), ("pink", (230, 190, 200)), ("brown", (60, 40, 30)), ("yellow", (240, 200, 60))),
    ],
)
def test_light_makes_a_colour_look_otherwise(name, seen):
    assert may_look(name, seen)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        *(("black", (240, 120, 30)), ("white", (40, 80, 200)), ("white", (110, 110, 112)), ("grey", (60, 120, 40))),
        *(("red", (139, 85, 40)), ("red", (205, 170, 125)), ("brown", (238, 236, 230)), ("purple", (240, 240, 238))),
        *(("yellow", (40, 80, 200)), ("black", (245, 245, 245)), ("blue", (128, 128, 128))),
    ],
)
def test_no_light_makes_one_colour_another(name, seen):
    assert not may_look(name, seen)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_colour_has_a_name(rgb):
    assert colour_name(rgb) in COLOUR_NAMES


def photo(ground, thing, share=0.5):
    """A square thing on a ground, (200, 200, 3), and where it is."""
    pixels = np.full((200, 200, 3), ground, np.uint8)
    side = round(200 * share**0.5)
    start = (200 - side) // 2
    mask = np.zeros((200, 200), bool)
    mask[start : start + side, start : start + side] = True
    pixels[mask] = thing
    return pixels, mask


def test_the_thing_gives_the_colour():
    assert object_colour(*photo((255, 255, 255), (200, 20, 30))) == (200, 20, 30)


def test_a_shadow_in_the_mask_is_not_the_thing():
    pixels, mask = photo((240, 240, 240), (30, 60, 200))
    pixels[100:][mask[100:]] = (200, 200, 200)
    assert object_colour(pixels, mask) == (30, 60, 200)


def test_a_grey_thing_before_a_lighter_wall_is_not_its_shadow():
    assert object_colour(*photo((240, 240, 240), (190, 190, 190))) == (190, 190, 190)


def test_skin_beside_a_shirt_is_not_its_colour_and_wood_alone_is():
    pixels, mask = photo((255, 255, 255), (30, 120, 60))
    pixels[:110][mask[:110]] = (205, 160, 130)
    assert object_colour(pixels, mask) == (30, 120, 60)
    assert object_colour(*photo((255, 255, 255), (205, 160, 130))) == (205, 160, 130)


def test_shades_of_one_surface_are_one_colour():
    pixels, mask = photo((255, 255, 255), (0, 0, 0))
    pixels[mask] = np.linspace(0.45, 1, int(mask.sum()))[:, None] * [230, 120, 10]
    assert colour_name(object_colour(pixels, mask)) == "orange"


def test_a_thing_of_several_colours_has_none():
    pixels, mask = photo((255, 255, 255), (200, 20, 30))
    pixels[:, :90][mask[:, :90]] = (30, 60, 200)
    pixels[:, 110:][mask[:, 110:]] = (20, 140, 50)
    assert object_colour(pixels, mask) is None


GROUNDS = [(60, 100, 200), (70, 160, 80), (200, 50, 50), (165, 115, 70), (25, 25, 25), (150, 150, 150)]
GROUND_IDS = ["blue", "green", "red", "wooden", "black", "grey"]


@pytest.mark.parametrize("ground", GROUNDS, ids=GROUND_IDS)
@pytest.mark.parametrize("thing", [(220, 20, 30), (245, 245, 245), (255, 215, 0), (10, 10, 90)])
def test_a_thing_on_a_ground_of_another_colour_has_its_own(ground, thing):
    found = object_colour(*photo(ground, thing))
    assert found is None or colour_name(found).split()[-1] == colour_name(thing).split()[-1]
    assert found is not None or colour_name(ground).split()[-1] == colour_name(thing).split()[-1]


@pytest.mark.parametrize("ground", GROUNDS, ids=GROUND_IDS)
def test_a_thing_of_the_grounds_colour_is_not_called_by_its_trim(ground):
    """What is left of it may be its shadow, so nothing is told."""
    pixels, mask = photo(ground, ground)
    pixels[:90][mask[:90]] = (250, 250, 250) if max(ground) < 250 else (20, 20, 20)
    assert object_colour(pixels, mask) is None


def test_what_is_left_of_a_thing_that_the_ground_runs_through_tells_nothing():
    pixels, mask = photo((60, 100, 200), (60, 100, 200))
    mask[38:162, 38:162] = False
    pixels[mask] = (30, 30, 30)
    on_white = np.where(mask[..., None], pixels, 255).astype(np.uint8)
    assert object_colour(pixels, mask) is None
    assert colour_name(object_colour(on_white, mask)) == "black", "a ring on white is a ring"


def test_of_a_few_pixels_no_colour_is_told():
    pixels, mask = photo((255, 255, 255), (200, 20, 30), 0.0001)
    assert object_colour(pixels, mask) is None


def test_a_photo_of_one_colour_has_that_colour_and_one_of_two_has_none():
    pixels = np.full((40, 40, 3), (10, 200, 30), np.uint8)
    assert middle_colour(pixels) == (10, 200, 30)
    pixels[20:] = (200, 30, 10)
    assert middle_colour(pixels) is None


@pytest.mark.parametrize(
    ("shade", "name"),
    [((200, 115, 5), "orange"), ((115, 12, 20), "dark red"), ((30, 60, 150), "blue"), ((60, 62, 64), "dark grey")],
)
def test_a_colour_in_shade_keeps_its_hue(shade, name):
    assert colour_name(shade) == name


@pytest.mark.parametrize(
    ("rgb", "tone"),
    [((10, 10, 30), "dark"), ((60, 20, 20), "dark"), ((128, 128, 128), None), ((235, 220, 190), "light")],
)
def test_tones(rgb, tone):
    assert tone_name(rgb) == tone
