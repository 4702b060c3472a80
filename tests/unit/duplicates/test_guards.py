import math

import pytest

from prodseek.duplicates.decision import FEATURES
from prodseek.duplicates.guards import (
    Doubt,
    doubt_of,
    is_explained,
    is_greyed,
    is_proved,
    may_be_next_shade,
    may_be_one_of_a_set,
    may_be_other_outline,
    may_be_other_tone,
)

NAN = math.nan
# Two photos of which nothing differs, on a plain ground.
EQUAL = dict.fromkeys(FEATURES, 0.0) | {
    "n_cells": 200.0,
    "cells_matching": 1.0,
    "fine_side_px": 500.0,
    "matching": 1.0,
    "matching_beside": 1.0,
    "plain": 1.0,
    "chroma_low": 30.0,
    "chroma_high": 30.0,
    "inner_content": 1.0,
    "outer_content": 1.0,
    "outer_crossing": NAN,
    "outer_seam": NAN,
    **{name: NAN for name in FEATURES if name.startswith("mark_")},
}
# Something beside the product: a badge, or one thing more.
MARKED = {
    "strength_0": 9.0,
    "fine_strength_0": 12.0,
    "mark": 0.02,
    "mark_one_sided": 0.95,
    "mark_on_ground": 1.0,
    "mark_ink_beneath": 1.0,
    "mark_crosses": 0.0,
    "mark_correlation": 0.0,
}
GREY = {"chroma_low": 0.5, "chroma_high": 30.0, "light_change": 0.5, "hue_spread": 0.5}
# More is shown in one photo: the same ground, and another thing on it.
ONE_OF_A_SET = {"outer_content": 0.5, "outer_crossing": 0.0, "outer_seam": 0.0}


def with_(*changes, **more):
    values = dict(EQUAL)
    for change in (*changes, more):
        assert set(change) <= set(FEATURES)
        values |= change
    return values


def test_equal_photos_are_proved():
    assert is_proved(EQUAL) and is_explained(EQUAL)


LEFT = [name for name in FEATURES if "strength" in name]


@pytest.mark.parametrize("name", LEFT)
def test_whatever_is_left_at_any_size_is_not_explained(name):
    values = with_(**{name: 2.0})
    assert not is_explained(values) and not is_proved(values)


def test_all_levels_of_both_sizes_are_asked():
    assert len(LEFT) >= 6


def test_small_photos_need_no_coarse_levels_but_all_need_the_fine_size():
    assert is_proved(with_(strength_2=NAN, strength_3=NAN))
    assert not is_explained(with_(**{f"strength_{level}": NAN for level in range(4)}))
    for name in ("fine_strength_0", "fine_strength_1"):
        assert not is_explained(with_(**{name: NAN}))


@pytest.mark.parametrize("name", ["flat_noise", "fine_flat_noise"])
def test_differences_may_hide_in_much_noise(name):
    assert is_explained(with_(**{name: 1.0}))
    assert not is_explained(with_(**{name: 40.0}))


def test_a_wave_that_one_has_alone_is_not_explained():
    assert is_explained(with_(fine_wave=0.7))
    assert not is_explained(with_(fine_wave=0.8)) and not is_explained(with_(fine_wave=NAN))


def test_a_wave_of_equal_light_in_another_colour_is_not_explained_either():
    assert is_explained(with_(hue_wave=0.2))
    assert not is_explained(with_(hue_wave=0.3)) and not is_explained(with_(hue_wave=NAN))


def test_texture_in_chroma_that_one_has_alone_is_not_explained_but_of_a_grey_photo():
    assert is_explained(with_(chroma_alone=0.7))
    assert not is_explained(with_(chroma_alone=0.8)) and not is_explained(with_(chroma_alone=NAN))
    grey = {"chroma_low": 0.1, "chroma_high": 20.0, "light_change": 0.5, "hue_spread": 0.5}
    assert is_explained(with_(chroma_alone=9.0, **grey))


def test_a_faint_print_is_not_explained():
    assert is_explained(with_(fine_faint=2.0)), "a spot of some pixels"
    assert not is_explained(with_(fine_faint=3.5)) and not is_explained(with_(fine_faint=NAN))


@pytest.mark.parametrize("name", ["fine_texture", "fine_shared"])
def test_a_weave_that_one_photo_has_is_no_encoder_s_noise(name):
    assert is_explained(with_(**{name: 1.0}))
    assert not is_explained(with_(**{name: 3.0})) and not is_explained(with_(**{name: NAN}))


def test_a_small_area_of_another_colour_is_not_explained():
    assert is_explained(with_(colour_left_most=1.0))
    assert not is_explained(with_(colour_left_most=30.0))
    # Noise of an encoder moves colours too.
    assert is_explained(with_(colour_left_most=6.0, flat_noise=3.0)) and not is_explained(with_(colour_left_most=6.0))


