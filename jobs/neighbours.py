"""Stage neighbours: the nearest-neighbour graph, joined inside the index's cells.

Every vector goes to the task that keeps its home cell and asks in the tasks that keep its `nprobe` nearest cells; the
product is exact inside a cell. Primary regions also ask among primary regions alone: the graph that groups products
needs k of those, however many objects in scenes look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prodseek.jobs.index import facet_vectors
from prodseek.jobs.partitions import deal as deal_by_key
from prodseek.jobs.recall import sampled
from prodseek.jobs.vectors import batch_of, ids_of, packed, packed_runs, unpacked, unpacked_rows, vectors_of
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config, NeighboursConfig
from prodseek.index.graph import Answers, GraphPlan, Part, Rows, deal, merge_answers, plan_graph
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import FACET, read_trained
from prodseek.spark.tables import read_table, write_table
from prodseek.store import Run, Summary

# Enough rows to see how full each cell is and how often it is asked.
_PLANNED_ON_ROWS = 65_536
# Memory of a task's vectors, of which it holds some six copies on the way, and its work: some seconds of a core.
_PART_BYTES = 64 * 2**20
_PRODUCTS_PER_TASK = 2.5e8
_ASKED_AT_ONCE = 4096
_ANSWERS_PER_PARTITION = 400_000
_MERGED_AT_ONCE = 65_536

_DEALT = "task int, place long, detection_id long, image long, is_primary boolean, cells binary, vector binary"
_ANSWERS = "detection_id long, is_primary boolean, found binary"
_FOUND = np.dtype([("id", "<i8"), ("cosine", "<f4"), ("is_primary", "?")])
_EDGES = "detection_id long, neighbour_id long, rank int, cosine_similarity float"


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Find every region's nearest neighbours."""
    trained, manifest = read_trained(store)
    regions = read_table(spark, store, "detections").select(
        "detection_id", F.xxhash64("image_id").alias("image"), "is_primary"
    )
    vectors = facet_vectors(spark, store, FACET)
    nprobe = manifest.graph_nprobe
    plan = _plan(vectors, trained, nprobe, manifest.n_vectors, config.seed)
    # No row of the one table is without a row of the other; hashing the narrow one spares the wide one a sort.
    rows = vectors.join(regions.hint("shuffle_hash"), "detection_id")
    shared = spark.sparkContext.broadcast((trained, plan))
    dealt = rows.mapInArrow(partial(_deal, shared=shared, nprobe=nprobe), _DEALT)
    tasks = dealt.repartitionById(plan.n_tasks, "task").sortWithinPartitions("place")
    answers = tasks.mapInArrow(partial(_answer, settings=config.neighbours), _ANSWERS)
    gathered = deal_by_key(answers, "detection_id", 2 * manifest.n_vectors, _ANSWERS_PER_PARTITION)
    n_edges = write_table(gathered.mapInArrow(partial(_merge, k=config.neighbours.k), _EDGES), store, "neighbours")
    k, recall = config.neighbours.k, manifest.graph_recall
    facts = {"nprobe": nprobe, "k": k, "recall": recall, "tasks": plan.n_tasks}
    line = f"{n_edges} edges, nprobe {nprobe}, recall@{k} {recall:.3f}, {plan.n_tasks} task(s)"
    return Summary("neighbours", rows={"neighbours": n_edges}, facts=facts, lines=(line,))


