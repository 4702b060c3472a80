"""How Spark runs queries for catalogues of different sizes."""

from __future__ import annotations

from pyspark.sql import SparkSession

from prodseek.spark.session import suit_catalogue

_USUAL = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.shuffle.partitions": "8",
}


def test_a_small_catalogues_queries_run_as_they_stand_and_a_large_ones_as_spark_likes(spark: SparkSession) -> None:
    suit_catalogue(spark, 10**6)
    assert {key: spark.conf.get(key) for key in _USUAL} == _USUAL
    suit_catalogue(spark, 2_485)
    assert [spark.conf.get(key) for key in _USUAL] == ["false", "false", "2"]
    suit_catalogue(spark, 10**6)
    assert {key: spark.conf.get(key) for key in _USUAL} == _USUAL
