"""Regions whose category none of their likes has: a wrong category, or a photo that shows something else."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.category_paths import CategoryPaths, category_paths
from prodseek.cluster.named_columns import NamedColumns
from prodseek.runs.columns import ODD_COLUMNS
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.cluster.fit import Fit
from prodseek.spark.cluster.labelled_regions import voting_edges
from prodseek.spark.cluster.names import attribute
from prodseek.spark.cluster.neighbour_votes import COSINE_UNITS
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame

# With 2 of 100 products in a wrong category: shares from .6 to .8 were tried on groceries, clothing, magento and the sample, and
# .7 is what finds most at a precision of .6 on all but the one left out, whichever that is.
_AGREEING_SHARE = 0.7
# Fewer neighbours of other products that have a category are no vote.
_FEWEST_VOTERS = 5
# A category whose products mostly have no neighbour of it is no kind of thing, such as `sale`: then they are not odd.
_AT_HOME_SHARE = 0.5
# Neighbours need not agree where a category has this share of its products' neighbours, and not even this part of that among
# the neighbours of a region's neighbours. From .1 to .4, and .005 to .05, were tried on the same sets.
_OWN_SHARE, _ABSENT = 0.3, 0.02

_TYPES = ("string", "string", "int", "int")  # of ODD_COLUMNS


def with_odd_category(night: Night, labelled: DataFrame, fit: Fit, columns: NamedColumns) -> DataFrame:
    """ODD_COLUMNS: what most neighbours of a region are where none of them has its category, and how many; else null.

    And asked_narrowly: whether it could be asked at the narrowest level of its category, not at a wider one alone.

    At any level of the categories nearly all neighbours agree on another; or, because kinds may be split over many categories,
    the neighbours' neighbours do not have its own either. asked_neighbours: wherever enough of them could be asked, so that
    none odd is not taken for none wrong. Neighbours of the same product do not vote, because they share a wrong category. A
    copy is asked as its original. labelled: as `label_regions` gives it. Source of the idea: Northcutt, Jiang and Chuang,
    "Confident Learning", 2021; a threshold for each category, as there, found less.
    """
    if columns.category is None:
        return labelled.withColumns(
            {name: F.lit(None).cast(of_type) for name, of_type in zip(ODD_COLUMNS, _TYPES, strict=True)}
        ).withColumn("asked_narrowly", F.lit(None).cast("boolean"))
    labelled = checkpointed(labelled.withColumn("filed", attribute(columns.category)))
    counts = labelled.where("filed is not null").groupBy("filed").count().collect()
    known = category_paths({row["filed"]: row["count"] for row in counts})
    ballots = checkpointed(_ballots(night, labelled, fit, known))
    agreed, absent = _agreed(ballots), _absent(ballots)
    names = local_frame(night.spark, known.names.items(), "key string, name string")
    # What they agree on says more than what most of those say who do not agree.
    odd = F.coalesce("agreed", "most")
    found = (
        agreed.join(absent, "detection_id", "left")
        .withColumns({"key": odd["key"], "odd_neighbours": odd["voters"].cast("int")})
        .join(names, "key", "left")
        .select(
            "detection_id", F.col("name").alias("odd_category"), "odd_neighbours", "asked_neighbours", "asked_narrowly"
        )
    )
    filed = F.when(F.col("odd_category").isNotNull(), F.col("filed"))
    return (
        labelled.join(found, "detection_id", "left")
        .withColumn("filed_category", filed)
        .select(*(name for name in labelled.columns if name != "filed"), *ODD_COLUMNS, "asked_narrowly")
    )


def _ballots(night: Night, labelled: DataFrame, fit: Fit, known: CategoryPaths) -> DataFrame:
    """Who votes for whom: detection_id, product_id, path, neighbour_id, voter_product, voted (a path), votes, is_own.

    A category that is the beginning of another says less, and nothing against it.
    """
    paths = local_frame(
        night.spark, [(of, list(path)) for of, path in known.paths.items()], "filed string, path array<string>"
    )
    said = labelled.join(F.broadcast(paths), "filed")
    asked = said.select("detection_id", "standing_image_id", "product_id", "path")
    voters = standing_regions(said).select(
        F.col("detection_id").alias("neighbour_id"),
        F.col("product_id").alias("voter_product"),
        F.col("path").alias("voted"),
    )
    edges = voting_edges(night, labelled, fit)
    of_image = edges.join(labelled.select("detection_id", "standing_image_id"), "detection_id").drop("detection_id")
    votes = F.round(F.greatest("cosine_similarity", F.lit(0.0)) * COSINE_UNITS).cast("long")
    return (
        asked.join(of_image, "standing_image_id")
        .join(voters, "neighbour_id")
        .where("voter_product != product_id")
        .withColumns({"votes": votes, "is_own": _is_same("path", "voted")})
        .drop("standing_image_id", "cosine_similarity")
    )


def _is_same(path: str, other: str) -> Column:
    """Whether two paths are equal as far as both go."""
    return F.array_contains(path, F.element_at(other, -1)) | F.array_contains(other, F.element_at(path, -1))


def _agreed(ballots: DataFrame) -> DataFrame:
    """Every region that could be asked: detection_id, asked_neighbours, asked_narrowly, agreed: key and voters, or null.

    agreed: of the narrowest level at which it is odd.
    """
    of_level = Window.partitionBy("detection_id", "level")
    cast = (
        ballots.select("detection_id", "product_id", "path", "votes", F.posexplode("voted").alias("level", "key"))
        .withColumn("own_key", F.get("path", "level"))
        .withColumn("is_narrowest", F.col("own_key") == F.element_at("path", -1))
        .where("own_key is not null")
        .groupBy("detection_id", "product_id", "level", "own_key", "is_narrowest", "key")
        .agg(F.sum("votes").alias("votes"), F.count("*").alias("voters"))
        .withColumns(
            {
                "all_votes": F.sum("votes").over(of_level),
                "all_voters": F.sum("voters").over(of_level),
                "has_own": F.max(F.col("key") == F.col("own_key")).over(of_level),
            }
        )
    )
    kinds = _by_product(cast, "own_key", F.col("has_own").cast("int")).where(F.col("share") >= _AT_HOME_SHARE)
    could_be_asked = cast.where(F.col("all_voters") >= _FEWEST_VOTERS).join(kinds, "own_key")
    agree = (F.col("votes") > 0) & (F.col("votes") >= _AGREEING_SHARE * F.col("all_votes"))
    is_odd = ~F.col("has_own") & agree
    n_voters = ballots.groupBy("detection_id").agg(F.count("*").cast("int").alias("asked_neighbours"))
    return (
        could_be_asked.groupBy("detection_id")
        .agg(
            F.max(F.when(is_odd, F.struct("level", "key", "voters"))).alias("agreed"),
            F.max("is_narrowest").alias("asked_narrowly"),
        )
        .withColumn("agreed", F.when(F.col("agreed").isNotNull(), F.struct("agreed.key", "agreed.voters")))
        .join(n_voters, "detection_id")
    )


def _absent(ballots: DataFrame) -> DataFrame:
    """Regions whose category neither their neighbours have nor the neighbours of these: detection_id, most: key and voters.

    most: the category of most of their neighbours.
    """
    own_votes = F.when(F.col("is_own"), F.col("votes")).otherwise(0)
    category = F.element_at("path", -1).alias("own_key")
    of_region = ballots.groupBy("detection_id", "product_id", category).agg(
        F.sum(own_votes).alias("own_votes"), F.sum("votes").alias("all_votes"), F.count("*").alias("all_voters")
    )
    kinds = _by_product(of_region, "own_key", F.col("own_votes") / F.greatest("all_votes", F.lit(1)))
    suspects = (
        of_region.join(kinds.where(F.col("share") >= _OWN_SHARE), "own_key")
        .where((F.col("own_votes") == 0) & (F.col("all_voters") >= _FEWEST_VOTERS) & (F.col("all_votes") > 0))
        .select("detection_id", "share")
    )
    first = ballots.join(suspects, "detection_id")
    second = ballots.select(
        F.col("detection_id").alias("neighbour_id"),
        F.col("voter_product").alias("second_product"),
        F.col("voted").alias("second_voted"),
        F.col("votes").alias("second_votes"),
    )
    second_own = F.when(_is_same("path", "second_voted"), F.col("second_votes")).otherwise(0)
    share = F.sum(F.col("votes") * F.col("own_share")) / F.sum("votes")
    absent = (
        first.join(second, "neighbour_id")
        .where("second_product != product_id")
        .groupBy("detection_id", "neighbour_id", "votes", "share")
        .agg((F.sum(second_own) / F.greatest(F.sum("second_votes"), F.lit(1))).alias("own_share"))
        .groupBy("detection_id", "share")
        # Rounded, because the order in which a sum is made shows in its last digit.
        .agg(F.round(share, 6).alias("own_share"))
        .where(F.col("own_share") <= _ABSENT * F.col("share"))
    )
    of_key = ballots.join(absent, "detection_id", "left_semi").groupBy(
        "detection_id", F.element_at("voted", -1).alias("key")
    )
    counted = of_key.agg(F.sum("votes").alias("votes"), F.count("*").alias("voters"))
    return counted.groupBy("detection_id").agg(
        F.max_by(F.struct("key", "voters"), F.struct("votes", "key")).alias("most")
    )


def _by_product(asked: DataFrame, category: str, value: Column) -> DataFrame:
    """The mean of a value over the products of each category, because one product may have most of its photos: with `share`."""
    of_product = asked.groupBy(category, "product_id").agg(F.avg(value).alias("value"))
    return of_product.groupBy(category).agg(F.round(F.avg("value"), 6).alias("share"))
