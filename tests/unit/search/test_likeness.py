"""One facet or a mix: how it is written, and what it computes."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.errors import PromptError
from prodseek.runs.columns import FACETS
from prodseek.search.likeness import Likeness, cosines_of


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_weights_add_up_to_one() -> None:
    mix = Likeness.parse("mix=colour:3,visual:1")
    assert dict(mix.weights) == {"visual": 0.25, "colour": 0.75}
    assert mix.facet is None and str(mix) == "mix=visual:0.25,colour:0.75"


def test_one_facet_is_itself() -> None:
    assert Likeness.parse("shape").facet == "shape"
    assert Likeness.parse("mix=shape:5,visual:0") == Likeness.parse("shape")


@pytest.mark.parametrize(
    "text",
    ["", "smell", "mix=", "mix=visual", "mix=visual:a", "visual:1", "mix=visual:1,visual:1", "mix=visual:-1,colour:2"],
)
def test_what_is_no_likeness_is_told(text: str) -> None:
    with pytest.raises(
        PromptError, match=r"is unknown; ask for likeness, visual, colour, texture, shape, or a mix such as mix="
    ):
        Likeness.parse(text)


@pytest.mark.parametrize("text", ["mix=visual:0", "mix=visual:nan", "mix=visual:inf", "mix=smell:1"])
def test_weights_that_weigh_nothing_are_told(text: str) -> None:
    with pytest.raises(PromptError, match="is unknown"):
        Likeness.parse(text)


def test_a_mix_is_the_weighted_mean_of_cosines_and_no_row_depends_on_another() -> None:
    dims = dict(zip(FACETS, (9, 8, 5, 6, 7), strict=True))
    vectors = {facet: unit_rows(32, d, seed) for seed, (facet, d) in enumerate(dims.items())}
    query = {facet: unit_rows(1, d, 9)[0] for facet, d in dims.items()}
    mixed = Likeness.parse("mix=visual:0.5,shape:1.5").cosine(query, vectors)

    expected = 0.25 * vectors["visual"] @ query["visual"] + 0.75 * vectors["shape"] @ query["shape"]
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    for row in range(32):
        alone = cosines_of(query, {facet: rows[row : row + 1] for facet, rows in vectors.items()})
        together = cosines_of(query, vectors)
        assert all(alone[facet][0] == together[facet][row] for facet in FACETS)
