import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from prodseek.cluster.groups import NOISE, cohesion, exemplars, hdbscan_groups, knn_matrix, umap_coordinates


def blobs(n_kinds=4, per_kind=40, d=24, noise=0.35, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(n_kinds, d))
    truth = np.repeat(np.arange(n_kinds), per_kind)
    vectors = kinds[truth] + noise * rng.normal(size=(len(truth), d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def edges(vectors, k):
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    rows = np.repeat(np.arange(len(vectors)), nearest.shape[1])
    return rows, nearest.ravel(), cosine[rows, nearest.ravel()]


def grouped(vectors, n_neighbors=12, n_components=4, seed=0):
    knn = knn_matrix(*edges(vectors, 14), len(vectors), 15)
    return umap_coordinates(*knn, vectors, n_components, n_neighbors, 0.0, seed)


def test_the_matrix_begins_with_oneself_and_is_sorted():
    vectors, _ = blobs()
    indices, distances = knn_matrix(*edges(vectors, 9), len(vectors), 8)
    assert (indices[:, 0] == np.arange(len(vectors))).all() and (distances[:, 0] == 0).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    cosine = vectors @ vectors.T
    np.testing.assert_allclose(distances, np.take_along_axis(1 - cosine, indices.astype(np.int64), axis=1), atol=1e-5)


def test_missing_neighbours_are_minus_one_and_equal_ones_by_row():
    indices, _ = knn_matrix(np.array([1, 1, 1]), np.array([3, 0, 2]), np.float32([0.5, 0.5, 0.9]), 4, 5)
    assert indices.tolist() == [[0, -1, -1, -1, -1], [1, 2, 0, 3, -1], [2, -1, -1, -1, -1], [3, -1, -1, -1, -1]]


def test_planted_groups_are_recovered():
    vectors, truth = blobs()
    groups = hdbscan_groups(grouped(vectors), 8, 3)
    assert adjusted_mutual_info_score(truth, groups.labels) > 0.95
    assert groups.membership.min() >= 0 and groups.membership.max() <= 1
    assert (groups.membership[groups.labels == NOISE] == 0).all()


def test_the_same_input_gives_the_same_bits():
    vectors, _ = blobs(per_kind=25)
    first = grouped(vectors)
    np.testing.assert_array_equal(first, grouped(vectors))
    assert first.shape == (100, 4) and first.dtype == np.float32


def test_two_far_blobs_are_two_groups():
    vectors, truth = blobs(2, 30, noise=0.05)
    labels = hdbscan_groups(grouped(vectors), 8, 3).labels
    assert adjusted_mutual_info_score(truth, labels) == pytest.approx(1)


def test_the_partition_is_that_of_the_hdbscan_package():
    coordinates = grouped(blobs(5, 40, noise=0.6)[0])
    for method in ("eom", "leaf"):
        expected = hdbscan.HDBSCAN(min_cluster_size=6, min_samples=2, cluster_selection_method=method).fit(coordinates)
        found = hdbscan_groups(coordinates, 6, 2, method)
        np.testing.assert_array_equal(found.labels == NOISE, expected.labels_ == -1)
        assert adjusted_mutual_info_score(expected.labels_, found.labels) == pytest.approx(1)


def test_labels_count_from_zero_in_order_of_appearance():
    labels = hdbscan_groups(grouped(blobs()[0]), 8, 3).labels
    seen = list(dict.fromkeys(labels[labels != NOISE].tolist()))
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize("n_rows", [0, 1, 2, 5, 7, 12])
def test_few_regions_are_defined(n_rows):
    vectors, _ = blobs(1, n_rows, 8)
    groups = hdbscan_groups(grouped(vectors) if n_rows else np.zeros((0, 4), np.float32), 5, 2)
    assert len(groups.labels) == len(groups.membership) == len(groups.outlier_score) == n_rows
    assert np.isfinite(groups.membership).all() and np.isfinite(groups.outlier_score).all()


@pytest.mark.parametrize("n_rows", [3, 20, 60])
def test_regions_that_are_all_equal_are_defined(n_rows):
    vectors = np.tile(np.float32([0.6, 0.8, 0]), (n_rows, 1))
    coordinates = grouped(vectors)
    assert np.isfinite(coordinates).all()
    groups = hdbscan_groups(coordinates, 5, 2)
    assert np.isfinite(groups.membership).all() and np.isfinite(groups.outlier_score).all()


@pytest.mark.parametrize(("n_rows", "label"), [(4, NOISE), (5, 0), (50, 0)])
def test_equal_coordinates_are_one_group_if_enough(n_rows, label):
    groups = hdbscan_groups(np.ones((n_rows, 3), np.float32), 5, 2)
    assert set(groups.labels.tolist()) == {label}


def test_scattered_points_are_noise():
    groups = hdbscan_groups(np.random.default_rng(0).uniform(size=(9, 2)).astype(np.float32), 5, 5)
    assert (groups.labels == NOISE).all()


def test_a_region_without_neighbours_does_not_spoil_the_rest():
    vectors, truth = blobs(3, 30)
    rows, neighbours, cosine = edges(vectors, 14)
    kept = (rows != 7) & (neighbours != 7)
    knn = knn_matrix(rows[kept], neighbours[kept], cosine[kept], len(vectors), 15)
    coordinates = umap_coordinates(*knn, vectors, 4, 12, 0.0, 0)
    assert np.isfinite(coordinates).all()
    labels = hdbscan_groups(coordinates, 8, 3).labels
    others = np.arange(len(truth)) != 7
    assert adjusted_mutual_info_score(truth[others], labels[others]) > 0.9


def test_exemplars_are_central_and_of_different_products():
    vectors, truth = blobs(2, 20)
    products = [f"product {row // 4}" for row in range(40)]
    labels = truth.astype(np.int32)
    labels[5] = NOISE
    found = exemplars(vectors, labels, products, 3)
    for label, rows in found.items():
        assert len({products[row] for row in rows}) == len(rows) == 3
        own = np.flatnonzero(labels == label)
        centrality = vectors[own] @ vectors[own].mean(axis=0)
        assert rows[0] == own[centrality.argmax()]
        assert set(rows) <= set(own.tolist())


def test_a_group_of_one_product_has_one_exemplar():
    vectors, _ = blobs(1, 6)
    assert len(exemplars(vectors, np.zeros(6, np.int32), ["same"] * 6, 4)[0]) == 1


def test_no_group_has_no_exemplar():
    assert exemplars(np.eye(3, dtype=np.float32), np.full(3, NOISE, np.int32), ["a", "b", "c"], 2) == {}


def test_cohesion_is_the_mean_cosine_to_the_exemplars():
    vectors = np.float32([[1, 0], [0, 1], [0.6, 0.8]])
    assert cohesion(vectors, [0, 1, 2], [0]) == pytest.approx((1 + 0 + 0.6) / 3)
    assert cohesion(vectors, [0, 0], [0]) == pytest.approx(1)
