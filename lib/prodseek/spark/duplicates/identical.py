"""Photos whose bytes are equal, of which nothing has to be compared."""

from __future__ import annotations

from typing import cast

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.verdicts import Decision, Verdict
from prodseek.runs.columns import BOX_EDGES
from prodseek.spark.duplicates.pair_verdicts import SIDES
from prodseek.spark.night import Night
from prodseek.spark.tables import spark_schema


def identical_bytes(night: Night) -> DataFrame:
    """Rows of `near_duplicates`: the rows of `images` that share their bytes, each paired with the first of them.

    Linear in their number, however many share their bytes.
    """
    rows = _with_first(night.table("images"), "image_id", ["product_id", "uri"])
    nothing = F.lit(None)
    fields = cast(StructType, spark_schema("near_duplicates")["evidence"].dataType).fields
    measured = {"pdq_hamming": F.lit(0), "orientation": F.lit(Orientation.IDENTITY.value)}
    evidence = F.struct(*(measured.get(f.name, nothing).cast(f.dataType).alias(f.name) for f in fields))
    zero, width, height = (F.col(name).cast("float") for name in ("zero_px", "width_px", "height_px"))
    edges = dict(zip(BOX_EDGES, (zero, zero, width, height), strict=True))
    return rows.withColumn("zero_px", F.lit(0.0)).select(
        F.col("image_id").alias("image_id_a"),
        F.col("image_id").alias("image_id_b"),
        F.col("first.product_id").alias("product_id_a"),
        F.col("first.uri").alias("uri_a"),
        F.col("product_id").alias("product_id_b"),
        F.col("uri").alias("uri_b"),
        F.lit(Verdict.IDENTICAL_BYTES.value).alias("verdict"),
        F.lit(Decision.COPY.value).alias("decision"),
        F.lit(1.0).cast("float").alias("confidence"),
        evidence.alias("evidence"),
        *(value.alias(f"{edge}_{side}_px") for side in SIDES for edge, value in edges.items()),
    )


def _with_first(rows: DataFrame, key: str, order: list[str]) -> DataFrame:
    """Every row but the first of those that share `key`, with that first row as `first`."""
    same = Window.partitionBy(key).orderBy(*order)
    first = F.first(F.struct(*(name for name in rows.columns if name != "attributes"))).over(same)
    return rows.withColumn("first", first).withColumn("place", F.row_number().over(same)).where("place > 1")
