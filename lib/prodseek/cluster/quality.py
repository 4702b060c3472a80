"""The quality of groups, measured on their vectors: exemplars, cohesion and separation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.cluster.groups import NOISE

_CENTRES_AT_ONCE = 2048


@dataclass(frozen=True)
class GroupQuality:
    """The quality of a group.

    exemplars: rows of the most central members, at most one for each product, the most central first. cohesion: mean cosine
    similarity of members to the exemplars. separation: 1 - cosine similarity of the group's centre to the nearest other
    centre, 0..2; 1 for the only group.
    """

    exemplars: tuple[int, ...]
    cohesion: float
    separation: float


def group_quality(
    vectors: NDArray[np.float32], labels: NDArray[np.int32], product_ids: Sequence[str], n_exemplars: int
) -> dict[int, GroupQuality]:
    """The quality of each group: label -> GroupQuality.

    vectors: (N, d) float32, unit length. labels: (N,) int32. product_ids: N of them. Members near the group's mean direction
    are central; ties go to the lower row.
    """
    grouped = np.flatnonzero(labels != NOISE)
    order = grouped[np.argsort(labels[grouped], kind="stable")]
    names, starts = np.unique(labels[order], return_index=True)
    members = np.split(order, starts[1:]) if len(names) else []
    centres = np.stack([vectors[rows].mean(axis=0) for rows in members]) if members else np.zeros((0, 1), np.float32)
    centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    separations = _separations(centres)
    found = {}
    for label, rows, centre, separation in zip(names.tolist(), members, centres, separations, strict=True):
        chosen: dict[str, int] = {}
        for row in rows[np.argsort(-(vectors[rows] @ centre), kind="stable")].tolist():
            chosen.setdefault(product_ids[row], row)
            if len(chosen) == n_exemplars:
                break
        central = list(chosen.values())
        cohesion = float((vectors[rows] @ vectors[central].T).mean())
        found[label] = GroupQuality(tuple(central), cohesion, float(separation))
    return found


def _separations(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    nearest = np.zeros(len(centres), np.float32)
    if len(centres) > 1:
        for start in range(0, len(centres), _CENTRES_AT_ONCE):
            cosine = centres[start : start + _CENTRES_AT_ONCE] @ centres.T
            block = np.arange(len(cosine))
            cosine[block, start + block] = -2.0
            nearest[start : start + len(cosine)] = cosine.max(axis=1)
    return 1.0 - nearest
