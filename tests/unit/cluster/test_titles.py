"""Titles say what most members share, where they know it from, and are unique."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.cluster.group_facts import GroupFacts, Look
from prodseek.cluster.nouns import Phrase
from prodseek.cluster.titles import TITLE_FROM, GroupTitle, KeptTitle, group_titles

RED, BLUE, BLACK, WHITE = (220, 20, 30), (40, 80, 200), (0, 0, 0), (245, 245, 245)


def said(said_in: str, text: str, n: int) -> Phrase:
    return Phrase(said_in, text, n, n, n, 0, n_everywhere=2 * n, others_share=0.1, consistency=0.9, n_saying=99)


def group(
    n: int = 10,
    *phrases: Phrase,
    rgb: tuple[tuple[int, int, int], ...] = (),
    texture: str | None = None,
    classes: dict[str, int] | None = None,
    shapes: dict[str, int] | None = None,
    sizes: dict[str, int] | None = None,
) -> GroupFacts:
    return GroupFacts(n, phrases, classes or {}, shapes or {}, sizes or {}, tuple(Look(one, texture) for one in rgb))


def title_of(facts: GroupFacts) -> GroupTitle:
    return group_titles({0: facts})[0]


def test_colour_and_category() -> None:
    title = title_of(group(10, said("category", "armchair", 9), rgb=(RED,) * 4, classes={"chair": 8}))
    assert title == GroupTitle("red armchair", "category", "chair", "red")


@pytest.mark.parametrize("said_in", ["category", "title", "folder", "name"])
def test_a_title_says_what_it_is_from(said_in: str) -> None:
    assert title_of(group(4, said(said_in, "vase", 4))).title_from == said_in
    assert said_in in TITLE_FROM


def test_a_class_names_only_where_most_were_surely_detected_and_in_plain_english() -> None:
    assert title_of(group(20, classes={"tvmonitor": 15}, rgb=(BLACK,) * 6)).title == "black TV"
    weak = title_of(group(20, classes={"fork": 1}, rgb=(WHITE,) * 6, texture="plain", shapes={"tall": 18}))
    assert (weak.title, weak.title_from, weak.dominant_class) == ("white, tall, plain", "look", None)
    divided = title_of(group(20, classes={"apple": 10, "orange": 10}, rgb=(WHITE,) * 6))
    assert (divided.title, divided.dominant_class) == ("white", None)


def test_a_person_names_no_group_because_people_wear_what_is_sold() -> None:
    worn = group(10, classes={"person": 10}, rgb=(BLUE,) * 6)
    assert title_of(worn) == GroupTitle("blue", "look", "person", "blue")
    kept = group_titles({0: worn}, {0: KeptTitle("blue person", "class")})[0]
    assert (kept.title, kept.title_from) == ("blue", "look")
    assert title_of(group(10, said("title", "hoodie", 10), classes={"person": 10})).title == "hoodie"
    assert title_of(group(10, said("category", "person", 10))).title == "person"


@pytest.mark.parametrize(
    ("looks", "title"),
    [
        ((RED,) * 5 + (BLUE,), "red"),
        ((BLACK, (30, 20, 40), (60, 20, 20), (10, 60, 20)), "dark"),
        ((RED,) * 4 + (BLUE,) * 2, "red, some blue"),
        ((RED,) * 3 + (BLUE,) * 3, "blue and red"),
        ((), "various"),
        ((RED, BLUE, BLACK, WHITE, (255, 215, 0)), "many colours"),
    ],
)
def test_what_is_seen(looks: tuple[tuple[int, int, int], ...], title: str) -> None:
    assert title_of(group(12, rgb=looks)).title == title


def test_what_half_of_a_look_are_is_said_where_most_agree_on_nothing() -> None:
    half = group(12, rgb=(RED, BLUE, BLACK, WHITE), shapes={"tall": 6, "wide": 4})
    assert title_of(half).title == "mostly tall"
    groups = {0: half, 1: group(10, shapes={"tall": 5, "wide": 1}), 2: group(8, shapes={"tall": 2, "wide": 2})}
    assert [one.title for one in group_titles(groups).values()] == ["mostly tall", "mostly tall 2", "various"]
    groups[3] = group(6, shapes={"wide": 2})
    assert group_titles(groups)[3].title == "various 2", "the other has as many wide ones"


def test_a_look_that_most_do_not_share_is_not_said() -> None:
    facts = group(12, said("folder", "lamps", 12), rgb=(RED, BLUE, BLACK, WHITE), shapes={"tall": 5, "wide": 5})
    assert title_of(facts) == GroupTitle("lamps", "folder", None, None)


def test_a_look_that_all_groups_share_is_not_said() -> None:
    groups = {n: group(5, rgb=(rgb,) * 4, sizes={"filling the photo": 5}) for n, rgb in enumerate((RED, BLUE, WHITE))}
    groups[3] = group(5, rgb=(BLACK,) * 4, sizes={"small in the photo": 5})
    assert [one.title for one in group_titles(groups).values()] == ["red", "blue", "white", "black, small in the photo"]


def test_shades_tell_groups_of_one_colour_apart() -> None:
    dark, grey, light = (70, 70, 70), (128, 128, 128), (190, 190, 190)
    groups = {0: group(9, rgb=(grey, grey, light, dark)), 1: group(8, rgb=(dark, dark, light, light))}
    assert [one.title for one in group_titles(groups).values()] == ["grey", "grey, dark grey and light grey"]


def test_equal_names_are_told_apart() -> None:
    chair = said("category", "chair", 5)
    groups = {
        0: group(9, said("category", "chair", 9), rgb=(RED,) * 4),
        1: group(8, said("category", "chair", 8), said("title", "pine", 8), rgb=(RED,) * 4),
        2: group(7, said("category", "chair", 7), rgb=(RED,) * 4, texture="striped", shapes={"tall": 7}),
        3: group(6, said("category", "chair", 6), rgb=(RED,) * 4, texture="striped", shapes={"wide": 6}),
        4: group(5, chair, rgb=(RED,) * 4),
    }
    titles = [title.title for title in group_titles(groups).values()]
    assert titles == ["red chair", "red chair, pine", "red chair, tall", "red chair, wide", "red chair 2"]


def test_what_a_group_of_the_same_name_has_too_tells_it_from_none() -> None:
    """All are tall; a quarter of the first are of oak; what some of the others have comes after what none has."""
    chair, oak, soft = (said("category", "chair", 8), said("title", "oak", 8), said("title", "soft", 8))
    groups = {
        0: group(9, said("category", "chair", 9), said("title", "oak", 3), shapes={"tall": 9}),
        1: group(8, chair, oak, shapes={"tall": 8}),
        2: group(8, chair, soft, shapes={"tall": 8}),
        3: group(8, chair, oak, soft, shapes={"tall": 8}),
        4: group(8, said("category", "table", 8), oak, soft),
    }
    titles = [title.title for title in group_titles(groups).values()]
    assert titles == ["chair", "chair, oak", "chair, soft", "chair, oak, soft", "table"]
    assert [one.title for one in group_titles({0: groups[0], 1: groups[1]}).values()] == ["chair", "chair 2"]


def test_a_number_is_the_last_resort() -> None:
    """Half are blue; then a group of the other level has the same members; then nothing tells them apart."""
    bag = said("category", "bags", 8)
    many = (BLUE, BLUE, BLUE, RED, WHITE, (255, 215, 0))
    groups = {
        ("coarse", 0): group(9, said("category", "bags", 9)),
        ("coarse", 1): group(8, bag, rgb=many),
        ("fine", 0): group(8, bag, rgb=many),
        ("fine", 1): group(7, said("category", "bags", 7)),
    }
    titles = {key: one.title for key, one in group_titles(groups).items()}
    assert titles == {
        ("coarse", 0): "bags",
        ("coarse", 1): "bags, mostly blue",
        ("fine", 0): "bags, undivided",
        ("fine", 1): "bags 2",
    }


def test_a_colour_is_not_said_twice() -> None:
    reds = group(9, said("category", "tees", 9), said("title", "red", 9), rgb=(RED,) * 4)
    titles = [one.title for one in group_titles({0: reds, 1: reds}).values()]
    assert titles == ["red tees", "red tees 2"]
    assert title_of(group(9, said("folder", "Orange", 9), rgb=((255, 140, 0),) * 4)).title == "Orange"
    assert title_of(group(9, said("title", "light blue shirt", 9), rgb=(BLUE,) * 4)).title == "light blue shirt"


def test_no_groups() -> None:
    assert group_titles({}) == {}


def test_kept_titles_stay_while_they_are_true_and_are_given_to_no_other() -> None:
    groups = {0: group(5, said("folder", "chair", 5)), 1: group(4, said("folder", "chair", 3))}
    kept = {1: KeptTitle("chair", "folder")}
    titles = group_titles(groups, kept, taken={"chair 2"})
    assert [(one.title, one.title_from) for one in (titles[1], titles[0])] == [
        ("chair", "folder"),
        ("chair 3", "folder"),
    ]


@pytest.mark.parametrize(
    ("kept", "facts"),
    [
        (KeptTitle("red chair", "folder"), group(5, said("folder", "lamp", 5))),
        (KeptTitle("red, tall", "look"), group(5, said("folder", "lamp", 5))),
        (KeptTitle("chair", "class"), group(5, said("title", "lamp", 5), classes={"chair": 5})),
        (KeptTitle("lamp", "category"), group(5, said("folder", "lamp", 5))),
        (KeptTitle("lamp, some shirt", "folder"), group(5, said("folder", "lamp", 5))),
        (KeptTitle("lamp, shirt and vase", "title"), group(5, said("title", "lamp", 4), said("title", "vase", 1))),
        (KeptTitle("chair", "folder"), group(5, said("title", "lamp", 5), said("folder", "chair", 5))),
    ],
)
def test_a_kept_title_that_is_no_longer_true_or_not_the_best_is_replaced(kept: KeptTitle, facts: GroupFacts) -> None:
    made = group_titles({0: facts}, {0: kept})[0]
    assert "lamp" in made.title and made.title_from in ("folder", "title")


def test_a_kept_title_stays_with_the_words_of_looks_in_it_and_is_spelled_as_today() -> None:
    facts = group(9, said("category", "Kleider", 7), said("category", "Röcke", 2), rgb=(RED,) * 4)
    for title in (
        "KLEIDER, some röcke",
        "red KLEIDER, mostly grey, small in the photo",
        "kleider, undivided",
        "Kleider 2",
    ):
        made = group_titles({0: facts}, {0: KeptTitle(title, "category")})[0]
        assert made.title == title.replace("KLEIDER", "Kleider").replace("kleider", "Kleider").replace("röcke", "Röcke")
    two = {n: KeptTitle(title, "category") for n, title in enumerate(("KLEIDER", "Kleider"))}
    assert {one.title for one in group_titles({0: facts, 1: facts}, two).values()} == {"KLEIDER", "Kleider"}


def test_a_kept_look_gives_way_to_a_class() -> None:
    made = group_titles({0: group(5, classes={"tvmonitor": 5})}, {0: KeptTitle("white", "look")})[0]
    assert (made.title, made.title_from) == ("TV", "class")


def test_a_kept_look_stays() -> None:
    kept = {0: KeptTitle("white, tall", "look"), 1: KeptTitle("white TV", "class")}
    titles = group_titles({0: group(5, rgb=(RED, WHITE, RED)), 1: group(5, classes={"tvmonitor": 5})}, kept)
    assert [titles[0].title, titles[1].title] == ["white, tall", "white TV"]


def test_a_kept_colour_that_no_member_has_goes() -> None:
    kept = {
        0: KeptTitle("grey lamp", "category"),
        1: KeptTitle("white TV", "class"),
        2: KeptTitle("white, tall", "look"),
        3: KeptTitle("orange", "category"),
    }
    seen = {
        0: group(5, said("category", "lamp", 5), rgb=(RED,) * 3),
        1: group(5, classes={"tvmonitor": 5}, rgb=(RED,) * 3),
        2: group(5, rgb=(RED,) * 3, shapes={"tall": 5}),
        3: group(5, said("category", "orange", 5), rgb=(RED,) * 3),
    }
    titles = [title.title for title in group_titles(seen, kept).values()]
    assert titles == ["red lamp", "red TV", "red, tall", "orange"]


def test_a_colour_that_is_not_known_of_most_is_not_named() -> None:
    unknown = GroupFacts(6, (said("category", "lamp", 6),), {}, {}, {}, (Look(RED), *[Look(None)] * 5))
    assert (title_of(unknown).title, title_of(unknown).dominant_colour) == ("lamp", None)
    assert title_of(GroupFacts(6, looks=(Look(None),) * 6)).title == "various"


phrases = st.builds(
    lambda said_in, text, n: said(said_in, text, n),
    st.sampled_from(["category", "title", "folder", "name"]),
    st.sampled_from(["chair", "lamp", "Étagère", "白い椅子"]),
    st.integers(1, 5),
)
facts = st.builds(
    lambda found, looks, texture, tall: group(5, *found, rgb=tuple(looks), texture=texture, shapes={"tall": tall}),
    st.lists(phrases, max_size=4),
    st.lists(st.sampled_from([RED, BLACK, WHITE]), max_size=4),
    st.sampled_from([None, "plain"]),
    st.integers(0, 5),
)


@settings(max_examples=80)
@given(st.dictionaries(st.integers(0, 30), facts, max_size=12))
def test_titles_are_unique_whatever_the_members(groups: dict[int, GroupFacts]) -> None:
    titles = group_titles(groups)
    assert titles.keys() == groups.keys()
    assert len({title.title for title in titles.values()}) == len(groups)
    assert all(title.title.strip() and "look-alike" not in title.title for title in titles.values())
    assert titles == group_titles(dict(reversed(groups.items())))
