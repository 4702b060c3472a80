"""Plan the index: the number of cells follows from the number of vectors, the coding from the available memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from prodseek.errors import ConfigError
from prodseek.index.ivf import centroid_index, choose_nlist, train_centroids

# From exact to small. RaBitQ (Gao et al., "Practical and Asymptotically Optimal Quantization of High-Dimensional Vectors",
# 2025) has a higher recall than product quantisation of equal size, and needs no training.
CODINGS = ("Flat", "SQfp16", "SQ8", "RaBitQ4", "RaBitQ2")
_ID_BYTES = 8
_GIB = 2**30


@dataclass(frozen=True)
class IndexPlan:
    """An index to train. coding: one of CODINGS. n_bytes: memory that it will take, with ids and centroids."""

    n_vectors: int
    d: int
    memory_bytes: int
    nlist: int
    coding: str
    n_bytes: int

    @property
    def factory(self) -> str:
        """The index in faiss's factory language: "Flat", or "IVF4096,SQ8"."""
        return self.coding if self.nlist == 1 else f"IVF{self.nlist},{self.coding}"

    def __str__(self) -> str:
        return (
            f"{_short(self.n_vectors)} x {self.d}-d, {self.memory_bytes / _GIB:.3g} GiB budget: {self.factory}, "
            f"{self.n_bytes / _GIB:.2g} GiB"
        )


def plan_index(n_vectors: int, d: int, memory_bytes: int) -> IndexPlan:
    """The most exact index of n_vectors that takes at most memory_bytes. Raises ConfigError if even the smallest does not fit.

    A small index (one cell) is exact, whatever the budget.
    """
    nlist = choose_nlist(n_vectors)
    plans = [
        IndexPlan(n_vectors, d, memory_bytes, nlist, coding, _index_bytes(n_vectors, d, nlist, coding))
        for coding in CODINGS
    ]
    for plan in plans:
        if nlist == 1 or plan.n_bytes <= memory_bytes:
            return plan
    raise ConfigError(
        f"index.memory_bytes: {memory_bytes} is too little for {n_vectors} vectors of {d} dimensions: even "
        f"{plans[-1].factory} takes {plans[-1].n_bytes} bytes; set it to at least that"
    )


def train_index(plan: IndexPlan, sample: NDArray[np.float32], seed: int) -> Any:
    """The planned index, trained and empty: an IVF index of faiss, with one cell if the plan is "Flat".

    sample: (S, d) float32, unit length, S >= plan.nlist.
    """
    quantizer = centroid_index(train_centroids(sample, plan.nlist, seed))
    index = _untrained(plan.d, plan.nlist, plan.coding)
    index.quantizer, index.own_fields = quantizer, True
    quantizer.this.disown()
    # The centroids are already trained; train only the coding.
    index.quantizer_trains_alone = 1
    index.train(np.ascontiguousarray(sample, np.float32))
    return index


def _untrained(d: int, nlist: int, coding: str) -> Any:
    return faiss.index_factory(d, f"IVF{nlist},{coding}", faiss.METRIC_INNER_PRODUCT)


def _index_bytes(n_vectors: int, d: int, nlist: int, coding: str) -> int:
    code_bytes = _untrained(d, 1, coding).code_size
    return int(n_vectors * (code_bytes + _ID_BYTES) + nlist * d * 4)


def _short(n: int) -> str:
    if n >= 1_000_000:
        return f"{n / 1e6:.3g} M"
    return f"{n / 1e3:.3g} k" if n >= 1000 else str(n)
