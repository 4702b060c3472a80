"""Planted groups are found; every edge case is defined; the hdbscan package is the oracle."""

from __future__ import annotations

import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from prodseek.cluster.groups import NOISE, cohesion, exemplars, hdbscan_groups, knn_matrix, umap_coordinates


def planted(n_groups: int, size: int, d: int = 16, spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(n_groups, d))
    vectors = np.repeat(centres, size, axis=0) + spread * rng.normal(size=(n_groups * size, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat(np.arange(n_groups), size)


def graph(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    nearest = np.argsort(-cosine, axis=1)[:, : k - 1]
    rows = np.repeat(np.arange(len(vectors)), nearest.shape[1])
    return knn_matrix(rows, nearest.ravel(), np.take_along_axis(cosine, nearest, 1).ravel(), len(vectors), k)


def test_knn_matrix_puts_self_first_and_orders_the_rest() -> None:
    rows = np.array([0, 0, 0, 1], np.int64)
    neighbours = np.array([3, 2, 1, 0], np.int64)
    cosine = np.array([0.5, 0.9, 0.5, 0.5], np.float32)
    indices, distances = knn_matrix(rows, neighbours, cosine, 4, 3)
    assert indices.tolist() == [[0, 2, 1], [1, 0, -1], [2, -1, -1], [3, -1, -1]]
    np.testing.assert_allclose(distances[0], [0.0, 0.1, 0.5], atol=1e-6)
    np.testing.assert_allclose(distances[1], [0.0, 0.5, 0.5], atol=1e-6)


def test_planted_groups_are_found_and_the_same_twice() -> None:
    vectors, truth = planted(6, 25)
    indices, distances = graph(vectors, 10)
    first = umap_coordinates(indices, distances, vectors, 4, 10, 0.0, 0)
    second = umap_coordinates(indices, distances, vectors, 4, 10, 0.0, 0)
    np.testing.assert_array_equal(first, second)
    groups = hdbscan_groups(first, 5, 2)
    assert adjusted_mutual_info_score(truth, groups.labels) > 0.95
    assert groups.labels.max() == 5 and groups.labels[0] == 0


def test_the_hdbscan_package_gives_the_same_partition() -> None:
    coordinates = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    coordinates[:80] += 6
    ours = hdbscan_groups(coordinates, 8, 3)
    theirs = hdbscan.HDBSCAN(min_cluster_size=8, min_samples=3).fit(coordinates.astype(np.float64))
    assert adjusted_mutual_info_score(theirs.labels_, ours.labels) == pytest.approx(1.0)
    np.testing.assert_array_equal(ours.labels == NOISE, theirs.labels_ == NOISE)
    assert ((ours.outlier_score >= 0) & (ours.outlier_score <= 1)).all()


@pytest.mark.parametrize("n_rows", [0, 1, 2, 4, 5, 7, 9])
def test_few_rows(n_rows: int) -> None:
    vectors, _ = planted(1, max(1, n_rows))
    vectors = vectors[:n_rows]
    indices, distances = knn_matrix(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), n_rows, 5)
    coordinates = umap_coordinates(indices, distances, vectors, 2, 5, 0.0, 0)
    groups = hdbscan_groups(coordinates, 3, 2)
    assert len(groups.labels) == len(groups.membership) == n_rows
    assert np.isfinite(coordinates).all()


def test_equal_rows_are_one_group_when_there_are_enough() -> None:
    assert hdbscan_groups(np.ones((10, 3), np.float32), 5, 2).labels.tolist() == [0] * 10
    assert hdbscan_groups(np.ones((3, 3), np.float32), 5, 2).labels.tolist() == [NOISE] * 3


def test_exemplars_are_central_and_of_different_products() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 0, 3]]
    vectors[1] = [0.8, 0.6, 0, 0]
    vectors[3] = [0.6, 0.8, 0, 0]
    labels = np.array([0, 0, 0, 0, NOISE], np.int32)
    chosen = exemplars(vectors, labels, ["p", "q", "p", "r", "s"], 3)
    assert set(chosen) == {0}
    assert chosen[0][0] == 1 and set(chosen[0]) == {0, 1, 3}
    assert cohesion(vectors, [0, 1], [0]) == pytest.approx(0.9)
