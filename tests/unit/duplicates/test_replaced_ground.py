"""A product on another ground is the same photo; another product on another ground is not."""

import numpy as np
import pytest
from judged_pair import judged_pair
from made_photos import pixels, scene
from PIL import Image, ImageDraw, ImageFilter

from prodseek.duplicates.explained import Faint, left_over
from prodseek.duplicates.grounds import grounds_of, replaced_ground
from prodseek.duplicates.planting.files import jpeg as encoded
from prodseek.duplicates.replaced_ground import ground_and_edge, mixed_with_ground, weighed_px, without_ground
from prodseek.duplicates.verdicts import Decision, Verdict

SIDE_PX = 640
BODY, HOLE = (140, 80, 500, 460), (260, 130, 380, 210)
LEGS = ((172, 430, 180, 600), (460, 430, 468, 600))
THIN_LEGS = ((174, 430, 178, 600), (462, 430, 466, 600))
DARK, PALE, RED = (60, 45, 40), (238, 236, 232), (190, 40, 40)
WHITE, OFF_WHITE, GREY, BLUE = (255, 255, 255), (240, 238, 226), (150, 150, 150), (40, 90, 200)
LETTERING = (200, 300)
NOTE = (20, 20)


def bag(ground, legs=DARK, shadow=0.0, lettering="100 cm", note=None, hole=None, colour=None, at_legs=LEGS):
    """A thing with a gap and two legs. shadow: how dark. lettering: white on the thing; note: dark on the ground."""
    mask = Image.new("L", (SIDE_PX, SIDE_PX), 0)
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle(BODY, 40, fill=255)
    draw.ellipse(HOLE, fill=0)
    photo = Image.new("RGB", (SIDE_PX, SIDE_PX), ground)
    if shadow:
        cast = Image.new("L", (SIDE_PX, SIDE_PX), 0)
        ImageDraw.Draw(cast).ellipse((120, 540, 620, 620), fill=round(255 * shadow))
        photo.paste((0, 0, 0), mask=cast.filter(ImageFilter.GaussianBlur(24)))
    if hole is not None:
        ImageDraw.Draw(photo).ellipse(HOLE, fill=hole)
    body = scene(31, SIDE_PX, SIDE_PX)
    photo.paste(body if colour is None else Image.blend(body, Image.new("RGB", body.size, colour), 0.5), mask=mask)
    draw = ImageDraw.Draw(photo)
    for leg in at_legs:
        draw.rectangle(leg, fill=legs)
    draw.text(LETTERING, lettering, fill=WHITE, font_size=30)
    if note is not None:
        draw.text(NOTE, note, fill=DARK, font_size=18)
    return photo.filter(ImageFilter.GaussianBlur(0.6))


def plane(photo, side_px=320):
    return pixels(photo.resize((side_px, side_px), Image.Resampling.BOX)).astype(np.float32)


def everywhere(photo):
    return np.ones(photo.shape[:2], bool)


