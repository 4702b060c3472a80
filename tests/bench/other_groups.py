"""Groups as others find them, beside which `bench_cluster` measures ours. What is not installed is left out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from prodseek.cluster.groups import NOISE

Vectors = NDArray[np.float32]
Levels = tuple[NDArray[np.int32], NDArray[np.int32]]

_UMAP = {"n_components": 8, "n_neighbors": 8, "min_dist": 0.0, "metric": "cosine", "random_state": 0, "n_jobs": 1}
_SIZES = 3, 15  # minimum rows of a fine and of a coarse group, as was shipped with UMAP and HDBSCAN


def _in_umap(vectors: Vectors) -> Vectors:
    import umap

    with warnings.catch_warnings(category=UserWarning, action="ignore"):
        return np.asarray(umap.UMAP(**_UMAP).fit_transform(vectors), np.float32)


def hdbscan_on_umap(vectors: Vectors, ours: Levels) -> Levels:
    """What was shipped before: two cuts of HDBSCAN's tree in a UMAP space of 8 dimensions."""
    from fast_hdbscan import HDBSCAN

    points = _in_umap(vectors)
    fine, coarse = (HDBSCAN(min_cluster_size=size, min_samples=1).fit_predict(points) for size in _SIZES)
    return fine.astype(np.int32), coarse.astype(np.int32)


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


def _layers_like(layers: Sequence[NDArray[np.integer]], ours: Levels) -> Levels:
    counts = np.array([layer.max(initial=NOISE) + 1 for layer in layers])
    fine, coarse = (
        layers[int(np.abs(np.log((counts + 1) / (labels.max(initial=NOISE) + 2))).argmin())] for labels in ours
    )
    return fine.astype(np.int32), coarse.astype(np.int32)


_ALL: dict[str, tuple[str, Callable[[Vectors, Levels], Levels]]] = {
    "HDBSCAN on UMAP": ("fast_hdbscan", hdbscan_on_umap),
    "HDBSCAN on the vectors": ("fast_hdbscan", hdbscan_alone),
    "PLSCAN on UMAP": ("fast_hdbscan", plscan_on_umap),
    "EVoC": ("evoc", evoc),
}
OTHERS = {name: way for name, (package, way) in _ALL.items() if find_spec(package) is not None}
