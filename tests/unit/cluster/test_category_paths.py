"""Categories as paths: what is the same written differently, what is a part of another, and what nobody can say."""

from __future__ import annotations

import pytest

from prodseek.cluster.category_paths import category_paths


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Kleider", "KLEIDER", id="case"),
        pytest.param("Décoration", "decoration", id="accents"),
        pytest.param("Home>Living Room", " Home  >  Livingroom ", id="blanks"),
        pytest.param("Men/Tops", "Men > Tops", id="signs between levels"),
        pytest.param("Home > Chairs", "Chairs", id="the tail of one path"),
        pytest.param("Home > Living > Chairs", "Living > Chairs", id="a tail of two levels"),
    ],
)
def test_categories_that_are_one(one: str, other: str) -> None:
    paths = category_paths({one: 5, other: 2}).paths
    assert paths[one] == paths[other]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Chairs", "Tables", id="other words"),
        pytest.param("Home > Chairs", "Garden > Chairs", id="one level under two"),
        pytest.param("Home", "Home > Chairs", id="the beginning of a path"),
        pytest.param("椅子", "棚", id="letters without case"),
    ],
)
def test_categories_that_are_two(one: str, other: str) -> None:
    paths = category_paths({one: 5, other: 2}).paths
    assert paths[one] != paths[other]


def test_a_path_has_its_wider_levels() -> None:
    known = category_paths({"Home > Chairs": 3, "Home": 1})
    wide, narrow = known.paths["Home > Chairs"]
    assert known.paths["Home"] == (wide,)
    assert (known.names[wide], known.names[narrow]) == ("Home", "Home > Chairs")


def test_nobody_can_say_where_it_belongs() -> None:
    of_two = category_paths({"Men > Shoes": 9, "Women > Shoes": 9, "Shoes": 4})
    assert set(of_two.paths) == {"Men > Shoes", "Women > Shoes"}
    goes_on = category_paths({"Men > Shoes": 9, "Shoes > Boots": 9, "Shoes": 4})
    assert "Shoes" not in goes_on.paths
    of_a_chain = category_paths({"Men > Shoes > Boots": 9, "Shoes > Boots": 2, "Boots": 4})
    assert len(set(of_a_chain.paths.values())) == 1


@pytest.mark.parametrize("nothing", ["", "n/a", "k.A.", " - ", "Sonstiges", "Sale", "NULL"])
def test_what_says_nothing_has_no_path(nothing: str) -> None:
    assert category_paths({nothing: 9, "Chairs": 1}).paths.keys() == {"Chairs"}


def test_people_call_it_as_most_of_the_catalogue_writes_it() -> None:
    known = category_paths({"home > CHAIRS": 2, "Home > Chairs": 7, "HOME > Tables": 4, "Chairs": 90})
    assert [known.names[key] for key in known.paths["Chairs"]] == ["Home", "Home > Chairs"]
