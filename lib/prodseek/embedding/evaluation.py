"""How well vectors rank: precision among the nearest, leave one out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1024


def precision_at_k(vectors: NDArray[np.float32], labels: Sequence[str], k: int) -> float:
    """The mean share of a row's k nearest others, by cosine, that bear its label.

    vectors: (N, d) float32 unit length. labels: N of them. Equal cosines are ordered by row. Raises
    ValueError unless 1 <= k < N.
    """
    n_rows = len(vectors)
    if len(labels) != n_rows:
        raise ValueError(f"{n_rows} vectors, but {len(labels)} labels")
    if not 1 <= k < n_rows:
        raise ValueError(f"k is {k}; with {n_rows} vectors it must be in 1..{n_rows - 1}")
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    n_hits = 0
    for start in range(0, n_rows, _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, n_rows))
        similarity = vectors[block] @ vectors.T
        similarity[np.arange(len(block)), block] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        n_hits += int((codes[nearest] == codes[block][:, None]).sum())
    return n_hits / (n_rows * k)
