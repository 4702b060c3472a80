"""Columns that hold the levels of a category."""

from __future__ import annotations

import pytest

from prodseek.runs.usual_columns import narrower_columns, usual_column


@pytest.mark.parametrize(
    ("names", "widest", "narrower"),
    [
        (["Category 1", "Category 2", "Category 3"], "Category 1", ("Category 2", "Category 3")),
        (["category_3", "category_1", "category_2"], "category_1", ("category_2", "category_3")),
        (["Kategorie Ebene 1", "Kategorie Ebene 2"], "Kategorie Ebene 1", ("Kategorie Ebene 2",)),
        (["Category_L1", "Category_L2"], "Category_L1", ("Category_L2",)),
        (["L1 Category", "L2 Category"], "L1 Category", ("L2 Category",)),
        (["Warengruppe 0", "Warengruppe 1"], "Warengruppe 0", ("Warengruppe 1",)),
        (["Famille niveau 1", "Famille niveau 2"], "Famille niveau 1", ("Famille niveau 2",)),
        (["Category 1", "Category 3"], "Category 1", ()),
        (["category", "Category 1", "Category 2"], "category", ()),
        (["Category 1"], "Category 1", ()),
        (["Category 2", "Category 3"], None, ()),
        (["Image 1", "Image 2", "Price 1"], None, ()),
        (["category_id_1", "category_id_2"], None, ()),
    ],
)
def test_levels_of_a_category_have_numbers(names: list[str], widest: str | None, narrower: tuple[str, ...]) -> None:
    assert usual_column("category", names) == usual_column("category", reversed(names)) == widest
    assert narrower_columns(widest or "", names) == narrower


def test_ten_levels_are_counted_on() -> None:
    names = [f"category {n}" for n in range(1, 12)]
    assert narrower_columns("category 1", names) == tuple(names[1:])


def test_titles_have_no_levels() -> None:
    assert usual_column("title", ["Title 1", "Title 2"]) is None
