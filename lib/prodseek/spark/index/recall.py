"""Recall of an index, measured where its shards and the vectors lie: the driver sees a sample's answers alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.index.ivf import Probes, assign_cells
from prodseek.index.probe import Found, merge_found
from prodseek.index.recall import Candidates, candidates_by_cell, exact_topk, recall_at, tune_nprobe
from prodseek.index.search import checked_bytes, open_shard, within
from prodseek.index.shards import IndexManifest, quantizer_from_bytes
from prodseek.index.stored import locate_in
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.index.sampled_vectors import sampled_vectors
from prodseek.spark.index.shards import StoredIndex
from prodseek.spark.night import Night

RECALL_K = 10
# Recall is measured in this many cells of a query at first, in four times as many where they do not suffice.
_FIRST_NPROBE = 64
_EXACT_AT_ONCE = 4096

_FOUND = "query long, place int, id long, cosine float"


@dataclass(frozen=True)
class AddedVectors:
    """Vectors that an index did not hold before it was grown: detection_id, vector; and how many they are."""

    vectors: DataFrame
    n: int


class _Queries(NamedTuple):
    """Vectors that are asked for their neighbours. ids: (Q,). vectors: (Q, d). n_of_all: the first so many are a sample of all
    vectors, the others of those that were added."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    n_of_all: int


def tune_recall(
    night: Night, index: StoredIndex, vectors: DataFrame, added: AddedVectors | None = None
) -> tuple[IndexManifest, float]:
    """The manifest with nprobe tuned, and the recall among added vectors at the nprobe that it came with.

    index: its shards are written. vectors: detection_id, vector. Raises StoreError with the whole curve when no nprobe
    reaches the target.
    """
    manifest, settings, graph_k = index.manifest, night.config.index, night.config.neighbours.k
    queries = _queries(night, vectors, manifest.n_vectors, added)
    true_ids = _exact_neighbours(vectors, queries, max(RECALL_K, graph_k))
    is_of_all = (np.arange(len(queries.vectors)) < queries.n_of_all)[:, None]
    of_all, of_new = np.where(is_of_all, true_ids, -1), np.where(is_of_all, -1, true_ids)
    max_nprobe = min(manifest.nlist, _FIRST_NPROBE)
    while True:
        candidates = _candidates(night, index, queries, max_nprobe, true_ids.shape[1])
        # The further neighbours are the harder to find.
        if max_nprobe == manifest.nlist or recall_at(candidates, max_nprobe, of_all) >= settings.recall_target:
            break
        max_nprobe = min(manifest.nlist, 4 * max_nprobe)
    nprobe, recall, curve = tune_nprobe(candidates, of_all[:, :RECALL_K], max_nprobe, settings.recall_target)
    graph_nprobe, graph_recall, _ = tune_nprobe(candidates, of_all[:, :graph_k], max_nprobe, settings.recall_target)
    if added is not None and manifest.graph_k == graph_k and graph_nprobe < manifest.graph_nprobe <= max_nprobe:
        # Edges found with another nprobe cannot be carried on: while an index grows, it does not become less.
        graph_nprobe = manifest.graph_nprobe
        graph_recall = recall_at(candidates, graph_nprobe, of_all[:, :graph_k])
    tuned = replace(
        manifest,
        nprobe=nprobe,
        recall=recall,
        recall_k=RECALL_K,
        recall_queries=queries.n_of_all,
        recall_curve=curve,
        graph_k=graph_k,
        graph_nprobe=graph_nprobe,
        graph_recall=graph_recall,
    )
    return tuned, recall_at(candidates, manifest.nprobe, of_new[:, :RECALL_K])


def _queries(night: Night, vectors: DataFrame, n_vectors: int, added: AddedVectors | None) -> _Queries:
    n_queries, salt = night.config.index.recall_queries, f"recall {night.config.seed}"
    asked = [sampled_vectors(vectors, n_vectors, n_queries, salt)]
    if added is not None and added.n:
        asked.append(sampled_vectors(added.vectors, added.n, n_queries, salt))
    tables = [frame.toArrow().sort_by("detection_id") for frame in asked]
    return _Queries(
        np.concatenate([ids_of(table.column("detection_id")) for table in tables]),
        np.concatenate([vectors_of(table.column("vector")) for table in tables if table.num_rows]),
        tables[0].num_rows,
    )


def _exact_neighbours(vectors: DataFrame, queries: _Queries, k: int) -> NDArray[np.int64]:
    """(Q, k) the nearest of all, padded with -1."""
    best = Window.partitionBy("query").orderBy(F.desc("cosine"), "id")
    found = (
        vectors.mapInArrow(partial(_exact_rows, queries=queries, k=k), "query long, id long, cosine float")
        .withColumn("rank", F.row_number().over(best))
        .where(F.col("rank") <= k)
        .toArrow()
    )
    true_ids = np.full((len(queries.ids), k), -1, np.int64)
    true_ids[ids_of(found.column("query")), ids_of(found.column("rank")) - 1] = ids_of(found.column("id"))
    return true_ids


def _exact_rows(batches: Iterator[pa.RecordBatch], queries: _Queries, k: int) -> Iterator[pa.RecordBatch]:
    found = Found.nothing(len(queries.vectors), k)
    for block in _gathered(batches, _EXACT_AT_ONCE):
        ids, vectors = ids_of(block.column("detection_id")), vectors_of(block.column("vector"))
        found = merge_found([found, exact_topk(queries.vectors, ids, vectors, k, queries.ids)], k)
    query, rank = np.nonzero(found.ids >= 0)
    yield batch_of(query=query, id=found.ids[query, rank], cosine=found.cosine[query, rank])


def _gathered(batches: Iterator[pa.RecordBatch], n_rows: int) -> Iterator[pa.Table]:
    """Batches put together to tables of at least n_rows, the last excepted."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= n_rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _candidates(night: Night, index: StoredIndex, queries: _Queries, max_nprobe: int, k: int) -> Candidates:
    """What each query finds in each of its nearest cells, looked up in the shards where they lie."""
    quantizer = quantizer_from_bytes(checked_bytes(locate_in(index.folder_uri), index.manifest.trained))
    probes = assign_cells(queries.vectors, quantizer, max_nprobe)
    shared = night.spark.sparkContext.broadcast((queries, probes))
    find = partial(_candidate_rows, shared=shared, index=index, k=k)
    n_shards = len(index.manifest.shards)
    shards = night.spark.range(n_shards).repartitionById(n_shards, F.col("id").cast("int"))
    found = shards.mapInArrow(find, _FOUND).toArrow()
    return Candidates(
        ids_of(found.column("query")),
        found.column("place").to_numpy().astype(np.int32),
        ids_of(found.column("id")),
        found.column("cosine").to_numpy(),
    )


def _candidate_rows(
    batches: Iterator[pa.RecordBatch], shared: Broadcast[tuple[_Queries, Probes]], index: StoredIndex, k: int
) -> Iterator[pa.RecordBatch]:
    queries, probes = shared.value
    for number in (n for batch in batches for n in batch.column("id").to_pylist()):
        entry = index.manifest.shards[number]
        shard = open_shard(locate_in(index.folder_uri), entry, index.manifest)
        found = candidates_by_cell(shard, queries.vectors, within(probes, entry), k, queries.ids)
        yield batch_of(query=found.query, place=found.place, id=found.ids, cosine=found.cosine)
