"""From a neighbour graph to groups: UMAP coordinates, and HDBSCAN on them at two levels.

umap and hdbscan are imported where they are called, because that takes seconds and most users of this module need only its
constants.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE = -1
# UMAP's spectral initialisation needs more points than dimensions, and a real graph; with fewer rows a group is a guess.
MIN_ROWS = 5
# A catalogue has room for at least this many coarse groups: in a small catalogue they may be smaller than elsewhere.
MIN_COARSE_GROUPS = 40
# Up to this many rows, comparing all with all is faster than compiling NN-descent.
EXACT_ROWS = 8192

# A graph as returned by `search_knn`: each row's nearest rows, (N, k) int32, and their cosine distances, (N, k) float32.
Nearest = tuple[NDArray[np.int32], NDArray[np.float32]]
# A group of a facet: its level, and its label there.
GroupKey = tuple[str, int]


@dataclass(frozen=True)
class Groups:
    """Groups at two levels.

    fine, coarse: (N,) int32, NOISE for no group, else 0, 1, ... in the order of the groups' first rows. outlier_score: (N,)
    float32, 0..1.
    """

    fine: NDArray[np.int32]
    coarse: NDArray[np.int32]
    outlier_score: NDArray[np.float32]


def umap_coordinates(
    knn_indices: NDArray[np.int32],
    knn_cosine_distances: NDArray[np.float32],
    vectors: NDArray[np.float32],
    n_components: int,
    n_neighbors: int,
    min_dist: float,
    seed: int,
) -> NDArray[np.float32]:
    """UMAP coordinates, in which neighbours in the graph are near each other.

    knn_indices, knn_cosine_distances: (N, k) from `search_knn`, k >= n_neighbors. vectors: (N, d) float32, unit length; they
    are returned themselves if the graph is too small for UMAP, see `has_umap`. A row without edges is placed far from
    everything. Returns (N, n_components) or (N, d) float32. It runs on one thread with one seed, so the same input gives the
    same bits. Source: McInnes, Healy and Melville, "UMAP", 2018, arXiv 1802.03426.
    """
    if not has_umap(knn_indices, vectors, n_components):
        return np.asarray(vectors, np.float32)
    coordinates = fit_umap(knn_indices, knn_cosine_distances, vectors, n_components, n_neighbors, min_dist, seed)
    lost = ~np.isfinite(coordinates).all(axis=1)
    coordinates[lost] = np.nanmax(np.abs(coordinates), initial=1.0) * 10 + np.arange(lost.sum())[:, None] * 10
    return coordinates


def has_umap(knn_indices: NDArray[np.int32], vectors: NDArray[np.float32], n_components: int) -> bool:
    """Whether UMAP can lay out the rows: there are at least n_components + 3, they have edges and are not all equal."""
    has_edges = bool((knn_indices[:, 1:] >= 0).any())
    return len(vectors) >= max(MIN_ROWS, n_components + 3) and has_edges and not (vectors == vectors[0]).all()


def fit_umap(
    knn_indices: NDArray[np.int32],
    knn_cosine_distances: NDArray[np.float32],
    vectors: NDArray[np.float32],
    n_components: int,
    n_neighbors: int,
    min_dist: float,
    seed: int,
) -> NDArray[np.float32]:
    """`umap_coordinates` for rows for which `has_umap` is true; a row without edges is NaN."""
    import umap

    _keep_compiled()
    n_rows = len(vectors)
    k = min(n_neighbors, n_rows - 1, knn_indices.shape[1])
    reducer = umap.UMAP(
        n_components=n_components,
        n_neighbors=k,
        min_dist=min_dist,
        metric="cosine",
        precomputed_knn=(knn_indices[:, :k], knn_cosine_distances[:, :k], None),
        random_state=seed,
        n_jobs=1,
        init="spectral" if n_rows > 4 * n_components else "random",
    )
    with warnings.catch_warnings():
        # UMAP warns about precomputed graphs without a search index, few rows and disconnected graphs; all are expected here.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(reducer.fit_transform(vectors), np.float32)


def _keep_compiled() -> None:
    """Let numba cache two compiled functions of UMAP, because to compile them takes as long as a small fit."""
    from umap import umap_

    for function in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        try:
            function.enable_caching()
        except RuntimeError:  # neither the package's folder nor the user's cache can be written to
            return


def search_knn(vectors: NDArray[np.float32], k: int, seed: int) -> Nearest:
    """The k nearest of vectors, each row itself first.

    vectors: (N, d) float32, unit length. k: at most N neighbours are found. Exact up to EXACT_ROWS rows, else NN-descent on
    one thread with one seed, so the result is the same every time. Source: Dong, Charikar and Li, "Efficient K-Nearest
    Neighbor Graph Construction for Generic Similarity Measures", 2011.
    """
    k, n_rows = min(k, len(vectors)), len(vectors)
    if n_rows > EXACT_ROWS:
        import umap

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            indices, distances, _ = umap.umap_.nearest_neighbors(
                vectors, k, "cosine", {}, True, np.random.RandomState(seed), n_jobs=1
            )
        return np.asarray(indices, np.int32), np.maximum(np.asarray(distances, np.float32), 0.0)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, 2.0)
    indices = np.argsort(-cosine, axis=1, kind="stable")[:, :k].astype(np.int32)
    distances = np.maximum(0.0, 1.0 - np.take_along_axis(cosine, indices, axis=1))
    return indices, distances.astype(np.float32)


def coarse_size(n_rows: int, min_cluster_size: int, coarse_min_cluster_size: int) -> int:
    """Minimum size of a coarse group among n_rows regions: coarse_min_cluster_size, or less in a small catalogue."""
    return min(coarse_min_cluster_size, max(min_cluster_size, n_rows // MIN_COARSE_GROUPS))


def hdbscan_groups(
    coordinates: NDArray[np.float32], min_cluster_size: int, coarse_min_cluster_size: int, min_samples: int
) -> Groups:
    """HDBSCAN groups at two levels, cut from one tree; rows in no group are noise.

    coordinates: (N, n) float32. If all rows are equal, at least min_cluster_size of them are one group, and fewer are noise.
    Fewer rows than MIN_ROWS or min_cluster_size + 1 are noise too. Outlier scores are GLOSH. A fine group may be spread over
    several coarse groups, see `labels.nested`.

    Sources: Campello, Moulavi and Sander, "Density-Based Clustering Based on Hierarchical Density Estimates", 2013; Campello
    et al., "Hierarchical Density Estimates for Data Clustering, Visualization, and Outlier Detection", 2015.
    """
    n_rows = len(coordinates)
    noise = np.full(n_rows, NOISE, np.int32)
    if n_rows and (coordinates == coordinates[0]).all():
        whole = np.zeros(n_rows, np.int32) if n_rows >= min_cluster_size else noise
        return Groups(whole, whole, np.zeros(n_rows, np.float32))
    if n_rows < max(MIN_ROWS, min_cluster_size + 1, min_samples + 1):
        return Groups(noise, noise, np.zeros(n_rows, np.float32))
    import hdbscan
    from hdbscan.hdbscan_ import _tree_to_labels

    points = coordinates.astype(np.float64)
    fitted = hdbscan.HDBSCAN(
        min_cluster_size=min_cluster_size, min_samples=min_samples, core_dist_n_jobs=1, approx_min_span_tree=False
    ).fit(points)
    # The package has no public way to cut a tree a second time, and building the tree takes most of the time.
    coarse = _tree_to_labels(points, fitted.single_linkage_tree_.to_numpy(), coarse_min_cluster_size)[0]
    return Groups(
        in_order_of_appearance(fitted.labels_),
        in_order_of_appearance(coarse),
        np.clip(np.nan_to_num(np.asarray(fitted.outlier_scores_, np.float32)), 0.0, 1.0),
    )


def in_order_of_appearance(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """The same groups, numbered 0, 1, ... in the order of their first rows; NOISE stays. labels: (N,). Returns (N,) int32."""
    grouped = np.flatnonzero(labels != NOISE)
    _, first, group = np.unique(labels[grouped], return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int32)
    place[np.argsort(first)] = np.arange(len(first))
    renumbered = np.full(len(labels), NOISE, np.int32)
    renumbered[grouped] = place[group]
    return renumbered
