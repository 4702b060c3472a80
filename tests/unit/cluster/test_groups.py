"""Planted groups are found at both levels; every edge case is defined; the hdbscan package is the oracle."""

from __future__ import annotations

import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from prodseek.cluster.groups import (
    EXACT_ROWS,
    NOISE,
    coarse_size,
    hdbscan_groups,
    in_order_of_appearance,
    search_knn,
    umap_coordinates,
)


def planted(n_groups: int, size: int, d: int = 16, spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(n_groups, d))
    vectors = np.repeat(centres, size, axis=0) + spread * rng.normal(size=(n_groups * size, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(n_groups), size)


def grouped(vectors: np.ndarray, k: int = 9, sizes: tuple[int, int] = (3, 15)) -> tuple[np.ndarray, np.ndarray]:
    indices, distances = search_knn(vectors, k, 0)
    coordinates = umap_coordinates(indices, distances, vectors, 2, k, 0.0, 0)
    assert np.isfinite(coordinates).all()
    groups = hdbscan_groups(coordinates, *sizes, 1)
    return groups.fine, groups.coarse


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
    vectors, truth = planted(6, 25)
    indices, distances = search_knn(vectors, 10, 0)
    first = umap_coordinates(indices, distances, vectors, 4, 10, 0.0, 0)
    second = umap_coordinates(indices, distances, vectors, 4, 10, 0.0, 0)
    np.testing.assert_array_equal(first, second)
    groups = hdbscan_groups(first, 5, 20, 2)
    assert adjusted_mutual_info_score(truth, groups.fine) > 0.95
    assert groups.fine.max() == 5 and groups.fine[0] == 0


def test_two_levels_of_planted_groups() -> None:
    rng = np.random.default_rng(3)
    broad = 100 * np.repeat(np.eye(4), 30, axis=0)
    narrow = np.tile(np.repeat(5 * np.eye(3, 4), 10, axis=0), (4, 1))
    groups = hdbscan_groups((broad + narrow + 0.1 * rng.normal(size=(120, 4))).astype(np.float32), 4, 25, 2)
    np.testing.assert_array_equal(groups.fine, np.repeat(np.arange(12), 10))
    np.testing.assert_array_equal(groups.coarse, np.repeat(np.arange(4), 30))


@pytest.mark.parametrize(("size", "coarse_size", "min_samples"), [(3, 15, 1), (8, 20, 3)])
def test_the_hdbscan_package_gives_the_same_partition_at_both_levels(
    size: int, coarse_size: int, min_samples: int
) -> None:
    coordinates = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    coordinates[:80] += 6
    coordinates[80:130] -= 4
    groups = hdbscan_groups(coordinates, size, coarse_size, min_samples)
    for labels, min_cluster_size in ((groups.fine, size), (groups.coarse, coarse_size)):
        theirs = hdbscan.HDBSCAN(
            min_cluster_size=min_cluster_size, min_samples=min_samples, approx_min_span_tree=False
        ).fit_predict(coordinates.astype(np.float64))
        np.testing.assert_array_equal(labels, in_order_of_appearance(theirs))
        assert labels.max() >= 1
    assert ((groups.outlier_score >= 0) & (groups.outlier_score <= 1)).all()


@pytest.mark.parametrize("n_rows", [0, 1, 2, 4, 5, 7, 9, 16])
def test_few_rows(n_rows: int) -> None:
    vectors, _ = planted(1, 20)
    fine, coarse = grouped(vectors[:n_rows])
    assert len(fine) == len(coarse) == n_rows
    assert n_rows > 4 or (fine == NOISE).all()


def test_rows_without_any_neighbour() -> None:
    vectors, _ = planted(1, 9)
    indices, distances = np.full((9, 5), -1, np.int32), np.zeros((9, 5), np.float32)
    indices[:, 0] = np.arange(9)
    np.testing.assert_array_equal(umap_coordinates(indices, distances, vectors, 2, 5, 0.0, 0), vectors)


def test_equal_rows_are_one_group_when_there_are_enough() -> None:
    vectors = np.repeat(planted(1, 1)[0], 40, axis=0)
    assert [labels.tolist() for labels in grouped(vectors)] == [[0] * 40, [0] * 40]
    assert grouped(vectors[:2])[0].tolist() == [NOISE] * 2


def test_two_far_blobs_are_two_groups() -> None:
    vectors, truth = planted(2, 30, spread=0.01)
    fine, coarse = grouped(vectors, sizes=(10, 20))
    np.testing.assert_array_equal(fine, truth)
    np.testing.assert_array_equal(coarse, truth)


def test_what_nothing_is_like_is_noise() -> None:
    axes = np.eye(64, dtype=np.float32)
    groups = hdbscan_groups(axes, 3, 15, 1)
    assert (groups.fine == NOISE).all() and (groups.coarse == NOISE).all()


def test_labels_are_numbered_by_their_first_row() -> None:
    assert in_order_of_appearance(np.array([7, NOISE, 2, 7, 0])).tolist() == [0, NOISE, 1, 0, 2]
    assert in_order_of_appearance(np.empty(0, np.int32)).tolist() == []


@pytest.mark.parametrize(("n_rows", "size"), [(0, 3), (100, 3), (236, 5), (600, 15), (1_000_000, 15)])
def test_coarse_groups_of_a_small_catalogue_may_be_smaller(n_rows, size):
    assert coarse_size(n_rows, 3, 15) == size
