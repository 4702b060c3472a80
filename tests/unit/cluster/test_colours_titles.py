import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.cluster.colours import COLOUR_NAMES, colour_name, dominant_colour
from prodseek.cluster.titles import MemberFacts, group_titles


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


def test_a_title_says_colour_and_category():
    members = [MemberFacts("chair", (140, 85, 40), "chair", f"Oak chair {i}") for i in range(4)]
    title = group_titles({3: members})[3]
    assert (title.title, title.dominant_class, title.dominant_colour) == ("brown chair", "chair", "brown")


def test_what_does_not_dominate_is_not_said():
    members = [
        MemberFacts("chair", (140, 85, 40), "chair"),
        MemberFacts("sofa", (10, 10, 90), "sofa"),
        MemberFacts("bed", (245, 245, 245), "bed"),
    ]
    title = group_titles({0: members})[0]
    assert (title.dominant_class, title.dominant_colour) == (None, None)
    assert title.title


def test_without_a_category_words_of_the_titles_tell():
    groups = {
        0: [MemberFacts(title="Walnut desk"), MemberFacts(title="Desk large")],
        1: [MemberFacts(title="Copper kettle"), MemberFacts(title="Kettle steel")],
    }
    titles = group_titles(groups)
    assert titles[0].title == "desk" and titles[1].title == "kettle"


def test_the_detected_class_is_the_last_resort():
    assert group_titles({0: [MemberFacts(class_name="vase")] * 2})[0].title == "vase"


facts = st.builds(
    MemberFacts,
    st.sampled_from([None, "chair", "vase"]),
    st.sampled_from([None, (255, 255, 255), (0, 0, 0)]),
    st.sampled_from([None, "chair", "lamp"]),
    st.sampled_from([None, "", "red lamp", "12 34", "Étagère"]),
)


@settings(max_examples=80)
@given(st.dictionaries(st.integers(0, 30), st.lists(facts, min_size=1, max_size=5), max_size=12))
def test_titles_are_unique_whatever_the_members(groups):
    titles = group_titles(groups)
    assert titles.keys() == groups.keys()
    assert len({title.title for title in titles.values()}) == len(groups)
    assert all(title.title.strip() for title in titles.values())
    assert titles == group_titles(dict(reversed(groups.items())))


def test_no_groups_have_no_titles():
    assert group_titles({}) == {}
