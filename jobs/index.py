"""Stage index: FAISS indexes of the embeddings, sharded by ranges of cells, with their recall measured.

The index of the last night is grown: what is new goes into its cells, what is gone is taken out. It is trained again
when the catalogue has drifted away from its cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.errors import StoreError
from prodseek.index.drift import drift, outgrown
from prodseek.index.ivf import assign_cells, training_rows
from prodseek.index.plan import IndexPlan, plan_index, train_index
from prodseek.index.search import checked_bytes, open_shard
from prodseek.index.shards import (
    METRIC,
    IndexManifest,
    ShardEntry,
    build_shard,
    cell_ranges,
    faiss_version,
    file_entry,
    grow_shard,
    index_from_bytes,
    index_to_bytes,
    quantizer_from_bytes,
    shard_entry,
)
from prodseek.index.stored import index_folder, index_manifest, locate_in, write_manifest
from prodseek.runs.columns import VISUAL
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.arrow import batch_of, ids_of, packed, unpacked_rows, vectors_of
from prodseek.spark.index.recall import RECALL_K, sampled, tune_recall
from prodseek.spark.tables import read_table
from prodseek.storage import files

_TRAINED = "trained.faiss"
# A shard is built in the memory of one task, which holds some eight copies of it on the way.
_SHARD_BYTES = 64 * 2**20

_HOMES = "shard int, cell int, detection_id long, is_removed boolean, vector binary"
_WRITTEN = (
    "file string, sha256 string, n_bytes long, first_cell int, stop_cell int, n_vectors long, sum_squares long, "
    "n_added long, n_removed long, fault string"
)


@dataclass(frozen=True)
class _Facet:
    """What is to be indexed. vectors: detection_id, vector; embedding_id: the projection that made them."""

    name: str
    vectors: DataFrame
    plan: IndexPlan
    embedding_id: str
    folder_uri: str


@dataclass(frozen=True)
class _Sources:
    """The index that shards are grown from."""

    folder_uri: str
    manifest: IndexManifest


@dataclass(frozen=True)
class _Grown:
    """The shards of a facet, written. n_added, n_removed: vectors, against the index that it was grown from."""

    shards: tuple[ShardEntry, ...]
    n_added: int
    n_removed: int
    fault: str | None


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Grow or build the index of each facet, measure its recall and choose nprobe."""
    lines, facts = [], {}
    # The folder of `visual` holds those of the others.
    for name in sorted(config.index.facets, key=lambda name: name != VISUAL):
        files.delete_dir(run.path(index_folder(name)))
        facet = _facet(spark, config, run, name)
        manifest, how = _grow_or_build(spark, config, run, facet)
        write_manifest(run, manifest)
        facts[name] = {
            "description": f"{manifest.factory}, {manifest.n_vectors} x {manifest.d}-d in {len(manifest.shards)} "
            f"shard(s), nprobe {manifest.nprobe}, recall@{RECALL_K} {manifest.recall:.3f}",
            "how": how,
            "recall": manifest.recall,
            "recall_k": RECALL_K,
            "recall_target": config.index.recall_target,
            "recall_queries": manifest.recall_queries,
            "nlist": manifest.nlist,
            "nprobe": manifest.nprobe,
        }
        lines += [f"{name}: {facet.plan}", f"{name}: {how}", f"{name}: {facts[name]['description']}"]
    return Summary("index", facts={**facts[VISUAL], "facets": facts}, lines=tuple(lines))


def facet_vectors(spark: SparkSession, run: Run, facet: str) -> DataFrame:
    """detection_id, vector: a facet's embeddings."""
    return read_table(spark, run, "embeddings").select("detection_id", F.col(facet).alias("vector"))


def _facet(spark: SparkSession, config: Config, run: Run, name: str) -> _Facet:
    vectors = facet_vectors(spark, run, name)
    squared_norm = F.aggregate("vector", F.lit(0.0), lambda total, value: total + value * value)
    is_bad = F.isnan(squared_norm) | (squared_norm == 0) | (squared_norm == float("inf"))
    seen = vectors.select(F.count(F.lit(1)), F.count_if(is_bad), F.max(F.size("vector"))).first()
    n_vectors, n_bad, d = (int(value or 0) for value in seen)
    if n_bad:
        ids = [str(row[0]) for row in vectors.where(is_bad).orderBy("detection_id").limit(10).collect()]
        more = f" and {n_bad - len(ids)} more" if n_bad > len(ids) else ""
        raise StoreError(
            f"{name} embeddings that are zero, NaN or infinite cannot be compared; detection ids {', '.join(ids)}{more}"
        )
    if not n_vectors:
        raise StoreError(f"run {run.run_id} has no {name} embeddings: there is nothing to index")
    projected = run.summary("project")
    embedding_id = "" if projected is None else str(projected.facts.get("projection_id", ""))
    return _Facet(
        name, vectors, plan_index(n_vectors, d, config.index.memory_bytes), embedding_id, run.path(index_folder(name))
    )


