import math
from io import BytesIO

import cv2
import numpy as np
import pytest
from made_photos import packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFont

from prodseek.duplicates.geometry import inverse
from prodseek.duplicates.overlap import overlap_of

WHOLE = np.array([[1.0, 0, 0], [0, 1.0, 0]])
# log2 of a step beside which a picture goes on.
SEAM = 0.58


def moved(x, y, scale=1.0):
    """The matrix of a photo that lies scale times as large in another, with its corner at (x, y)."""
    return np.column_stack([scale * np.eye(2), np.array([x, y]) + (scale - 1) / 2])


def pasted(image, onto, place, scale=1.0):
    onto = onto.copy()
    size = (round(image.width * scale), round(image.height * scale))
    onto.paste(image.resize(size, Image.Resampling.LANCZOS), place)
    return onto


def both_ways(a, b, matrix):
    """The overlap, and that of the same two photos in the other order."""
    a, b = pixels(a), pixels(b)
    return overlap_of(a, b, matrix), overlap_of(b, a, inverse(matrix))


def assert_swapped(one, other):
    for side, same in ((one.a, other.b), (one.b, other.a)):
        for name, value in vars(side).items():
            assert getattr(same, name) == pytest.approx(value, abs=1e-6, nan_ok=True)
    assert one.values() == pytest.approx(other.values(), abs=1e-5, nan_ok=True)


def test_equal_photos_share_all():
    overlap = overlap_of(pixels(scene(1)), pixels(scene(1)), WHOLE)
    for side in (overlap.a, overlap.b):
        assert side.area == 1 and side.content == 1 and side.spans == pytest.approx(1)
        assert side.inner_edge == 0
        assert math.isnan(side.plain) and math.isnan(side.crossing) and math.isnan(side.seam)
    assert overlap.values()["stretch"] == overlap.tilt == overlap.mirrored == overlap.scale == 0


def test_a_crop_cuts_through_things_and_leaves_no_seam():
    photo = scene(2)
    overlap, other = both_ways(photo, photo.crop((60, 50, 300, 230)), moved(-60, -50))
    assert overlap.a.area == pytest.approx(240 * 180 / (360 * 270), rel=0.02)
    assert overlap.a.crossing > 0.1 and overlap.a.seam < 0.2
    assert overlap.a.inner_edge == 1 and 0.5 < overlap.a.spans < 0.75
    assert overlap.a.plain < 0.5 and 0.2 < overlap.a.content < 0.7
    assert overlap.b.area == pytest.approx(1, abs=0.01) and overlap.b.content == 1 and math.isnan(overlap.b.crossing)
    assert_swapped(overlap, other)


def test_a_set_shows_one_thing_twice_and_a_crop_does_not():
    one = packshot(11, 240, 240)
    two = pasted(one, pasted(one, Image.new("RGB", (480, 240), (255, 255, 255)), (0, 0)), (240, 0))
    overlap, other = both_ways(one, two, WHOLE)
    assert overlap.b.repeats > 0.95 and overlap.a.repeats == 0
    assert_swapped(overlap, other)
    photo = scene(2)
    cut, _ = both_ways(photo, photo.crop((60, 50, 300, 230)), moved(-60, -50))
    assert cut.a.repeats < 0.6


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (40, 60, 120)])
def test_a_margin_is_plain_and_without_content(colour):
    photo = scene(3)
    wide = pasted(photo, Image.new("RGB", (500, 400), colour), (50, 80))
    overlap, other = both_ways(photo, wide, moved(50, 80))
    assert overlap.b.plain == 1 and overlap.b.content > 0.95
    assert overlap.b.area == pytest.approx(360 * 270 / (500 * 400), rel=0.02)
    assert overlap.b.crossing < 0.1
    assert overlap.a.area == pytest.approx(1, abs=0.01)
    assert_swapped(overlap, other)


def test_more_of_the_same_ground_is_a_margin_without_a_seam():
    photo = packshot(4)
    wide = pasted(photo, Image.new("RGB", (500, 400), (255, 255, 255)), (50, 80))
    overlap, _ = both_ways(photo, wide, moved(50, 80))
    assert overlap.b.plain == 1 and overlap.b.seam == pytest.approx(0, abs=0.05) and overlap.b.crossing == 0


def captioned(canvas: Image.Image) -> Image.Image:
    ImageDraw.Draw(canvas).text((200, 320), "Set of 6", fill=(40, 40, 40), font=ImageFont.load_default(size=10))
    return canvas


def with_cup(canvas: Image.Image) -> Image.Image:
    ImageDraw.Draw(canvas).ellipse((390, 250, 460, 330), fill=(244, 244, 244))
    return canvas


def saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("colour", [(255, 255, 255), (40, 60, 120)])
@pytest.mark.parametrize("box", [(0, 50, 360, 230), (60, 0, 300, 270), (0, 0, 360, 200)])
def test_a_crop_of_a_photo_with_a_margin_goes_on_where_it_was_cut(box, colour):
    photo = scene(2)
    wide = pasted(photo, Image.new("RGB", (500, 400), colour), (50, 80))
    overlap, other = both_ways(photo.crop(box), wide, moved(50 + box[0], 80 + box[1]))
    assert overlap.b.seam < 0.3 and overlap.b.crossing > 0.1 and overlap.b.continues > 0.4
    assert_swapped(overlap, other)


def test_a_photo_pasted_beside_text_on_a_plain_page_has_a_seam_beside_the_text_too():
    page = pasted(scene(2), Image.new("RGB", (500, 500), (255, 255, 255)), (70, 60))
    ImageDraw.Draw(page).text((80, 338), "A line\nof text", fill=(0, 0, 0), font=ImageFont.load_default(size=60))
    overlap, other = both_ways(scene(2), page, moved(70, 60))
    assert overlap.b.seam > SEAM
    assert_swapped(overlap, other)


