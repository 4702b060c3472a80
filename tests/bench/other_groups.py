"""Groups as others find them, beside which `bench_cluster` measures ours. What is not installed is left out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from prodseek.cluster.groups import NOISE, search_knn

Vectors = NDArray[np.float32]
Levels = tuple[NDArray[np.int32], NDArray[np.int32]]

_UMAP = {"n_components": 8, "n_neighbors": 8, "min_dist": 0.0, "metric": "cosine", "random_state": 0, "n_jobs": 1}
_SIZES = 3, 15  # minimum rows of a fine and of a coarse group
_DENSITIES, _N_NEIGHBORS = (0.15, 0.015), 12


def _in_umap(vectors: Vectors) -> Vectors:
    import umap

    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        return np.asarray(umap.UMAP(**_UMAP).fit_transform(vectors), np.float32)


def hdbscan_alone(vectors: Vectors, ours: Levels) -> Levels:
    """HDBSCAN on the vectors themselves."""
    from fast_hdbscan import HDBSCAN

    fine, coarse = (HDBSCAN(min_cluster_size=size, min_samples=1).fit_predict(vectors) for size in _SIZES)
    return fine.astype(np.int32), coarse.astype(np.int32)


def plscan_on_umap(vectors: Vectors, ours: Levels) -> Levels:
    """PLSCAN, which finds the sizes that persist: of its layers those with about as many groups as ours."""
    from fast_hdbscan import PLSCAN

    return _layers_like(PLSCAN().fit(_in_umap(vectors)).cluster_layers_, ours)


def evoc(vectors: Vectors, ours: Levels) -> Levels:
    """EVoC: of its layers those with about as many groups as ours."""
    from evoc import EVoC

    return _layers_like(EVoC(random_state=0).fit(vectors).cluster_layers_, ours)


def leiden(vectors: Vectors, ours: Levels) -> Levels:
    """Communities of UMAP's fuzzy graph, whose scale is local, by the constant Potts model.

    Source: Traag, Waltman and Van Eck, "From Louvain to Leiden", 2019.
    """
    from graspologic_native import leiden_csr
    from umap.umap_ import fuzzy_simplicial_set

    indices, distances = search_knn(vectors, _N_NEIGHBORS, 0)
    ties, *_ = fuzzy_simplicial_set(
        indices, _N_NEIGHBORS, np.random.RandomState(0), "cosine", knn_indices=indices, knn_dists=distances
    )
    graph = ties.tocsr().sorted_indices()
    parts = graph.indptr.astype(np.int64), graph.indices.astype(np.int32), graph.data.astype(np.float64)
    found = []
    for density in _DENSITIES:
        _, community = leiden_csr(
            *parts, graph.shape[0], resolution=density, iterations=3, use_modularity=False, seed=0
        )
        labels = np.array([community[row] for row in range(graph.shape[0])], np.int32)
        found.append(np.where(np.bincount(labels)[labels] >= _SIZES[0], labels, NOISE).astype(np.int32))
    return found[0], found[1]


def _layers_like(layers: Sequence[NDArray[np.integer]], ours: Levels) -> Levels:
    counts = np.array([layer.max(initial=NOISE) + 1 for layer in layers])
    fine, coarse = (
        layers[int(np.abs(np.log((counts + 1) / (labels.max(initial=NOISE) + 2))).argmin())] for labels in ours
    )
    return fine.astype(np.int32), coarse.astype(np.int32)


_ALL: dict[str, tuple[str, Callable[[Vectors, Levels], Levels]]] = {
    "HDBSCAN on the vectors": ("fast_hdbscan", hdbscan_alone),
    "PLSCAN on UMAP": ("fast_hdbscan", plscan_on_umap),
    "EVoC": ("evoc", evoc),
    "Leiden communities": ("graspologic_native", leiden),
}
OTHERS = {name: way for name, (package, way) in _ALL.items() if find_spec(package) is not None}
