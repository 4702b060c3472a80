"""Numbered columns of categories: levels of one, or several categories side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from prodseek.catalogue.column_names import listed
from prodseek.catalogue.columns import Columns
from prodseek.runs.absent import ABSENT

# So many rows tell which.
JUDGED_ROWS = 5000


def with_levels(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> Columns:
    """The columns; of those that may be narrower levels of the category, the ones that are, and a note on the others.

    A level has at least as many values as the one above it: `Chair` is in `Furniture`, but `Summer` is not in `Chair`. rows: the
    manifest's first ones, by column.
    """
    if not columns.narrower:
        return columns
    names = [columns.facts["category"], *columns.narrower]
    values = [[None if row.get(name) in (None, *ABSENT) else str(row[name]).strip() for name in names] for row in rows]
    n_levels = 0
    for level in range(1, len(names)):
        pairs = {(row[level - 1], row[level]) for row in values if row[level - 1] and row[level]}
        if len({below for _, below in pairs}) < len({above for above, _ in pairs}):
            break
        n_levels = level
    others = columns.narrower[n_levels:]
    note = f"no levels of a category, because one has fewer values than the one before: {listed(others)}"
    return replace(columns, narrower=columns.narrower[:n_levels], notes=(*columns.notes, *([note] if others else ())))
