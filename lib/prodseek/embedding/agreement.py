"""How far several ways to compare objects confirm one another. No labels are needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# Feeds carry one photo of a product and up to ten more. Of what has more photos, such as apples, they show several pieces.
MOST_SHOTS = 11
# Where nobody says which photos are of one thing, two of these may be of the same, because the median counts.
N_NEAREST = 5
MIN_ROWS = MOST_SHOTS + N_NEAREST  # with fewer, nearest neighbours say nothing
_BLOCK_ROWS = 512


def agreement(vectors: Mapping[str, NDArray[np.float64]], things: NDArray[np.int64]) -> dict[str, float]:
    """For each component, how similar its nearest neighbours are in the other component that confirms them best.

    0: no more similar than any two objects. 1: as similar as that other component's own nearest neighbours. A component
    whose neighbours no other confirms (such as colour among clothes) says little about what the objects are.

    Other photos of the same thing are no neighbours: they are near in every component, so that each would seem to confirm the
    others. vectors: component -> (N, d) float64, unit length, the same N objects in each. things: (N,) int64, as `things_of`
    gives them. All values are 1 for fewer than MIN_ROWS objects, and for a single component.
    """
    names = list(vectors)
    n_rows = len(vectors[names[0]])
    if n_rows < MIN_ROWS or len(names) < 2:
        return dict.fromkeys(names, 1.0)
    nearest = {name: _nearest(rows, things) for name, rows in vectors.items()}
    excess = {
        (finder, judge): _median_cosine(rows, nearest[finder]) - _mean_cosine(rows)
        for judge, rows in vectors.items()
        for finder in names
    }
    return {
        finder: max(_share(excess[finder, judge], excess[judge, judge]) for judge in names if judge != finder)
        for finder in names
    }


def things_of(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) int64, equal for photos that show the same thing: those of a product that has at most MOST_SHOTS of them.

    products: (N,) int64.
    """
    of_product, n_photos = np.unique(products, return_inverse=True, return_counts=True)[1:]
    each_its_own = len(n_photos) + np.arange(len(products))
    return np.where(n_photos[of_product] <= MOST_SHOTS, of_product, each_its_own)


def _nearest(rows: NDArray[np.float64], things: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the N_NEAREST most similar rows of other things, (N, N_NEAREST); of equal ones the first."""
    narrow = rows.astype(np.float32)
    found = np.empty((len(rows), N_NEAREST), np.int64)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, len(rows)))
        similarity = narrow[block] @ narrow.T
        similarity[things[block, None] == things] = -np.inf
        for place in range(N_NEAREST):
            found[block, place] = similarity.argmax(axis=1)
            similarity[np.arange(len(block)), found[block, place]] = -np.inf
    return found


def _median_cosine(rows: NDArray[np.float64], nearest: NDArray[np.int64]) -> float:
    """The median cosine of all rows and their nearest."""
    return float(np.median([(rows * rows[one]).sum(axis=1) for one in nearest.T]))


def _mean_cosine(rows: NDArray[np.float64]) -> float:
    """The mean cosine of all pairs of two different rows."""
    total = rows.sum(axis=0)
    n_rows = len(rows)
    return float((total @ total - (rows * rows).sum()) / (n_rows * (n_rows - 1)))


def _share(found: float, best: float) -> float:
    return min(max(found / best, 0.0), 1.0) if best > 0 else 1.0
