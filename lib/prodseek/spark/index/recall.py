"""Recall of an index, measured where its shards and the vectors lie: the driver sees a sample's answers alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.index.ivf import assign_cells
from prodseek.index.probe import Found, merge_found
from prodseek.index.recall import Candidates, candidates_by_cell, exact_topk, recall_at, tune_nprobe
from prodseek.index.search import checked_bytes, open_shard, within
from prodseek.index.shards import IndexManifest, quantizer_from_bytes
from prodseek.index.stored import locate_in
from prodseek.spark.arrow import batch_of, ids_of, vectors_of

RECALL_K = 10
# Recall is measured in this many cells of a query at first, in four times as many where they do not suffice.
_FIRST_NPROBE = 64
_EXACT_AT_ONCE = 4096

_FOUND = "query long, place int, id long, cosine float"


def sampled(vectors: DataFrame, n_vectors: int, n_rows: int, salt: str) -> DataFrame:
    """About n_rows of the rows, chosen by their ids: the same ones every time, others for another salt."""
    if n_vectors <= n_rows:
        return vectors
    resolution = 1 << 40
    drawn = F.pmod(F.xxhash64("detection_id", F.lit(salt)), F.lit(resolution))
    return vectors.where(drawn < int(resolution * n_rows / n_vectors))


def tune_recall(
    spark: SparkSession,
    config: Config,
    vectors: DataFrame,
    folder_uri: str,
    manifest: IndexManifest,
    added: DataFrame | None = None,
    n_added: int = 0,
) -> tuple[IndexManifest, float]:
    """The manifest with nprobe tuned, and the recall among added vectors at the nprobe that it came with.

    vectors, added: detection_id, vector. folder_uri: where the shards lie, written. Raises StoreError with the whole
    curve when no nprobe reaches the target.
    """
    settings = config.index
    asked = [sampled(vectors, manifest.n_vectors, settings.recall_queries, f"recall {config.seed}")]
    if added is not None and n_added:
        asked.append(sampled(added, n_added, settings.recall_queries, f"recall {config.seed}"))
    tables = [frame.toArrow().sort_by("detection_id") for frame in asked]
    query_ids = np.concatenate([ids_of(table.column("detection_id")) for table in tables])
    queries = np.concatenate([vectors_of(table.column("vector")) for table in tables if table.num_rows])
    graph_k = config.neighbours.k
    true_ids = _exact_neighbours(vectors, queries, query_ids, max(RECALL_K, graph_k))
    is_of_all = (np.arange(len(queries)) < tables[0].num_rows)[:, None]
    of_all, of_new = np.where(is_of_all, true_ids, -1), np.where(is_of_all, -1, true_ids)
    max_nprobe = min(manifest.nlist, _FIRST_NPROBE)
    while True:
        candidates = _candidates(spark, folder_uri, manifest, queries, query_ids, max_nprobe, true_ids.shape[1])
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
        recall_queries=tables[0].num_rows,
        recall_curve=curve,
        graph_k=graph_k,
        graph_nprobe=graph_nprobe,
        graph_recall=graph_recall,
    )
    return tuned, recall_at(candidates, manifest.nprobe, of_new[:, :RECALL_K])


def _exact_neighbours(
    vectors: DataFrame, queries: NDArray[np.float32], query_ids: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """(Q, k) the nearest of all, padded with -1."""
    search = partial(_exact_rows, queries=queries, query_ids=query_ids, k=k)
    best = Window.partitionBy("query").orderBy(F.desc("cosine"), "id")
    found = (
        vectors.mapInArrow(search, "query long, id long, cosine float")
        .withColumn("rank", F.row_number().over(best))
        .where(F.col("rank") <= k)
        .toArrow()
    )
    true_ids = np.full((len(query_ids), k), -1, np.int64)
    true_ids[ids_of(found.column("query")), ids_of(found.column("rank")) - 1] = ids_of(found.column("id"))
    return true_ids


def _exact_rows(
    batches: Iterator[pa.RecordBatch], queries: NDArray[np.float32], query_ids: NDArray[np.int64], k: int
) -> Iterator[pa.RecordBatch]:
    found = Found.nothing(len(queries), k)
    for block in _gathered(batches, _EXACT_AT_ONCE):
        ids, vectors = ids_of(block.column("detection_id")), vectors_of(block.column("vector"))
        found = merge_found([found, exact_topk(queries, ids, vectors, k, query_ids)], k)
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


def _candidates(
    spark: SparkSession,
    folder_uri: str,
    manifest: IndexManifest,
    queries: NDArray[np.float32],
    query_ids: NDArray[np.int64],
    max_nprobe: int,
    k: int,
) -> Candidates:
    """What each query finds in each of its nearest cells, looked up in the shards where they lie."""
    quantizer = quantizer_from_bytes(checked_bytes(locate_in(folder_uri), manifest.trained))
    shared = spark.sparkContext.broadcast((queries, query_ids, assign_cells(queries, quantizer, max_nprobe)))
    find = partial(_candidate_rows, shared=shared, folder_uri=folder_uri, manifest=manifest, k=k)
    n_shards = len(manifest.shards)
    found = spark.range(n_shards).repartitionById(n_shards, F.col("id").cast("int")).mapInArrow(find, _FOUND).toArrow()
    return Candidates(
        ids_of(found.column("query")),
        found.column("place").to_numpy().astype(np.int32),
        ids_of(found.column("id")),
        found.column("cosine").to_numpy(),
    )


def _candidate_rows(
    batches: Iterator[pa.RecordBatch], shared: Any, folder_uri: str, manifest: IndexManifest, k: int
) -> Iterator[pa.RecordBatch]:
    queries, query_ids, probes = shared.value
    for number in (n for batch in batches for n in batch.column("id").to_pylist()):
        entry = manifest.shards[number]
        shard = open_shard(locate_in(folder_uri), entry, manifest)
        found = candidates_by_cell(shard, queries, within(probes, entry), k, query_ids)
        yield batch_of(query=found.query, place=found.place, id=found.ids, cosine=found.cosine)
