"""Writing the report's data files from Spark: executors write shards, in any order, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.shards import script, shard_name
from prodseek.runs.store import Run
from prodseek.spark.tables import only_row
from prodseek.storage import files

_SHARDS_PER_PARTITION = 8

# One row of a table, column -> value.
Row = dict[str, Any]


@dataclass(frozen=True)
class ShardKind:
    """One kind of data file that is cut into shards.

    name: what its files' names begin with. per_shard: records in each. record: makes of a row what the pages read, see
    `prodseek.report.records`. folder: below `report/`.
    """

    name: str
    per_shard: int
    record: Callable[[Row], object]
    folder: str = "data"


def write_shards(run: Run, kind: ShardKind, rows: DataFrame, n_rows: int) -> int:
    """Write one record for each row; returns the bytes written.

    rows: number, from 0 without gaps, and what `kind.record` takes.
    """
    n_partitions = max(1, -(-n_rows // (kind.per_shard * _SHARDS_PER_PARTITION)))
    write = partial(_write, uri=run.path("report", kind.folder), kind=kind)
    sharded = rows.withColumn("shard", (F.col("number") / kind.per_shard).cast("long"))
    dealt = sharded.repartition(n_partitions, "shard").sortWithinPartitions("number")
    written = only_row(dealt.mapInArrow(write, "n_bytes long").agg(F.sum("n_bytes").alias("n")))
    return int(written["n"] or 0)


def write_data(run: Run, name: str, value: object) -> int:
    """Write one data file; returns its bytes."""
    data = script(name, value)
    files.write_bytes(run.path("report", "data", f"{name}.js"), data)
    return len(data)


def _write(batches: Iterator[pa.RecordBatch], uri: str, kind: ShardKind) -> Iterator[pa.RecordBatch]:
    rows = (row for batch in batches for row in batch.to_pylist())
    for shard, members in groupby(rows, key=lambda row: row["number"] // kind.per_shard):
        name = shard_name(kind.name, shard)
        data = script(name, [kind.record(row) for row in members])
        files.write_bytes(files.join(uri, f"{name}.js"), data, is_lasting=False)
        yield pa.RecordBatch.from_pydict({"n_bytes": pa.array([len(data)], pa.int64())})
