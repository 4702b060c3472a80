"""Ids that survive the night: groups are matched to the previous run's by the images they share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

# A change of size by less than this share is the same group, not a grown or shrunk one.
SAME_SIZE = 0.1
# A part of a group is a piece of a split or merge when it holds at least this share of it.
PIECE = 0.3


@dataclass(frozen=True)
class LineageRow:
    """What became of a group. group_id is None when it is retired, previous_group_id when it is born."""

    group_id: str | None
    previous_group_id: str | None
    event: str
    overlap: float


def match_groups(
    current: Mapping[int, set[str]],
    previous: Mapping[str, set[str]],
    facet: str,
    run_id: str,
    min_overlap: float,
) -> tuple[dict[int, str], list[LineageRow]]:
    """Give every group of this run an id, and account for every group of both runs.

    current: label -> image ids; previous: group_id -> image ids. A group keeps the id of the previous group that it is
    assigned to (the assignment of largest total Jaccard overlap) when they overlap by `min_overlap` or more; others get a
    new id, made of facet, run and content, so that no id is ever used again. Events: born, continued, grown, shrunk,
    merged (the group took over most of a previous one that lost its id), split (the group came out of a previous one that
    went on without it), retired.
    """
    labels, old_ids = sorted(current), sorted(previous)
    shared = _shared_images([current[label] for label in labels], [previous[old] for old in old_ids])
    overlap = _jaccard(shared, [len(current[label]) for label in labels], [len(previous[old]) for old in old_ids])
    ids: dict[int, str] = {}
    rows: list[LineageRow] = []
    kept_old: set[str] = set()
    for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
        if overlap[i, j] > 0 and overlap[i, j] >= min_overlap:
            label, old = labels[i], old_ids[j]
            ids[label] = old
            kept_old.add(old)
            growth = len(current[label]) / len(previous[old]) - 1
            event = "grown" if growth > SAME_SIZE else "shrunk" if growth < -SAME_SIZE else "continued"
            rows.append(LineageRow(old, old, event, float(overlap[i, j])))
    for i, label in enumerate(labels):
        if label in ids:
            continue
        ids[label] = _new_id(facet, run_id, current[label])
        pieces = [j for j in range(len(old_ids)) if shared[i, j] >= PIECE * len(current[label])]
        if not pieces:
            rows.append(LineageRow(ids[label], None, "born", 0.0))
        rows += [LineageRow(ids[label], old_ids[j], "split", float(overlap[i, j])) for j in pieces]
    for j, old in enumerate(old_ids):
        if old in kept_old:
            continue
        heirs = [i for i in range(len(labels)) if shared[i, j] >= PIECE * len(previous[old])]
        merged = [
            i for i in heirs if not any(r.group_id == ids[labels[i]] and r.previous_group_id == old for r in rows)
        ]
        rows += [LineageRow(ids[labels[i]], old, "merged", float(overlap[i, j])) for i in merged]
        if not heirs:
            rows.append(LineageRow(None, old, "retired", 0.0))
    return ids, sorted(rows, key=lambda row: (row.group_id or "", row.previous_group_id or "", row.event))


def _shared_images(
    current: list[set[str]], previous: list[set[str]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    columns = {image: number for number, image in enumerate(sorted(set().union(*current, *previous)))}
    counts = _incidence(current, columns) @ _incidence(previous, columns).T
    return np.asarray(counts.todense(), np.float64).reshape(len(current), len(previous))


def _incidence(groups: Iterable[set[str]], columns: Mapping[str, int]) -> csr_matrix:
    pairs = [(row, columns[image]) for row, images in enumerate(groups) for image in sorted(images)]
    n_rows = sum(1 for _ in groups)
    rows, cols = ([], []) if not pairs else zip(*pairs, strict=True)
    return csr_matrix((np.ones(len(pairs)), (rows, cols)), shape=(n_rows, max(1, len(columns))))


def _jaccard(
    shared: np.ndarray[tuple[int, int], np.dtype[np.float64]], sizes: list[int], old_sizes: list[int]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    union = np.add.outer(np.array(sizes, np.float64), np.array(old_sizes, np.float64)) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _new_id(facet: str, run_id: str, images: set[str]) -> str:
    digest = hashlib.sha256("|".join([facet, run_id, *sorted(images)]).encode()).hexdigest()
    return f"{facet}-{digest[:12]}"
