"""Agreement: what confirms what, by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.agreement import MIN_ROWS, agreement


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

    agreed = agreement(vectors)

    assert agreed["a"] > 0.7 and agreed["b"] > 0.7
    assert agreed["noise"] < 0.15


def test_against_a_loop() -> None:
    vectors = {"a": kinds_of_things(9, 7, 6, 1), "b": kinds_of_things(9, 7, 5, 2), "c": kinds_of_things(7, 9, 4, 3)}
    n_rows = 63

    def nearest(rows: NDArray[np.float64], index: int) -> int:
        return max((other for other in range(n_rows) if other != index), key=lambda other: rows[index] @ rows[other])

    expected = {}
    for finder, finder_rows in vectors.items():
        shares = []
        for judge, judge_rows in vectors.items():
            if judge == finder:
                continue
            pairs = [judge_rows[i] @ judge_rows[j] for i in range(n_rows) for j in range(n_rows) if i != j]
            found = np.median([judge_rows[i] @ judge_rows[nearest(finder_rows, i)] for i in range(n_rows)])
            best = np.median([judge_rows[i] @ judge_rows[nearest(judge_rows, i)] for i in range(n_rows)])
            shares.append((found - np.mean(pairs)) / (best - np.mean(pairs)))
        expected[finder] = np.clip(max(shares), 0, 1)

    assert agreement(vectors) == pytest.approx(expected, abs=1e-5)


def test_the_same_vectors_agree_wholly() -> None:
    rows = kinds_of_things(5, 8, 6, 1)

    assert agreement({"a": rows, "b": rows}) == pytest.approx({"a": 1.0, "b": 1.0})


def test_all_equal_rows_agree() -> None:
    rows = np.tile([1.0, 0.0], (40, 1))

    assert agreement({"a": rows, "b": rows}) == {"a": 1.0, "b": 1.0}


def test_too_few_rows_or_components_to_tell() -> None:
    few = kinds_of_things(2, MIN_ROWS // 2, 4, 1)[: MIN_ROWS - 1]

    assert agreement({"a": few, "b": few[::-1]}) == {"a": 1.0, "b": 1.0}
    assert agreement({"a": kinds_of_things(4, 8, 4, 1)}) == {"a": 1.0}
