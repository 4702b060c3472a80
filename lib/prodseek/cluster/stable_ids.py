"""Ids that survive the night: groups are matched to the previous run's by the images they share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# A change of size by less than this share is the same group, not a grown or shrunk one.
SAME_SIZE = 0.1
# A part of a group is a piece of a split or merge when it holds at least this share of it.
PIECE = 0.3
# A survivor that overlaps this much with what it was keeps its title.
SAME_CONTENT = 0.8


@dataclass(frozen=True)
class LineageRow:
    """What became of a group. group_id is None when it is retired, previous_group_id when it is born."""

    group_id: str | None
    previous_group_id: str | None
    event: str
    overlap: float

    @property
    def is_unchanged(self) -> bool:
        """Whether a title that fitted yesterday fits today."""
        return self.event == "continued" and self.overlap >= SAME_CONTENT


@dataclass(frozen=True)
class Content:
    """What a group of this run holds. first_image_id: the lowest, which no other group of the run has."""

    n_images: int
    first_image_id: str


def match_groups(
    current: Mapping[int, Content],
    previous: Mapping[str, int],
    shared: Mapping[tuple[int, str], int],
    kind: str,
    run_id: str,
    min_overlap: float,
) -> tuple[dict[int, str], list[LineageRow]]:
    """Give every group of this run an id, and account for every group of both runs.

    current: label -> content; previous: group_id -> images in it; shared: (label, group_id) -> images in both, where there are
    any. kind: what new ids begin with, such as `visual-fine`. A group keeps the id of the previous group that it is assigned to
    (the assignment of largest total Jaccard overlap) when they overlap by `min_overlap` or more; others get a new id, made of
    kind, run and content, so that no id is ever used again. Events: born, continued, grown, shrunk, merged (the group took over
    much of a previous one that lost its id), split (the group came out of a previous one), retired.
    """
    labels, old_ids = sorted(current), sorted(previous)
    places = {label: place for place, label in enumerate(labels)}, {old: place for place, old in enumerate(old_ids)}
    edges = sorted(shared)
    row = np.array([places[0][label] for label, _ in edges], np.int64)
    column = np.array([places[1][old] for _, old in edges], np.int64)
    overlap = np.array([_jaccard(shared[edge], current[edge[0]].n_images, previous[edge[1]]) for edge in edges])
    chosen = [edges[index] for index in _assigned(row, column, overlap, min_overlap)]
    jaccard = dict(zip(edges, overlap.tolist(), strict=True))
    ids = dict(chosen)
    rows = [
        LineageRow(old, old, _growth(current[label].n_images, previous[old]), jaccard[label, old])
        for label, old in chosen
    ]
    kept = set(ids.values())
    for label in labels:
        ids.setdefault(label, _new_id(kind, run_id, current[label].first_image_id))
    for label, old in edges:
        n_shared, new = shared[label, old], ids[label]
        if new not in kept and n_shared >= PIECE * current[label].n_images:
            rows.append(LineageRow(new, old, "split", jaccard[label, old]))
        elif old not in kept and n_shared >= PIECE * previous[old]:
            rows.append(LineageRow(new, old, "merged", jaccard[label, old]))
    told = {name for known in rows for name in (known.group_id, known.previous_group_id) if name is not None}
    rows += [LineageRow(ids[label], None, "born", 0.0) for label in labels if ids[label] not in told]
    rows += [LineageRow(None, old, "retired", 0.0) for old in old_ids if old not in told]
    return ids, sorted(rows, key=lambda row: (row.group_id or "", row.previous_group_id or "", row.event))


def _assigned(
    row: NDArray[np.int64], column: NDArray[np.int64], overlap: NDArray[np.float64], min_overlap: float
) -> list[int]:
    """Those of the pairs (row, column) that together overlap most, no row and no column twice.

    Groups share images with few others: each set of groups that hang together is assigned apart, so that nothing is quadratic in
    all groups.
    """
    edges = np.flatnonzero(overlap >= min_overlap)
    if not len(edges):
        return []
    n_rows, n_columns = int(row.max()) + 1, int(column.max()) + 1
    linked = coo_matrix(
        (np.ones(len(edges)), (row[edges], n_rows + column[edges])), shape=(n_rows + n_columns, n_rows + n_columns)
    )
    component = connected_components(linked, directed=False)[1][row[edges]]
    order = np.argsort(component, kind="stable")
    chosen: list[int] = []
    for part in np.split(edges[order], np.flatnonzero(np.diff(component[order])) + 1):
        rows, columns = np.unique(row[part]), np.unique(column[part])
        place = np.searchsorted(rows, row[part]), np.searchsorted(columns, column[part])
        weight, edge_of = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
        weight[place], edge_of[place] = overlap[part], part
        found = edge_of[linear_sum_assignment(weight, maximize=True)]
        chosen += found[found >= 0].tolist()
    return chosen


def _jaccard(n_shared: int, n_images: int, n_old_images: int) -> float:
    return n_shared / (n_images + n_old_images - n_shared)


def _growth(n_images: int, n_old_images: int) -> str:
    growth = n_images / n_old_images - 1
    return "grown" if growth > SAME_SIZE else "shrunk" if growth < -SAME_SIZE else "continued"


def _new_id(kind: str, run_id: str, first_image_id: str) -> str:
    return f"{kind}-{hashlib.sha256(f'{kind}|{run_id}|{first_image_id}'.encode()).hexdigest()[:12]}"
