"""The colour that the catalogue names comes before the one that is seen, and none is said twice."""

from __future__ import annotations

import pytest

from prodseek.cluster.group_facts import GroupFacts, Look
from prodseek.cluster.nouns import Phrase
from prodseek.cluster.titles import KeptTitle, group_titles

TAN, GREY, DARK_GREY = (205, 170, 125), (128, 128, 128), (64, 64, 64)


def said(said_in: str, text: str, n: int, others_share: float = 0.1) -> Phrase:
    return Phrase(said_in, text, n, n, n, 0, 2 * n, others_share, consistency=0.9, n_saying=99)


def group(colours: dict[str, int], said_in: str = "title") -> GroupFacts:
    """Ten desks that look tan. colours: named in how many of their titles."""
    named = (said(said_in, name, n) for name, n in colours.items())
    return GroupFacts(10, (said("category", "Desks", 10), *named), looks=(Look(TAN),) * 10)


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        pytest.param(group({"white": 10}), "white Desks", id="all say so"),
        pytest.param(group({"White": 8, "black": 2}), "white Desks", id="most say so"),
        pytest.param(group({"white": 5, "black": 5}), "tan Desks", id="they disagree"),
        pytest.param(group({"white": 10, "blue": 10}), "tan Desks", id="of two colours"),
        pytest.param(group({"light": 10}), "tan Desks", id="no colour"),
        pytest.param(group({"white": 10}, "name"), "tan Desks", id="a file's name"),
        pytest.param(group({"white": 8}, "colour"), "white Desks", id="a column of colours"),
        pytest.param(group({"orange": 8}, "colour"), "orange Desks", id="a column of colours, whatever is seen"),
        pytest.param(group({"white": 5, "black": 5}, "colour"), "tan Desks", id="a column of colours that disagree"),
    ],
)
def test_the_colour_that_titles_name_comes_first(facts: GroupFacts, title: str) -> None:
    assert group_titles({0: facts})[0].title == title
    assert group_titles({0: facts}, {0: KeptTitle(title, "category")})[0].title == title, "and stays"
    assert group_titles({0: facts})[0].dominant_colour == "tan", "what is seen"


def test_a_column_of_colours_comes_before_titles_and_what_is_seen_of_a_class() -> None:
    facts = group({"blue": 10}, "colour")
    both = GroupFacts(10, (*facts.phrases, said("title", "white", 10)), looks=facts.looks)
    assert group_titles({0: both})[0].title == "blue Desks"
    of_a_class = GroupFacts(10, (said("colour", "blue", 10),), classes={"chair": 10}, looks=facts.looks)
    assert group_titles({0: of_a_class})[0].title == "blue chair"


@pytest.mark.parametrize("said_in", ["title", "colour"])
def test_a_colour_that_most_of_the_catalogue_has_tells_nothing(said_in: str) -> None:
    facts = GroupFacts(10, (said("category", "Desks", 10), said(said_in, "white", 10, 0.6)), looks=(Look(TAN),) * 10)
    assert group_titles({0: facts})[0].title == "tan Desks"


def test_an_undivided_group_does_not_say_its_colours_twice() -> None:
    looks = tuple(Look(rgb) for rgb in (GREY, TAN, (255, 215, 0)) for _ in range(3))
    titles = group_titles({("coarse", 0): GroupFacts(9, looks=looks), ("fine", 0): GroupFacts(9, looks=looks)})
    assert sorted(one.title for one in titles.values()) == ["grey, tan and yellow", "grey, tan and yellow, undivided"]


ORANGE, GREEN, WHITE, NAVY = (240, 120, 30), (60, 120, 40), (240, 240, 238), (35, 40, 60)


@pytest.mark.parametrize(
    ("noun", "word", "seen", "title"),
    [
        pytest.param("Drills", "Black", ORANGE, "orange Drills", id="a brand"),
        pytest.param("Nightstands", "Red", TAN, "tan Nightstands", id="a wood"),
        pytest.param("Bonsais", "grey", GREEN, "green Bonsais", id="what it stands in"),
        pytest.param("Shirts", "navy", NAVY, "navy Shirts", id="its colour"),
        pytest.param("Shirts", "blu", NAVY, "blue Shirts", id="its colour in another language"),
        pytest.param("Stühle", "schwarzer", NAVY, "black Stühle", id="declined"),
    ],
)
def test_a_colour_that_is_not_seen_is_something_else(
    noun: str, word: str, seen: tuple[int, int, int], title: str
) -> None:
    facts = GroupFacts(10, (said("category", noun, 10), said("title", word, 10)), looks=(Look(seen),) * 10)
    assert group_titles({0: facts})[0].title == title


def test_what_tells_two_groups_of_one_name_apart_is_no_colour_of_others() -> None:
    blue = (50, 90, 190)
    vases = {
        key: GroupFacts(8, (said("title", "Vase", 8), said("title", word, 8)), looks=(Look(blue),) * 8)
        for key, word in enumerate(("yellow", "Amphora"))
    }
    assert "yellow" not in group_titles(vases)[0].title


def test_a_colour_in_another_language_is_no_kind_of_thing() -> None:
    facts = GroupFacts(10, (said("title", "bianco", 10), said("title", "Sedia", 8)), looks=(Look(WHITE),) * 10)
    assert group_titles({0: facts})[0].title == "white Sedia"


def test_a_shade_is_not_said_twice() -> None:
    grey = GroupFacts(10, looks=(*(Look(DARK_GREY, "striped"),) * 4, *(Look(GREY, "striped"),) * 6))
    plain = GroupFacts(12, looks=(Look(GREY, "striped"),) * 12)
    titles = group_titles({0: grey, 1: plain, 2: GroupFacts(80, looks=(Look(TAN, "plain"),) * 80)})
    assert [titles[key].title for key in (0, 1)] == ["grey, striped, some dark grey", "grey, striped"]
