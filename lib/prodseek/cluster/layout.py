"""The map: two coordinates for each region, turned to match last night's map."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes

from prodseek.cluster.groups import MIN_ROWS, keep_compiled

_DIMS = 2
N_NEIGHBORS = 15
# Leaves room between points for pictures and names.
MIN_DIST = 0.5
# Radius of the circle on which rows without edges are placed, as a multiple of the radius of the others.
_RIM = 1.08
# Fewer common points would fit any turn.
_MIN_COMMON = 3


def map_layout(
    knn_indices: NDArray[np.int32],
    knn_cosine_distances: NDArray[np.float32],
    vectors: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float32]:
    """Two coordinates for each row: by UMAP, or by principal components if the graph is too small for UMAP.

    knn_indices, knn_cosine_distances: (N, k) from `search_knn`. vectors: (N, d) float32, unit length. Returns (N, 2) float32,
    centred and finite; rows without edges are on a circle around the others. The same input gives the same bits.
    """
    if not len(vectors):
        return np.zeros((0, 2), np.float32)
    if _has_umap(knn_indices, vectors):
        layout = _fit_umap(knn_indices, knn_cosine_distances, vectors, seed)
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
    """Turn, mirror and move a layout, without stretching it, to match an earlier one as well as possible.

    layout: (N, 2) float32. rows: (M,) int64, rows that both layouts have. before: (M, 2) float32, their earlier coordinates.
    With fewer than three common rows the layout stays as it is. Source: Schoenemann, "A generalized solution of the
    orthogonal Procrustes problem", 1966.
    """
    if len(rows) < _MIN_COMMON:
        return layout
    here, there = layout[rows].mean(axis=0), before.mean(axis=0)
    turn, _ = orthogonal_procrustes(layout[rows] - here, before - there)
    return np.asarray((layout - here) @ turn + there, np.float32)


def _has_umap(knn_indices: NDArray[np.int32], vectors: NDArray[np.float32]) -> bool:
    """Whether UMAP can lay out the rows: its spectral start needs more of them than dimensions, with edges, and not all equal."""
    has_edges = bool((knn_indices[:, 1:] >= 0).any())
    return len(vectors) >= MIN_ROWS and has_edges and not (vectors == vectors[0]).all()


def _fit_umap(
    knn_indices: NDArray[np.int32], knn_cosine_distances: NDArray[np.float32], vectors: NDArray[np.float32], seed: int
) -> NDArray[np.float32]:
    """Coordinates of rows for which `_has_umap` is true, (N, 2); a row without edges is NaN.

    Source: McInnes, Healy and Melville, "UMAP", 2018, arXiv 1802.03426.
    """
    import umap

    keep_compiled()
    n_rows = len(vectors)
    k = min(N_NEIGHBORS, n_rows - 1, knn_indices.shape[1])
    reducer = umap.UMAP(
        n_components=_DIMS,
        n_neighbors=k,
        min_dist=MIN_DIST,
        metric="cosine",
        precomputed_knn=(knn_indices[:, :k], knn_cosine_distances[:, :k], None),
        random_state=seed,
        n_jobs=1,
        init="spectral" if n_rows > 4 * _DIMS else "random",
    )
    with warnings.catch_warnings():
        # UMAP warns about precomputed graphs without a search index, few rows and disconnected graphs; all are expected here.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(reducer.fit_transform(vectors), np.float32)


def _principal_components(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    scores = np.zeros((len(vectors), 2), np.float32)
    found = min(2, len(size))
    scores[:, :found] = (left * size)[:, :found]
    return scores
