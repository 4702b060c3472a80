"""Copies and look-alikes for the report: which are shown, in which order, and what was measured between them."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from prodseek.duplicates.verdicts import Decision
from prodseek.report.evidence import identical_bytes, likeness
from prodseek.report.records import GROUPS_PER_SHARD, Copy, DuplicateGroup, PairApart, ShownPhoto
from prodseek.runs.columns import BOX_EDGES
from prodseek.spark.duplicates.pair_verdicts import SIDES
from prodseek.spark.night import Night
from prodseek.spark.report.named_photos import title_of
from prodseek.spark.report.shards import Row, ShardKind, write_shards

# The most copies that are shown of a photo that a thousand products share.
_MAX_COPIES = 100
TABS = ("copies", "look", "apart")
_PHOTO = ("object", "image_id", "product_id", "uri", "title", "width_px", "height_px")


@dataclass(frozen=True)
class ChosenGroups:
    """Groups of copies.

    numbers: number, group_id of those shown. members: the rows of `duplicate_groups` that are shown of them, with the group's
    number and the photo's place in it. n_shown, n_all: groups.
    """

    numbers: DataFrame
    members: DataFrame
    n_shown: int
    n_all: int


@dataclass(frozen=True)
class ChosenPairs:
    """Pairs that are in no group together, and variants. rows: number and the row of `near_duplicates` of those shown.

    n_to_look_at, n_all_to_look_at: those that a person is to look at, which come first.
    """

    rows: DataFrame
    n_shown: int
    n_all: int
    n_to_look_at: int
    n_all_to_look_at: int


@dataclass(frozen=True)
class ChosenCopies:
    """What is shown of copies and look-alikes."""

    groups: ChosenGroups
    pairs: ChosenPairs


def choose_copies(night: Night) -> ChosenCopies:
    """The largest groups of copies, the pairs to look at and the surest variants, of as many photos as the report shows."""
    most = night.config.report.max_images
    in_groups = night.table("duplicate_groups")
    return ChosenCopies(_choose_groups(in_groups, most // 2), _choose_pairs(night, in_groups, most // 4))


def verdicts_by_tab(chosen: ChosenCopies) -> dict[str, list[str]]:
    """verdict -> the tabs of the duplicates page that show it: copies, look, apart."""
    tab = F.when(F.col("decision") == Decision.VARIANT.value, "apart").otherwise("look").alias("tab")
    in_groups = chosen.groups.members.where("verdict is not null").select(F.lit("copies").alias("tab"), "verdict")
    found = in_groups.union(chosen.pairs.rows.select(tab, "verdict")).distinct().collect()
    tabs: dict[str, list[str]] = {}
    for row in sorted(found, key=lambda row: TABS.index(row["tab"])):
        tabs.setdefault(row["verdict"], []).append(row["tab"])
    return tabs


def write_copies(night: Night, chosen: ChosenCopies, objects: DataFrame) -> None:
    """Write the shards of duplicate groups and of pairs kept apart. objects: image_id, number."""
    images = night.table("images").withColumn("title", title_of(night.run))
    numbers = objects.select(F.col("number").alias("object"), "image_id")
    photos = images.join(numbers, "image_id").select(*_PHOTO)
    write_shards(night.run, _GROUPS, _with_photos(night, chosen.groups.members, photos), chosen.groups.n_shown)
    pairs = chosen.pairs.rows
    for side in SIDES:
        photo = photos.select(
            F.col("product_id").alias(f"product_id_{side}"),
            F.col("uri").alias(f"uri_{side}"),
            F.struct(*_PHOTO).alias(f"photo_{side}"),
        )
        pairs = pairs.join(photo, [f"product_id_{side}", f"uri_{side}"])
    write_shards(night.run, _PAIRS, pairs, chosen.pairs.n_shown)


def _choose_groups(in_groups: DataFrame, max_photos: int) -> ChosenGroups:
    standing = in_groups.where("is_representative").select("group_id", "group_size")
    n_shown = F.least("group_size", F.lit(1 + _MAX_COPIES))
    groups = _numbered(standing, max_photos, F.desc("group_size"), F.col("group_id"))
    so_far = F.sum(n_shown).over(Window.orderBy("number"))
    groups = (
        groups.withColumn("n_photos", so_far)
        .where(F.col("n_photos") <= max_photos)
        .select("number", "group_id")
        .cache()
    )
    in_order = Window.partitionBy("group_id").orderBy(
        F.desc("is_representative"), F.desc("confidence"), "uri", "product_id"
    )
    members = in_groups.join(groups, "group_id").withColumn("place", F.row_number().over(in_order))
    members = members.where(F.col("place") <= 1 + _MAX_COPIES)
    return ChosenGroups(groups, members, groups.count(), standing.count())


def _choose_pairs(night: Night, in_groups: DataFrame, max_pairs: int) -> ChosenPairs:
    pairs = night.table("near_duplicates")
    for side in SIDES:
        of_side = in_groups.select(*(F.col(name).alias(f"{name}_{side}") for name in ("product_id", "uri", "group_id")))
        pairs = pairs.join(of_side, [f"product_id_{side}", f"uri_{side}"], "left")
    is_variant = F.col("decision") == Decision.VARIANT.value
    is_together = F.coalesce(F.col("group_id_a") == F.col("group_id_b"), F.lit(False))
    apart = pairs.where(is_variant | ~is_together).drop("group_id_a", "group_id_b").cache()
    names = ("uri_a", "uri_b", "product_id_a", "product_id_b")
    shown = _numbered(apart, max_pairs, is_variant, F.desc("confidence"), *(F.col(name) for name in names)).cache()
    to_look_at = (shown.where(~is_variant).count(), apart.where(~is_variant).count())
    return ChosenPairs(shown, shown.count(), apart.count(), *to_look_at)


def _numbered(rows: DataFrame, most: int, *order: Column) -> DataFrame:
    """The first rows in an order, with their places from 0. There are few enough of them for one partition."""
    place = F.row_number().over(Window.orderBy(*order)) - 1
    return rows.orderBy(*order).limit(most).withColumn("number", place.cast("long"))


def _with_photos(night: Night, members: DataFrame, photos: DataFrame) -> DataFrame:
    """Each group with its photos, the representative first, and what was measured between that and each other one."""
    shown = members.drop("image_id").join(photos, ["product_id", "uri"])
    original = members.where("is_representative").select("group_id", F.col("image_id").alias("original_id"))
    pairs = _from_either_side(night.table("near_duplicates"))
    shown = shown.join(original, "group_id").join(pairs, ["original_id", "image_id"], "left")
    member = F.struct("place", F.struct(*_PHOTO).alias("photo"), "pair", "is_swapped", "kept_because")
    return shown.groupBy("number", "group_id", "group_size", "n_products", "conflicts").agg(
        F.sort_array(F.collect_list(member)).alias("members")
    )


def _from_either_side(pairs: DataFrame) -> DataFrame:
    """Every pair of images from either side: original_id, image_id, is_swapped, pair."""
    first = Window.partitionBy("image_id_a", "image_id_b").orderBy("product_id_a", "uri_a", "product_id_b", "uri_b")
    once = pairs.withColumn("place", F.row_number().over(first)).where("place = 1 and image_id_a <> image_id_b")
    boxes = [f"{name}_{side}_px" for side in SIDES for name in BOX_EDGES]
    pair = F.struct("verdict", "decision", "confidence", "evidence", *boxes).alias("pair")

    def seen_from(original: str, other: str) -> DataFrame:
        return once.select(
            F.col(original).alias("original_id"),
            F.col(other).alias("image_id"),
            F.lit(original == "image_id_b").alias("is_swapped"),
            pair,
        )

    return seen_from("image_id_a", "image_id_b").unionByName(seen_from("image_id_b", "image_id_a"))


def _group_record(row: Row) -> DuplicateGroup:
    head, *others = row["members"]
    return DuplicateGroup(
        group_id=row["group_id"],
        n_photos=row["group_size"],
        n_products=row["n_products"],
        conflicts=row["conflicts"] or "",
        kept_because=head["kept_because"],
        representative=_shown_photo(head["photo"]),
        copies=[
            Copy(
                photo=_shown_photo(one["photo"]),
                likeness=identical_bytes() if one["pair"] is None else likeness(one["pair"], one["is_swapped"]),
                kept_because=one["kept_because"],
            )
            for one in others
        ],
    )


def _pair_record(row: Row) -> PairApart:
    return PairApart(a=_shown_photo(row["photo_a"]), b=_shown_photo(row["photo_b"]), likeness=likeness(row))


def _shown_photo(photo: Row) -> ShownPhoto:
    return ShownPhoto(
        object=photo["object"],
        product_id=photo["product_id"],
        uri=photo["uri"],
        title=photo["title"],
        width_px=photo["width_px"],
        height_px=photo["height_px"],
    )


_GROUPS = ShardKind("duplicates", GROUPS_PER_SHARD, _group_record)
_PAIRS = ShardKind("pairs", GROUPS_PER_SHARD, _pair_record)
