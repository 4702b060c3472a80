"""Rows of one key that are too many for one task."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from prodseek.spark.partitions import with_shares


def test_the_rows_of_a_common_key_are_spread_and_those_of_a_rare_one_stay_together(spark: SparkSession) -> None:
    rows = [("common", f"photo-{number}") for number in range(3000)] + [("rare", "x"), ("rare", "y")]
    shared = with_shares(spark.createDataFrame(rows, "key string, other string"), "key", "other", 32)
    placed = shared.repartition(8, "key", "share").withColumn("partition", F.spark_partition_id()).collect()
    assert sorted((row["key"], row["other"]) for row in placed) == sorted(rows)
    of_common = [row["partition"] for row in placed if row["key"] == "common"]
    assert max(of_common.count(partition) for partition in range(8)) < 2 * 3000 / 8
    assert len({row["partition"] for row in placed if row["key"] == "rare"}) == 1
