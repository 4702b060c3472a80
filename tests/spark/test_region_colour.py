"""The colour of what is in a box is that of the object, not that of the wall behind it; or it is not told."""

import numpy as np
import pytest

from prodseek.cluster.colours import colour_name
from prodseek.photos.decode import DecodedImage
from prodseek.spark.region_colour import region_colour

THINGS = {"orange": (240, 130, 10), "blue": (40, 80, 200), "red": (215, 25, 30), "green": (40, 140, 50)}
WALLS = {"grey": (130, 130, 132), "beige": (232, 218, 190), "light blue": (150, 190, 230), "brown": (139, 85, 40)}
LAMP = (60.0, 50.0, 150.0, 180.0)


def room(wall, thing, seed=0):
    """A lamp before a wall with a floor and a window, so that no ground is plain; and noise as of a camera."""
    rng = np.random.default_rng(seed)
    pixels = np.full((208, 208, 3), wall, np.float64)
    pixels[170:] = (90, 60, 45)
    pixels[10:60, :50] = (225, 235, 245)
    y, x = np.mgrid[:208, :208]
    shade = (np.abs(x - 105) < 12 + (y - 50) * 0.45) & (y >= 52) & (y < 120)
    stand = (np.abs(x - 105) < 8) & (y >= 120) & (y < 178)
    pixels[shade | stand] = thing
    pixels *= np.linspace(1.05, 0.85, 208)[None, :, None]
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def photo(pixels):
    return DecodedImage(pixels, pixels.shape[1], pixels.shape[0], "JPEG")


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("thing", THINGS)
def test_a_lamp_before_a_wall_has_its_own_colour(thing, wall):
    assert colour_name(region_colour(photo(room(WALLS[wall], THINGS[thing])), LAMP)).split()[-1] == thing


def test_grey_lamp_before_an_orange_wall_is_grey():
    assert "grey" in colour_name(region_colour(photo(room(THINGS["orange"], (128, 128, 128))), LAMP))


def test_a_whole_room_has_no_colour():
    assert region_colour(photo(room(WALLS["beige"], THINGS["orange"])), (0, 0, 208, 208)) is None


def test_a_swatch_that_fills_its_photo_has_a_colour():
    assert (
        colour_name(region_colour(photo(np.full((120, 160, 3), (40, 140, 50), np.uint8)), (0, 0, 160, 120))) == "green"
    )


def test_on_a_plain_ground_the_ground_is_no_colour_of_the_thing():
    pixels = np.full((208, 208, 3), 250, np.uint8)
    pixels[60:150, 80:120] = (215, 25, 30)
    assert colour_name(region_colour(photo(pixels), (80, 60, 120, 150))) == "red"


def test_the_size_of_the_photo_changes_nothing_but_shades():
    small = room(WALLS["grey"], THINGS["orange"])
    large = np.repeat(np.repeat(small, 3, axis=0), 3, axis=1)
    box = tuple(3 * edge for edge in LAMP)
    assert colour_name(region_colour(photo(large), box)) == colour_name(region_colour(photo(small), LAMP))


def test_the_same_photo_has_the_same_colour_again():
    pixels = room(WALLS["beige"], THINGS["red"])
    assert region_colour(photo(pixels), LAMP) == region_colour(photo(pixels.copy()), LAMP)


def test_a_box_of_one_pixel_has_none():
    assert region_colour(photo(room(WALLS["grey"], THINGS["red"])), (5, 5, 6, 6)) is None
