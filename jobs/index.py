"""Stage index: a FAISS index of the visual embeddings, sharded by ranges of cells, with its recall measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prodseek.jobs.vectors import batch_of, ids_of, list_column, on_group, vectors_of
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek import files
from prodseek.config import Config
from prodseek.index.ivf import assign_cells, choose_nlist, train_centroids, training_rows
from prodseek.index.knn import merge_topk
from prodseek.index.recall import exact_topk, tune_nprobe
from prodseek.index.search import ShardedIndex
from prodseek.index.shards import (
    IndexManifest,
    ShardEntry,
    build_shard,
    cell_ranges,
    centroids_from_bytes,
    centroids_to_bytes,
    factory_name,
    file_entry,
    shard_entry,
)
from prodseek.spark.tables import read_table
from prodseek.store import Run, Summary

FACET = "visual"
RECALL_K = 10
_VECTORS_PER_SHARD = 2_000_000
_INDEX_MANIFEST = "index/MANIFEST.json"
_CENTROIDS = "centroids.npy"


@dataclass(frozen=True)
class CellAssignment:
    """Which shard owns which cells, as the tasks need it. ranges: (first_cell, stop_cell) of each shard."""

    centroids: bytes
    ranges: tuple[tuple[int, int], ...]
    folder_uri: str


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Train, build the shards, measure recall and choose nprobe."""
    vectors = read_table(spark, store, "embeddings").select("detection_id", F.col(FACET).alias("vector"))
    n_vectors = vectors.count()
    nlist = choose_nlist(n_vectors)
    n_train = min(config.index.train_rows, training_rows(n_vectors, nlist), n_vectors)
    sample = vectors_of(vectors.orderBy("detection_id").limit(n_train).select("vector").toArrow().column("vector"))
    centroids = train_centroids(sample, nlist, config.seed)
    centroid_bytes = centroids_to_bytes(centroids)
    files.write_bytes(store.path("index", _CENTROIDS), centroid_bytes)
    n_shards = config.index.n_shards or -(-n_vectors // _VECTORS_PER_SHARD)
    cells = assigned_cells(vectors, centroid_bytes, nprobe=1)
    sizes = np.zeros(nlist, np.int64)
    for row in cells.groupBy("cell").count().collect():
        sizes[row["cell"]] = row["count"]
    ranges = tuple((int(first), int(stop)) for first, stop in cell_ranges(sizes, n_shards))
    shards = _build_shards(cells, CellAssignment(centroid_bytes, ranges, store.path("index")))
    manifest = IndexManifest(
        facet=FACET,
        factory=factory_name(nlist),
        metric="inner_product",
        d=sample.shape[1],
        nlist=nlist,
        nprobe=1,
        n_vectors=n_vectors,
        faiss_version=faiss.__version__,
        centroids=file_entry(_CENTROIDS, centroid_bytes),
        shards=shards,
        recall=None,
        recall_k=RECALL_K,
        recall_curve=(),
    )
    manifest = _with_recall(vectors, manifest, store, config)
    store.write_json(_INDEX_MANIFEST, manifest.to_dict())
    description = (
        f"{manifest.factory}, {n_vectors} x {manifest.d}-d in {len(shards)} shard(s), nprobe {manifest.nprobe}, "
        f"recall@{RECALL_K} {manifest.recall:.3f}"
    )
    facts = {
        "description": description,
        "recall": manifest.recall,
        "recall_k": RECALL_K,
        "recall_target": config.index.recall_target,
        "recall_queries": min(config.index.recall_queries, n_vectors),
        "nlist": nlist,
        "nprobe": manifest.nprobe,
    }
    return Summary("index", facts=facts, lines=(description,))


def open_index(store: Run) -> ShardedIndex:
    """The index of a run. Raises StoreError that names a missing, truncated or altered file."""
    manifest = IndexManifest.from_dict(store.read_json(_INDEX_MANIFEST))
    return _open(store, manifest)


def index_cells(store: Run) -> tuple[bytes, int]:
    """The centroids of a run's index, as bytes, and its nprobe."""
    manifest = IndexManifest.from_dict(store.read_json(_INDEX_MANIFEST))
    return files.read_bytes(store.path("index", manifest.centroids.file)), manifest.nprobe


def assigned_cells(vectors: DataFrame, centroids: bytes, nprobe: int) -> DataFrame:
    """detection_id, vector, cell, is_home: one row for each of the `nprobe` nearest cells; the nearest is home."""
    schema = "detection_id long, vector array<float>, cell int, is_home boolean"
    return vectors.mapInArrow(partial(_assign, centroids=centroids, nprobe=nprobe), schema)


def _open(store: Run, manifest: IndexManifest) -> ShardedIndex:
    return ShardedIndex.open(lambda name: files.read_bytes(store.path("index", name)), manifest)


def _assign(batches: Iterator[pa.RecordBatch], centroids: bytes, nprobe: int) -> Iterator[pa.RecordBatch]:
    trained = centroids_from_bytes(centroids)
    for batch in batches:
        if not batch.num_rows:
            continue
        vectors = vectors_of(batch.column("vector"))
        cells = assign_cells(vectors, trained, nprobe)
        n_rows, n_cells = cells.shape
        yield batch_of(
            detection_id=np.repeat(ids_of(batch.column("detection_id")), n_cells),
            vector=list_column(np.repeat(vectors, n_cells, axis=0)),
            cell=cells.ravel().astype(np.int32),
            is_home=np.tile(np.arange(n_cells) == 0, n_rows),
        )


def _build_shards(cells: DataFrame, assignment: CellAssignment) -> tuple[ShardEntry, ...]:
    stops = F.array(*(F.lit(stop) for _, stop in assignment.ranges))
    shard = F.size(F.filter(stops, lambda stop: stop <= F.col("cell")))
    written = (
        cells.withColumn("shard", shard)
        .groupBy("shard")
        .applyInArrow(
            on_group(_build_shard, assignment=assignment),
            "shard int, sha256 string, n_bytes long, n_vectors long, file string",
        )
        .collect()
    )
    by_shard = {row["shard"]: row for row in written}
    return tuple(
        ShardEntry(
            file=by_shard[number]["file"],
            sha256=by_shard[number]["sha256"],
            n_bytes=by_shard[number]["n_bytes"],
            first_cell=first,
            stop_cell=stop,
            n_vectors=by_shard[number]["n_vectors"],
        )
        for number, (first, stop) in enumerate(assignment.ranges)
        if number in by_shard
    )


def _build_shard(table: pa.Table, assignment: CellAssignment) -> pa.Table:
    number = table.column("shard")[0].as_py()
    first, stop = assignment.ranges[number]
    data = build_shard(
        centroids_from_bytes(assignment.centroids),
        ids_of(table.column("cell")).astype(np.int32),
        ids_of(table.column("detection_id")),
        vectors_of(table.column("vector")),
    )
    name = f"shard-{number:05d}.faiss"
    files.write_bytes(files.join(assignment.folder_uri, name), data)
    entry = shard_entry(name, data, first, stop, table.num_rows)
    return pa.table(
        {
            "shard": pa.array([number], pa.int32()),
            "sha256": [entry.sha256],
            "n_bytes": pa.array([entry.n_bytes], pa.int64()),
            "n_vectors": pa.array([entry.n_vectors], pa.int64()),
            "file": [entry.file],
        }
    )


def _with_recall(vectors: DataFrame, manifest: IndexManifest, store: Run, config: Config) -> IndexManifest:
    # The ids are hashes: the highest of them are a random sample, apart from the training sample unless that is all.
    asked = vectors.orderBy(F.col("detection_id").desc()).limit(config.index.recall_queries).toArrow()
    queries, query_ids = vectors_of(asked.column("vector")), ids_of(asked.column("detection_id"))
    true_ids = _exact_neighbours(vectors, queries, query_ids)
    index = _open(store, manifest)

    def search(batch: NDArray[np.float32], k: int, nprobe: int) -> NDArray[np.int64]:
        return index.search(batch, k, nprobe)[0]

    nprobe, recall, curve = tune_nprobe(
        search, queries, true_ids, manifest.nlist, config.index.recall_target, query_ids=query_ids
    )
    return IndexManifest(**{**vars(manifest), "nprobe": nprobe, "recall": recall, "recall_curve": curve})


def _exact_neighbours(
    vectors: DataFrame, queries: NDArray[np.float32], query_ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    search = partial(_exact_rows, queries=queries, query_ids=query_ids)
    found = vectors.mapInArrow(search, "query_id long, neighbour_id long, cosine float").toArrow()
    edges = merge_topk(
        ids_of(found.column("query_id")),
        ids_of(found.column("neighbour_id")),
        found.column("cosine").to_numpy(),
        RECALL_K,
    )
    true_ids = np.full((len(query_ids), RECALL_K), -1, np.int64)
    row_of = {int(query_id): row for row, query_id in enumerate(query_ids)}
    rows = np.array([row_of[int(query_id)] for query_id in edges.query_ids], np.int64)
    true_ids[rows, edges.rank - 1] = edges.neighbour_ids
    return true_ids


def _exact_rows(
    batches: Iterator[pa.RecordBatch], queries: NDArray[np.float32], query_ids: NDArray[np.int64]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if not batch.num_rows:
            continue
        ids, cosine = exact_topk(
            queries, ids_of(batch.column("detection_id")), vectors_of(batch.column("vector")), RECALL_K + 1
        )
        asking = np.repeat(query_ids, ids.shape[1]).reshape(ids.shape)
        kept = (ids >= 0) & (ids != asking)
        yield batch_of(query_id=asking[kept], neighbour_id=ids[kept], cosine=cosine[kept].astype(np.float32))


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("index")
