"""Search in given cells, with ties settled by id. The index, exact search and the neighbour graph all use this one search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from prodseek.index.ivf import Probes

# ((Q,) rows of the queries, (Q, any) ids) -> (Q, any) bool: which ids must not be answers to each query.
LeftOut = Callable[[NDArray[np.intp], NDArray[np.int64]], NDArray[np.bool_]]

# Results requested beyond k: room for ids that are left out, and for ties at the k-th place.
_SPARE = 8
# Bounds the memory of a search in which very many vectors are equal.
_RESULTS_AT_ONCE = 1 << 20
_LAST_ID = np.iinfo(np.int64).max
# The maximum number of results of a query in faiss's GPU kernels.
_GPU_MAX_K = 2048
_GPU_SCRATCH_BYTES = 256 * 2**20


class Found(NamedTuple):
    """The answers to queries, best first, ties by id.

    ids: (Q, k) int64, padded with -1. cosine: (Q, k) float32, padded with -inf.
    """

    ids: NDArray[np.int64]
    cosine: NDArray[np.float32]

    @staticmethod
    def nothing(n_queries: int, k: int) -> Found:
        return Found(np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), -np.inf, np.float32))


def flat_cells(
    vectors: NDArray[np.float32], cells: NDArray[np.int32], nlist: int, ids: NDArray[np.int64] | None = None
) -> Any:
    """A faiss IVFFlat index of vectors whose cells are known, for searches in given cells only.

    vectors: (N, d) float32. cells: (N,) int32, below nlist. ids: (N,) int64; None for row numbers.
    """
    n, d = vectors.shape
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, nlist, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True
    add_to_cells(index, np.arange(n, dtype=np.int64) if ids is None else ids, vectors, cells)
    return index


def add_to_cells(index: Any, ids: NDArray[np.int64], vectors: NDArray[np.float32], cells: NDArray[np.int32]) -> None:
    """Append vectors to their cells of a trained IVF index, in the given order. ids, cells: (N,). vectors: (N, d)."""
    # Kept in variables, because faiss reads them through bare pointers.
    vectors = np.ascontiguousarray(vectors, np.float32)
    ids = np.ascontiguousarray(ids, np.int64)
    cells = np.ascontiguousarray(cells, np.int64)
    index.add_core(len(ids), faiss.swig_ptr(vectors), faiss.swig_ptr(ids), faiss.swig_ptr(cells))


def on_gpu(index: Any) -> Any:
    """The index in the first GPU's memory if faiss has a GPU, else the index itself. Answers differ only by rounding."""
    if not faiss.get_num_gpus():
        return index
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(_GPU_SCRATCH_BYTES)
    return faiss.index_cpu_to_gpu(resources, 0, index)


def nearest_in_cells(
    index: Any, queries: NDArray[np.float32], probes: Probes, k: int, left_out: LeftOut | None = None
) -> Found:
    """Each query's k nearest vectors in the cells that it probes, in an IVF index.

    queries: (Q, d) float32. probes: (Q, any), -1 for no cell. left_out: which ids must not be answers. The answers, and each
    bit of their cosines, depend only on the query and the content of those cells, because faiss computes the products here
    one by one and not through BLAS.
    """
    found = Found.nothing(len(queries), k)
    probes = _without_gaps(probes)
    rows: NDArray[np.intp] = np.arange(len(queries)) if index.ntotal else np.zeros(0, np.intp)
    wanted = k + _SPARE
    while len(rows):
        wanted = min(wanted, index.ntotal)
        at_once = max(1, _RESULTS_AT_ONCE // wanted)
        parts = (rows[start : start + at_once] for start in range(0, len(rows), at_once))
        rows = np.concatenate([_settle(index, queries, probes, part, wanted, k, left_out, found) for part in parts])
        wanted *= 8
    return found


def merge_found(parts: list[Found], k: int) -> Found:
    """The k best of several answers to the same queries. No id may be in two of them."""
    ids = np.concatenate([part.ids for part in parts], axis=1)
    cosine = np.concatenate([part.cosine for part in parts], axis=1)
    best = np.lexsort((np.where(ids < 0, _LAST_ID, ids), -cosine), axis=1)[:, :k]
    found = Found.nothing(len(ids), k)
    found.ids[:, : best.shape[1]] = np.take_along_axis(ids, best, axis=1)
    found.cosine[:, : best.shape[1]] = np.take_along_axis(cosine, best, axis=1)
    return found


def _settle(
    index: Any,
    queries: NDArray[np.float32],
    probes: Probes,
    rows: NDArray[np.intp],
    wanted: int,
    k: int,
    left_out: LeftOut | None,
    found: Found,
) -> NDArray[np.intp]:
    """Write into `found` what these query rows find among `wanted` results; return the rows that need more results."""
    cosine, ids = _search(index, queries[rows], Probes(probes.cells[rows], probes.cosine[rows]), wanted)
    counts = ids >= 0
    # Vectors with the same cosine as the last of a full list may be missing from it.
    tied_with = np.where(counts[:, -1] & (wanted < index.ntotal), cosine[:, -1], -np.inf)
    if left_out is not None:
        counts &= ~left_out(rows, ids)
    cosine = np.where(counts, cosine, -np.inf)
    best = np.lexsort((np.where(counts, ids, _LAST_ID), -cosine), axis=1)[:, :k]
    place = np.arange(best.shape[1])
    found.cosine[rows[:, None], place] = np.take_along_axis(cosine, best, axis=1)
    found.ids[rows[:, None], place] = np.where(
        np.take_along_axis(counts, best, axis=1), np.take_along_axis(ids, best, axis=1), -1
    )
    is_short: NDArray[np.bool_] = (tied_with > -np.inf) & (found.cosine[rows, k - 1] <= tied_with)
    return np.asarray(rows[is_short], np.intp)


def _without_gaps(probes: Probes) -> Probes:
    """The same probes without columns of only -1, because faiss reads at most as many columns as its index has cells."""
    absent = probes.cells < 0
    if not absent.any():
        return probes
    order = np.argsort(absent, axis=1, kind="stable")[:, : max(1, int((~absent).sum(axis=1).max()))]
    return Probes(np.take_along_axis(probes.cells, order, axis=1), np.take_along_axis(probes.cosine, order, axis=1))


def _search(
    index: Any, queries: NDArray[np.float32], probes: Probes, k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if k > _GPU_MAX_K and hasattr(index, "getDevice"):
        index = faiss.index_gpu_to_cpu(index)
    n, nprobe = probes.cells.shape
    cosine, ids = np.empty((n, k), np.float32), np.empty((n, k), np.int64)
    queries = np.ascontiguousarray(queries, np.float32)
    cells = np.ascontiguousarray(probes.cells, np.int64)
    to_centroid = np.ascontiguousarray(probes.cosine, np.float32)
    index.search_preassigned_c(
        n,
        faiss.swig_ptr(queries),
        k,
        faiss.swig_ptr(cells),
        faiss.swig_ptr(to_centroid),
        faiss.swig_ptr(cosine),
        faiss.swig_ptr(ids),
        False,
        faiss.SearchParametersIVF(nprobe=nprobe),  # type: ignore[call-arg]
    )
    return cosine, ids