@pytest.mark.parametrize("side_px", [120.0, 249.0, NAN])
def test_a_thumbnail_proves_nothing(side_px):
    assert not is_proved(with_(fine_side_px=side_px)) and is_proved(with_(fine_side_px=250.0))


@pytest.mark.parametrize("changes", [{"n_cells": 3.0}, {"cells_matching": 0.01}, {"n_cells": 0.0}])
def test_flat_photos_prove_nothing(changes):
    assert not is_proved(with_(changes))


@pytest.mark.parametrize("name", ["mark_one_sided", "mark_on_ground", "mark_ink_beneath", "mark_crosses"])
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_whatever_a_mark_looks_like_it_may_be_one_thing_more(name, value):
    assert not is_proved(with_(MARKED, **{name: value}))


OTHER_TONE = {"tone_change": 9.0, "ground_change": 0.0}


def test_a_product_of_another_tone_on_the_same_ground_may_be_another():
    assert may_be_other_tone(with_(OTHER_TONE)) and not is_proved(with_(OTHER_TONE))


@pytest.mark.parametrize(
    "changes",
    [{"tone_change": 0.5}, {"tone_change": 9.0, "colour_left": 8.8}],
    ids=["hardly another", "in no way that a tone explains"],
)
def test_what_an_encoder_does_to_colours_is_no_other_tone(changes):
    values = with_(OTHER_TONE, changes)
    assert not may_be_other_tone(values) and is_proved(values)


SCENE = {"plain": 0.0, "ground_change": NAN, "ground_missed": NAN, "outline_change": NAN}


@pytest.mark.parametrize(
    "ground", [SCENE, {"ground_change": 9.0}, {}], ids=["no plain ground", "it moved", "it stayed"]
)
def test_a_tone_that_moves_all_may_be_a_cloth_in_another_shade(ground):
    assert not may_be_other_tone(with_(ground, curve_most=1.5))
    moved = with_(ground, curve_most=4.0, curve_least=4.0, tone_change=4.0)
    assert may_be_other_tone(moved) and not is_proved(moved)


@pytest.mark.parametrize("ground", [SCENE, {}], ids=["no plain ground", "a plain ground"])
def test_a_step_to_the_next_shade_is_no_encoder_s(ground):
    tile = with_(ground, curve_most=1.2, curve_least=1.1, tone_change=1.2)
    assert may_be_next_shade(tile) and not is_proved(tile)
    # Strong compression changes the colours of small areas, which no tone explains.
    for encoded in (
        tile | {"colour_left": 1.0, "curve_least": 0.3},
        tile | {"curve_most": 0.4, "curve_least": 0.3, "tone_change": 0.4},
    ):
        assert not may_be_next_shade(encoded) and is_proved(encoded)


def test_a_shade_that_hides_in_a_lost_texture_is_seen_because_all_colours_moved():
    reduced = with_(SCENE, tone_change=0.7, colour_left=0.4, curve_least=0.56, curve_most=0.6)
    assert may_be_next_shade(reduced) and not is_proved(reduced)


def test_another_ground_moves_the_lightest_parts_of_the_product_too():
    other = with_(curve_most=3.5, ground_change=4.0, ground_missed=0.5, tone_change=0.4)
    assert not may_be_other_tone(other) and is_proved(other)
    for change in ({"ground_change": 0.5}, {"tone_change": 2.0}, {"curve_most": 8.0}, SCENE):
        assert may_be_other_tone(other | change)


def test_a_photo_without_any_colour_is_a_grey_copy():
    moved = with_(OTHER_TONE, GREY, curve_most=30.0)
    assert not may_be_other_tone(moved) and is_proved(moved)
    assert may_be_other_tone(moved | {"chroma_low": 3.0})


GREY_SIDES = {
    "colours stay": {"chroma_low": 20.0},
    "it never had colours": {"chroma_high": 1.0},
    "it is lighter": {"light_change": 9.0},
    "it had one hue": {"hue_spread": 0.01},
    "hues are unknown": {"hue_spread": NAN},
}


def test_a_grey_copy_is_recognised():
    assert is_greyed(with_(GREY)) and not is_greyed(EQUAL)


@pytest.mark.parametrize("name", GREY_SIDES)
def test_a_product_in_grey_is_no_grey_copy(name):
    values = with_(OTHER_TONE, GREY, GREY_SIDES[name])
    assert not is_greyed(values) and may_be_other_tone(values)


def test_another_outline_on_another_ground_may_be_another_product():
    other = {"outline_change": 0.2, "ground_missed": 9.0}
    assert may_be_other_outline(with_(other)) and not is_proved(with_(other))
    for change in ({"outline_change": 0.0}, {"outline_change": NAN}, {"ground_missed": 0.0}, {"ground_missed": NAN}):
        assert not may_be_other_outline(with_(other, change)) and is_proved(with_(other, change))


