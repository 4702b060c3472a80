"""Caches under a root: folders of Parquet that runs add batches to, one a run or attempt, and none ever changes."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from prodseek import files


def read_batches(spark: SparkSession, cache_uri: str, schema: StructType) -> DataFrame:
    """What all runs have put into a cache; batches that a dying run left half-written are passed over."""
    batches = [files.join(cache_uri, name) for name in files.list_names(cache_uri)]
    whole = [files.spark_uri(uri) for uri in batches if files.exists(files.join(uri, "_SUCCESS"))]
    if not whole:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*whole)


def new_batch_uri(cache_uri: str, run_id: str) -> str:
    """The folder of a run's next batch."""
    n_before = sum(name.startswith(f"batch={run_id}") for name in files.list_names(cache_uri))
    return files.join(cache_uri, f"batch={run_id}-{n_before}")
