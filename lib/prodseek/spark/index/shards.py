"""Shards of an index, written in tasks: each vector goes to the one task that writes the shard of its cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from prodseek.errors import StoreError
from prodseek.index.ivf import assign_cells
from prodseek.index.search import open_shard
from prodseek.index.shards import (
    IndexManifest,
    ShardEntry,
    build_shard,
    grow_shard,
    index_from_bytes,
    index_to_bytes,
    quantizer_from_bytes,
    shard_entry,
)
from prodseek.index.stored import locate_in
from prodseek.spark.arrow import batch_of, flags_of, ids_of, packed, unpacked_rows, vectors_of
from prodseek.spark.index.facet_to_index import FacetToIndex
from prodseek.storage import files

TRAINED = "trained.faiss"
# A shard is built in the memory of one task, which holds some eight copies of it on the way.
_SHARD_BYTES = 64 * 2**20

_HOMES = "shard int, cell int, detection_id long, is_removed boolean, vector binary"
_WRITTEN_ARROW = pa.schema(
    [
        ("file", pa.string()),
        ("sha256", pa.string()),
        *(
            (name, pa.int64())
            for name in ("n_bytes", "first_cell", "stop_cell", "n_vectors", "sum_squares", "n_added", "n_removed")
        ),
        ("fault", pa.string()),
    ]
)
_WRITTEN = from_arrow_schema(_WRITTEN_ARROW)


@dataclass(frozen=True)
class StoredIndex:
    """An index whose files lie in a folder."""

    folder_uri: str
    manifest: IndexManifest


@dataclass(frozen=True)
class CutIndex:
    """A trained, empty index, and how its cells are cut into shards. ranges: first and stop cell of each, ascending."""

    trained: bytes
    ranges: list[tuple[int, int]]


@dataclass(frozen=True)
class WrittenShards:
    """n_added, n_removed: vectors, against the index that the shards were grown from. fault: why they will not do."""

    shards: tuple[ShardEntry, ...]
    n_added: int
    n_removed: int
    fault: str | None


class _ShardRows(NamedTuple):
    """What one shard is written from. number: of the shard. cells, ids: (N,) and vectors: (N, d) of what is added."""

    number: int
    cells: NDArray[np.int32]
    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    removed_ids: NDArray[np.int64]


def shard_rows(d: int) -> int:
    """The usual number of vectors of d dimensions in a shard."""
    return max(1, _SHARD_BYTES // (4 * d))


def homes_of(vectors: DataFrame, cut: CutIndex, is_removed: bool = False) -> DataFrame:
    """Each vector with its home cell and the shard that owns it. A removed one comes without its vector."""
    shared = vectors.sparkSession.sparkContext.broadcast(cut.trained)
    stops = np.array([stop for _, stop in cut.ranges])
    return vectors.mapInArrow(partial(_home_rows, shared=shared, stops=stops, is_removed=is_removed), _HOMES)


def write_shards(
    facet: FacetToIndex, cut: CutIndex, homes: DataFrame, grown_from: StoredIndex | None = None
) -> WrittenShards:
    """Write the trained index and all shards, each in a task of its own, one that has no rows too.

    homes: as `homes_of` gives them, of all vectors, or of what changed since the index that is grown.
    """
    spark = homes.sparkSession
    files.write_bytes(files.join(facet.folder_uri, TRAINED), cut.trained)
    empty = spark.range(len(cut.ranges)).select(
        F.col("id").cast("int").alias("shard"),
        F.lit(-1).alias("cell"),
        F.lit(-1).cast("long").alias("detection_id"),
        F.lit(False).alias("is_removed"),
        F.lit(b"").alias("vector"),
    )
    dealt = homes.unionByName(empty).repartitionById(len(cut.ranges), "shard")
    write = partial(
        _write_shard,
        shared=spark.sparkContext.broadcast(cut.trained),
        ranges=cut.ranges,
        folder_uri=facet.folder_uri,
        grown_from=grown_from,
    )
    rows = sorted((row.asDict() for row in dealt.mapInArrow(write, _WRITTEN).collect()), key=lambda r: r["first_cell"])
    fields = ShardEntry.__dataclass_fields__
    return WrittenShards(
        shards=tuple(ShardEntry(**{name: row[name] for name in fields}) for row in rows),
        n_added=sum(row["n_added"] for row in rows),
        n_removed=sum(row["n_removed"] for row in rows),
        fault=next((row["fault"] for row in rows if row["fault"]), None),
    )


def _home_rows(
    batches: Iterator[pa.RecordBatch], shared: Broadcast[bytes], stops: NDArray[np.int64], is_removed: bool
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


def _write_shard(
    batches: Iterator[pa.RecordBatch],
    shared: Broadcast[bytes],
    ranges: list[tuple[int, int]],
    folder_uri: str,
    grown_from: StoredIndex | None,
) -> Iterator[pa.RecordBatch]:
    trained = index_from_bytes(shared.value)
    rows = _gathered(batches, trained.d)
    if rows is None:
        return
    first, stop = ranges[rows.number]
    shard = build_shard(trained, first, stop, rows.cells, rows.ids, rows.vectors)
    fault = None
    if grown_from is not None:
        last = grown_from.manifest
        source = next(s for s in last.shards if s.first_cell <= first and stop <= s.stop_cell)
        try:
            old = open_shard(locate_in(grown_from.folder_uri), source, last)
            shard = grow_shard(old, source.first_cell, shard, first, trained, rows.removed_ids)
        except (StoreError, ValueError) as error:
            fault = str(error)
    name, data = f"shard-{rows.number:05d}.faiss", index_to_bytes(shard)
    files.write_bytes(files.join(folder_uri, name), data)
    entry = asdict(shard_entry(name, data, shard, first))
    counts = {"n_added": len(rows.ids), "n_removed": len(rows.removed_ids), "fault": fault}
    yield pa.RecordBatch.from_pylist([{**entry, **counts}], schema=_WRITTEN_ARROW)


def _gathered(batches: Iterator[pa.RecordBatch], d: int) -> _ShardRows | None:
    """All rows of a task, which are of one shard; None for a task without rows."""
    number = -1
    cells, ids, vectors, removed = [], [], [], [np.zeros(0, np.int64)]
    for batch in batches:
        if not batch.num_rows:
            continue
        number = batch.column("shard")[0].as_py()
        batch_ids, batch_cells = ids_of(batch.column("detection_id")), ids_of(batch.column("cell"))
        is_removed = flags_of(batch.column("is_removed"))
        removed.append(batch_ids[is_removed])
        is_added = ~is_removed & (batch_cells >= 0)
        cells.append(batch_cells[is_added])
        ids.append(batch_ids[is_added])
        vectors.append(unpacked_rows(batch.column("vector").filter(pa.array(is_added)), np.float32))
    if number < 0:
        return None
    full = [part for part in vectors if len(part)] or [np.zeros((0, d), np.float32)]
    return _ShardRows(
        number,
        np.concatenate(cells).astype(np.int32),
        np.concatenate(ids),
        np.concatenate(full),
        np.concatenate(removed),
    )
