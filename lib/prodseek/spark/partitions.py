"""Partitioning that depends on the data alone.

A batched kernel's last bits can depend on what else is in its batch. Rows are therefore dealt to partitions by key and
put in order there, and the number of partitions follows from the number of rows: two cores and two hundred executors
compute the same batches, hence the same tables.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def deal(frame: DataFrame, key: str, n_rows: int, rows_per_partition: int) -> DataFrame:
    """Partition by `key`, about `rows_per_partition` rows each, ordered by `key` inside a partition."""
    n_partitions = max(1, -(-n_rows // rows_per_partition))
    return frame.repartition(n_partitions, key).sortWithinPartitions(key)


def with_shares(frame: DataFrame, key: str, other: str, rows_together: int) -> DataFrame:
    """The rows with `share`, a number: partitioned by `key` and `share`, a key with very many rows makes no task of its own.

    other: what tells the rows of one key apart. rows_together: about how many of them have one share.
    """
    n_shares = frame.groupBy(key).agg(F.ceil(F.count(F.lit(1)) / rows_together).alias("n_shares"))
    return frame.join(n_shares, key).withColumn("share", F.pmod(F.hash(other), "n_shares")).drop("n_shares")
