"""What becomes of labels: neighbours vote, fine groups lie in coarse ones, last night's groups go on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from prodseek.cluster.groups import NOISE, Groups, Nearest
from prodseek.runs.columns import COARSE, FINE

Labels = NDArray[np.int32]
# A vote may set off the next one; where they go round in circles, this ends it.
_MAX_ROUNDS = 50


@dataclass(frozen=True)
class Graph:
    """Who is near whom. rows, neighbours: (E,) row indices; cosine: (E,) similarity; n_rows: rows in all."""

    rows: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    cosine: NDArray[np.float32]
    n_rows: int

    @classmethod
    def of_nearest(cls, nearest: Nearest) -> Graph:
        """The edges from each row to its nearest, those to itself left out."""
        indices, distances = nearest
        n_rows = len(indices)
        place = np.nonzero((indices >= 0) & (indices != np.arange(n_rows)[:, None]))
        return cls(place[0], indices[place].astype(np.int64), 1 - distances[place], n_rows)


@dataclass(frozen=True)
class LevelLabels:
    """The same rows' labels at both levels, nested. fine, coarse: (N,) int32."""

    fine: Labels
    coarse: Labels

    @property
    def by_level(self) -> dict[str, Labels]:
        return {FINE: self.fine, COARSE: self.coarse}

    @property
    def parents(self) -> dict[int, int]:
        """fine label -> the coarse label that it lies in, in order of the fine labels."""
        fine, first = np.unique(self.fine, return_index=True)
        pairs = zip(fine.tolist(), self.coarse[first].tolist(), strict=True)
        return {label: parent for label, parent in pairs if label != NOISE}


@dataclass(frozen=True)
class Belonging:
    """How each row belongs to its group. membership: (N,) float32, 0..1, its neighbours' share in the group; 0 in none.

    nearest: (N,) int32, for a row in no group the group that most of its neighbours are in; else NOISE.
    """

    membership: NDArray[np.float32]
    nearest: Labels


@dataclass(frozen=True)
class Votes:
    """Of each row's neighbours, by cosine similarity: label, (N,) int32, the group most are in, NOISE where none is in one.

    share: (N,) float32, how many of all they are. own_share: (N,) float32, the same for the row's own group.
    """

    label: Labels
    share: NDArray[np.float32]
    own_share: NDArray[np.float32]


def votes(graph: Graph, labels: Labels) -> Votes:
    """What each row's neighbours are in. labels: (N,). The lower label wins a tie; a cosine below 0 counts for nothing."""
    n_labels = int(labels.max(initial=NOISE)) + 1
    weight = np.maximum(graph.cosine.astype(np.float64), 0.0)
    total = np.bincount(graph.rows, weight, minlength=graph.n_rows)
    found = labels[graph.neighbours]
    is_in = found != NOISE
    cast = csr_matrix(
        (weight[is_in], (graph.rows[is_in], found[is_in])), shape=(graph.n_rows, max(1, n_labels))
    ).sorted_indices()
    cast.sum_duplicates()
    row_of = np.repeat(np.arange(graph.n_rows), np.diff(cast.indptr))
    order = np.lexsort((cast.indices, -cast.data, row_of))
    rows, first = np.unique(row_of[order], return_index=True)
    best = order[first]
    label = np.full(graph.n_rows, NOISE, np.int32)
    most, own = np.zeros(graph.n_rows), np.zeros(graph.n_rows)
    label[rows], most[rows] = cast.indices[best], cast.data[best]
    is_own = cast.indices == labels[row_of]
    own[row_of[is_own]] = cast.data[is_own]
    shares = [np.divide(part, total, out=np.zeros_like(part), where=total > 0) for part in (most, own)]
    return Votes(label, shares[0].astype(np.float32), shares[1].astype(np.float32))


