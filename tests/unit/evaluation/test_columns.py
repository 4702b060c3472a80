"""Groups measured by the catalogue's own columns."""

from __future__ import annotations

import pytest

from prodseek.evaluation.columns import looks_like_label, purity


@pytest.mark.parametrize(
    ("values", "is_label"),
    [
        (["chair"] * 5 + ["lamp"] * 4, True),
        (["chair"] * 5 + ["lamp"] * 4 + [None] * 5, True),
        (["chair"] * 5 + ["lamp"] * 4 + [None] * 15, False),
        (["chair"] * 9, False),
        ([f"SKU-{n}" for n in range(9)], False),
        (["x" * 100] * 5 + ["lamp"] * 4, False),
        ([], False),
        ([None, ""], False),
    ],
)
def test_which_columns_look_like_labels(values: list[str | None], is_label: bool) -> None:
    assert looks_like_label(values) == is_label


def test_purity_is_the_share_of_each_groups_most_frequent_value() -> None:
    groups = ["a"] * 4 + ["b"] * 2 + [None] * 2
    values = ["chair", "chair", "chair", "lamp", "lamp", None, "sofa", "sofa"]
    assert purity(groups, values) == pytest.approx(4 / 5)
    assert purity([None], ["chair"]) == 0 == purity([], [])
