"""Stage neighbours: the nearest-neighbour graph, joined inside the index's cells.

Every vector goes to the task that keeps its home cell and asks in the tasks that keep its `nprobe` nearest cells; the
product is exact inside a cell. From night to night edges are carried on: all regions ask among those that are new, and who has
lost a neighbour asks among all again. Primary regions also ask among primary regions alone: the graph that groups products
needs k of those, however many objects in scenes look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config, NeighboursConfig, changed_settings
from prodseek.index.graph import Answers, GraphPlan, Part, Rows, deal, merge_answers, plan_graph
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import read_trained
from prodseek.jobs.index import facet_vectors
from prodseek.runs.columns import VISUAL
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.arrow import batch_of, ids_of, packed, packed_runs, unpacked, unpacked_rows, vectors_of
from prodseek.spark.index.recall import sampled
from prodseek.spark.partitions import deal as deal_by_key
from prodseek.spark.tables import read_table, write_table
from prodseek.storage import files

# Enough rows to see how full each cell is and how often it is asked.
_PLANNED_ON_ROWS = 65_536
# Memory of a task's vectors, of which it holds some six copies on the way, and its work: some seconds of a core.
_PART_BYTES = 64 * 2**20
_PRODUCTS_PER_TASK = 2.5e8
_ASKED_AT_ONCE = 4096
_ANSWERS_PER_PARTITION = 400_000
_MERGED_AT_ONCE = 65_536

_DEALT = (
    "task int, place long, detection_id long, image long, is_primary boolean, is_new boolean, asks_all boolean, "
    "cells binary, vector binary"
)
_ANSWERS = "detection_id long, is_primary boolean, found binary"
_FOUND = np.dtype([("id", "<i8"), ("cosine", "<f4"), ("is_primary", "?")])
_EDGES = "detection_id long, neighbour_id long, rank int, cosine_similarity float"
# Raise it when the same vectors would get other edges: those of earlier nights are then not carried on.
_GRAPH_VERSION = 1


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Find every region's nearest neighbours: of what is new, and of what has lost one; the others keep theirs."""
    trained, manifest = read_trained(run)
    k, nprobe = config.neighbours.k, manifest.graph_nprobe
    recipe = {
        "version": _GRAPH_VERSION,
        **config.neighbours.model_dump(),
        "nprobe": nprobe,
        "cells": manifest.trained.sha256,
        "embedding_id": manifest.embedding_id,
    }
    regions = read_table(spark, run, "detections").select(
        "detection_id", F.xxhash64("image_id").alias("image"), "is_primary"
    )
    before, why_none = _last_graph(run, recipe)
    marked = _marked(spark, regions, before).cache()
    n_searched = marked.where("asks_all").count()
    vectors = facet_vectors(spark, run, VISUAL)
    plan = _plan(vectors, trained, nprobe, manifest.n_vectors, config.seed)
    # No row of the one table is without a row of the other; hashing the narrow one spares the wide one a sort.
    rows = vectors.join(marked.hint("shuffle_hash"), "detection_id")
    touched = _touched(spark, rows, trained, before is None)
    shared = spark.sparkContext.broadcast((trained, plan, touched))
    dealt = rows.mapInArrow(partial(_deal, shared=shared, nprobe=nprobe), _DEALT)
    tasks = dealt.repartitionById(plan.n_tasks, "task").sortWithinPartitions("place")
    answers = tasks.mapInArrow(partial(_answer, settings=config.neighbours), _ANSWERS)
    if before is not None:
        answers = answers.unionByName(_carried_on(spark, before, marked))
    gathered = deal_by_key(answers, "detection_id", 2 * manifest.n_vectors, _ANSWERS_PER_PARTITION)
    n_edges = write_table(gathered.mapInArrow(partial(_merge, k=k), _EDGES), run, "neighbours")
    marked.unpersist()
    how = f"{n_searched} regions asked among all" + (
        f", {why_none}"
        if before is None
        else f"; the others, who keep the edges of run {before.run_id}, among those that are new"
    )
    facts = {
        "nprobe": nprobe,
        "k": k,
        "recall": manifest.graph_recall,
        "tasks": plan.n_tasks,
        "recipe": recipe,
        "searched_regions": n_searched,
        "carried_on_from": before and before.run_id,
    }
    line = f"{n_edges} edges, nprobe {nprobe}, recall@{k} {manifest.graph_recall:.3f}, {plan.n_tasks} task(s)"
    return Summary("neighbours", rows={"neighbours": n_edges}, facts=facts, lines=(line, how))


def _last_graph(run: Run, recipe: dict[str, Any]) -> tuple[Run | None, str]:
    """The published run whose edges can be carried on, or why there is none."""
    before = Store(run.root).before(run)
    if before is None:
        return None, "for this is the first night"
    gone = [name for name in ("detections", "neighbours") if not files.exists(before.table_uri(name))]
    if gone:
        return None, f"for run {before.run_id} has no table {gone[0]}"
    summary = before.summary("neighbours")
    was = None if summary is None else summary.facts.get("recipe")
    if was is None:
        return None, f"for run {before.run_id} does not say how it found its edges"
    changed = changed_settings(was, recipe)
    return (None, f"for since run {before.run_id} {', '.join(changed)}") if changed else (before, "")


