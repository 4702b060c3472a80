"""Recall: the exact answer, how much of it was found, and the smallest nprobe that keeps the promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError
from prodseek.index.ivf import check_vectors
from prodseek.index.knn import scan_topk
from prodseek.index.shards import RecallPoint

SearchFunction = Callable[[NDArray[np.float32], int, int], NDArray[np.int64]]


def exact_topk(
    queries: NDArray[np.float32], ids: NDArray[np.int64], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k most similar vectors of each query by full comparison, equal ones by id.

    queries: (Q, d), ids: (N,), vectors: (N, d). Returns ids (Q, k) int64 padded with -1, cosine (Q, k) padded with
    -inf.
    """
    ids = np.asarray(ids, dtype=np.int64)
    vectors = np.asarray(vectors, dtype=np.float32)
    check_vectors(ids, vectors)
    order = np.argsort(ids, kind="stable")
    query, row, cosine = scan_topk(np.asarray(queries, dtype=np.float32), vectors[order], k)
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    ids_out = np.full((len(queries), k), -1, dtype=np.int64)
    cosine_out = np.full((len(queries), k), -np.inf, dtype=np.float32)
    ids_out[query, rank] = ids[order][row]
    cosine_out[query, rank] = cosine
    return ids_out, cosine_out


def recall_at_k(found_ids: NDArray[np.int64], true_ids: NDArray[np.int64]) -> float:
    """Share of the true neighbours that were found. found_ids: (Q, any), true_ids: (Q, k), both padded with -1."""
    if len(found_ids) != len(true_ids):
        raise ValueError(f"{len(found_ids)} rows of found ids do not fit {len(true_ids)} of true ids")
    n_true = int((true_ids >= 0).sum())
    if not n_true:
        return 1.0
    n_found = sum(
        len(np.intersect1d(found[found >= 0], true[true >= 0])) for found, true in zip(found_ids, true_ids, strict=True)
    )
    return n_found / n_true


def tune_nprobe(
    search: SearchFunction,
    queries: NDArray[np.float32],
    true_ids: NDArray[np.int64],
    nlist: int,
    target: float,
    query_ids: NDArray[np.int64] | None = None,
) -> tuple[int, float, tuple[RecallPoint, ...]]:
    """The smallest nprobe whose recall reaches the target, that recall, and every point measured on the way.

    search: (queries, k, nprobe) -> ids (Q, k). true_ids: (Q, k) exact neighbours. query_ids: (Q,) when the queries
    are in the index themselves; a query's own id then does not count (nor may it be in true_ids). Doubling, then
    bisection: recall grows with nprobe. StoreError with the curve if even nprobe = nlist misses the target.
    """
    if not 0 < target <= 1:
        raise ValueError(f"the recall target is {target}; it must be above 0 and at most 1")
    measured: dict[int, float] = {}

    def recall_with(nprobe: int) -> float:
        if nprobe not in measured:
            wanted = true_ids.shape[1]
            found = search(queries, wanted if query_ids is None else wanted + 1, nprobe)
            if query_ids is not None:
                found = _without_self(found, query_ids, wanted)
            measured[nprobe] = recall_at_k(found, true_ids)
        return measured[nprobe]

    enough = 1
    while recall_with(enough) < target and enough < nlist:
        enough = min(2 * enough, nlist)
    if measured[enough] < target:
        curve = ", ".join(f"{nprobe}: {recall:.3f}" for nprobe, recall in sorted(measured.items()))
        raise StoreError(
            f"no nprobe up to nlist = {nlist} reaches recall {target}; measured nprobe: recall {curve}; "
            "lower index.recall_target or change the index"
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


def _without_self(found: NDArray[np.int64], query_ids: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    is_self = found == query_ids[:, None]
    # A stable sort moves the query's own id last and keeps the order of the rest.
    order = np.argsort(is_self, axis=1, kind="stable")
    return np.take_along_axis(np.where(is_self, -1, found), order, axis=1)[:, :k]
