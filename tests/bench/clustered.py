"""Vectors that lie as a catalogue's do: a few broad kinds, many narrow ones of unequal size, few real dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BROAD_KINDS = 60
_VECTORS_PER_KIND = 100
_LARGEST_KIND = 1000
_BLOCK_ROWS = 100_000


def clustered(n: int, d: int, seed: int = 0, spread: float = 0.9) -> NDArray[np.float32]:
    """(n, d) float32, unit length. spread: of a narrow kind; the larger, the harder for an inverted file."""
    rng = np.random.default_rng(seed)
    real_d = min(32, d)
    basis = rng.normal(size=(real_d, d)).astype(np.float32) / np.sqrt(real_d)
    n_kinds = max(1, n // _VECTORS_PER_KIND)
    broad = rng.normal(size=(_BROAD_KINDS, real_d))
    kinds = broad[rng.integers(0, _BROAD_KINDS, n_kinds)] + 0.7 * rng.normal(size=(n_kinds, real_d))
    sizes = np.minimum(rng.zipf(1.5, n_kinds), _LARGEST_KIND)
    kind_of = rng.choice(n_kinds, n, p=sizes / sizes.sum())
    vectors = np.empty((n, d), np.float32)
    for start in range(0, n, _BLOCK_ROWS):
        own = kinds[kind_of[start : start + _BLOCK_ROWS]]
        block = (own + spread * rng.normal(size=own.shape)).astype(np.float32) @ basis
        block += 0.15 * rng.standard_normal(size=block.shape, dtype=np.float32)
        vectors[start : start + _BLOCK_ROWS] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors
