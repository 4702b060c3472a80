"""Departments are cut apart, and lumps that many ties join are not; what is too small, equal or without ties stays whole."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.cluster.graph_cuts import departments
from prodseek.cluster.groups import Nearest, search_knn


def ring(*, n_rows: int, first: int, n_all: int) -> np.ndarray:
    """Rows on a ring of n_rows from `first` on, each with itself and the three before and behind it."""
    own = np.arange(n_rows)[:, None] + np.array([0, 1, -1, 2, -2, 3, -3])
    assert first + n_rows <= n_all
    return (own % n_rows + first).astype(np.int32)


def nearest_of(*rings: int, joined_at: int = 0) -> Nearest:
    """A graph of rings; the first joined_at rows of the second have a row of the first among their nearest."""
    n_all = sum(rings)
    starts = np.cumsum([0, *rings[:-1]]).tolist()
    indices = np.concatenate([ring(n_rows=n, first=at, n_all=n_all) for n, at in zip(rings, starts, strict=True)])
    for row in range(joined_at):
        indices[rings[0] + row, -1] = row
    return indices, np.full(indices.shape, 0.1, np.float32)


def sizes(nearest: Nearest, min_rows: int = 20) -> list[int]:
    return np.bincount(departments(nearest, min_rows)).tolist()


def lumps(*spreads: float, rows: int, between: float, d: int = 24) -> np.ndarray:
    """Lumps of equal number, each with its spread, `between` one another; unit length."""
    rng = np.random.default_rng(0)
    centres = np.eye(len(spreads), d) * between
    found = np.concatenate(
        [at + spread * rng.normal(size=(rows, d)) for at, spread in zip(centres, spreads, strict=True)]
    )
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_parts_that_nothing_joins_are_departments_in_the_order_of_their_rows() -> None:
    assert sizes(nearest_of(30, 60, 40)) == [30, 60, 40]
    mixed = nearest_of(40, 60)
    order = np.random.default_rng(0).permutation(100)
    place = np.argsort(order)
    shuffled = place[mixed[0][order]].astype(np.int32), mixed[1]
    found = departments(shuffled, 20)
    assert found[0] == 0
    np.testing.assert_array_equal(found == found[0], (order < 40) == (order[0] < 40))


@pytest.mark.parametrize(("joined_at", "found"), [(3, [60, 60]), (20, [120])])
def test_a_few_ties_across_do_not_join_and_many_do(joined_at: int, found: list[int]) -> None:
    """3 of 718 ties lead across, .0042 of a department's; or 20, .028."""
    assert sizes(nearest_of(60, 60, joined_at=joined_at), min_rows=50) == found


def test_departments_of_different_density_are_cut_apart() -> None:
    vectors = lumps(0.02, 0.15, rows=150, between=1.0)
    found = departments(search_knn(vectors, 17, 0), 120)
    np.testing.assert_array_equal(found, np.repeat([0, 1], 150))


def test_two_dense_lumps_joined_by_many_ties_are_one_department() -> None:
    vectors = lumps(0.3, 0.3, rows=150, between=0.8)
    nearest = search_knn(vectors, 17, 0)
    across = ((nearest[0][:, 1:] < 150) != (np.arange(300) < 150)[:, None]).mean()
    assert 0.02 < across < 0.3
    assert (departments(nearest, 120) == 0).all()


@pytest.mark.parametrize(
    "rings", [(39,), (19, 20), (19, 60), (10, 10, 10)], ids=lambda rings: " and ".join(map(str, rings))
)
def test_nothing_smaller_than_a_department_is_cut_off(rings: tuple[int, ...]) -> None:
    assert sizes(nearest_of(*rings)) == [sum(rings)]


def test_small_pieces_stay_with_the_largest_part() -> None:
    assert sizes(nearest_of(60, 5, 40)) == [65, 40]


def test_rows_without_ties_and_no_rows_at_all() -> None:
    alone = np.full((50, 5), -1, np.int32), np.zeros((50, 5), np.float32)
    alone[0][:, 0] = np.arange(50)
    assert sizes(alone) == [50]
    assert departments((np.zeros((0, 5), np.int32), np.zeros((0, 5), np.float32)), 20).tolist() == []


def test_equal_rows_are_one_department() -> None:
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (300, 1))
    assert len(set(departments(search_knn(vectors, 17, 0), 120).tolist())) == 1


def test_the_same_graph_is_cut_the_same() -> None:
    nearest = search_knn(lumps(0.1, 0.2, 0.1, rows=140, between=1.0), 17, 0)
    first, second = (departments(nearest, 120) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.max() == 2
