"""How far several ways to compare objects confirm one another. No labels are needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MIN_PRODUCTS = 16  # with fewer, nearest neighbours say nothing
# Another photo of the same thing is nearest in every component, so that each seems to confirm the others. Where nobody says
# which photos show the same thing, up to half of these neighbours may be such photos, because the median counts.
N_NEAREST = 10
_BLOCK_ROWS = 512


def agreement(vectors: Mapping[str, NDArray[np.float64]], products: NDArray[np.int64]) -> dict[str, float]:
    """For each component, how similar its nearest neighbours are in the other component that confirms them best.

    0: no more similar than any two objects. 1: as similar as that other component's own nearest neighbours. A component
    whose neighbours no other confirms (such as colour among clothes) says little about what the objects are.

    vectors: component -> (N, d) float64, unit length, the same N objects in each. products: (N,) int64, equal for photos of the
    same product, which are no neighbours. All values are 1 for fewer than MIN_PRODUCTS products, and for a single component.
    """
    names = list(vectors)
    if len(np.unique(products)) < MIN_PRODUCTS or len(names) < 2:
        return dict.fromkeys(names, 1.0)
    nearest = {name: _nearest(rows, products) for name, rows in vectors.items()}
    excess = {
        (finder, judge): _median_cosine(rows, nearest[finder]) - _mean_cosine(rows, products)
        for judge, rows in vectors.items()
        for finder in names
    }
    return {
        finder: max(_share(excess[finder, judge], excess[judge, judge]) for judge in names if judge != finder)
        for finder in names
    }


def _nearest(rows: NDArray[np.float64], products: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the indices of the N_NEAREST most similar rows of other products, (N, N_NEAREST); of equal ones the first."""
    narrow = rows.astype(np.float32)
    found = np.empty((len(rows), N_NEAREST), np.int64)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, len(rows)))
        similarity = narrow[block] @ narrow.T
        similarity[products[block, None] == products] = -np.inf
        for place in range(N_NEAREST):
            found[block, place] = similarity.argmax(axis=1)
            similarity[np.arange(len(block)), found[block, place]] = -np.inf
    return found


def _median_cosine(rows: NDArray[np.float64], nearest: NDArray[np.int64]) -> float:
    """The median cosine of all rows and their nearest."""
    return float(np.median([(rows * rows[one]).sum(axis=1) for one in nearest.T]))


def _mean_cosine(rows: NDArray[np.float64], products: NDArray[np.int64]) -> float:
    """The mean cosine of all pairs of rows of two different products."""
    of_product, n_each = np.unique(products, return_inverse=True, return_counts=True)[1:]
    sums = np.zeros((len(n_each), rows.shape[1]))
    np.add.at(sums, of_product, rows)
    total = rows.sum(axis=0)
    return float((total @ total - (sums * sums).sum()) / (len(rows) ** 2 - (n_each**2).sum()))


def _share(found: float, best: float) -> float:
    return min(max(found / best, 0.0), 1.0) if best > 0 else 1.0
