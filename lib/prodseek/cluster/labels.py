"""Operations on group labels: votes of neighbours, nesting of fine groups in coarse ones, carrying over last night's groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from prodseek.cluster.groups import NOISE, Groups, Nearest
from prodseek.runs.columns import COARSE, FINE

Labels = NDArray[np.int32]
# A row that joins a group may make others join too; this ends the rounds if they never settle.
_MAX_ROUNDS = 50


@dataclass(frozen=True)
class Graph:
    """A neighbour graph. rows, neighbours: (E,) int64, row indices. cosine: (E,) float32. n_rows: number of all rows."""

    rows: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    cosine: NDArray[np.float32]
    n_rows: int

    @classmethod
    def of_nearest(cls, nearest: Nearest) -> Graph:
        """The edges from each row to its nearest rows, without those to itself."""
        indices, distances = nearest
        n_rows = len(indices)
        place = np.nonzero((indices >= 0) & (indices != np.arange(n_rows)[:, None]))
        return cls(place[0], indices[place].astype(np.int64), 1 - distances[place], n_rows)

    def nearest(self, n: int) -> Graph:
        """The edges from each row to its n nearest neighbours; among equally near ones, to those that come first."""
        order = np.lexsort((-self.cosine, self.rows))
        rows = self.rows[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = order[place < n]
        return Graph(self.rows[kept], self.neighbours[kept], self.cosine[kept], self.n_rows)


@dataclass(frozen=True)
class LevelLabels:
    """The labels of the same rows at both levels, nested. fine, coarse: (N,) int32."""

    fine: Labels
    coarse: Labels

    @property
    def by_level(self) -> dict[str, Labels]:
        return {FINE: self.fine, COARSE: self.coarse}

    @property
    def parents(self) -> dict[int, int]:
        """Fine label -> the coarse label that contains it, in the order of the fine labels."""
        fine, first = np.unique(self.fine, return_index=True)
        pairs = zip(fine.tolist(), self.coarse[first].tolist(), strict=True)
        return {label: parent for label, parent in pairs if label != NOISE}


@dataclass(frozen=True)
class Belonging:
    """How firmly each row belongs to its group.

    membership: (N,) float32, the share of its neighbours in its group, 0..1; 0 for a row in no group. nearest: (N,) int32, for
    a row in no group the group of most of its neighbours; else NOISE.
    """

    membership: NDArray[np.float32]
    nearest: Labels


@dataclass(frozen=True)
class NeighbourVotes:
    """Votes of each row's neighbours, weighted by cosine similarity.

    label: (N,) int32, the group with most votes; NOISE if no neighbour is in a group. share: (N,) float32, that group's share
    of all votes, 0..1. own_share: (N,) float32, the share of the row's own group.
    """

    label: Labels
    share: NDArray[np.float32]
    own_share: NDArray[np.float32]


def neighbour_votes(graph: Graph, labels: Labels) -> NeighbourVotes:
    """Count the votes of each row's neighbours. labels: (N,) int32. The lower label wins a tie; cosines below 0 count as 0."""
    n_labels = int(labels.max(initial=NOISE)) + 1
    weight = np.maximum(graph.cosine.astype(np.float64), 0.0)
    total = np.bincount(graph.rows, weight, minlength=graph.n_rows)
    found = labels[graph.neighbours]
    is_in = found != NOISE
    votes = csr_matrix(
        (weight[is_in], (graph.rows[is_in], found[is_in])), shape=(graph.n_rows, max(1, n_labels))
    ).sorted_indices()
    votes.sum_duplicates()
    row_of = np.repeat(np.arange(graph.n_rows), np.diff(votes.indptr))
    order = np.lexsort((votes.indices, -votes.data, row_of))
    rows, first = np.unique(row_of[order], return_index=True)
    best = order[first]
    label = np.full(graph.n_rows, NOISE, np.int32)
    most, own = np.zeros(graph.n_rows), np.zeros(graph.n_rows)
    label[rows], most[rows] = votes.indices[best], votes.data[best]
    is_own = votes.indices == labels[row_of]
    own[row_of[is_own]] = votes.data[is_own]
    shares = [np.divide(part, total, out=np.zeros_like(part), where=total > 0) for part in (most, own)]
    return NeighbourVotes(label, shares[0].astype(np.float32), shares[1].astype(np.float32))


