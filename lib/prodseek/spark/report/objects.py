"""Objects of the report: which are shown, their numbers, and the shards of their facts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.galleries import (
    NONE,
    SummaryRow,
    gallery_order,
    largest_first,
    odd_category_of,
    places,
    rows_of_facet,
)
from prodseek.report.records import OBJECTS_PER_SHARD, CataloguePhoto, OtherRegion, ShownObject
from prodseek.runs.class_words import class_words
from prodseek.runs.columns import BOX_PX, GROUP_COLUMNS, LEVELS, ODD_COLUMNS, VISUAL
from prodseek.spark.duplicates.pair_verdicts import SIDES
from prodseek.spark.night import Night
from prodseek.spark.report.copies import ChosenCopies
from prodseek.spark.report.named_photos import title_of
from prodseek.spark.report.shards import Row, ShardKind, write_shards

# The most rows that are listed of bytes that a thousand products share, and the most regions of a photo full of things.
_MAX_PHOTOS, _MAX_OTHERS = 50, 20


@dataclass(frozen=True)
class ShownObjects:
    """What the report shows, numbered from 0.

    rows: as `choose_objects` gives them, with number, and with group and coarse: the places of their visual groups. in_order:
    detection_id, number and what galleries need of them, in the driver.
    """

    rows: DataFrame
    in_order: pa.Table

    @property
    def n(self) -> int:
        """How many objects are shown."""
        return int(self.in_order.num_rows)


def choose_objects(night: Night, copies: ChosenCopies) -> DataFrame:
    """Primary regions that are shown: those with copies and look-alikes first, then exemplars, then any.

    Gives detection_id, image_id, the columns of their visual group, and the place where they lie in `copies`: duplicates, pairs.
    """
    regions = night.table("detections").where("is_primary").select("detection_id", "image_id")
    groups = night.table("curation_groups").where(F.col("facet") == VISUAL).drop("facet")
    in_groups = (
        night.table("duplicate_groups")
        .join(copies.groups.numbers, "group_id")
        .groupBy("image_id")
        .agg(F.min("number").alias("duplicates"))
    )
    in_pairs = reduce(
        DataFrame.unionByName,
        [copies.pairs.rows.select(F.col(f"image_id_{side}").alias("image_id"), "number") for side in SIDES],
    )
    in_pairs = in_pairs.groupBy("image_id").agg(F.sort_array(F.collect_set("number")).alias("pairs"))
    known = (
        regions.join(groups, "detection_id")
        .join(in_groups, "image_id", "left")
        .join(in_pairs, "image_id", "left")
        .fillna(NONE, ["duplicates"])
        .withColumn("pairs", F.coalesce("pairs", F.array().cast("array<long>")))
    )
    in_cards = copies.groups.members.select("image_id").distinct().withColumn("is_in_card", F.lit(True))
    known = known.join(in_cards, "image_id", "left")
    is_first = F.coalesce("is_in_card", F.size("pairs") > 0)
    in_order = known.orderBy(F.desc(is_first), F.desc("is_exemplar"), "detection_id")
    return in_order.limit(night.config.report.max_images).drop("is_in_card")


def number_objects(night: Night, chosen: DataFrame, summary: list[SummaryRow]) -> ShownObjects:
    """Number what `choose_objects` gave, group after group. summary: of the groups that are shown."""
    visual = rows_of_facet(summary, VISUAL)
    table = chosen.select(
        "detection_id", "group_id", "coarse_group_id", "is_exemplar", "membership", "outlier_score", *ODD_COLUMNS
    ).toArrow()
    fine, coarse = (places(table[GROUP_COLUMNS[level]], largest_first(visual, level)) for level in LEVELS)
    order = gallery_order(table, coarse, fine)
    members = table.take(order).append_column("number", pa.array(np.arange(len(order))))
    numbered = pa.table(
        {
            "detection_id": members["detection_id"],
            "number": members["number"],
            "group": fine[order],
            "coarse": coarse[order],
        }
    )
    return ShownObjects(chosen.join(night.spark.createDataFrame(numbered), "detection_id").cache(), members)


def write_objects(night: Night, objects: ShownObjects) -> None:
    """Write the shards of facts."""
    regions = night.table("detections").drop("slice", "image_id")
    images = night.table("images")
    photo = F.struct("product_id", "uri", title_of(night.run).alias("title"))
    photos = images.groupBy("image_id").agg(
        F.first("width_px").alias("width_px"),
        F.first("height_px").alias("height_px"),
        F.slice(F.sort_array(F.collect_list(photo)), 1, _MAX_PHOTOS).alias("photos"),
    )
    others = (
        night.table("detections")
        .where("kind = 'detection' and not is_primary")
        .withColumn("other", F.struct((-F.col("score")).alias("order"), "class_name", "score", *BOX_PX))
        .groupBy("image_id")
        .agg(F.slice(F.sort_array(F.collect_list("other")), 1, _MAX_OTHERS).alias("others"))
    )
    described = objects.rows.join(regions, "detection_id").join(photos, "image_id").join(others, "image_id", "left")
    write_shards(night.run, _OBJECTS, described, objects.n)


def _object_record(row: Row) -> ShownObject:
    return ShownObject(
        detection_id=str(row["detection_id"]),
        image_id=row["image_id"],
        kind=row["kind"],
        class_name=class_words(row["class_name"]),
        width_px=row["width_px"],
        height_px=row["height_px"],
        box_px=_box(row),
        photos=[CataloguePhoto(product_id=p["product_id"], uri=p["uri"], title=p["title"]) for p in row["photos"]],
        others=[
            OtherRegion(class_name=class_words(one["class_name"]), score=round(one["score"], 3), box_px=_box(one))
            for one in row["others"] or []
        ],
        group=row["group"],
        coarse=row["coarse"],
        membership=round(row["membership"], 4),
        outlier_score=round(row["outlier_score"], 4),
        odd_category=odd_category_of(row),
        duplicates=row["duplicates"],
        pairs=list(row["pairs"]),
    )


def _box(row: Row) -> list[float]:
    return [round(row[name], 1) for name in BOX_PX]


_OBJECTS = ShardKind("objects", OBJECTS_PER_SHARD, _object_record)
