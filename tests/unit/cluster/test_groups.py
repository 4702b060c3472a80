"""Planted groups are found at both levels, whatever else a catalogue holds; every edge case is defined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score

from prodseek.cluster.groups import (
    EXACT_ROWS,
    NOISE,
    GroupLimits,
    Groups,
    communities,
    groups_of,
    in_order_of_appearance,
    search_knn,
    ties,
)

LIMITS = GroupLimits(n_neighbors=9, min_cluster_size=3, fine_density=0.15, coarse_density=0.015)


def planted(
    n_groups: int, size: int, d: int = 16, spread: float = 0.05, seed: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_groups, d))
    vectors = np.repeat(centres, size, axis=0) + spread * rng.normal(size=(n_groups * size, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(n_groups), size)


def grouped(vectors: np.ndarray, k: int = 9, limits: GroupLimits = LIMITS) -> Groups:
    return groups_of(vectors, search_knn(vectors, k, 0), limits, 0)


def quality(graph: csr_matrix, labels: np.ndarray, density: float) -> float:
    """The constant Potts model by its formula: ties within groups less `density` times their pairs."""
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    return float((graph.toarray() - density)[same].sum())


def test_searched_neighbours_are_the_nearest() -> None:
    vectors, _ = planted(5, 10, spread=0.4)
    indices, distances = search_knn(vectors, 6, 0)
    cosine = vectors @ vectors.T
    assert (indices[:, 0] == np.arange(50)).all()
    np.testing.assert_allclose(1 - distances[:, 1:], -np.sort(-cosine, axis=1)[:, 1:6], atol=1e-6)
    assert search_knn(vectors[:1], 6, 0)[0].tolist() == [[0]] and len(search_knn(vectors[:3], 6, 0)[0][0]) == 3


@pytest.mark.slow
def test_more_rows_are_searched_by_descent_and_the_same_twice() -> None:
    vectors, truth = planted(EXACT_ROWS // 40 + 1, 40)
    first, second = search_knn(vectors, 9, 3), search_knn(vectors, 9, 3)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (truth[first[0]] == truth[:, None]).mean() > 0.99


def test_planted_groups_are_found_and_the_same_twice() -> None:
    vectors, truth = planted(30, 25)
    first, second = grouped(vectors), grouped(vectors)
    np.testing.assert_array_equal(first.fine, second.fine)
    np.testing.assert_array_equal(first.coarse, second.coarse)
    assert adjusted_mutual_info_score(truth, first.coarse) > 0.95
    assert all(len(set(truth[first.fine == label])) == 1 for label in range(first.fine.max() + 1))


def test_two_levels_of_planted_groups() -> None:
    rng = np.random.default_rng(3)
    broad, narrow = np.repeat(np.arange(40), 24), np.tile(np.repeat(np.arange(4), 6), 40)
    vectors = np.eye(40, 44)[broad] + 0.4 * np.eye(4, 44, 40)[narrow] + 0.07 * rng.normal(size=(960, 44))
    groups = grouped((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), 16)
    np.testing.assert_array_equal(groups.coarse, broad)
    assert homogeneity_score(4 * broad + narrow, groups.fine) > 0.95
    assert 120 <= groups.fine.max() + 1 <= 200


@pytest.mark.parametrize("spread", [0.2, 0.02], ids=["a sparse one", "a dense one"])
def test_another_department_changes_nothing(spread: float) -> None:
    ours, theirs = planted(30, 25, spread=0.3)[0], planted(100, 25, spread=spread, seed=8)[0]
    both = np.zeros((len(ours) + len(theirs), 32), np.float32)
    both[: len(ours), :16], both[len(ours) :, 16:] = ours, theirs
    alone, among = grouped(ours), grouped(both)
    for before, now in ((alone.fine, among.fine), (alone.coarse, among.coarse)):
        assert adjusted_mutual_info_score(before, now[: len(ours)]) > 0.9
        assert not set(now[: len(ours)]) & set(now[len(ours) :]) - {NOISE}


def test_a_row_is_tied_to_its_nearest_whatever_the_scale() -> None:
    dense, sparse = planted(3, 20, spread=0.01)[0], planted(3, 20, spread=0.3)[0]
    strongest = [ties(search_knn(vectors, 9, 0), 9).max(axis=1).toarray() for vectors in (dense, sparse)]
    for found in strongest:
        np.testing.assert_allclose(found, 1.0, atol=1e-5)
    graph = ties(search_knn(sparse, 9, 0), 9)
    assert abs(graph - graph.T).max() < 1e-6 and graph.min() >= 0 and graph.diagonal().max() == 0


@pytest.mark.parametrize("density", [0.02, 0.15, 0.4])
def test_communities_are_as_good_as_any_by_the_constant_potts_model(density: float) -> None:
    vectors, truth = planted(12, 20, spread=0.3)
    graph = ties(search_knn(vectors, 9, 0), 9)
    found = communities(graph, density, 1, 0)
    best = quality(graph, found, density)
    assert best >= quality(graph, truth, density)
    for one in range(found.max() + 1):
        for other in range(one):
            joined = np.where(found == one, other, found)
            assert quality(graph, joined, density) <= 1.01 * best


def test_small_catalogues_have_fewer_neighbours_and_denser_coarse_groups() -> None:
    limits = GroupLimits(12, 3, 0.15, 0.015)
    assert [limits.n_neighbors_of(n_rows) for n_rows in (0, 10, 240, 1_000_000)] == [5, 5, 8, 12]
    assert [limits.coarse_density_of(n_rows) for n_rows in (0, 10, 300, 600, 1_000_000)] == [
        0.15,
        0.15,
        0.03,
        0.015,
        0.015,
    ]


@pytest.mark.parametrize("n_rows", [0, 1, 2, 4, 5, 7, 9, 16])
def test_few_rows(n_rows: int) -> None:
    vectors, _ = planted(1, 20)
    groups = grouped(vectors[:n_rows])
    assert len(groups.fine) == len(groups.coarse) == n_rows
    assert n_rows > 4 or (groups.fine == NOISE).all()


def test_rows_without_any_neighbour_are_noise() -> None:
    indices, distances = np.full((9, 5), -1, np.int32), np.full((9, 5), np.inf, np.float32)
    indices[:, 0], distances[:, 0] = np.arange(9), 0
    groups = groups_of(planted(1, 9)[0], (indices, distances), LIMITS, 0)
    assert (groups.fine == NOISE).all() and (groups.coarse == NOISE).all()


def test_equal_rows_are_one_group_when_there_are_enough() -> None:
    vectors = np.repeat(planted(1, 1)[0], 40, axis=0)
    groups = grouped(vectors)
    assert [groups.fine.tolist(), groups.coarse.tolist()] == [[0] * 40, [0] * 40]
    assert grouped(vectors[:2]).fine.tolist() == [NOISE] * 2


def test_two_far_blobs_are_two_groups() -> None:
    vectors, truth = planted(2, 8, spread=0.01)
    groups = grouped(vectors)
    np.testing.assert_array_equal(groups.fine, truth)
    np.testing.assert_array_equal(groups.coarse, truth)


def test_what_nothing_is_like_is_noise() -> None:
    groups = grouped(np.eye(64, dtype=np.float32))
    assert (groups.fine == NOISE).all() and (groups.coarse == NOISE).all()


def test_labels_are_numbered_by_their_first_row() -> None:
    assert in_order_of_appearance(np.array([7, NOISE, 2, 7, 0])).tolist() == [0, NOISE, 1, 0, 2]
    assert in_order_of_appearance(np.empty(0, np.int32)).tolist() == []
