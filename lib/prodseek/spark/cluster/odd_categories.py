"""Regions that sit in another category's group: a wrong category, or a photo that shows something else."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.named_columns import NamedColumns
from prodseek.runs.columns import FINE
from prodseek.spark.cluster.names import attribute
from prodseek.spark.cluster.neighbour_votes import is_noise

# All but the last were chosen on groceries, where 2 of 100 categories were made wrong: 86 % of what is named is one of these, and
# 39 % of these are named. On clothing it is 58 % and 12 %.
# A group is one category's if at least so many of its members, and at least this share of those that have a category, have it.
_FEWEST_OF_CATEGORY = 4
_SHARE_OF_CATEGORY = 0.8
# Another category is odd there if one member has it, or at most this share; more of them are a mixed group.
_ODD_SHARE = 0.05
# A region that belongs to its group less firmly is at its border, where another category is no surprise.
_FIRM_MEMBERSHIP = 0.3
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
    )
    is_large = (F.col("n") >= _FEWEST_OF_CATEGORY) & (F.col("n") >= _SHARE_OF_CATEGORY * F.col("n_in_group"))
    homes = counts.where((F.col("place") == 1) & is_large).select(FINE, F.col("category").alias("odd_category"))
    at_home = F.sum(F.when(F.col("place") == 1, F.col("n")).otherwise(0))
    kinds = (
        counts.groupBy("category").agg((at_home / F.sum("n")).alias("at_home")).where(f"at_home >= {_AT_HOME_SHARE}")
    )
    is_odd = (F.col("n") == 1) | (F.col("n") <= _ODD_SHARE * F.col("n_in_group"))
    odd = counts.where((F.col("place") > 1) & is_odd).join(homes, FINE).join(kinds, "category")
    named = F.broadcast(odd.select(FINE, "category", "odd_category"))
    marked = labelled.withColumn("category", category).join(named, [FINE, "category"], "left").drop("category")
    is_firm = F.col("membership") >= _FIRM_MEMBERSHIP
    return marked.withColumn("odd_category", F.when(is_firm, F.col("odd_category")))
