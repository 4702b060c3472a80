"""Partitioning that depends on the data alone.

A batched kernel's last bits can depend on what else is in its batch. Rows are therefore dealt to partitions by key and
put in order there, and the number of partitions follows from the number of rows: two cores and two hundred executors
compute the same batches, hence the same tables.
"""

from __future__ import annotations

from pyspark.sql import DataFrame


def deal(frame: DataFrame, key: str, n_rows: int, rows_per_partition: int) -> DataFrame:
    """Partition by `key`, about `rows_per_partition` rows each, ordered by `key` inside a partition."""
    n_partitions = max(1, -(-n_rows // rows_per_partition))
    return frame.repartition(n_partitions, key).sortWithinPartitions(key)
