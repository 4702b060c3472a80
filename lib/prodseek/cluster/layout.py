"""The map: two coordinates for every region, turned like last night's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from prodseek.cluster.groups import fit_umap, has_umap

N_NEIGHBORS = 15
# Leaves room between points, so that pictures and names find a place on the map.
MIN_DIST = 0.5
# Where rows lie that no edge reaches: on a circle around the others, as many times as large.
_RIM = 1.08
# Two points can be turned onto any other two.
_MIN_COMMON = 3


def map_layout(
    knn_indices: NDArray[np.int32],
    knn_cosine_distances: NDArray[np.float32],
    vectors: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Two coordinates a row, by UMAP; by principal components where the graph is too small for it.

    knn_indices, knn_cosine_distances: (N, k) from `knn_matrix`. vectors: (N, d) unit length. Returns (N, 2) float32, centred and
    finite: rows that no edge reaches lie on a rim around the others. The same input gives the same bits.
    """
    if not len(vectors):
        return np.zeros((0, 2), np.float32)
    if has_umap(knn_indices, vectors, 2):
        layout = fit_umap(knn_indices, knn_cosine_distances, vectors, 2, N_NEIGHBORS, MIN_DIST, seed)
    else:
        layout = _principal_components(vectors)
    layout = layout - np.nanmean(layout, axis=0)
    lost = np.flatnonzero(~np.isfinite(layout).all(axis=1))
    angle = 2 * np.pi * np.arange(len(lost)) / max(1, len(lost))
    radius = _RIM * np.nanmax(np.linalg.norm(layout, axis=1), initial=1.0)
    layout[lost] = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(layout, np.float32)


def turned_like(
    layout: NDArray[np.float32], rows: NDArray[np.int64], before: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The layout turned, mirrored and moved, never stretched, so that it lies best on an earlier one.

    layout: (N, 2). rows: (M,) rows that both have; before: (M, 2), where those were. With fewer than three it stays as it is.
    Schoenemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    if len(rows) < _MIN_COMMON:
        return layout
    here, there = layout[rows].mean(axis=0), before.mean(axis=0)
    turn, _ = orthogonal_procrustes(layout[rows] - here, before - there)
    return np.asarray((layout - here) @ turn + there, np.float32)


def _principal_components(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    scores = np.zeros((len(vectors), 2), np.float32)
    found = min(2, len(size))
    scores[:, :found] = (left * size)[:, :found]
    return scores