def at(box, side_px=320):
    """The middle of a box of the drawing, as a slice of a plane."""
    x, y = ((low + high) * side_px // (2 * SIDE_PX) for low, high in ((box[0], box[2]), (box[1], box[3])))
    return y, x


def judged(a, b):
    return judged_pair(encoded(a, 92), encoded(b, 88))[0]


def decided(a, b):
    found = judged(a, b)
    return None if found is None else found.decision


@pytest.mark.parametrize("ground", [OFF_WHITE, GREY, BLUE], ids=["off-white", "grey", "blue"])
def test_the_ground_within_a_product_goes_with_the_ground_around_it(ground):
    a, b = plane(bag(WHITE)), plane(bag(ground))
    assert grounds_of(a, b, everywhere(a)).ground[at(HOLE)]
    kept = plane(bag(ground, hole=WHITE))
    assert not grounds_of(a, kept, everywhere(a)).ground[at(HOLE)]


def test_what_is_white_on_both_is_no_ground_that_was_replaced():
    label = plane(bag(WHITE, hole=WHITE)), plane(bag(OFF_WHITE, hole=WHITE))
    assert not replaced_ground(*label, np.float32(WHITE), np.float32(OFF_WHITE))[at(HOLE)]


def test_a_soft_shadow_is_no_part_of_a_product_but_a_pale_leg_is():
    with_shadow, other, without_legs = (
        plane(photo) for photo in (bag(WHITE, shadow=0.25), bag(OFF_WHITE), bag(OFF_WHITE, legs=OFF_WHITE))
    )
    assert grounds_of(with_shadow, other, everywhere(other)).outline_part_px(with_shadow, other, everywhere(other)) <= 4
    pale = plane(bag(WHITE, legs=PALE))
    assert grounds_of(pale, without_legs, everywhere(pale)).outline_part_px(pale, without_legs, everywhere(pale)) > 20


def test_a_ground_that_stays_has_no_shade_and_no_gaps():
    photo = plane(bag(WHITE, shadow=0.25))
    grounds = grounds_of(photo, photo, everywhere(photo))
    assert not grounds.shade.any() and not grounds.ground[at(HOLE)]


def test_letters_on_a_replaced_ground_are_compared_whole():
    a, b = plane(bag(WHITE, note="500 g")), plane(bag(GREY, note="500 g"))
    grounds = grounds_of(a, b, everywhere(a))
    letters = ~grounds.either[5:22, 8:60]
    np.testing.assert_array_equal(without_ground(everywhere(a), grounds)[5:22, 8:60], letters)
    fine = (plane(bag(ground, note="500 g"), SIDE_PX) for ground in (WHITE, GREY))
    hidden = ground_and_edge(*fine, grounds)
    assert not hidden[14:40, 16:110][np.array(bag(WHITE, note="500 g").convert("L"))[14:40, 16:110] < 100].any()


THIN = {
    "the same": ({}, False),
    "another colour": ({"legs": RED}, True),
    "none": ({"legs": OFF_WHITE}, True),
    "thicker": ({"at_legs": LEGS}, True),
}


@pytest.mark.parametrize("name", THIN)
def test_thin_legs_are_compared_as_mixed_with_either_ground(name):
    changes, differs = THIN[name]
    a, b = (
        plane(bag(ground, **{"at_legs": THIN_LEGS} | change)) for ground, change in ((WHITE, {}), (OFF_WHITE, changes))
    )
    mixed = mixed_with_ground(a, b, np.float32(WHITE), np.float32(OFF_WHITE))
    left = left_over(mixed, b, everywhere(a), (0, 1), (Faint(7.5, 0.65), Faint(2.5, 0.65)))
    assert (weighed_px({level: one.faint for level, one in left.items()}, 1.0) > 4) == differs


def test_what_is_ground_in_one_photo_must_be_ground_in_the_other():
    before, after = np.float32([[WHITE]]), np.float32([[GREY]])
    between = (before + after) / 2
    colours = np.float32(WHITE), np.float32(GREY)
    # A thing of a colour between both grounds is no mixture, where the other photo shows nothing but ground.
    np.testing.assert_allclose(mixed_with_ground(before, between, *colours), after)
    np.testing.assert_allclose(mixed_with_ground(between, between + 0.5 * (after - before) / 2, *colours)[0, 0], 176.25)


@pytest.mark.parametrize("shadow", [0.0, 0.25], ids=["no shadow", "a shadow that was cut off"])
def test_a_product_on_an_off_white_ground_is_a_copy(shadow):
    found = judged(bag(WHITE, shadow=shadow), bag(OFF_WHITE))
    assert (found.decision, found.verdict) == (Decision.COPY, Verdict.OTHER_GROUND)


def test_a_gap_that_keeps_the_old_ground_is_no_difference():
    assert decided(bag(WHITE), bag(OFF_WHITE, hole=WHITE)) == Decision.COPY


@pytest.mark.parametrize("ground", [GREY, BLUE], ids=["grey", "blue"])
def test_a_product_on_a_ground_that_changes_its_edges_is_for_a_person_at_least(ground):
    assert decided(bag(WHITE), bag(ground)) in (Decision.COPY, Decision.LOOK)


OTHERS = {
    "other legs": {"legs": RED},
    "other thin legs": {"legs": RED, "at_legs": THIN_LEGS},
    "thinner legs": {"at_legs": THIN_LEGS},
    "no legs": {"legs": OFF_WHITE},
    "pale legs": {"legs": PALE},
    "other lettering": {"lettering": "150 cm"},
    "another note on the ground": {"note": "500 g"},
    "another colour": {"colour": RED},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_another_product_on_another_ground_is_no_copy(change):
    assert decided(bag(WHITE, note="400 g"), bag(OFF_WHITE, **{"note": "400 g"} | change)) != Decision.COPY


def test_pale_legs_that_are_gone_on_another_ground_are_no_copy():
    assert decided(bag(WHITE, legs=PALE), bag(OFF_WHITE, legs=OFF_WHITE)) != Decision.COPY
