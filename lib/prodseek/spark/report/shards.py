"""Writing the report's data files from Spark: executors write shards, in any order, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.shards import script, shard_name
from prodseek.runs.store import Run
from prodseek.storage import files

_SHARDS_PER_PARTITION = 8


def write_shards(
    rows: DataFrame, run: Run, folder: str, kind: str, per_shard: int, n_rows: int, record: Callable[[Any], Any]
) -> int:
    """Write one record for each row into shards of `per_shard`; returns the bytes written.

    rows: number, from 0 without gaps, and what `record` takes, a row as a dictionary.
    """
    n_partitions = max(1, -(-n_rows // (per_shard * _SHARDS_PER_PARTITION)))
    write = partial(_write, uri=run.path("report", folder), kind=kind, per_shard=per_shard, record=record)
    sharded = rows.withColumn("shard", (F.col("number") / per_shard).cast("long"))
    dealt = sharded.repartition(n_partitions, "shard").sortWithinPartitions("number")
    written = dealt.mapInArrow(write, "n_bytes long").agg(F.sum("n_bytes").alias("n")).first()
    return int(written["n"] or 0)


def write_data(run: Run, name: str, value: Any) -> int:
    """Write one data file; returns its bytes."""
    data = script(name, value)
    files.write_bytes(run.path("report", "data", f"{name}.js"), data)
    return len(data)


def _write(
    batches: Iterator[pa.RecordBatch], uri: str, kind: str, per_shard: int, record: Callable[[Any], Any]
) -> Iterator[pa.RecordBatch]:
    rows = (row for batch in batches for row in batch.to_pylist())
    for shard, members in groupby(rows, key=lambda row: row["number"] // per_shard):
        name = shard_name(kind, shard)
        data = script(name, [record(row) for row in members])
        files.write_bytes(files.join(uri, f"{name}.js"), data, is_lasting=False)
        yield pa.RecordBatch.from_pydict({"n_bytes": pa.array([len(data)], pa.int64())})