def belonging(graph: Graph, labels: Labels) -> Belonging:
    """How each row belongs to its group. labels: (N,). A row without neighbours belongs to its group wholly."""
    cast = votes(graph, labels)
    is_alone = np.bincount(graph.rows, minlength=graph.n_rows) == 0
    membership = np.where(labels == NOISE, 0.0, np.where(is_alone, 1.0, cast.own_share)).astype(np.float32)
    return Belonging(membership, np.where(labels == NOISE, cast.label, NOISE))


def labels_of_night(graph: Graph, fitted: Groups, last: LevelLabels | None, min_size: int) -> LevelLabels:
    """A night's labels: those of tonight's fit, or last night's groups, which go on as `carried` says.

    graph, fitted: N rows. last: (N,) last night's labels of these rows; None where nothing goes on.
    """
    fine, coarse = fitted.fine, fitted.coarse
    if last is not None:
        fine = carried(last.fine, fine, min_size)
        coarse = carried(last.coarse, coarse, min_size)
    fine = settled(graph, fine)
    return LevelLabels(fine, settled(graph, nested(fine, coarse)))


def settled(graph: Graph, labels: Labels) -> Labels:
    """Rows in no group join the one that more than half of their neighbours are in, round after round until none does."""
    for _ in range(_MAX_ROUNDS):
        cast = votes(graph, labels)
        joins = (labels == NOISE) & (cast.label != NOISE) & (cast.share > 0.5)
        if not joins.any():
            break
        labels = np.where(joins, cast.label, labels).astype(np.int32)
    return labels


def nested(fine: Labels, coarse: Labels) -> Labels:
    """Coarse labels by which every fine group lies in one coarse group: the one that most of its rows are in.

    fine, coarse: (N,). A fine group without a row in any is a coarse group of its own. Rows in no fine group keep theirs.
    """
    parent = _mostly_in(fine, coarse)
    alone = np.flatnonzero(parent == NOISE)
    parent[alone] = coarse.max(initial=NOISE) + 1 + np.arange(len(alone))
    return _mapped(fine, parent, coarse)


def carried(previous: Labels, fitted: Labels, min_size: int) -> Labels:
    """Last night's groups go on; a new fit says where rows belong that are in none of them.

    previous, fitted: (N,); previous is NOISE for rows that are new or were in no group. A group of `fitted` is a new one when
    more than half of its rows, and min_size of them, are in no group of `previous`; else they join the group that most of its
    other rows are in. Labels of `previous` stay, new ones follow the highest.
    """
    n_fitted = int(fitted.max(initial=NOISE)) + 1
    is_free = (fitted != NOISE) & (previous == NOISE)
    n_free = np.bincount(fitted[is_free], minlength=n_fitted)
    n_all = np.bincount(fitted[fitted != NOISE], minlength=n_fitted)
    joined = _mostly_in(fitted, previous)
    is_new = ((2 * n_free > n_all) & (n_free >= min_size)) | (joined == NOISE)
    joined[is_new] = previous.max(initial=NOISE) + 1 + np.arange(is_new.sum())
    return _mapped(np.where(is_free, fitted, NOISE), joined, previous)


def _mostly_in(inner: Labels, outer: Labels) -> Labels:
    """For each label of `inner`, the label of `outer` that most of its rows are in; NOISE where none is in any."""
    n_outer = int(outer.max(initial=NOISE)) + 1
    most = np.full(int(inner.max(initial=NOISE)) + 1, NOISE, np.int32)
    both = (inner != NOISE) & (outer != NOISE)
    pairs, counts = np.unique(inner[both].astype(np.int64) * n_outer + outer[both], return_counts=True)
    # The largest count last, and of equal ones the lowest label: the last is what stays.
    for pair in pairs[np.lexsort((-pairs, counts))].tolist():
        most[pair // n_outer] = pair % n_outer
    return most


def _mapped(labels: Labels, to: Labels, where_noise: Labels) -> Labels:
    mapped = where_noise.copy()
    grouped = labels != NOISE
    mapped[grouped] = to[labels[grouped]]
    return mapped
