"""When an index that grows from night to night must be trained again."""

from __future__ import annotations

import math

from prodseek.index.plan import IndexPlan
from prodseek.index.shards import IndexManifest, faiss_version

# Number of cells, in multiples of the square root of the number of vectors, between which a search costs about the same.
_FEWEST_CELLS, _MOST_CELLS = 2, 16


def outgrown(before: IndexManifest, plan: IndexPlan, embedding_id: str) -> str | None:
    """Why the last night's index cannot be grown into the planned one; None if it can."""
    if before.embedding_id != embedding_id:
        return "the projection is another one"
    if before.faiss_version != faiss_version():
        return f"it was written by faiss {before.faiss_version}, this is {faiss_version()}"
    if before.d != plan.d:
        return f"it has {before.d} dimensions, the embeddings {plan.d}"
    root = math.sqrt(plan.n_vectors)
    too_few = plan.nlist > 1 and before.nlist < _FEWEST_CELLS * root
    if too_few or (before.nlist > 1 and before.nlist > _MOST_CELLS * root):
        return f"{before.nlist} cells do not suit {plan.n_vectors} vectors"
    if before.factory.split(",")[-1] != plan.coding:
        return f"{before.factory} is not what index.memory_bytes asks for: {plan.factory}"
    return None


def drift(
    grown: IndexManifest, recall_of_new: float, recall_target: float, max_imbalance: float, max_recall_drop: float
) -> str | None:
    """Why a grown index should be trained again; None while its cells still suit the catalogue.

    recall_of_new: recall of new vectors with the last night's nprobe, 0..1. max_imbalance: as a multiple of the imbalance
    just after training. max_recall_drop: below recall_target.
    """
    ratio = grown.imbalance / grown.trained_imbalance if grown.trained_imbalance else 1.0
    if ratio > max_imbalance:
        return f"its cells are {ratio:.2f} times as unequal as when it was trained (index.retrain_imbalance)"
    if recall_of_new < recall_target - max_recall_drop:
        return f"it finds {recall_of_new:.3f} of the neighbours of what is new (index.retrain_recall_drop)"
    return None
