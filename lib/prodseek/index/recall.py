"""Recall: the exact answer, the share of it that was found, and the smallest nprobe that reaches the target."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError
from prodseek.index.ivf import Probes, check_vectors
from prodseek.index.probe import Found, flat_cells, merge_found, nearest_in_cells
from prodseek.index.shards import RecallPoint

# Vectors compared at a time, few enough to stay in a core's cache while all queries pass over them.
_BLOCK_ROWS = 4096


class Candidates(NamedTuple):
    """What queries find in each single cell that they probe; all arrays are (E,).

    query: row of the query, int64. place: rank of the cell among the query's nearest cells, 0 is the nearest, int32. ids:
    int64. cosine: float32, as the index computes it.
    """

    query: NDArray[np.int64]
    place: NDArray[np.int32]
    ids: NDArray[np.int64]
    cosine: NDArray[np.float32]


def exact_topk(
    queries: NDArray[np.float32],
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    k: int,
    query_ids: NDArray[np.int64] | None = None,
) -> Found:
    """The k most similar vectors of each query by exhaustive comparison, ties by id.

    queries: (Q, d) float32. ids: (N,) int64. vectors: (N, d) float32. query_ids: (Q,) if the queries are among the vectors, so
    that none finds itself. Raises ValueError that names the ids of zero or NaN vectors.
    """
    ids, vectors = np.asarray(ids, np.int64), np.asarray(vectors, np.float32)
    queries = np.asarray(queries, np.float32)
    check_vectors(ids, vectors)
    everywhere = Probes(np.zeros((len(queries), 1), np.int32), np.zeros((len(queries), 1), np.float32))
    found = Found.nothing(len(queries), k)
    for start in range(0, len(ids), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        part = flat_cells(vectors[block], np.zeros(len(ids[block]), np.int32), 1, ids[block])
        found = merge_found([found, nearest_in_cells(part, queries, everywhere, k, not_itself(query_ids))], k)
    return found


def candidates_by_cell(
    index: Any, queries: NDArray[np.float32], probes: Probes, k: int, query_ids: NDArray[np.int64]
) -> Candidates:
    """The k nearest vectors of each query in each single cell that it probes, from which any smaller nprobe can be judged.

    index: an IVF index, a shard. queries: (Q, d) float32. probes: (Q, nprobe), nearest first, -1 for cells of other shards.
    query_ids: (Q,); no query finds itself.
    """
    query, place = np.nonzero(probes.cells >= 0)
    single = Probes(probes.cells[query, place][:, None], probes.cosine[query, place][:, None])
    found = nearest_in_cells(index, queries[query], single, k, not_itself(query_ids[query]))
    pair, rank = np.nonzero(found.ids >= 0)
    return Candidates(query[pair], place[pair].astype(np.int32), found.ids[pair, rank], found.cosine[pair, rank])


def recall_at(candidates: Candidates, nprobe: int, true_ids: NDArray[np.int64]) -> float:
    """The share of the true neighbours that a search with nprobe finds, 0..1. true_ids: (Q, k) int64, padded with -1."""
    n_queries, k = true_ids.shape
    n_true = int((true_ids >= 0).sum())
    if not n_true:
        return 1.0
    within = candidates.place < nprobe
    query, ids, cosine = candidates.query[within], candidates.ids[within], candidates.cosine[within]
    order = np.lexsort((ids, -cosine, query))
    query, ids = query[order], ids[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    found = np.full((n_queries, k), -1, np.int64)
    found[query[rank < k], rank[rank < k]] = ids[rank < k]
    return int((found[:, :, None] == np.where(true_ids < 0, -2, true_ids)[:, None, :]).sum()) / n_true


def tune_nprobe(
    candidates: Candidates, true_ids: NDArray[np.int64], max_nprobe: int, target: float
) -> tuple[int, float, tuple[RecallPoint, ...]]:
    """The smallest nprobe whose recall reaches the target, its recall, and all points that were measured.

    candidates: from the max_nprobe nearest cells. nprobe is doubled and then bisected, because recall grows with nprobe.
    Raises StoreError with the measured curve if even max_nprobe misses the target.
    """
    if not 0 < target <= 1:
        raise ValueError(f"the recall target is {target}; it must be above 0 and at most 1")
    measured: dict[int, float] = {}

    def recall_with(nprobe: int) -> float:
        if nprobe not in measured:
            measured[nprobe] = recall_at(candidates, nprobe, true_ids)
        return measured[nprobe]

    enough = 1
    while recall_with(enough) < target and enough < max_nprobe:
        enough = min(2 * enough, max_nprobe)
    if measured[enough] < target:
        curve = ", ".join(f"{nprobe}: {recall:.3f}" for nprobe, recall in sorted(measured.items()))
        raise StoreError(
            f"no nprobe up to {max_nprobe} reaches recall {target}; measured (nprobe: recall) {curve}; "
            "lower index.recall_target, or raise index.memory_bytes for a more exact coding"
        )
    too_few = max((nprobe for nprobe in measured if nprobe < enough), default=0)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if recall_with(middle) >= target:
            enough = middle
        else:
            too_few = middle
    curve_points = tuple(RecallPoint(nprobe, recall) for nprobe, recall in sorted(measured.items()))
    return enough, measured[enough], curve_points


def not_itself(query_ids: NDArray[np.int64] | None) -> Any:
    """A `left_out` for `nearest_in_cells`, so that no query finds the vector with its own id. query_ids: (Q,)."""
    if query_ids is None:
        return None
    return lambda rows, ids: ids == query_ids[rows][:, None]
