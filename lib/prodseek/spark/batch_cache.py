"""Caches under a root: folders of Parquet that runs add batches to, one a run or attempt, and none ever changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from prodseek.spark.tables import local_frame
from prodseek.storage import files

_logger = logging.getLogger(__name__)


def read_batches(spark: SparkSession, cache_uri: str, schema: StructType) -> DataFrame:
    """What all runs have put into a cache. Batches that a dying run left half-written are skipped. So are those of a version that
    did not know all columns yet, because those would be read as null."""
    batches = [files.join(cache_uri, name) for name in files.list_names(cache_uri)]
    whole = [uri for uri in batches if files.exists(files.join(uri, "_SUCCESS"))]
    # They are named after their runs: the first that has all columns is followed by others that have.
    while whole and (lacking := _lacking(whole[0], schema)):
        _logger.warning("%s is passed over and made anew: it has no column %s", whole.pop(0), ", ".join(lacking))
    if not whole:
        return local_frame(spark, [], schema)
    return spark.read.schema(schema).parquet(*map(files.spark_uri, whole))


def _lacking(batch_uri: str, schema: StructType) -> list[str]:
    names = [name for name in files.list_names(batch_uri) if name.endswith(".parquet")]
    if not names:
        return []
    file_system, path = files.locate(files.join(batch_uri, names[0]))
    try:
        there = pq.read_schema(path, filesystem=file_system).names
    except (OSError, pa.ArrowException):  # Spark is about to name it
        return []
    return [name for name in schema.names if name not in there]


def new_batch_uri(cache_uri: str, run_id: str) -> str:
    """The folder of a run's next batch."""
    n_before = sum(name.startswith(f"batch={run_id}") for name in files.list_names(cache_uri))
    return files.join(cache_uri, f"batch={run_id}-{n_before}")


def kept(
    spark: SparkSession,
    cache_uri: str,
    run_id: str,
    schema: StructType,
    wanted: DataFrame,
    key: str,
    make: Callable[[DataFrame, int], DataFrame],
) -> DataFrame:
    """The rows of a cache for what is wanted, those that no earlier night has made added to it.

    wanted: `key`, once each, and what `make` needs to make rows of `schema`; it is given what is missing and its number.
    """
    known = read_batches(spark, cache_uri, schema)
    todo = wanted.join(known.select(key), key, "left_anti")
    n_todo = todo.count()
    if n_todo:
        make(todo, n_todo).write.parquet(files.spark_uri(new_batch_uri(cache_uri, run_id)))
        known = read_batches(spark, cache_uri, schema)
    # An attempt that died after its batch was whole has made some twice, the same.
    return known.join(wanted.select(key), key, "left_semi").dropDuplicates([key])
