"""Regions that sit in another category's group: their category is likely wrong."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.named_columns import NamedColumns
from prodseek.runs.columns import FINE
from prodseek.spark.cluster.names import attribute
from prodseek.spark.cluster.neighbour_votes import is_noise

# A group is one category's if at least so many of its members, and at least this share of those that have a category, have it.
_FEWEST_OF_CATEGORY = 4
_SHARE_OF_CATEGORY = 0.8
# A category whose members mostly sit in groups of others is no kind of thing, such as `sale`: then they are not odd.
_AT_HOME_SHARE = 0.5


def with_odd_category(labelled: DataFrame, columns: NamedColumns) -> DataFrame:
    """`odd_category`: the category of a region's fine group where the region has another one; null elsewhere.

    labelled: as `label_regions` gives it.
    """
    category = attribute(columns.category)
    if columns.category is None:
        return labelled.withColumn("odd_category", category)
    of_group = Window.partitionBy(FINE)
    grouped = labelled.where(~is_noise(FINE)).where(category != "")
    counts = (
        grouped.groupBy(FINE, category.alias("category"))
        .agg(F.count("*").alias("n"))
        .withColumn("n_in_group", F.sum("n").over(of_group))
        .withColumn("place", F.row_number().over(of_group.orderBy(F.desc("n"), "category")))
        .withColumn(
            "is_home",
            (F.col("place") == 1)
            & (F.col("n") >= _FEWEST_OF_CATEGORY)
            & (F.col("n") >= _SHARE_OF_CATEGORY * F.col("n_in_group")),
        )
    )
    homes = counts.where("is_home").select(FINE, F.col("category").alias("odd_category"))
    kinds = (
        counts.groupBy("category")
        .agg(F.sum(F.when(F.col("place") == 1, F.col("n")).otherwise(0)).alias("at_home"), F.sum("n").alias("n"))
        .where(F.col("at_home") >= _AT_HOME_SHARE * F.col("n"))
        .select("category", F.lit(True).alias("is_kind"))
    )
    marked = labelled.withColumn("category", category).join(F.broadcast(homes), FINE, "left")
    marked = marked.join(F.broadcast(kinds), "category", "left")
    is_odd = F.col("is_kind") & (F.col("category") != F.col("odd_category"))
    return marked.withColumn("odd_category", F.when(is_odd, F.col("odd_category"))).drop("category", "is_kind")
