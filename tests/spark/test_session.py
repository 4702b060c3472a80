"""How Spark runs queries for catalogues of different sizes."""

from __future__ import annotations

from pyspark.sql import SparkSession

from prodseek.spark.session import suit_catalogue

_ADAPTIVE, _CODEGEN = "spark.sql.adaptive.enabled", "spark.sql.codegen.wholeStage"


def test_a_small_catalogues_queries_run_as_they_stand_and_a_large_ones_as_spark_likes(spark: SparkSession) -> None:
    suit_catalogue(spark, 10**6)
    usual = {key: spark.conf.get(key) for key in (_ADAPTIVE, _CODEGEN)}
    suit_catalogue(spark, 2_485)
    assert {spark.conf.get(key) for key in usual} == {"false"}
    suit_catalogue(spark, 10**6)
    assert usual == {key: spark.conf.get(key) for key in usual} == dict.fromkeys(usual, "true")
