"""Vectors and queries dealt to tasks: a vector goes to where its home cell is kept, a query to where it asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame

from prodseek.index.graph import GraphPlan, deal, plan_graph
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.spark.arrow import batch_of, flags_of, ids_of, packed, vectors_of
from prodseek.spark.index.sampled_vectors import sampled_vectors
from prodseek.spark.night import Night

# Enough rows to see how full each cell is and how often it is asked.
_PLANNED_ON_ROWS = 65_536
# Memory of a task's vectors, of which it holds some six copies on the way, and its work: some seconds of a core.
_PART_BYTES = 64 * 2**20
_PRODUCTS_PER_TASK = 2.5e8

_DEALT = (
    "task int, place long, detection_id long, image long, is_primary boolean, is_new boolean, asks_all boolean, "
    "cells binary, vector binary"
)


@dataclass(frozen=True)
class IndexCells:
    """The cells of tonight's index. trained: the empty index as bytes. nprobe: how many cells a query asks in."""

    trained: bytes
    nprobe: int
    n_vectors: int


@dataclass(frozen=True)
class _Dealing:
    """What every task deals by. has_new: (nlist,) bool, whether new vectors live in a cell."""

    cells: IndexCells
    plan: GraphPlan
    has_new: NDArray[np.bool_]


def plan_tasks(night: Night, vectors: DataFrame, cells: IndexCells) -> GraphPlan:
    """How the work is cut into tasks, by a sample of the vectors."""
    drawn = sampled_vectors(vectors, cells.n_vectors, _PLANNED_ON_ROWS, f"plan {night.config.seed}")
    sample = vectors_of(drawn.toArrow().column("vector"))
    quantizer = quantizer_from_bytes(cells.trained)
    asked = assign_cells(sample, quantizer, cells.nprobe).cells
    scale = cells.n_vectors / max(1, len(sample))
    return plan_graph(
        np.asarray(scale * np.bincount(asked[:, 0], minlength=quantizer.ntotal), np.float64),
        np.asarray(scale * np.bincount(asked.ravel(), minlength=quantizer.ntotal), np.float64),
        max(1, _PART_BYTES // (4 * quantizer.d)),
        _PRODUCTS_PER_TASK,
    )


def deal_to_tasks(rows: DataFrame, cells: IndexCells, plan: GraphPlan, is_all_new: bool) -> DataFrame:
    """Rows partitioned by the task that they go to, those that it keeps before those that only ask: see `answers_of_tasks`.

    rows: as `asking_regions` gives them, with their vector.
    """
    dealing = _Dealing(cells, plan, _has_new(rows, cells, is_all_new))
    shared = rows.sparkSession.sparkContext.broadcast(dealing)
    dealt = rows.mapInArrow(partial(_dealt_rows, shared=shared), _DEALT)
    return dealt.repartitionById(plan.n_tasks, "task").sortWithinPartitions("place")


def _has_new(rows: DataFrame, cells: IndexCells, is_all_new: bool) -> NDArray[np.bool_]:
    """(nlist,) the cells that new vectors live in."""
    n_cells = quantizer_from_bytes(cells.trained).ntotal
    if is_all_new:
        return np.ones(n_cells, np.bool_)
    shared = rows.sparkSession.sparkContext.broadcast(cells.trained)
    homes = rows.where("is_new").select("vector").mapInArrow(partial(_home_cells, shared=shared), "cell int").distinct()
    has_new = np.zeros(n_cells, np.bool_)
    has_new[[row["cell"] for row in homes.collect()]] = True
    return has_new


def _home_cells(batches: Iterator[pa.RecordBatch], shared: Broadcast[bytes]) -> Iterator[pa.RecordBatch]:
    quantizer = quantizer_from_bytes(shared.value)
    for batch in batches:
        if batch.num_rows:
            yield batch_of(cell=np.unique(assign_cells(vectors_of(batch.column("vector")), quantizer, 1).cells))


def _dealt_rows(batches: Iterator[pa.RecordBatch], shared: Broadcast[_Dealing]) -> Iterator[pa.RecordBatch]:
    dealing = shared.value
    quantizer = quantizer_from_bytes(dealing.cells.trained)
    for batch in batches:
        if not batch.num_rows:
            continue
        ids, vectors = ids_of(batch.column("detection_id")), vectors_of(batch.column("vector"))
        is_primary, is_new, asks_all = (flags_of(batch.column(name)) for name in ("is_primary", "is_new", "asks_all"))
        cells = assign_cells(vectors, quantizer, dealing.cells.nprobe).cells
        # A region that keeps its neighbours asks where there are new ones.
        dealt = deal(ids, cells, dealing.plan, asks_all[:, None] | dealing.has_new[cells])
        # Vectors first, then those that only ask, by their nearest cell: what they meet is in the core's cache already.
        nearest = dealt.cells[np.arange(len(dealt.cells)), (dealt.cells >= 0).argmax(axis=1)]
        place = np.where(dealt.home_cell >= 0, -1 - dealt.home_cell.astype(np.int64), nearest)
        yield batch_of(
            task=dealt.task,
            place=place,
            detection_id=ids[dealt.row],
            image=ids_of(batch.column("image"))[dealt.row],
            is_primary=is_primary[dealt.row],
            is_new=is_new[dealt.row],
            asks_all=asks_all[dealt.row],
            cells=packed(dealt.cells),
            vector=packed(vectors[dealt.row]),
        )
