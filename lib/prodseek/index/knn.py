"""Exact nearest neighbours inside a cell, and the merge of what several cells found."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.index.ivf import check_vectors

_BLOCK_PRODUCTS = 4_000_000
_GATHER_ROWS = 65_536
# Products from BLAS differ in the last bits with the shape of the block; all within this of the k-th are scored
# again.
_ROUNDING = 4e-6


class Edges(NamedTuple):
    """Directed edges of the neighbour graph, sorted by query id, then rank.

    query_ids, neighbour_ids: (E,) int64. cosine: (E,) float32. rank: (E,) int32, 1 is the nearest.
    """

    query_ids: NDArray[np.int64]
    neighbour_ids: NDArray[np.int64]
    cosine: NDArray[np.float32]
    rank: NDArray[np.int32]


def cell_topk(
    query_ids: NDArray[np.int64],
    query_vectors: NDArray[np.float32],
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    k: int,
    query_groups: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
) -> Edges:
    """Each query's k nearest among the vectors of one cell: exact products, in blocks of bounded size.

    query_ids: (Q,), query_vectors: (Q, d), ids: (N,), vectors: (N, d). A query's own id is left out, and so are the
    rows whose group (say, the image) is the query's when both groups are given ((Q,) and (N,), of one dtype). Equal
    cosines are ordered by id. The order of the input rows does not matter. ValueError names the ids of zero or NaN
    vectors.
    """
    query_ids, query_vectors, query_groups = _by_id(query_ids, query_vectors, query_groups)
    ids, vectors, groups = _by_id(ids, vectors, groups)
    check_vectors(query_ids, query_vectors)
    check_vectors(ids, vectors)
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 neighbour is needed")
    kept = _prune_equal(vectors, k + _largest_group(groups))
    ids, vectors = ids[kept], vectors[kept]
    left_out = _matching(query_ids, ids)
    if query_groups is not None and groups is not None:
        in_group = _matching(query_groups, groups[kept])
        left_out = (np.append(left_out[0], in_group[0]), np.append(left_out[1], in_group[1]))
    queries, rows, cosine = scan_topk(query_vectors, vectors, k, left_out)
    return Edges(query_ids[queries], ids[rows], cosine, _rank_in_runs(queries))


def merge_topk(
    query_ids: NDArray[np.int64],
    neighbour_ids: NDArray[np.int64],
    cosine: NDArray[np.float32],
    k: int,
) -> Edges:
    """The k best edges of each query among those found in several cells; an edge found twice counts once.

    All (E,). Equal cosines are ordered by neighbour id; ranks start at 1.
    """
    query_ids = np.asarray(query_ids, dtype=np.int64)
    neighbour_ids = np.asarray(neighbour_ids, dtype=np.int64)
    cosine = np.asarray(cosine, dtype=np.float32)
    order = np.lexsort((-cosine, neighbour_ids, query_ids))
    query_ids, neighbour_ids, cosine = query_ids[order], neighbour_ids[order], cosine[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(query_ids) != 0) | (np.diff(neighbour_ids) != 0)
    query_ids, neighbour_ids, cosine = query_ids[first], neighbour_ids[first], cosine[first]
    order = np.lexsort((neighbour_ids, -cosine, query_ids))
    query_ids, neighbour_ids, cosine = query_ids[order], neighbour_ids[order], cosine[order]
    rank = _rank_in_runs(query_ids)
    kept = rank <= k
    return Edges(query_ids[kept], neighbour_ids[kept], cosine[kept], rank[kept])


def scan_topk(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    left_out: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The k vectors of largest inner product for each query, equal ones by row.

    queries: (Q, d), vectors: (N, d). left_out: (query, row) index arrays, in any order, of pairs that do not
    count. Returns query index, row index, product, each (E,), sorted by query, then best first. Products do not
    depend on the block.
    """
    if left_out is None:
        left_out = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))
    by_query = np.argsort(left_out[0], kind="stable")
    out_query, out_row = left_out[0][by_query], left_out[1][by_query]
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
    n_vectors = len(vectors)
    step = max(1, _BLOCK_PRODUCTS // max(1, n_vectors))
    for start in range(0, len(queries) if n_vectors else 0, step):
        block = queries[start : start + step]
        product = block @ vectors.T
        low, high = np.searchsorted(out_query, [start, start + len(block)])
        product[out_query[low:high] - start, out_row[low:high]] = -np.inf
        if n_vectors > k:
            kth = np.partition(product, n_vectors - k, axis=1)[:, n_vectors - k]
            near = (product >= kth[:, None] - _ROUNDING) & (product > -np.inf)
        else:
            near = product > -np.inf
        query, row = np.nonzero(near)
        exact = _paired_products(block, vectors, query, row)
        order = np.lexsort((row, -exact, query))
        query, row, exact = query[order], row[order], exact[order]
        kept = _rank_in_runs(query) <= k
        found.append((query[kept] + start, row[kept], exact[kept]))
    if not found:
        empty = np.zeros(0, dtype=np.intp)
        return empty, empty, np.zeros(0, dtype=np.float32)
    return (
        np.concatenate([part[0] for part in found]),
        np.concatenate([part[1] for part in found]),
        np.concatenate([part[2] for part in found]),
    )


def _paired_products(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], query: NDArray[np.intp], row: NDArray[np.intp]
) -> NDArray[np.float32]:
    product = np.empty(len(query), dtype=np.float32)
    for start in range(0, len(query), _GATHER_ROWS):
        part = slice(start, start + _GATHER_ROWS)
        product[part] = np.vecdot(queries[query[part]], vectors[row[part]])
    return product


def _by_id(
    ids: NDArray[np.int64], vectors: NDArray[np.float32], groups: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[Any] | None]:
    ids = np.asarray(ids, dtype=np.int64)
    order = np.argsort(ids, kind="stable")
    # Adding zero turns -0.0 into 0.0, so that equal vectors have equal bytes.
    vectors = np.asarray(vectors, dtype=np.float32)[order] + np.float32(0)
    return ids[order], vectors, None if groups is None else np.asarray(groups)[order]


def _prune_equal(vectors: NDArray[np.float32], n_kept: int) -> NDArray[np.intp]:
    """Rows that can be among anyone's nearest: of equal vectors the first n_kept. 100,000 equal ones stay cheap."""
    if len(vectors) <= n_kept:
        return np.arange(len(vectors))
    as_bytes = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors.shape[1] * 4))).ravel()
    _, which, counts = np.unique(as_bytes, return_inverse=True, return_counts=True)
    if counts.max() <= n_kept:
        return np.arange(len(vectors))
    order = np.argsort(which, kind="stable")
    return np.sort(order[_rank_in_runs(which[order]) <= n_kept])


def _largest_group(groups: NDArray[Any] | None) -> int:
    if groups is None or not len(groups):
        return 1
    return int(np.unique(groups, return_counts=True)[1].max())


def _matching(left: NDArray[Any], right: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All (i, j) with left[i] == right[j]."""
    order = np.argsort(right, kind="stable")
    in_order = right[order]
    start = np.searchsorted(in_order, left, side="left")
    count = np.searchsorted(in_order, left, side="right") - start
    i = np.repeat(np.arange(len(left)), count)
    within = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    return i, order[np.repeat(start, count) + within]


def _rank_in_runs(values: NDArray[Any]) -> NDArray[np.int32]:
    """1, 2, 3, ... restarting wherever the next value differs."""
    if not len(values):
        return np.zeros(0, dtype=np.int32)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    lengths = np.diff(np.append(starts, len(values)))
    return (np.arange(len(values)) - np.repeat(starts, lengths) + 1).astype(np.int32)
