"""How far several ways to compare objects confirm one another. No labels are needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MIN_ROWS = 16  # with fewer, nearest neighbours say nothing
_BLOCK_ROWS = 512


def agreement(vectors: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """For each component, how similar its nearest neighbours are in the other component that confirms them best.

    0: no more similar than any two objects. 1: as similar as that other component's own nearest neighbours. A component
    whose neighbours no other confirms (such as colour among clothes) says little about what the objects are.

    vectors: component -> (N, d) float64, unit length, the same N objects in each. All values are 1 for fewer than MIN_ROWS
    objects, and for a single component.
    """
    names = list(vectors)
    n_rows = len(vectors[names[0]])
    if n_rows < MIN_ROWS or len(names) < 2:
        return dict.fromkeys(names, 1.0)
    nearest = {name: _nearest(rows) for name, rows in vectors.items()}
    excess = {
        (finder, judge): float(np.median((rows * rows[nearest[finder]]).sum(axis=1))) - _mean_cosine(rows)
        for judge, rows in vectors.items()
        for finder in names
    }
    return {
        finder: max(_share(excess[finder, judge], excess[judge, judge]) for judge in names if judge != finder)
        for finder in names
    }


def _nearest(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row the index of the most similar other row, (N,); of equal ones the first."""
    narrow = rows.astype(np.float32)
    found = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, len(rows)))
        similarity = narrow[block] @ narrow.T
        similarity[np.arange(len(block)), block] = -np.inf
        found[block] = similarity.argmax(axis=1)
    return found


def _mean_cosine(rows: NDArray[np.float64]) -> float:
    """The mean cosine of all pairs of two different rows."""
    total = rows.sum(axis=0)
    n_rows = len(rows)
    return float((total @ total - (rows * rows).sum()) / (n_rows * (n_rows - 1)))


def _share(found: float, best: float) -> float:
    return min(max(found / best, 0.0), 1.0) if best > 0 else 1.0