def test_a_small_part_on_another_ground_may_be_another_product():
    other = with_(ground_missed=2.5) | {"outline_part_px": 30.0}
    assert may_be_other_outline(other) and not is_proved(other)
    # The soft edge of one ground is no part, and on one ground everything is compared as it is.
    assert is_proved(other | {"outline_part_px": 2.0}) and is_proved(other | {"ground_missed": 0.2})


def test_one_of_a_set_may_be_another_product():
    assert may_be_one_of_a_set(with_(ONE_OF_A_SET)) and not is_proved(with_(ONE_OF_A_SET))


def test_what_goes_on_as_the_same_once_more_is_a_set():
    cut = with_(ONE_OF_A_SET, outer_crossing=0.3)
    assert is_proved(cut) and not is_proved(cut | {"outer_repeats": 0.95})


@pytest.mark.parametrize(
    "changes",
    [{"outer_content": 1.0}, {"outer_crossing": 0.3}, {"outer_crossing": NAN}],
    ids=["nothing else is shown", "the cut goes through things", "there is no cut"],
)
def test_a_crop_or_a_margin_is_not_one_of_a_set(changes):
    values = with_(ONE_OF_A_SET, changes)
    assert not may_be_one_of_a_set(values) and is_proved(values)


def test_a_pale_thing_or_a_caption_in_a_margin_is_no_part_of_it():
    margin = with_(ONE_OF_A_SET, outer_content=0.99)
    assert is_proved(margin) and is_proved(margin | {"outer_thing_px": 8.0})
    assert not is_proved(margin | {"outer_thing_px": 400.0})


def test_the_edge_of_a_photo_that_fills_its_frame_is_no_thing_in_its_margin():
    margin = with_(ONE_OF_A_SET, plain=0.0, outer_content=0.99, outer_thing_px=400.0)
    assert is_proved(margin) and not is_proved(margin | {"outer_alone_px": 400.0})


def test_beside_a_cut_that_goes_through_things_a_margin_may_hold_another():
    cut = with_(ONE_OF_A_SET, outer_crossing=0.3, outer_thing_px=900.0)
    assert is_proved(cut) and is_proved(cut | {"outer_alone_px": 400.0, "outer_plain": 0.4})
    assert not is_proved(cut | {"outer_alone_px": 400.0, "outer_plain": 0.95})


def test_what_the_smaller_part_shows_alone_is_not_proved():
    assert not is_proved(with_(inner_thing_px=100.0)) and is_proved(with_(inner_thing_px=5.0))


@pytest.mark.parametrize("name", ["n_cells", "cells_matching", "flat_noise", "fine_flat_noise", "colour_left_most"])
def test_what_was_not_measured_proves_nothing(name):
    assert not is_proved(with_(**{name: NAN}))


@pytest.mark.parametrize(
    ("doubt", "values"),
    [
        (None, {}),
        (Doubt.HIDDEN, {"margin_hides": 0.1}),
        (Doubt.MARGIN, {"margins_differ": 1.0}),
        (Doubt.MARGIN, {"margins_differ": 1.0, "ground_missed": 20.0, "inner_content": 0.5}),
        # A tonal print, on cards in two colours.
        (Doubt.FAINT, {"margins_differ": 1.0, "fine_faint": 5.0, "inner_content": 0.5}),
        # A label that says another size, on cards in two colours.
        (Doubt.DIFFERENT, {"margins_differ": 1.0, "fine_strength_0": 4.0}),
        (Doubt.TONE, {"margins_differ": 1.0, "curve_most": 9.0}),
        (Doubt.PLAIN, {"n_cells": 3.0}),
        (Doubt.DIFFERENT, {"strength_1": 2.0}),
        (Doubt.DIFFERENT, {"fine_strength_0": NAN}),
        (Doubt.TONE, {"curve_most": 9.0}),
        (Doubt.TONE, {"curve_most": 9.0, "fine_strength_0": NAN}),
        (Doubt.DIFFERENT, {"curve_most": 9.0, "strength_1": 2.0}),
        (Doubt.PATTERN, {"fine_wave": 1.0}),
        (Doubt.PATTERN, {"hue_wave": 1.0}),
        (Doubt.PATTERN, {"chroma_alone": 1.0, "curve_least": 0.8}),
        (Doubt.TONE, {"curve_least": 0.8}),
        (Doubt.OUTLINE, {"ground_missed": 20.0}),
        (Doubt.MORE, {"inner_content": 0.5}),
        (Doubt.SMALL, {"fine_side_px": 200.0}),
        (Doubt.FAINT, {"fine_faint": 5.0}),
        (Doubt.FAINT, {"flat_noise": 40.0}),
        # The gravest is told.
        (Doubt.DIFFERENT, {"fine_faint": 5.0, "fine_strength_0": 5.0, "fine_side_px": 200.0}),
        (Doubt.PATTERN, {"fine_faint": 5.0, "fine_wave": 1.0}),
    ],
)
def test_the_gravest_doubt_is_told(doubt, values):
    assert doubt_of(with_(**values)) == doubt
    assert is_proved(with_(**values)) == (doubt is None)
