import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.index.ivf import (
    FLAT_BELOW,
    assign_cells,
    centroid_index,
    check_vectors,
    choose_nlist,
    train_centroids,
    training_rows,
)


def unit_rows(rng, n, d):
    rows = rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("n_vectors", [0, 1, 5, FLAT_BELOW - 1])
def test_small_catalogues_need_no_cells(n_vectors):
    assert choose_nlist(n_vectors) == 1


@pytest.mark.parametrize("n_vectors", [FLAT_BELOW, 250_000, 1_000_000, 41_000_000])
def test_nlist_lies_between_4_and_16_roots(n_vectors):
    nlist = choose_nlist(n_vectors)
    assert 4 * math.sqrt(n_vectors) <= nlist <= 16 * math.sqrt(n_vectors)
    assert nlist & (nlist - 1) == 0


def test_a_million_vectors_get_the_published_number_of_cells():
    assert choose_nlist(1_000_000) == 4096


def test_the_training_sample_is_bounded_by_what_there_is():
    assert training_rows(1_000_000, 4096) == 64 * 4096
    assert training_rows(100, 64) == 100


def test_centroids_are_unit_length_and_repeatable():
    sample = unit_rows(np.random.default_rng(1), 900, 16)
    first = train_centroids(sample, 12, seed=3)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(first, train_centroids(sample, 12, seed=3))
    assert not np.array_equal(first, train_centroids(sample, 12, seed=4))


def test_centroids_find_planted_directions():
    rng = np.random.default_rng(0)
    planted = np.eye(8, dtype=np.float32)
    sample = planted[rng.integers(0, 8, 800)] + 0.05 * rng.normal(size=(800, 8)).astype(np.float32)
    sample /= np.linalg.norm(sample, axis=1, keepdims=True)
    centroids = train_centroids(sample, 8, seed=5)
    nearest = (sample @ centroids.T).max(axis=1)
    assert nearest.mean() > (sample @ train_centroids(sample, 2, seed=5).T).max(axis=1).mean() + 0.2


def test_neighbouring_cells_have_neighbouring_numbers():
    rng = np.random.default_rng(4)
    angles = rng.uniform(0, 2 * np.pi, 4000)
    sample = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    centroids = train_centroids(sample, 64, seed=0)
    in_order = (centroids[:-1] * centroids[1:]).sum(axis=1)
    shuffled = centroids[rng.permutation(64)]
    assert np.median(in_order) > 0.98 > np.median((shuffled[:-1] * shuffled[1:]).sum(axis=1)) + 0.3


def test_one_cell_is_the_mean_direction():
    sample = unit_rows(np.random.default_rng(2), 50, 6)
    mean = sample.mean(axis=0)
    np.testing.assert_allclose(train_centroids(sample, 1, seed=0)[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_vectors_that_cancel_out_still_have_a_centroid():
    sample = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert np.linalg.norm(train_centroids(sample, 1, seed=0)) == pytest.approx(1)


def test_equal_vectors_can_be_trained_on():
    sample = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (40, 1))
    assert np.isfinite(train_centroids(sample, 4, seed=0)).all()


def test_too_small_a_sample_is_refused():
    with pytest.raises(ValueError, match="5 cells cannot be trained on 4 vectors"):
        train_centroids(unit_rows(np.random.default_rng(0), 4, 3), 5, seed=0)


@settings(max_examples=30)
@given(
    n=st.integers(1, 60),
    nlist=st.integers(1, 20),
    nprobe=st.integers(1, 25),
    d=st.integers(2, 12),
    seed=st.integers(0, 99),
)
def test_cells_are_the_nearest_centroids(n, nlist, nprobe, d, seed):
    rng = np.random.default_rng(seed)
    vectors, centroids = unit_rows(rng, n, d), unit_rows(rng, nlist, d)
    cells, to_centroid = assign_cells(vectors, centroid_index(centroids), nprobe)
    assert cells.dtype == np.int32
    cosine = vectors.astype(np.float64) @ centroids.T.astype(np.float64)
    expected = -np.sort(-cosine, axis=1)[:, : min(nprobe, nlist)]
    np.testing.assert_allclose(np.take_along_axis(cosine, cells.astype(np.int64), axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(to_centroid, expected, atol=1e-6)
    assert all(len(set(row)) == len(row) for row in cells.tolist())


def test_a_vector_s_cells_do_not_depend_on_its_batch():
    rng = np.random.default_rng(7)
    vectors, quantizer = unit_rows(rng, 500, 32), centroid_index(unit_rows(rng, 64, 32))
    together = assign_cells(vectors, quantizer, 5)
    for n_batch in (1, 32):
        parts = [assign_cells(vectors[i : i + n_batch], quantizer, 5) for i in range(0, len(vectors), n_batch)]
        np.testing.assert_array_equal(together.cells, np.concatenate([part.cells for part in parts]))
        np.testing.assert_array_equal(together.cosine, np.concatenate([part.cosine for part in parts]))


def test_equal_centroids_are_ordered_by_cell():
    centroids = np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32)
    asked = np.array([[1, 0]], dtype=np.float32)
    assert assign_cells(asked, centroid_index(centroids), 3).cells.tolist() == [[1, 2, 0]]


def test_bad_vectors_are_named():
    vectors = np.ones((4, 3), dtype=np.float32)
    vectors[1] = 0
    vectors[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"detection ids 71, 73$"):
        check_vectors(np.array([70, 71, 72, 73]), vectors)


def test_many_bad_vectors_are_counted():
    with pytest.raises(ValueError, match="and 15 more"):
        check_vectors(np.arange(25), np.zeros((25, 2), dtype=np.float32))


def test_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="3 dimensions, the centroids 4"):
        assign_cells(np.ones((1, 3), dtype=np.float32), centroid_index(np.eye(4, dtype=np.float32)), 1)


def test_no_vectors_have_no_cells():
    none = np.zeros((0, 4), dtype=np.float32)
    assert assign_cells(none, centroid_index(np.eye(4, dtype=np.float32)), 2).cells.shape == (0, 2)
