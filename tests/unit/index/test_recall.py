import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.errors import StoreError
from prodseek.index.ivf import assign_cells, centroid_index, train_centroids
from prodseek.index.probe import flat_cells, nearest_in_cells
from prodseek.index.recall import Candidates, candidates_by_cell, exact_topk, not_itself, recall_at, tune_nprobe


def catalogue(n=1500, d=16, seed=0, n_kinds=400):
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(n_kinds, d))
    vectors = kinds[rng.integers(0, n_kinds, n)] + 0.7 * rng.normal(size=(n, d))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    vectors[n // 2 : n // 2 + n // 10] = vectors[0]
    return rng.permutation(10 * n)[:n].astype(np.int64), vectors


@settings(max_examples=30)
@given(n=st.integers(1, 80), d=st.integers(2, 9), k=st.integers(1, 20), seed=st.integers(0, 999))
def test_exact_topk_is_what_sorting_says(n, d, k, seed):
    ids, vectors = catalogue(n, d, seed, 3)
    found = exact_topk(vectors[:5], ids, vectors, k)
    similar = vectors[:5].astype(np.float64) @ vectors.T.astype(np.float64)
    expected = -np.sort(-similar, axis=1)[:, :k]
    np.testing.assert_allclose(found.cosine[:, : expected.shape[1]], expected, atol=1e-5)
    assert (found.ids[:, n:] == -1).all()
    others = exact_topk(vectors[:5], ids, vectors, k, ids[:5])
    assert not (others.ids == ids[:5, None]).any()


def test_exact_topk_names_what_cannot_be_compared():
    vectors = np.ones((3, 2), np.float32)
    vectors[1] = np.nan
    with pytest.raises(ValueError, match=r"detection ids 8$"):
        exact_topk(vectors[:1], np.array([7, 8, 9]), vectors, 2)


def test_recall_at_is_the_recall_of_a_search():
    ids, vectors = catalogue()
    quantizer = centroid_index(train_centroids(vectors, 32, seed=0))
    homes = assign_cells(vectors, quantizer, 1).cells[:, 0]
    index = flat_cells(vectors, homes, 32, ids)
    queries, query_ids = vectors[:80], ids[:80]
    true_ids = exact_topk(queries, ids, vectors, 10, query_ids).ids
    probes = assign_cells(queries, quantizer, 32)
    candidates = candidates_by_cell(index, queries, probes, 10, query_ids)
    for nprobe in (1, 2, 5, 32):
        probed = assign_cells(queries, quantizer, nprobe)
        found = nearest_in_cells(index, queries, probed, 10, not_itself(query_ids)).ids
        expected = np.mean([len(set(f) & set(t)) / 10 for f, t in zip(found, true_ids, strict=True)])
        assert recall_at(candidates, nprobe, true_ids) == pytest.approx(expected)
    nprobe, recall, curve = tune_nprobe(candidates, true_ids, 32, 0.95)
    assert recall == recall_at(candidates, nprobe, true_ids) >= 0.95
    assert 1 < nprobe < 32 and recall_at(candidates, nprobe - 1, true_ids) < 0.95
    assert [point.nprobe for point in curve] == sorted(point.nprobe for point in curve)


def test_recall_counts_only_true_neighbours_that_exist():
    candidates = Candidates(
        np.array([0, 0, 0, 1]),
        np.array([0, 0, 1, 3], np.int32),
        np.array([2, 9, 1, 6]),
        np.float32([0.9, 0.8, 0.95, 0.5]),
    )
    true_ids = np.array([[1, 2], [6, -1]])
    assert recall_at(candidates, 1, true_ids) == pytest.approx(1 / 3)
    assert recall_at(candidates, 2, true_ids) == pytest.approx(2 / 3)
    assert recall_at(candidates, 4, true_ids) == 1.0
    assert recall_at(candidates, 1, np.full((2, 2), -1)) == 1.0


def test_an_unreachable_target_fails_with_the_curve():
    none = Candidates(np.array([0]), np.array([0], np.int32), np.array([1]), np.float32([1]))
    with pytest.raises(StoreError, match=r"recall 0\.9.*1: 0\.500.*4: 0\.500"):
        tune_nprobe(none, np.array([[1, 2]]), 4, 0.9)