@pytest.mark.parametrize("thing", [captioned, with_cup], ids=["a caption", "a white cup"])
@pytest.mark.parametrize("quality", [95, 40])
def test_what_lies_in_a_margin_has_an_outline_however_pale(thing, quality):
    photo = packshot(4)
    wide = pasted(photo, Image.new("RGB", (500, 400), (255, 255, 255)), (20, 20))
    empty, _ = both_ways(photo, saved(wide, quality), moved(20, 20))
    assert empty.b.thing_px == empty.b.alone_px == empty.a.thing_px == 0
    overlap, other = both_ways(photo, saved(thing(wide), quality), moved(20, 20))
    assert overlap.b.thing_px > 60 and overlap.b.content > 0.97
    assert_swapped(overlap, other)


def test_what_goes_on_beyond_a_cut_does_not_lie_alone():
    ball = Image.new("RGB", (400, 300), (255, 255, 255))
    ImageDraw.Draw(ball).ellipse((100, 50, 300, 250), fill=(90, 120, 60))
    cut, _ = both_ways(ball, ball.crop((0, 0, 400, 150)), WHOLE)
    assert cut.a.thing_px > 100 and cut.a.alone_px == 0
    ImageDraw.Draw(ball).ellipse((340, 220, 380, 260), fill=(240, 240, 240))
    beside, _ = both_ways(ball, ball.crop((0, 0, 400, 150)), WHOLE)
    assert beside.a.alone_px > 60


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_paste_has_a_seam(scale):
    room = pasted(scene(5), scene(6, 800, 600), (150, 120), scale)
    overlap, other = both_ways(scene(5), room, moved(150, 120, scale))
    assert overlap.b.seam > 0.2 and overlap.b.plain < 0.8
    assert overlap.b.area == pytest.approx(scale**2 * 360 * 270 / (800 * 600), rel=0.03)
    assert overlap.scale == pytest.approx(math.log2(scale)) and other.scale == pytest.approx(-math.log2(scale))
    assert_swapped(overlap, other)


def test_a_paste_into_a_quiet_scene_has_a_strong_seam():
    ramp = np.repeat(np.linspace(60, 200, 800, dtype=np.float32)[None], 600, axis=0)
    quiet = Image.fromarray(np.uint8(np.repeat(ramp[..., None], 3, axis=2)))
    overlap, _ = both_ways(packshot(7), pasted(packshot(7), quiet, (150, 120)), moved(150, 120))
    assert overlap.b.seam > SEAM and overlap.b.plain < 0.9


def test_between_bars_the_photo_takes_the_whole_width():
    screen = Image.new("RGB", (360, 400), (20, 20, 24))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, 360, 65), fill=(245, 245, 250))
    draw.text((10, 20), "12:41   Things that we sell", fill=(20, 20, 20), font=ImageFont.load_default(size=20))
    overlap, _ = both_ways(scene(8), pasted(scene(8), screen, (0, 65)), moved(0, 65))
    assert overlap.b.spans == pytest.approx(1, abs=0.01) and overlap.b.area < 0.7
    assert 0 < overlap.b.inner_edge < 1 and overlap.b.plain < 0.9
    assert overlap.b.seam > SEAM


def test_one_of_a_set_is_cut_out_without_crossing_anything():
    two = Image.new("RGB", (720, 270), (255, 255, 255))
    two.paste(packshot(9), (0, 0))
    two.paste(packshot(10), (360, 0))
    overlap, _ = both_ways(packshot(9), two, moved(0, 0))
    assert overlap.b.crossing == 0
    assert 0.3 < overlap.b.content < 0.7


def test_stretch_tilt_and_mirroring_are_in_the_matrix():
    photo = pixels(scene(11))
    stretched = overlap_of(photo, np.asarray(cv2.resize(photo, (720, 270))), np.array([[2.0, 0, 0.5], [0, 1, 0]]))
    assert stretched.stretch == pytest.approx(1) and stretched.scale == pytest.approx(0.5)
    turn = cv2.getRotationMatrix2D((179.5, 134.5), 5, 1.0)
    assert overlap_of(photo, cv2.warpAffine(photo, turn, (360, 270)), turn).tilt == pytest.approx(5)
    quarter = np.array([[0.0, -1, 269], [1, 0, 0]])
    assert overlap_of(photo, np.rot90(photo, -1), quarter).tilt == pytest.approx(0, abs=1e-9)
    mirror = np.array([[-1.0, 0, 359], [0, 1, 0]])
    assert overlap_of(photo, photo[:, ::-1], mirror).mirrored == 1
    assert overlap_of(photo, photo, WHOLE).mirrored == 0


def test_of_a_stretched_pair_the_values_do_not_depend_on_the_order():
    photo = scene(12)
    overlap, other = both_ways(photo, photo.resize((500, 270)), np.array([[500 / 360, 0, 0.2], [0, 1, 0]]))
    assert overlap.stretch == pytest.approx(-other.stretch)
    assert overlap.values() == pytest.approx(other.values(), abs=1e-5, nan_ok=True)


def test_inner_is_the_photo_of_which_more_is_shared():
    photo = scene(13)
    for overlap in both_ways(photo, photo.crop((60, 50, 300, 230)), moved(-60, -50)):
        values = overlap.values()
        assert values["inner_area"] > 0.99 > 0.5 > values["outer_area"]
        assert math.isnan(values["inner_crossing"]) and values["outer_crossing"] > 0


def test_photos_that_share_nothing_share_nothing():
    overlap = overlap_of(pixels(scene(14)), pixels(scene(15)), moved(1000, 0))
    for side in (overlap.a, overlap.b):
        assert side.area == side.content == side.spans == side.inner_edge == 0
