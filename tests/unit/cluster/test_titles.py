"""Titles say what is measured, are unique, and survive catalogues without attributes."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.cluster.colours import COLOUR_NAMES, colour_name, dominant_colour
from prodseek.cluster.titles import MemberFacts, group_titles

RED, BLUE = (220, 20, 30), (40, 80, 200)


def test_colour_and_category() -> None:
    title = group_titles({0: [MemberFacts("chair", RED, "armchair", "Cosy")] * 3})[0]
    assert (title.title, title.dominant_class, title.dominant_colour) == ("red armchair", "chair", "red")


def test_without_attributes_the_class_names_the_group_and_without_that_nothing_does() -> None:
    titles = group_titles({0: [MemberFacts("chair", None)] * 2, 1: [MemberFacts()] * 2})
    assert titles[0].title == "chair" and titles[1].title == "look-alikes"
    assert titles[1].dominant_colour is None


def test_nothing_dominates() -> None:
    members = [MemberFacts("a", RED, "x"), MemberFacts("b", BLUE, "y"), MemberFacts("c", (0, 0, 0), "z")]
    title = group_titles({0: members})[0]
    assert (title.title, title.dominant_class, title.dominant_colour) == ("x and y", None, None)


def test_equal_names_are_told_apart() -> None:
    groups = {
        n: [MemberFacts(None, RED, "chair", word)] * 3 for n, word in enumerate(["oak thing", "pine thing", "", ""])
    }
    titles = [title.title for title in group_titles(groups).values()]
    assert len(set(titles)) == 4
    assert titles[0] == "red chair" and titles[1] == "red chair, pine"


def test_no_groups() -> None:
    assert group_titles({}) == {}


@pytest.mark.parametrize("name", COLOUR_NAMES)
def test_a_named_colour_has_its_name(name: str) -> None:
    assert colour_name(COLOUR_NAMES[name]) == name


def test_dominant_colour_leaves_the_background_out() -> None:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[10:30, 10:30] = RED
    assert dominant_colour(pixels) == RED
    assert dominant_colour(pixels, ignore_background=False) == (255, 255, 255)
    assert dominant_colour(np.full((1, 1, 3), 7, np.uint8)) == (7, 7, 7)


def test_texture_size_and_at_last_a_number_tell_apart() -> None:
    groups = {
        0: [MemberFacts("chair", RED)] * 5,
        1: [MemberFacts("chair", RED, texture="striped", area_fraction=0.9)] * 4,
        2: [MemberFacts("chair", RED, texture="striped", area_fraction=0.1)] * 3,
        3: [MemberFacts("chair", RED, area_fraction=0.5)] * 2,
    }
    titles = [title.title for title in group_titles(groups).values()]
    assert titles == ["red chair", "striped red chair", "small red chair", "red chair 2"]


def test_a_colour_is_not_said_twice() -> None:
    assert group_titles({0: [MemberFacts("orange", (255, 140, 0))]})[0].title == "orange"


def test_kept_titles_stay_and_are_given_to_no_other() -> None:
    groups = {0: [MemberFacts("chair")] * 5, 1: [MemberFacts("chair")] * 2}
    titles = group_titles(groups, kept={1: "chair"}, taken={"chair 2"})
    assert (titles[1].title, titles[0].title) == ("chair", "chair 3")
