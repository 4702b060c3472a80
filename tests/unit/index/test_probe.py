import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.index.ivf import Probes
from prodseek.index.probe import Found, flat_cells, merge_found, nearest_in_cells


def few_directions(rng, n, d):
    """Unit vectors of few distinct values: many exact ties."""
    rows = rng.integers(-1, 2, size=(n, d)).astype(np.float32)
    rows[~rows.any(axis=1), 0] = 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def probes_of(cells):
    cells = np.asarray(cells, np.int32)
    return Probes(cells, np.zeros(cells.shape, np.float32))


@settings(max_examples=80)
@given(
    n=st.integers(1, 90),
    d=st.integers(1, 9),
    nlist=st.integers(1, 7),
    nprobe=st.integers(1, 7),
    k=st.integers(1, 25),
    n_excluded=st.integers(0, 30),
    seed=st.integers(0, 10_000),
)
def test_it_finds_what_sorting_finds(products, n, d, nlist, nprobe, k, n_excluded, seed):
    rng = np.random.default_rng(seed)
    vectors, queries = few_directions(rng, n, d), few_directions(rng, 12, d)
    ids, cells = rng.permutation(10 * n)[:n].astype(np.int64), rng.integers(0, nlist, n).astype(np.int32)
    asked = np.stack([rng.permutation(max(nlist, nprobe))[:nprobe] for _ in queries])
    asked = np.where(asked < nlist, asked, -1)
    excluded = rng.choice(ids, min(n, n_excluded), replace=False)
    index = flat_cells(vectors, cells, nlist, ids)
    found = nearest_in_cells(index, queries, probes_of(asked), k, lambda rows, found: np.isin(found, excluded))
    cosine = products(queries, vectors)
    for row in range(len(queries)):
        candidates = [i for i in range(n) if cells[i] in asked[row] and ids[i] not in excluded]
        candidates.sort(key=lambda i, row=row: (-cosine[row, i], ids[i]))
        expected = ids[candidates[:k]]
        np.testing.assert_array_equal(found.ids[row, : len(expected)], expected)
        np.testing.assert_array_equal(found.cosine[row, : len(expected)], cosine[row, candidates[:k]])
        assert (found.ids[row, len(expected) :] == -1).all()
        assert np.isneginf(found.cosine[row, len(expected) :]).all()


@pytest.mark.parametrize("d", [16, 40, 64, 96, 128])
def test_no_bit_depends_on_the_batch_or_on_the_rest_of_the_cell(d):
    rng = np.random.default_rng(d)
    vectors = rng.normal(size=(700, d)).astype(np.float32)
    queries = rng.normal(size=(64, d)).astype(np.float32)
    everywhere = probes_of(np.zeros((64, 1)))
    whole = nearest_in_cells(flat_cells(vectors, np.zeros(700, np.int32), 1), queries, everywhere, 700)
    for n_batch in (1, 32):
        index = flat_cells(vectors, np.zeros(700, np.int32), 1)
        parts = [
            nearest_in_cells(index, queries[i : i + n_batch], probes_of(np.zeros((n_batch, 1))), 700)
            for i in range(0, 64, n_batch)
        ]
        np.testing.assert_array_equal(np.concatenate([part.ids for part in parts]), whole.ids)
        np.testing.assert_array_equal(np.concatenate([part.cosine for part in parts]), whole.cosine)
    order = rng.permutation(700)
    halves = [
        nearest_in_cells(flat_cells(vectors[own], np.zeros(len(own), np.int32), 1, own), queries, everywhere, 700)
        for own in (order[:333], order[333:])
    ]
    merged = merge_found(halves, 700)
    np.testing.assert_array_equal(merged.ids, whole.ids)
    np.testing.assert_array_equal(merged.cosine, whole.cosine)


def test_of_many_equal_vectors_the_lowest_ids_are_found():
    vectors = np.tile(np.float32([[0.6, 0.8]]), (5000, 1))
    ids = np.random.default_rng(0).permutation(5000).astype(np.int64)
    index = flat_cells(vectors, (ids % 3).astype(np.int32), 3, ids)
    found = nearest_in_cells(index, vectors[:2], probes_of([[0, 1, 2], [2, 0, -1]]), 4)
    assert found.ids.tolist() == [[0, 1, 2, 3], [0, 2, 3, 5]]


def test_an_empty_index_and_no_queries():
    empty = flat_cells(np.zeros((0, 3), np.float32), np.zeros(0, np.int32), 2)
    found = nearest_in_cells(empty, np.ones((2, 3), np.float32), probes_of([[0], [1]]), 3)
    assert (found.ids == -1).all()
    index = flat_cells(np.ones((4, 3), np.float32), np.zeros(4, np.int32), 1)
    assert nearest_in_cells(index, np.zeros((0, 3), np.float32), probes_of(np.zeros((0, 1))), 3).ids.shape == (0, 3)


def test_merging_keeps_the_best_in_order_of_id():
    left = Found(np.array([[5, 9, -1]]), np.float32([[0.9, 0.5, -np.inf]]))
    right = Found(np.array([[2, 1, 7]]), np.float32([[0.9, 0.7, 0.5]]))
    merged = merge_found([left, right], 4)
    assert merged.ids.tolist() == [[2, 5, 1, 7]]
    assert merge_found([left], 5).ids.tolist() == [[5, 9, -1, -1, -1]]