def _plan(vectors: DataFrame, trained: bytes, nprobe: int, n_vectors: int, seed: int) -> GraphPlan:
    sample = vectors_of(sampled(vectors, n_vectors, _PLANNED_ON_ROWS, f"plan {seed}").toArrow().column("vector"))
    quantizer = quantizer_from_bytes(trained)
    cells = assign_cells(sample, quantizer, nprobe).cells
    scale = n_vectors / max(1, len(sample))
    return plan_graph(
        scale * np.bincount(cells[:, 0], minlength=quantizer.ntotal),
        scale * np.bincount(cells.ravel(), minlength=quantizer.ntotal),
        max(1, _PART_BYTES // (4 * quantizer.d)),
        _PRODUCTS_PER_TASK,
    )


def _deal(batches: Iterator[pa.RecordBatch], shared: Any, nprobe: int) -> Iterator[pa.RecordBatch]:
    trained, plan = shared.value
    quantizer = quantizer_from_bytes(trained)
    for batch in batches:
        if not batch.num_rows:
            continue
        ids, vectors = ids_of(batch.column("detection_id")), vectors_of(batch.column("vector"))
        dealt = deal(ids, assign_cells(vectors, quantizer, nprobe).cells, plan)
        # Vectors first, then those who only ask, by their nearest cell: what they meet is in the core's cache already.
        nearest = dealt.cells[np.arange(len(dealt.cells)), (dealt.cells >= 0).argmax(axis=1)]
        place = np.where(dealt.home_cell >= 0, -1 - dealt.home_cell.astype(np.int64), nearest)
        yield batch_of(
            task=dealt.task,
            place=place,
            detection_id=ids[dealt.row],
            image=ids_of(batch.column("image"))[dealt.row],
            is_primary=batch.column("is_primary").to_numpy(zero_copy_only=False)[dealt.row],
            cells=packed(dealt.cells),
            vector=packed(vectors[dealt.row]),
        )


class _Arrived(NamedTuple):
    """Rows as they come to a task. cells: (N, nprobe) in which they ask. place: (N,) below 0 for those it keeps."""

    rows: Rows
    cells: NDArray[np.int32]
    place: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> _Arrived:
        return _Arrived(self.rows.take(np.flatnonzero(mask)), self.cells[mask], self.place[mask])


def _answer(batches: Iterator[pa.RecordBatch], settings: NeighboursConfig) -> Iterator[pa.RecordBatch]:
    """One task: keep its vectors, which come first, then answer its queries as they come."""
    kept: list[_Arrived] = []
    part: Part | None = None
    for arrived in (_arrived(batch) for batch in batches if batch.num_rows):
        is_kept = arrived.place < 0
        if is_kept.any():
            kept.append(arrived.where(is_kept))
        if not is_kept.all():
            if part is None:
                part, own = _indexed(kept, settings)
                yield from _ask(part, own)
            yield from _ask(part, arrived.where(~is_kept))
    if part is None and kept:
        part, own = _indexed(kept, settings)
        yield from _ask(part, own)


def _arrived(batch: pa.RecordBatch) -> _Arrived:
    rows = Rows(
        ids_of(batch.column("detection_id")),
        unpacked_rows(batch.column("vector"), np.float32),
        ids_of(batch.column("image")),
        batch.column("is_primary").to_numpy(zero_copy_only=False),
    )
    return _Arrived(rows, unpacked_rows(batch.column("cells"), np.int32), ids_of(batch.column("place")))


def _indexed(kept: list[_Arrived], settings: NeighboursConfig) -> tuple[Part, _Arrived]:
    rows = Rows(*(np.concatenate(columns) for columns in zip(*(arrived.rows for arrived in kept), strict=True)))
    cells, place = (np.concatenate(columns) for columns in zip(*(arrived[1:] for arrived in kept), strict=True))
    kept.clear()
    home_cells = (-1 - place).astype(np.int32)
    return Part.of(rows, home_cells, settings.k, settings.exclude_same_image), _Arrived(rows, cells, place)


def _ask(part: Part, arrived: _Arrived) -> Iterator[pa.RecordBatch]:
    asking = np.flatnonzero((arrived.cells >= 0).any(axis=1))
    for start in range(0, len(asking), _ASKED_AT_ONCE):
        chosen = asking[start : start + _ASKED_AT_ONCE]
        queries = arrived.rows.take(chosen)
        answers = part.ask(queries, arrived.cells[chosen])
        found = np.empty(len(answers.ids), _FOUND)
        found["id"], found["cosine"], found["is_primary"] = answers[1:]
        ends = np.cumsum(np.bincount(answers.query, minlength=len(chosen))) * _FOUND.itemsize
        yield batch_of(
            detection_id=queries.ids, is_primary=queries.is_primary, found=packed_runs(found, np.append(0, ends))
        )


def _merge(batches: Iterator[pa.RecordBatch], k: int) -> Iterator[pa.RecordBatch]:
    """The best of each region's answers, which come one after the other: in order of detection_id."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        waiting.append(batch)
        n_waiting += batch.num_rows
        if n_waiting >= _MERGED_AT_ONCE:
            ids = ids_of(batch.column("detection_id"))
            # The last region's other answers may be in the next batch.
            start_of_last = int(np.searchsorted(ids, ids[-1]))
            if start_of_last:
                yield from _merged([*waiting[:-1], batch.slice(0, start_of_last)], k)
                waiting, n_waiting = [batch.slice(start_of_last)], batch.num_rows - start_of_last
    if waiting:
        yield from _merged(waiting, k)


def _merged(batches: list[pa.RecordBatch], k: int) -> Iterator[pa.RecordBatch]:
    runs = [unpacked(batch.column("found"), _FOUND) for batch in batches]
    found = np.concatenate([values for values, _ in runs])
    counts = np.concatenate([n_bytes for _, n_bytes in runs]) // _FOUND.itemsize
    answers = Answers(np.repeat(np.arange(len(counts)), counts), found["id"], found["cosine"], found["is_primary"])
    query_ids = np.concatenate([ids_of(batch.column("detection_id")) for batch in batches])
    is_primary = np.concatenate([batch.column("is_primary").to_numpy(zero_copy_only=False) for batch in batches])
    best = merge_answers(query_ids, is_primary, answers, k)
    yield batch_of(
        detection_id=best.query_ids,
        neighbour_id=best.neighbour_ids,
        rank=best.rank.astype(np.int32),
        cosine_similarity=best.cosine.astype(np.float32),
    )


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("neighbours")