def _grow_or_build(spark: SparkSession, config: Config, run: Run, facet: _Facet) -> tuple[IndexManifest, str]:
    """The finished manifest and, for a person, how the index came about."""
    try:
        latest = Store(run.root).latest_readable()
        before = index_manifest(latest, facet.name)
    except StoreError:
        return _build(spark, config, facet, "trained")
    reason = outgrown(before, facet.plan, facet.embedding_id)
    if reason is None:
        manifest, how, reason = _grow(spark, config, facet, latest, before)
        if reason is None:
            return manifest, how
        files.delete_dir(facet.folder_uri)
    return _build(spark, config, facet, f"the index of run {latest.run_id} was not grown, {reason}; trained")


def _build(spark: SparkSession, config: Config, facet: _Facet, how: str) -> tuple[IndexManifest, str]:
    plan = facet.plan
    wanted = min(config.index.train_rows, training_rows(plan.n_vectors, plan.nlist))
    drawn = sampled(facet.vectors, plan.n_vectors, wanted, f"train {config.seed}").toArrow().sort_by("detection_id")
    sample = vectors_of(drawn.column("vector"))
    trained = train_index(plan, sample, config.seed)
    sizes = np.bincount(assign_cells(sample, trained.quantizer, 1).cells[:, 0], minlength=plan.nlist)
    n_shards = config.index.n_shards or -(-plan.n_vectors // _shard_rows(plan.d))
    data, ranges = index_to_bytes(trained), cell_ranges(sizes, n_shards)
    written = _write_shards(spark, facet, data, ranges, _homes(facet.vectors, data, ranges), None)
    manifest = IndexManifest(
        facet=facet.name,
        embedding_id=facet.embedding_id,
        factory=plan.factory,
        metric=METRIC,
        d=plan.d,
        nlist=plan.nlist,
        nprobe=1,
        n_vectors=plan.n_vectors,
        faiss_version=faiss_version(),
        trained=file_entry(_TRAINED, data),
        trained_rows=len(sample),
        trained_imbalance=1.0,
        n_grown=0,
        shards=written.shards,
    )
    manifest = replace(manifest, trained_imbalance=manifest.imbalance)
    manifest, _ = tune_recall(spark, config, facet.vectors, facet.folder_uri, manifest)
    return manifest, f"{how} on {len(sample)} vectors"


def _grow(
    spark: SparkSession, config: Config, facet: _Facet, latest: Run, before: IndexManifest
) -> tuple[IndexManifest, str, str | None]:
    """The manifest of the index of `latest` with what changed since, and the reason why it will not do, if any."""
    known = facet_vectors(spark, latest, facet.name)
    added = facet.vectors.join(known.select("detection_id"), "detection_id", "left_anti")
    removed = known.join(facet.vectors.select("detection_id"), "detection_id", "left_anti")
    sources = _Sources(latest.path(index_folder(facet.name)), before)
    try:
        data = checked_bytes(locate_in(sources.folder_uri), before.trained)
    except StoreError as error:
        return before, "", str(error)
    ranges = _cut_large(before, facet.plan.d)
    changed = _homes(added, data, ranges).unionByName(_homes(removed, data, ranges, is_removed=True))
    written = _write_shards(spark, facet, data, ranges, changed, sources)
    how = f"grown from run {latest.run_id}: {written.n_added} added, {written.n_removed} removed"
    if written.fault:
        return before, how, written.fault
    manifest = replace(before, n_vectors=facet.plan.n_vectors, shards=written.shards, n_grown=before.n_grown + 1)
    if sum(shard.n_vectors for shard in written.shards) != facet.plan.n_vectors:
        return before, how, "it does not hold what that run's embeddings hold"
    try:
        manifest, recall_of_new = tune_recall(
            spark, config, facet.vectors, facet.folder_uri, manifest, added, written.n_added
        )
    except StoreError as error:
        return before, how, str(error)
    settings = config.index
    reason = drift(
        manifest, recall_of_new, settings.recall_target, settings.retrain_imbalance, settings.retrain_recall_drop
    )
    return manifest, how, reason


def _homes(vectors: DataFrame, trained: bytes, ranges: list[tuple[int, int]], is_removed: bool = False) -> DataFrame:
    """Each vector with its home cell and the shard that owns it. A removed one comes without its vector."""
    shared = vectors.sparkSession.sparkContext.broadcast(trained)
    stops = np.array([stop for _, stop in ranges])
    return vectors.mapInArrow(partial(_home_rows, shared=shared, stops=stops, is_removed=is_removed), _HOMES)


def _home_rows(
    batches: Iterator[pa.RecordBatch], shared: Any, stops: NDArray[np.int64], is_removed: bool
) -> Iterator[pa.RecordBatch]:
    quantizer = quantizer_from_bytes(shared.value)
    for batch in batches:
        if batch.num_rows:
            vectors = vectors_of(batch.column("vector"))
            cells = assign_cells(vectors, quantizer, 1).cells[:, 0]
            yield batch_of(
                shard=np.searchsorted(stops, cells, side="right").astype(np.int32),
                cell=cells,
                detection_id=ids_of(batch.column("detection_id")),
                is_removed=np.full(batch.num_rows, is_removed),
                vector=packed(vectors[:, :0] if is_removed else vectors),
            )


def _write_shards(
    spark: SparkSession,
    facet: _Facet,
    trained: bytes,
    ranges: list[tuple[int, int]],
    homes: DataFrame,
    sources: _Sources | None,
) -> _Grown:
    """Write the trained index and all shards, each in a task of its own, one that has no rows too."""
    files.write_bytes(files.join(facet.folder_uri, _TRAINED), trained)
    empty = spark.range(len(ranges)).select(
        F.col("id").cast("int").alias("shard"),
        F.lit(-1).alias("cell"),
        F.lit(-1).cast("long").alias("detection_id"),
        F.lit(False).alias("is_removed"),
        F.lit(b"").alias("vector"),
    )
    dealt = homes.unionByName(empty).repartitionById(len(ranges), "shard")
    write = partial(
        _write_shard,
        shared=spark.sparkContext.broadcast(trained),
        ranges=ranges,
        folder_uri=facet.folder_uri,
        sources=sources,
    )
    rows = sorted((row.asDict() for row in dealt.mapInArrow(write, _WRITTEN).collect()), key=lambda r: r["first_cell"])
    faults = [row["fault"] for row in rows if row["fault"]]
    n_added, n_removed = (sum(row[name] for row in rows) for name in ("n_added", "n_removed"))
    fields = ShardEntry.__dataclass_fields__
    shards = tuple(ShardEntry(**{name: row[name] for name in fields}) for row in rows)
    return _Grown(shards, n_added, n_removed, faults[0] if faults else None)


def _write_shard(
    batches: Iterator[pa.RecordBatch],
    shared: Any,
    ranges: list[tuple[int, int]],
    folder_uri: str,
    sources: _Sources | None,
) -> Iterator[pa.RecordBatch]:
    number = -1
    cells, ids, vectors, removed = [], [], [], [np.zeros(0, np.int64)]
    for batch in batches:
        if not batch.num_rows:
            continue
        number = batch.column("shard")[0].as_py()
        batch_ids, batch_cells = ids_of(batch.column("detection_id")), ids_of(batch.column("cell"))
        is_removed = batch.column("is_removed").to_numpy(zero_copy_only=False)
        removed.append(batch_ids[is_removed])
        is_added = ~is_removed & (batch_cells >= 0)
        cells.append(batch_cells[is_added])
        ids.append(batch_ids[is_added])
        vectors.append(unpacked_rows(batch.column("vector").filter(pa.array(is_added)), np.float32))
    if number < 0:
        return
    trained = index_from_bytes(shared.value)
    first, stop = ranges[number]
    name = f"shard-{number:05d}.faiss"
    full = [part for part in vectors if len(part)] or [np.zeros((0, trained.d), np.float32)]
    added_ids, removed_ids = np.concatenate(ids), np.concatenate(removed)
    shard = build_shard(trained, first, stop, np.concatenate(cells).astype(np.int32), added_ids, np.concatenate(full))
    fault = None
    if sources is not None:
        source = next(s for s in sources.manifest.shards if s.first_cell <= first and stop <= s.stop_cell)
        try:
            old = open_shard(locate_in(sources.folder_uri), source, sources.manifest)
            shard = grow_shard(old, source.first_cell, shard, first, trained, removed_ids)
        except (StoreError, ValueError) as error:
            fault = str(error)
    data = index_to_bytes(shard)
    files.write_bytes(files.join(folder_uri, name), data)
    entry = asdict(shard_entry(name, data, shard, first))
    counts = {"n_added": len(added_ids), "n_removed": len(removed_ids), "fault": fault}
    yield pa.RecordBatch.from_pylist([{**entry, **counts}], schema=_written_schema())


def _written_schema() -> pa.Schema:
    types = {"string": pa.string(), "long": pa.int64(), "int": pa.int32()}
    return pa.schema([(name, types[kind]) for name, kind in (column.split() for column in _WRITTEN.split(", "))])


def _cut_large(before: IndexManifest, d: int) -> list[tuple[int, int]]:
    """The ranges of cells of the shards of `before`; those of shards twice the usual size in pieces."""
    ranges = []
    for shard in before.shards:
        n_pieces = -(-shard.n_vectors // _shard_rows(d)) if shard.n_vectors > 2 * _shard_rows(d) else 1
        pieces = cell_ranges(np.ones(shard.stop_cell - shard.first_cell, np.int64), n_pieces)
        ranges += [(shard.first_cell + first, shard.first_cell + stop) for first, stop in pieces]
    return ranges


def _shard_rows(d: int) -> int:
    return max(1, _SHARD_BYTES // (4 * d))


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("index")
