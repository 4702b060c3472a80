"""Cells of an inverted file: how many there are, where their centroids are, and which cells a vector is nearest to."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

FLAT_BELOW = 10_000
TRAIN_ROWS_PER_CELL = 64
_KMEANS_ITERATIONS = 12
_BLOCK_ROWS = 4096
# Cells beyond nprobe that are also scored exactly, so that rounding in BLAS cannot decide which cells are probed.
_SPARE_CELLS = 8


class Probes(NamedTuple):
    """The cells that each vector probes.

    cells: (N, nprobe) int32, nearest first; -1 for no cell. cosine: (N, nprobe) float32, to the cells' centroids.
    """

    cells: NDArray[np.int32]
    cosine: NDArray[np.float32]


def choose_nlist(n_vectors: int) -> int:
    """The number of cells: 1 (no training, exact search) below FLAT_BELOW, else the power of two in [4 sqrt N, 8 sqrt N).

    Source of 4 sqrt N: "Guidelines to choose an index" in the wiki of faiss.
    """
    if n_vectors < FLAT_BELOW:
        return 1
    return int(2 ** math.ceil(math.log2(4 * math.sqrt(n_vectors))))


def training_rows(n_vectors: int, nlist: int) -> int:
    """The number of vectors that the sample for `train_centroids` should have."""
    return max(1, min(n_vectors, TRAIN_ROWS_PER_CELL * nlist))


def check_vectors(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
    """Raise ValueError that names the ids whose vector is zero, NaN or infinite. ids: (N,). vectors: (N, d)."""
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise ValueError(f"{len(ids)} ids do not fit vectors of shape {vectors.shape}; each id needs one row")
    squared_norm = np.einsum("nd,nd->n", vectors, vectors)
    bad = ~np.isfinite(squared_norm) | (squared_norm == 0)
    if bad.any():
        named = ", ".join(str(i) for i in np.asarray(ids)[bad][:10])
        more = f" and {int(bad.sum()) - 10} more" if bad.sum() > 10 else ""
        raise ValueError(f"zero, NaN or infinite vectors cannot be compared; detection ids {named}{more}")


def train_centroids(sample: NDArray[np.float32], nlist: int, seed: int) -> NDArray[np.float32]:
    """Spherical k-means. Cells that are near each other get near numbers, so that a query touches few shards.

    sample: (S, d) float32, unit length, S >= nlist. Returns (nlist, d) float32, unit length. The same sample, nlist and seed
    give the same centroids. nlist = 1 needs no training and gives the mean direction. Runs on the GPU if faiss has one.
    Raises ValueError if the sample is too small.
    """
    sample = np.ascontiguousarray(sample, dtype=np.float32)
    check_vectors(np.arange(len(sample)), sample)
    if nlist < 1:
        raise ValueError(f"nlist is {nlist}; at least 1 cell is needed")
    if len(sample) < nlist:
        raise ValueError(f"{nlist} cells cannot be trained on {len(sample)} vectors; lower nlist or enlarge the sample")
    if nlist == 1:
        return _unit(sample.mean(axis=0, dtype=np.float64)[None, :])
    kmeans = faiss.Kmeans(
        sample.shape[1],
        nlist,
        niter=_KMEANS_ITERATIONS,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=max(TRAIN_ROWS_PER_CELL, math.ceil(len(sample) / nlist)),
        gpu=faiss.get_num_gpus() > 0,
    )
    kmeans.train(sample)
    centroids = _unit(np.asarray(kmeans.centroids, dtype=np.float64))
    return np.ascontiguousarray(centroids[_along_halvings(centroids)])


def centroid_index(centroids: NDArray[np.float32]) -> Any:
    """The coarse quantizer of these centroids: faiss's exact index of them by inner product.

    centroids: (nlist, d) float32, unit length.
    """
    index = faiss.IndexFlatIP(centroids.shape[1])
    index.add(np.ascontiguousarray(centroids, dtype=np.float32))
    return index


def centroids_of(quantizer: Any) -> NDArray[np.float32]:
    """The centroids in a coarse quantizer, (nlist, d) float32, not copied; the quantizer must outlive the array."""
    flat: Any = faiss.downcast_index(quantizer)
    centroids: NDArray[np.float32] = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    return centroids.reshape(flat.ntotal, flat.d)


def assign_cells(vectors: NDArray[np.float32], quantizer: Any, nprobe: int) -> Probes:
    """The nprobe cells with the nearest centroids, best first, ties by cell number.

    vectors: (N, d) float32, unit length. quantizer: from `centroid_index`. Returns min(nprobe, nlist) cells for each vector.
    They do not depend on the other vectors in the batch. Raises ValueError for zero or NaN vectors, named by row.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    check_vectors(np.arange(len(vectors)), vectors)
    if nprobe < 1:
        raise ValueError(f"nprobe is {nprobe}; at least 1 cell must be probed")
    if vectors.shape[1] != quantizer.d:
        raise ValueError(f"vectors have {vectors.shape[1]} dimensions, the centroids {quantizer.d}")
    centroids = centroids_of(quantizer)
    nlist = len(centroids)
    nprobe = min(nprobe, nlist)
    probes = Probes(np.zeros((len(vectors), nprobe), np.int32), np.zeros((len(vectors), nprobe), np.float32))
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        _, candidates = quantizer.search(block, min(nlist, nprobe + _SPARE_CELLS))
        candidates.sort(axis=1)
        cosine = _paired_products(block, centroids, candidates)
        best = np.argsort(-cosine, axis=1, kind="stable")[:, :nprobe]
        probes.cells[start : start + _BLOCK_ROWS] = np.take_along_axis(candidates, best, axis=1)
        probes.cosine[start : start + _BLOCK_ROWS] = np.take_along_axis(cosine, best, axis=1)
    return probes


def _paired_products(
    rows: NDArray[np.float32], others: NDArray[np.float32], chosen: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Inner products of rows (N, d) with chosen rows of others (M, d), (N, any).

    They are computed one by one, so that none depends on the batch. chosen: (N, any) row numbers of `others`.
    """
    products = np.empty(chosen.shape, np.float32)
    faiss.fvec_inner_products_by_idx(  # type: ignore[attr-defined]
        faiss.swig_ptr(products),
        faiss.swig_ptr(rows),
        faiss.swig_ptr(others),
        faiss.swig_ptr(chosen),
        rows.shape[1],
        *chosen.shape,
    )
    return products


def _along_halvings(centroids: NDArray[np.float32]) -> NDArray[np.intp]:
    """An order that keeps near centroids together: they are halved across their widest direction again and again."""
    waiting, order = [np.arange(len(centroids))], []
    while waiting:
        rows = waiting.pop()
        if len(rows) == 1:
            order.append(rows)
            continue
        centred = centroids[rows] - centroids[rows].mean(axis=0)
        _, directions = np.linalg.eigh(centred.T @ centred)
        rows = rows[np.argsort(centred @ directions[:, -1], kind="stable")]
        half = len(rows) // 2
        waiting += [rows[half:], rows[:half]]
    return np.concatenate(order)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    # Vectors that cancel out have no mean direction; any unit vector will do.
    rows = np.where(length > 0, rows, np.eye(1, rows.shape[1]))
    return (rows / np.where(length > 0, length, 1.0)).astype(np.float32)