def _marked(spark: SparkSession, regions: DataFrame, before: Run | None) -> DataFrame:
    """`regions` with is_new, and asks_all: it is new, or one of its neighbours is no more."""
    if before is None:
        return regions.withColumns({"is_new": F.lit(True), "asks_all": F.lit(True)})
    known = read_table(spark, before, "detections").select("detection_id", F.lit(False).alias("is_new"))
    gone = known.join(regions, "detection_id", "left_anti").select(F.col("detection_id").alias("neighbour_id"))
    bereft = (
        read_table(spark, before, "neighbours")
        .join(gone, "neighbour_id", "left_semi")
        .select("detection_id", F.lit(True).alias("is_bereft"))
        .distinct()
    )
    return (
        regions.join(known, "detection_id", "left")
        .join(bereft, "detection_id", "left")
        .withColumn("is_new", F.coalesce("is_new", F.lit(True)))
        .withColumn("asks_all", F.col("is_new") | F.coalesce("is_bereft", F.lit(False)))
        .drop("is_bereft")
    )


def _touched(spark: SparkSession, rows: DataFrame, trained: bytes, is_every: bool) -> NDArray[np.bool_]:
    """(nlist,) the cells that new vectors live in."""
    n_cells = quantizer_from_bytes(trained).ntotal
    if is_every:
        return np.ones(n_cells, np.bool_)
    shared = spark.sparkContext.broadcast(trained)
    homes = rows.where("is_new").select("vector").mapInArrow(partial(_home_cells, shared=shared), "cell int").distinct()
    touched = np.zeros(n_cells, np.bool_)
    touched[[row["cell"] for row in homes.collect()]] = True
    return touched


def _home_cells(batches: Iterator[pa.RecordBatch], shared: Any) -> Iterator[pa.RecordBatch]:
    quantizer = quantizer_from_bytes(shared.value)
    for batch in batches:
        if batch.num_rows:
            yield batch_of(cell=np.unique(assign_cells(vectors_of(batch.column("vector")), quantizer, 1).cells))


def _carried_on(spark: SparkSession, before: Run, marked: DataFrame) -> DataFrame:
    """The edges of the run before of all regions that keep theirs, as answers."""
    asking = marked.where("not asks_all").select("detection_id", "is_primary")
    answering = marked.select(
        F.col("detection_id").alias("neighbour_id"), F.col("is_primary").alias("neighbour_is_primary")
    )
    edges = read_table(spark, before, "neighbours").select("detection_id", "neighbour_id", "cosine_similarity")
    kept = edges.join(asking, "detection_id").join(answering, "neighbour_id")
    return kept.mapInArrow(_as_answers, _ANSWERS)


def _as_answers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        found = np.empty(batch.num_rows, _FOUND)
        found["id"] = ids_of(batch.column("neighbour_id"))
        found["cosine"] = batch.column("cosine_similarity").to_numpy()
        found["is_primary"] = batch.column("neighbour_is_primary").to_numpy(zero_copy_only=False)
        yield batch_of(
            detection_id=batch.column("detection_id"), is_primary=batch.column("is_primary"), found=packed(found)
        )


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
    trained, plan, touched = shared.value
    quantizer = quantizer_from_bytes(trained)
    for batch in batches:
        if not batch.num_rows:
            continue
        ids, vectors = ids_of(batch.column("detection_id")), vectors_of(batch.column("vector"))
        is_primary, is_new, asks_all = (
            batch.column(name).to_numpy(zero_copy_only=False) for name in ("is_primary", "is_new", "asks_all")
        )
        cells = assign_cells(vectors, quantizer, nprobe).cells
        # Who keeps its neighbours asks where there are new ones.
        dealt = deal(ids, cells, plan, asks_all[:, None] | touched[cells])
        # Vectors first, then those who only ask, by their nearest cell: what they meet is in the core's cache already.
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


class _Arrived(NamedTuple):
    """Rows as they come to a task. cells: (N, nprobe) in which they ask. place: (N,) below 0 for those it keeps.

    is_new: (N,) bool. asks_all: (N,) bool, False for those who ask among what is new.
    """

    rows: Rows
    cells: NDArray[np.int32]
    place: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    asks_all: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_]) -> _Arrived:
        return _Arrived(self.rows.take(np.flatnonzero(mask)), *(values[mask] for values in self[1:]))

    @classmethod
    def together(cls, several: list[_Arrived]) -> _Arrived:
        rows = Rows(*(np.concatenate(columns) for columns in zip(*(one.rows for one in several), strict=True)))
        return cls(rows, *(np.concatenate(columns) for columns in zip(*(one[1:] for one in several), strict=True)))


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


def _answer(batches: Iterator[pa.RecordBatch], settings: NeighboursConfig) -> Iterator[pa.RecordBatch]:
    """One task: keep its vectors, which come first, then answer its queries as they come."""
    kept: list[_Arrived] = []
    parts: _Parts | None = None
    for arrived in (_arrived(batch) for batch in batches if batch.num_rows):
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


def _arrived(batch: pa.RecordBatch) -> _Arrived:
    is_primary, is_new, asks_all = (
        batch.column(name).to_numpy(zero_copy_only=False) for name in ("is_primary", "is_new", "asks_all")
    )
    rows = Rows(
        ids_of(batch.column("detection_id")),
        unpacked_rows(batch.column("vector"), np.float32),
        ids_of(batch.column("image")),
        is_primary,
    )
    cells = unpacked_rows(batch.column("cells"), np.int32)
    return _Arrived(rows, cells, ids_of(batch.column("place")), is_new, asks_all)


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
    from prodseek.runner.start import main

    main("neighbours")
