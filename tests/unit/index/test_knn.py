import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.index import knn
from prodseek.index.knn import cell_topk, merge_topk


def grid_vectors(rng, n, d):
    """Unit vectors of few distinct values: many exact ties."""
    rows = rng.integers(-1, 2, size=(n, d)).astype(np.float64)
    rows[~rows.any(axis=1), 0] = 1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(query_ids, queries, ids, vectors, k, query_groups=None, groups=None):
    edges = []
    for i, query_id in enumerate(query_ids.tolist()):
        found = []
        for j, neighbour in enumerate(ids.tolist()):
            same_group = query_groups is not None and query_groups[i] == groups[j]
            if neighbour != query_id and not same_group:
                found.append((-float(np.vecdot(queries[i], vectors[j])), neighbour))
        edges += [(query_id, n, rank + 1) for rank, (_, n) in enumerate(sorted(found)[:k])]
    return sorted(edges)


def triples(edges):
    return sorted(zip(edges.query_ids.tolist(), edges.neighbour_ids.tolist(), edges.rank.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 40),
    n_queries=st.integers(0, 12),
    k=st.integers(1, 15),
    d=st.integers(1, 5),
    seed=st.integers(0, 999),
    grouped=st.booleans(),
)
def test_cell_topk_equals_brute_force(n, n_queries, k, d, seed, grouped):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:n].astype(np.int64)
    vectors = grid_vectors(rng, n, d)
    own = rng.integers(0, n, n_queries) if n else np.zeros(0, dtype=int)
    own = np.unique(own)
    groups = rng.integers(0, 6, n)
    arguments = (ids[own], vectors[own], ids, vectors, k, *((groups[own], groups) if grouped else ()))
    assert triples(cell_topk(*arguments)) == brute_force(*arguments)


def test_the_order_of_rows_and_the_size_of_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    ids = rng.permutation(5000)[:700].astype(np.int64)
    vectors = rng.normal(size=(700, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[100:300] = vectors[0]
    plain = cell_topk(ids, vectors, ids, vectors, 9)
    order = rng.permutation(700)
    monkeypatch.setattr(knn, "_BLOCK_PRODUCTS", 5000)
    shuffled = cell_topk(ids, vectors, ids[order], vectors[order], 9)
    for a, b in zip(plain, shuffled, strict=True):
        np.testing.assert_array_equal(a, b)


def test_equal_vectors_are_ordered_by_id_however_many():
    n = 3000
    ids = np.arange(n, dtype=np.int64)
    vectors = np.tile(np.float32([0.6, 0.8]), (n, 1))
    edges = cell_topk(ids[-2:], vectors[-2:], ids, vectors, 4)
    assert edges.neighbour_ids.tolist() == [0, 1, 2, 3] * 2
    first = cell_topk(ids[:1], vectors[:1], ids, vectors, 4)
    assert first.neighbour_ids.tolist() == [1, 2, 3, 4]


def test_a_popular_image_does_not_crowd_out_the_others():
    ids = np.arange(60, dtype=np.int64)
    vectors = np.tile(np.float32([1, 0]), (60, 1))
    images = np.array(["a"] * 50 + ["b"] * 10)
    edges = cell_topk(ids[:1], vectors[:1], ids, vectors, 3, images[:1], images)
    assert edges.neighbour_ids.tolist() == [50, 51, 52]


def test_zero_vectors_are_named():
    vectors = np.float32([[1, 0], [0, 0]])
    with pytest.raises(ValueError, match="detection ids 12"):
        cell_topk(np.array([11]), vectors[:1], np.array([11, 12]), vectors, 1)


def test_minus_zero_equals_zero():
    vectors = np.float32([[1, 0.0], [1, -0.0], [1, 0.0]])
    edges = cell_topk(np.array([3]), vectors[:1], np.array([3, 1, 2]), vectors, 2)
    assert edges.neighbour_ids.tolist() == [1, 2]


def test_one_vector_has_no_neighbour():
    one = np.float32([[1, 0]])
    assert len(cell_topk(np.array([1]), one, np.array([1]), one, 5).rank) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8), st.integers(-3, 3)), max_size=60), st.integers(1, 6))
def test_merge_keeps_the_best_edges_once(edges, k):
    queries, neighbours, cosine = (
        (np.array(column) for column in zip(*edges, strict=True)) if edges else (np.zeros(0),) * 3
    )
    merged = merge_topk(queries, neighbours, cosine / 4, k)
    best = {}
    for query, neighbour, value in edges:
        best[query, neighbour] = max(value, best.get((query, neighbour), value))
    expected = []
    for query in {q for q, _ in best}:
        ranked = sorted((-value, n) for (q, n), value in best.items() if q == query)[:k]
        expected += [(query, n, rank + 1) for rank, (_, n) in enumerate(ranked)]
    assert triples(merged) == sorted(expected)


def test_cells_joined_equal_one_exact_search():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(400, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.permutation(9999)[:400].astype(np.int64)
    cells = rng.integers(0, 7, 400)
    parts = [cell_topk(ids, vectors, ids[cells == c], vectors[cells == c], 6) for c in range(7)]
    merged = merge_topk(*(np.concatenate([part[i] for part in parts]) for i in range(3)), 6)
    assert triples(merged) == triples(cell_topk(ids, vectors, ids, vectors, 6))
