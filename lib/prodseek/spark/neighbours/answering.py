"""Queries answered in tasks: each keeps its vectors by their cells, and is asked by them and by those of other tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from prodseek.config import NeighboursConfig
from prodseek.index.graph import Part, Rows
from prodseek.spark.arrow import flags_of, ids_of, unpacked_rows
from prodseek.spark.neighbours.packed_answers import ANSWERS, pack_answers

_ASKED_AT_ONCE = 4096


class _Arrived(NamedTuple):
    """Rows as they come to a task. cells: (N, nprobe) in which they ask. place: (N,) below 0 for those it keeps.

    is_new: (N,) bool. asks_all: (N,) bool, False for those that ask among what is new.
    """

    rows: Rows
    cells: NDArray[np.int32]
    place: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    asks_all: NDArray[np.bool_]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> _Arrived:
        is_primary, is_new, asks_all = (flags_of(batch.column(name)) for name in ("is_primary", "is_new", "asks_all"))
        rows = Rows(
            ids_of(batch.column("detection_id")),
            unpacked_rows(batch.column("vector"), np.float32),
            ids_of(batch.column("image")),
            is_primary,
        )
        cells = unpacked_rows(batch.column("cells"), np.int32)
        return cls(rows, cells, ids_of(batch.column("place")), is_new, asks_all)

    @classmethod
    def together(cls, several: list[_Arrived]) -> _Arrived:
        rows = Rows(*(np.concatenate(columns) for columns in zip(*(one.rows for one in several), strict=True)))
        return cls(rows, *(np.concatenate(columns) for columns in zip(*(one[1:] for one in several), strict=True)))

    def where(self, mask: NDArray[np.bool_]) -> _Arrived:
        rows = self.rows.take(np.flatnonzero(mask))
        return _Arrived(rows, self.cells[mask], self.place[mask], self.is_new[mask], self.asks_all[mask])


class _Parts(NamedTuple):
    """What a task answers from: all of its vectors, and those that are new."""

    of_all: Part
    of_new: Part

    @classmethod
    def of(cls, kept: _Arrived, settings: NeighboursConfig) -> _Parts:
        homes = (-1 - kept.place).astype(np.int32)
        of_all = Part.of(kept.rows, homes, settings.k, settings.exclude_same_image)
        if kept.is_new.all():
            return cls(of_all, of_all)
        new = np.flatnonzero(kept.is_new)
        return cls(of_all, Part.of(kept.rows.take(new), homes[new], settings.k, settings.exclude_same_image))


def answers_of_tasks(tasks: DataFrame, settings: NeighboursConfig) -> DataFrame:
    """What each query finds in each task, as rows of ANSWERS. tasks: as `deal_to_tasks` gives them."""
    return tasks.mapInArrow(partial(_answer, settings=settings), ANSWERS)


def _answer(batches: Iterator[pa.RecordBatch], settings: NeighboursConfig) -> Iterator[pa.RecordBatch]:
    """One task: keep its vectors, which come first, then answer its queries as they come."""
    kept: list[_Arrived] = []
    parts: _Parts | None = None
    for arrived in (_Arrived.of(batch) for batch in batches if batch.num_rows):
        is_kept = arrived.place < 0
        if is_kept.any():
            kept.append(arrived.where(is_kept))
        if not is_kept.all():
            if parts is None:
                parts, own = _indexed(kept, settings)
                yield from _ask(parts, own)
            yield from _ask(parts, arrived.where(~is_kept))
    if parts is None and kept:
        parts, own = _indexed(kept, settings)
        yield from _ask(parts, own)


def _indexed(kept: list[_Arrived], settings: NeighboursConfig) -> tuple[_Parts, _Arrived]:
    own = _Arrived.together(kept)
    kept.clear()
    return _Parts.of(own, settings), own


def _ask(parts: _Parts, arrived: _Arrived) -> Iterator[pa.RecordBatch]:
    asks = (arrived.cells >= 0).any(axis=1)
    for part, is_asking in ((parts.of_all, asks & arrived.asks_all), (parts.of_new, asks & ~arrived.asks_all)):
        asking = np.flatnonzero(is_asking)
        for start in range(0, len(asking), _ASKED_AT_ONCE):
            chosen = asking[start : start + _ASKED_AT_ONCE]
            queries = arrived.rows.take(chosen)
            answers = part.ask(queries, arrived.cells[chosen])
            yield pack_answers(queries.ids, queries.is_primary, answers)