def belonging(graph: Graph, labels: Labels) -> Belonging:
    """How firmly each row belongs to its group. labels: (N,) int32. A row without neighbours belongs with membership 1."""
    votes = neighbour_votes(graph, labels)
    is_alone = np.bincount(graph.rows, minlength=graph.n_rows) == 0
    membership = np.where(labels == NOISE, 0.0, np.where(is_alone, 1.0, votes.own_share)).astype(np.float32)
    return Belonging(membership, np.where(labels == NOISE, votes.label, NOISE))


def labels_of_night(graph: Graph, fitted: Groups, last: LevelLabels | None, min_size: int) -> LevelLabels:
    """A night's labels: those of tonight's fit, or last night's groups as `carry_over` carries them over.

    graph, fitted: of N rows. last: last night's labels of these rows, (N,); None if last night's groups are not carried over.
    min_size: minimum rows of a fine group, and of a new one at either level. A row in no fine group asks as many neighbours as
    such a group can outvote, because among more of them only large groups could win.
    """
    fine, coarse = fitted.fine, fitted.coarse
    if last is not None:
        fine = carry_over(last.fine, fine, min_size)
        coarse = carry_over(last.coarse, coarse, min_size)
    fine = join_majority(graph.nearest(2 * min_size - 1), fine)
    return LevelLabels(fine, join_majority(graph, nested(fine, coarse)))


def join_majority(graph: Graph, labels: Labels) -> Labels:
    """Let rows in no group join the group of more than half of their neighbours, round after round, until none joins.

    labels: (N,) int32. Returns the new labels, (N,) int32.
    """
    for _ in range(_MAX_ROUNDS):
        votes = neighbour_votes(graph, labels)
        joins = (labels == NOISE) & (votes.label != NOISE) & (votes.share > 0.5)
        if not joins.any():
            break
        labels = np.where(joins, votes.label, labels).astype(np.int32)
    return labels


def nested(fine: Labels, coarse: Labels) -> Labels:
    """Coarse labels, changed so that each fine group is inside one coarse group: that of most of its rows.

    fine, coarse: (N,) int32. A fine group with no row in a coarse group becomes a coarse group of its own. Rows in no fine
    group keep their coarse label.
    """
    parent = _mostly_in(fine, coarse)
    alone = np.flatnonzero(parent == NOISE)
    parent[alone] = coarse.max(initial=NOISE) + 1 + np.arange(len(alone))
    return _mapped(fine, parent, coarse)


def carry_over(previous: Labels, fitted: Labels, min_size: int) -> Labels:
    """Carry over last night's groups; a new fit decides for rows that are in none of them.

    previous, fitted: (N,) int32; previous is NOISE for rows that are new or were in no group. A group of `fitted` is new if
    more than half of its rows, and at least min_size, are in no group of `previous`. Otherwise these rows join the group of
    most of its other rows. Labels of `previous` stay; new labels follow the highest.
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
    """For each label of `inner`, the label of `outer` of most of its rows; NOISE if none of its rows has one."""
    n_outer = int(outer.max(initial=NOISE)) + 1
    most = np.full(int(inner.max(initial=NOISE)) + 1, NOISE, np.int32)
    both = (inner != NOISE) & (outer != NOISE)
    pairs, counts = np.unique(inner[both].astype(np.int64) * n_outer + outer[both], return_counts=True)
    # The largest count comes last, and among equal counts the lowest label, because the last assignment stays.
    for pair in pairs[np.lexsort((-pairs, counts))].tolist():
        most[pair // n_outer] = pair % n_outer
    return most


def _mapped(labels: Labels, to: Labels, where_noise: Labels) -> Labels:
    mapped = where_noise.copy()
    grouped = labels != NOISE
    mapped[grouped] = to[labels[grouped]]
    return mapped
