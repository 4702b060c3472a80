"""From the nearest of each row to groups at two levels: ties by local scale, and the communities that they make.

umap and graspologic_native are imported where they are called, because that takes seconds and most users of this module need
only its constants.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

NOISE = -1
# With fewer rows a group is a guess.
MIN_ROWS = 5
# In a catalogue of fewer rows coarse groups are denser, so that there is more than one.
SMALL_CATALOGUE_ROWS = 600
# And of so many rows one is a neighbour, but at least 4 beside the row itself: else everything is tied to everything.
ROWS_PER_NEIGHBOR, FEWEST_NEIGHBORS = 30, 5
# Up to this many rows, comparing all with all is faster than compiling NN-descent.
EXACT_ROWS = 8192
# Rounds of the Leiden algorithm, each from the result of the last; more change its quality in the fourth digit.
_LEIDEN_ROUNDS = 3

# A graph as returned by `search_knn`: each row's nearest rows, (N, k) int32, and their cosine distances, (N, k) float32.
Nearest = tuple[NDArray[np.int32], NDArray[np.float32]]
# A group of a facet: its level, and its label there.
GroupKey = tuple[str, int]


@dataclass(frozen=True)
class Groups:
    """Groups at two levels. fine, coarse: (N,) int32, NOISE for no group, else 0, 1, ... in the order of their first rows."""

    fine: NDArray[np.int32]
    coarse: NDArray[np.int32]


@dataclass(frozen=True)
class GroupLimits:
    """What a group is. n_neighbors: of a row that count, itself included. min_cluster_size: rows of a fine group.

    fine_density, coarse_density: 0..1, the mean tie between two rows of a group, 0 where there is none.
    """

    n_neighbors: int
    min_cluster_size: int
    fine_density: float
    coarse_density: float

    def n_neighbors_of(self, n_rows: int) -> int:
        """The number of neighbours among n_rows: fewer in a small catalogue."""
        return min(self.n_neighbors, max(FEWEST_NEIGHBORS, n_rows // ROWS_PER_NEIGHBOR))

    def coarse_density_of(self, n_rows: int) -> float:
        """The density of coarse groups among n_rows: more in a small catalogue, and never more than that of fine ones."""
        return min(self.fine_density, self.coarse_density * max(1.0, SMALL_CATALOGUE_ROWS / max(1, n_rows)))


def groups_of(vectors: NDArray[np.float32], nearest: Nearest, limits: GroupLimits, seed: int) -> Groups:
    """The groups of rows that are tied more closely than `limits` asks; rows in smaller groups are noise.

    vectors: (N, d) float32. nearest: theirs, from `search_knn`. If all rows are equal, at least min_cluster_size of them are one
    group. Fewer rows than MIN_ROWS or min_cluster_size + 1 are noise. A fine group may be spread over several coarse groups, see
    `labels.nested`. It runs on one thread with one seed, so the same input gives the same groups.
    """
    n_rows = len(vectors)
    noise = np.full(n_rows, NOISE, np.int32)
    if n_rows >= limits.min_cluster_size and (vectors == vectors[0]).all():
        whole = np.zeros(n_rows, np.int32)
        return Groups(whole, whole)
    if n_rows < max(MIN_ROWS, limits.min_cluster_size + 1):
        return Groups(noise, noise)
    graph = ties(nearest, limits.n_neighbors_of(n_rows))
    densities = limits.fine_density, limits.coarse_density_of(n_rows)
    fine, coarse = (communities(graph, density, limits.min_cluster_size, seed) for density in densities)
    return Groups(fine, coarse)


def ties(nearest: Nearest, n_neighbors: int) -> csr_matrix:
    """How closely each row is tied to its neighbours, (N, N), symmetric, 0..1.

    A row's nearest neighbour counts 1, and the others by how much farther they are on the scale of this row: so dense and sparse
    parts of a catalogue are alike. A tie is the fuzzy union of both rows' counts. What has no positive cosine is no neighbour.
    nearest: of N rows, from `search_knn`. Source: McInnes, Healy and Melville, "UMAP", 2018, arXiv 1802.03426, section 3.1; the
    scale is after Zelnik-Manor and Perona, "Self-Tuning Spectral Clustering", 2004.
    """
    from umap.umap_ import fuzzy_simplicial_set

    keep_compiled()
    k = min(n_neighbors, nearest[0].shape[1])
    distances = nearest[1][:, :k]
    indices = np.where(distances < 1.0, nearest[0][:, :k], -1)
    graph, *_ = fuzzy_simplicial_set(
        indices, k, np.random.RandomState(0), "cosine", knn_indices=indices, knn_dists=distances
    )
    sorted_rows: csr_matrix = graph.tocsr().sorted_indices()
    return sorted_rows


def communities(graph: csr_matrix, density: float, min_size: int, seed: int) -> NDArray[np.int32]:
    """Labels, (N,) int32, of communities whose rows are tied by `density` on average, and less to those of others.

    The constant Potts model, found by the Leiden algorithm. What is in one community depends on the rows about it alone, and not
    on how large the catalogue is or what else it holds. graph: (N, N), symmetric, from `ties`. Communities of fewer than
    min_size rows are NOISE. Sources: Traag, Van Dooren and Nesterov, "Narrow scope for resolution-limit-free community
    detection", 2011; Traag, Waltman and Van Eck, "From Louvain to Leiden", 2019.
    """
    from graspologic_native import leiden_csr

    if not graph.nnz:
        return np.full(graph.shape[0], NOISE, np.int32)
    _, found = leiden_csr(
        graph.indptr.astype(np.int64),
        graph.indices.astype(np.int32),
        graph.data.astype(np.float64),
        graph.shape[0],
        resolution=density,
        iterations=_LEIDEN_ROUNDS,
        use_modularity=False,
        seed=seed,
    )
    labels = np.array([found[row] for row in range(graph.shape[0])], np.int32)
    return in_order_of_appearance(np.where(np.bincount(labels)[labels] >= min_size, labels, NOISE))


def keep_compiled() -> None:
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


def in_order_of_appearance(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """The same groups, numbered 0, 1, ... in the order of their first rows; NOISE stays. labels: (N,). Returns (N,) int32."""
    grouped = np.flatnonzero(labels != NOISE)
    _, first, group = np.unique(labels[grouped], return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int32)
    place[np.argsort(first)] = np.arange(len(first))
    renumbered = np.full(len(labels), NOISE, np.int32)
    renumbered[grouped] = place[group]
    return renumbered
