"""Regions whose category none of their likes has: a wrong category, or a photo that shows something else."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.named_columns import NamedColumns
from prodseek.runs.columns import FINE, ODD_COLUMNS
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.cluster.fit import Fit
from prodseek.spark.cluster.labelled_regions import voting_edges
from prodseek.spark.cluster.names import attribute
from prodseek.spark.cluster.neighbour_votes import COSINE_UNITS, is_noise
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night

# With 2 of 100 products in a wrong category: shares from .6 to .8 were tried on groceries, clothing, magento and the sample, and
# .7 is what finds most at a precision of .6 on all but the one left out, whichever that is.
_AGREEING_SHARE = 0.7
# Fewer neighbours of other products that have a category are no vote.
_FEWEST_VOTERS = 5
# A category whose members mostly have no neighbour of it is no kind of thing, such as `sale`: then they are not odd.
_AT_HOME_SHARE = 0.5

_TYPES = ("string", "string", "int", "int")  # of ODD_COLUMNS


def with_odd_category(night: Night, labelled: DataFrame, fit: Fit, columns: NamedColumns) -> DataFrame:
    """ODD_COLUMNS: the category of nearly all neighbours of a region where none of them has its own, and how many; else null.

    asked_neighbours: wherever enough of them could be asked, so that none odd is not taken for none wrong.
    Neighbours of the same product do not vote, because they share a wrong category. A copy is asked as its original. labelled: as
    `label_regions` gives it. Source of the idea: Northcutt, Jiang and Chuang, "Confident Learning", 2021; a threshold for each
    category, as there, found less.
    """
    if columns.category is None:
        return labelled.withColumns(
            {name: F.lit(None).cast(of_type) for name, of_type in zip(ODD_COLUMNS, _TYPES, strict=True)}
        )
    category = attribute(columns.category)
    # It is read four times.
    labelled = checkpointed(labelled)
    edges = voting_edges(night, labelled, fit)
    said = labelled.withColumn("category", category).where("category != ''")
    asked = said.where(~is_noise(FINE)).select("detection_id", "standing_image_id", "product_id", "category")
    voters = standing_regions(said).select(
        F.col("detection_id").alias("neighbour_id"),
        F.col("product_id").alias("voter_product"),
        F.col("category").alias("voted"),
    )
    weight = F.round(F.greatest("cosine_similarity", F.lit(0.0)) * COSINE_UNITS).cast("long")
    of_image = edges.join(labelled.select("detection_id", "standing_image_id"), "detection_id").drop("detection_id")
    cast = (
        asked.join(of_image, "standing_image_id")
        .join(voters, "neighbour_id")
        .where("voter_product != product_id")
        .groupBy("detection_id", "category", "voted")
        .agg(F.sum(weight).alias("votes"), F.count("*").alias("voters"))
    )
    of_region = Window.partitionBy("detection_id")
    counted = cast.withColumns(
        {
            "all_votes": F.sum("votes").over(of_region),
            "all_voters": F.sum("voters").over(of_region),
            "own": F.max(F.col("voted") == F.col("category")).over(of_region),
        }
    )
    at_home = counted.groupBy("category").agg(F.avg(F.col("own").cast("int")).alias("share"))
    kinds = at_home.where(F.col("share") >= _AT_HOME_SHARE).select("category")
    agree = (F.col("votes") > 0) & (F.col("votes") >= _AGREEING_SHARE * F.col("all_votes"))
    could_be_asked = counted.where(F.col("all_voters") >= _FEWEST_VOTERS).join(kinds, "category")
    is_odd = ~F.col("own") & agree
    values = (*(F.when(is_odd, F.col(name)) for name in ("voted", "category", "voters")), F.col("all_voters"))
    named = [
        F.max(value).cast(of_type).alias(name) for value, of_type, name in zip(values, _TYPES, ODD_COLUMNS, strict=True)
    ]
    return labelled.join(could_be_asked.groupBy("detection_id").agg(*named), "detection_id", "left")
