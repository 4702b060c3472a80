"""Stable ids: groups are matched to the groups of the previous run by the images that they share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# A group counts as grown or shrunk if its size changed by more than this share.
SAME_SIZE = 0.1
# Minimum share of a group for a part of it to count as a piece of a split or merge.
PIECE = 0.3
# Minimum overlap with its earlier content for a continued group to keep its title.
SAME_CONTENT = 0.8


@dataclass(frozen=True)
class LineageRow:
    """What happened to a group. group_id is None if it was retired, previous_group_id is None if it was born."""

    group_id: str | None
    previous_group_id: str | None
    event: str
    overlap: float

    @property
    def is_unchanged(self) -> bool:
        """Whether yesterday's title still fits."""
        return self.event == "continued" and self.overlap >= SAME_CONTENT


@dataclass(frozen=True)
class Content:
    """The content of a group of this run. first_image_id: its lowest image_id, which no other group of the run has."""

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
    """Give each group of this run an id, and account for all groups of both runs.

    current: label -> content. previous: group_id -> number of images. shared: (label, group_id) -> number of images in both,
    if there are any. kind: beginning of new ids, such as `visual-fine`.

    Groups are assigned to previous groups so that the total Jaccard overlap is largest. A group keeps the id of its previous
    group if they overlap by at least `min_overlap`. Others get a new id, made of kind, run and content, so that no id is ever
    used again. Events: born, continued, grown, shrunk, merged (the group took over much of a previous group that lost its id),
    split (the group came out of a previous group), retired.
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
    """Indices of the pairs (row, column) with the largest total overlap, with no row and no column twice.

    Groups share images with few other groups, so each connected component is assigned separately. So the cost is not
    quadratic in the number of all groups. row, column: (P,) int64. overlap: (P,) float64.
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
