"""Copies and look-alikes for the report: which are shown, in which order, and what was measured between them."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.jobs.duplicates import is_merging
from prodseek.report.evidence import identical_bytes, likeness
from prodseek.report.records import GROUPS_PER_SHARD, Copy, DuplicateGroup, PairApart, ShownPhoto
from prodseek.runs.store import Run
from prodseek.spark.report.shards import write_shards
from prodseek.spark.tables import read_table

# Of a photo that a thousand products share, so many copies are shown.
_MAX_COPIES = 100
_PHOTO = ("object", "image_id", "product_id", "uri", "title", "width_px", "height_px")


class ChosenCopies(NamedTuple):
    """What is shown of copies. n_*: shown, and all.

    groups: number, group_id. members: the rows of `duplicate_groups` shown, with the group's number and their place in it. pairs:
    number and the row of `near_duplicates`.
    """

    groups: DataFrame
    members: DataFrame
    pairs: DataFrame
    n_groups: int
    n_all_groups: int
    n_pairs: int
    n_all_pairs: int


def choose_copies(spark: SparkSession, run: Run, most: int) -> ChosenCopies:
    """The largest groups of copies and the surest pairs that are in no group together, of `most` photos at the most."""
    in_groups = read_table(spark, run, "duplicate_groups")
    standing = in_groups.where("is_representative").select("group_id", "group_size")
    n_shown = F.least("group_size", F.lit(1 + _MAX_COPIES))
    groups = _numbered(standing, most, F.desc("group_size"), F.col("group_id"))
    so_far = F.sum(n_shown).over(Window.orderBy("number"))
    groups = (
        groups.withColumn("n_photos", so_far).where(F.col("n_photos") <= most // 2).select("number", "group_id").cache()
    )
    in_order = Window.partitionBy("group_id").orderBy(
        F.desc("is_representative"), F.desc("similarity_to_representative"), "uri", "product_id"
    )
    members = in_groups.join(groups, "group_id").withColumn("place", F.row_number().over(in_order))
    members = members.where(F.col("place") <= 1 + _MAX_COPIES)
    pairs = read_table(spark, run, "near_duplicates")
    for side in ("a", "b"):
        of_side = in_groups.select(*(F.col(name).alias(f"{name}_{side}") for name in ("product_id", "uri", "group_id")))
        pairs = pairs.join(of_side, [f"product_id_{side}", f"uri_{side}"], "left")
    apart = pairs.where(~is_merging("verdict") | ~F.coalesce(F.col("group_id_a") == F.col("group_id_b"), F.lit(False)))
    apart = apart.drop("group_id_a", "group_id_b").cache()
    order = [F.desc("confidence"), *(F.col(name) for name in ("uri_a", "uri_b", "product_id_a", "product_id_b"))]
    shown = _numbered(apart, most // 4, *order).cache()
    return ChosenCopies(groups, members, shown, groups.count(), standing.count(), shown.count(), apart.count())


def write_copies(spark: SparkSession, run: Run, chosen: ChosenCopies, numbers: DataFrame) -> None:
    """Write the shards of duplicate groups and of pairs kept apart. numbers: image_id, object."""
    images = read_table(spark, run, "images").withColumn("title", F.coalesce(F.col("attributes")["title"], F.lit("")))
    photos = images.join(numbers, "image_id").select(*_PHOTO)
    write_shards(
        _groups(spark, run, chosen.members, photos),
        run,
        "data",
        "duplicates",
        GROUPS_PER_SHARD,
        chosen.n_groups,
        _group_record,
    )
    pairs = chosen.pairs
    for side in ("a", "b"):
        photo = photos.select(
            F.col("product_id").alias(f"product_id_{side}"),
            F.col("uri").alias(f"uri_{side}"),
            F.struct(*_PHOTO).alias(f"photo_{side}"),
        )
        pairs = pairs.join(photo, [f"product_id_{side}", f"uri_{side}"])
    write_shards(pairs, run, "data", "pairs", GROUPS_PER_SHARD, chosen.n_pairs, _pair_record)


def _groups(spark: SparkSession, run: Run, members: DataFrame, photos: DataFrame) -> DataFrame:
    """Each group with its photos, the representative first, and what was measured between that and each other one."""
    shown = members.drop("image_id").join(photos, ["product_id", "uri"])
    original = members.where("is_representative").select("group_id", F.col("image_id").alias("original_id"))
    shown = shown.join(original, "group_id").join(
        _both_ways(read_table(spark, run, "near_duplicates")), ["original_id", "image_id"], "left"
    )
    member = F.struct("place", F.struct(*_PHOTO).alias("photo"), "pair", "is_swapped")
    return shown.groupBy("number", "group_id", "group_size").agg(F.sort_array(F.collect_list(member)).alias("members"))


def _both_ways(pairs: DataFrame) -> DataFrame:
    """Every pair of images from either side: original_id, image_id, is_swapped, pair."""
    first = Window.partitionBy("image_id_a", "image_id_b").orderBy("product_id_a", "uri_a", "product_id_b", "uri_b")
    once = pairs.withColumn("place", F.row_number().over(first)).where("place = 1 and image_id_a <> image_id_b")
    boxes = [f"{name}_{side}_px" for side in ("a", "b") for name in ("x1", "y1", "x2", "y2")]
    pair = F.struct("verdict", "confidence", "evidence", *boxes).alias("pair")

    def seen_from(original: str, other: str) -> DataFrame:
        return once.select(
            F.col(original).alias("original_id"),
            F.col(other).alias("image_id"),
            F.lit(original == "image_id_b").alias("is_swapped"),
            pair,
        )

    return seen_from("image_id_a", "image_id_b").unionByName(seen_from("image_id_b", "image_id_a"))


def _group_record(row: dict[str, Any]) -> DuplicateGroup:
    head, *others = row["members"]
    return DuplicateGroup(
        group_id=row["group_id"],
        n_photos=row["group_size"],
        representative=_shown_photo(head["photo"]),
        copies=[
            Copy(
                photo=_shown_photo(one["photo"]),
                likeness=identical_bytes() if one["pair"] is None else likeness(one["pair"], one["is_swapped"]),
            )
            for one in others
        ],
    )


def _pair_record(row: dict[str, Any]) -> PairApart:
    return PairApart(a=_shown_photo(row["photo_a"]), b=_shown_photo(row["photo_b"]), likeness=likeness(row))


def _shown_photo(photo: dict[str, Any]) -> ShownPhoto:
    return ShownPhoto(**{name: photo[name] for name in _PHOTO if name != "image_id"})


def _numbered(rows: DataFrame, most: int, *order: Column) -> DataFrame:
    """The first rows in an order, with their places from 0. There are few enough of them for one partition."""
    place = F.row_number().over(Window.orderBy(*order)) - 1
    return rows.orderBy(*order).limit(most).withColumn("number", place.cast("long"))
