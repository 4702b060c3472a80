"""Agreement: what confirms what, by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.agreement import MIN_ROWS, MOST_SHOTS, N_NEAREST, agreement, things_of


def unit_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def kinds_of_things(n_kinds: int, n_each: int, dim: int, seed: int, spread: float = 0.3) -> NDArray[np.float64]:
    """n_each things of every kind, near one another; other seeds give other vectors for the same kinds."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_kinds, dim))
    return unit_rows(np.repeat(centres, n_each, axis=0) + spread * rng.normal(size=(n_kinds * n_each, dim)))


def test_two_that_see_the_same_kinds_confirm_each_other_and_noise_none() -> None:
    noise = unit_rows(np.random.default_rng(3).normal(size=(200, 16)))
    vectors = {"a": kinds_of_things(20, 10, 24, 1), "b": kinds_of_things(20, 10, 12, 2), "noise": noise}

    agreed = agreement(vectors, np.arange(200))

    assert agreed["a"] > 0.7 and agreed["b"] > 0.7
    assert agreed["noise"] < 0.15


def shots(things: NDArray[np.float64], n_each: int, seed: int) -> NDArray[np.float64]:
    """n_each photos of every thing, hardly different."""
    rows = np.repeat(things, n_each, axis=0)
    return unit_rows(rows + 0.02 * np.random.default_rng(seed).normal(size=rows.shape))


@pytest.mark.parametrize(
    ("n_shots", "is_said"),
    [
        pytest.param(2, True, id="two photos of a known product"),
        pytest.param(8, True, id="eight photos of a known product"),
        pytest.param(2, False, id="two photos, each its own product"),
        pytest.param(3, False, id="three photos, each its own product"),
    ],
)
def test_another_photo_of_the_product_confirms_nothing(n_shots: int, is_said: bool) -> None:
    colour_of_product = unit_rows(np.random.default_rng(3).normal(size=(200, 16)))
    things = {"a": kinds_of_things(10, 20, 24, 1), "b": kinds_of_things(10, 20, 12, 2), "colour": colour_of_product}
    vectors = {name: shots(rows, n_shots, seed) for seed, (name, rows) in enumerate(things.items())}
    photos = np.arange(200 * n_shots)

    agreed = agreement(vectors, things_of(photos // n_shots if is_said else photos))

    assert agreed["a"] > 0.7 and agreed["b"] > 0.7
    assert agreed["colour"] < 0.4


def test_pieces_of_which_a_product_has_many_photos_are_a_kind() -> None:
    """As apples are: no other product is of that kind, and each photo shows others."""
    vectors = {"a": kinds_of_things(20, 30, 24, 1), "colour": kinds_of_things(20, 30, 16, 2)}

    agreed = agreement(vectors, things_of(np.arange(600) // 30))

    assert min(agreed.values()) > 0.7


def test_colour_that_tells_kinds_is_confirmed_with_many_photos_of_each() -> None:
    seen = {"a": kinds_of_things(40, 5, 24, 1), "colour": kinds_of_things(40, 5, 16, 2)}
    vectors = {name: shots(rows, 3, seed) for seed, (name, rows) in enumerate(seen.items())}

    agreed = agreement(vectors, things_of(np.arange(600) // 3))

    assert min(agreed.values()) > 0.7


def test_photos_of_a_thing_are_those_of_a_product_with_few() -> None:
    products = np.array([9, *[4] * MOST_SHOTS, 9, *[7] * (MOST_SHOTS + 1)])

    things = things_of(products)

    assert len(set(things[products == 9])) == len(set(things[products == 4])) == 1
    assert len(set(things[products == 7])) == MOST_SHOTS + 1 and len(set(things)) == MOST_SHOTS + 3


@pytest.mark.parametrize("n_each", [1, 3], ids=["one photo a thing", "three photos a thing"])
def test_against_a_loop(n_each: int) -> None:
    vectors = {"a": kinds_of_things(9, 7, 6, 1), "b": kinds_of_things(9, 7, 5, 2), "c": kinds_of_things(7, 9, 4, 3)}
    n_rows = 63
    things = np.arange(n_rows) // n_each

    def nearest(rows: NDArray[np.float64], index: int) -> list[int]:
        others = [other for other in range(n_rows) if things[other] != things[index]]
        return sorted(others, key=lambda other: -rows[index] @ rows[other])[:N_NEAREST]

    def median(finder_rows: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
        return float(np.median([rows[i] @ rows[j] for i in range(n_rows) for j in nearest(finder_rows, i)]))

    expected = {}
    for finder, finder_rows in vectors.items():
        shares = []
        for judge, rows in vectors.items():
            if judge == finder:
                continue
            pairs = [rows[i] @ rows[j] for i in range(n_rows) for j in range(n_rows) if i != j]
            best = median(rows, rows) - np.mean(pairs)
            shares.append((median(finder_rows, rows) - np.mean(pairs)) / best)
        expected[finder] = np.clip(max(shares), 0, 1)

    assert agreement(vectors, things) == pytest.approx(expected, abs=1e-5)


def test_the_same_vectors_agree_wholly() -> None:
    rows = kinds_of_things(5, 8, 6, 1)

    assert agreement({"a": rows, "b": rows}, np.arange(40)) == pytest.approx({"a": 1.0, "b": 1.0})


def test_all_equal_rows_agree() -> None:
    rows = np.tile([1.0, 0.0], (40, 1))

    assert agreement({"a": rows, "b": rows}, np.arange(40)) == {"a": 1.0, "b": 1.0}


def test_too_few_rows_or_components_to_tell() -> None:
    few = kinds_of_things(2, MIN_ROWS // 2, 4, 1)[: MIN_ROWS - 1]

    assert agreement({"a": few, "b": few[::-1]}, np.arange(MIN_ROWS - 1)) == {"a": 1.0, "b": 1.0}
    assert agreement({"a": kinds_of_things(4, 8, 4, 1)}, np.arange(32)) == {"a": 1.0}
