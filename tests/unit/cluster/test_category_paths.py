"""Categories as paths: what is the same written differently, what is a part of another, and what nobody can say."""

from __future__ import annotations

import pytest

from prodseek.cluster.category_paths import category_paths

ONE = {
    "case": ("Kleider", "KLEIDER"),
    "accents": ("Décoration", "decoration"),
    "blanks": ("Home>Living Room", " Home  >  Livingroom "),
    "signs between levels": ("Men/Tops", "Men > Tops"),
    "the tail of one path": ("Home > Chairs", "Chairs"),
    "a tail of two levels": ("Home > Living > Chairs", "Living > Chairs"),
    "beside what only sells": ("Home > Chairs", "Sale, Home > Chairs"),
    "beside another shelf": ("Home > Chairs", "Living Room; Home > Chairs; Home"),
}
TWO = {
    "other words": ("Chairs", "Tables"),
    "one level under two": ("Home > Chairs", "Garden > Chairs"),
    "the beginning of a path": ("Home", "Home > Chairs"),
    "letters without case": ("椅子", "棚"),
    "a comma in a name": ("Home > Cups, Mugs & Saucers", "Home > Cups"),
}


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_which_categories_are_one(name: str) -> None:
    one, other = (ONE | TWO)[name]
    paths = category_paths({one: 5, other: 2}).paths
    assert (paths[one] == paths[other]) == (name in ONE)


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


def test_one_of_several_categories_is_called_by_itself() -> None:
    known = category_paths({"Sale, Home > Chairs": 4, "Tables; Home > Tables": 2})
    assert set(known.names.values()) == {"Home", "Home > Chairs", "Home > Tables"}
