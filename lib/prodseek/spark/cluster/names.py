"""What curation groups are named after: a look at a few members of each, and their words in the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.cluster.colours import dominant_colour
from prodseek.cluster.groups import GroupKey
from prodseek.cluster.textures import texture_word
from prodseek.cluster.titles import MemberFacts
from prodseek.photos.decode import PIXELS_VERSION
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import CacheFolder
from prodseek.spark.batch_cache import kept
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look, shrunk_box

# How many members a group is named by, the photos of how many are looked at, and at what size.
_NAMED_MEMBERS = 12
_LOOKED_AT_MEMBERS = 6
_LOOK_SIDE_PX = 96
_PHOTOS_PER_PARTITION = 256

# Raise it when a region gets another colour or texture: then what earlier nights kept is looked at anew.
_LOOKS_VERSION = 1
LOOKS_CACHE = CacheFolder("looks", f"version={_LOOKS_VERSION},pixels={PIXELS_VERSION},side_px={_LOOK_SIDE_PX}")
_LOOKS = StructType().add("detection_id", "long").add("rgb", ArrayType(IntegerType())).add("texture", "string")


def member_facts(night: Night, in_groups: DataFrame) -> dict[GroupKey, list[MemberFacts]]:
    """Class, category, title, colour, texture and size of a few members of every group.

    in_groups: as `in_groups_by_level` gives it.
    """
    first = Window.partitionBy("level", "label").orderBy("detection_id")
    members = in_groups.withColumn("place", F.row_number().over(first)).where(F.col("place") <= _NAMED_MEMBERS).cache()
    best = Window.partitionBy("image_id").orderBy(F.desc("score"), "detection_id")
    detected = (
        night.table("detections")
        .where("kind = 'detection'")
        .withColumn("place", F.row_number().over(best))
        .where("place = 1")
        .select("image_id", F.col("class_name").alias("detected"))
    )
    looks = _looks_of(night, members.where(F.col("place") <= _LOOKED_AT_MEMBERS))
    facts: dict[GroupKey, list[MemberFacts]] = defaultdict(list)
    described = members.join(detected, "image_id", "left").select(
        "level",
        "label",
        "detection_id",
        "area_fraction",
        F.coalesce("class_name", "detected").alias("class_name"),
        F.col("attributes")["category"].alias("category"),
        F.col("attributes")["title"].alias("title"),
    )
    for row in described.orderBy("level", "label", "detection_id").collect():
        rgb, texture = looks.get(row["detection_id"], (None, None))
        facts[row["level"], row["label"]].append(
            MemberFacts(row["class_name"], rgb, row["category"], row["title"], texture, row["area_fraction"])
        )
    members.unpersist()
    return facts


def _looks_of(night: Night, members: DataFrame) -> dict[int, tuple[tuple[int, int, int], str]]:
    """detection_id -> its dominant colour and its texture, of those whose photo can still be read."""
    run, photos = night.run, night.photos

    def look_at(todo: DataFrame, n_todo: int) -> DataFrame:
        dealt = deal(todo, "detection_id", n_todo, _PHOTOS_PER_PARTITION)
        return dealt.mapInArrow(partial(_looks, photos=photos), _LOOKS)

    looked_at = members.select("detection_id", "image_id", "uri", *BOX_PX).distinct()
    cache_uri = run.cache_uri(LOOKS_CACHE)
    seen = kept(night.spark, cache_uri, run.run_id, _LOOKS, looked_at, "detection_id", look_at)
    return {row["detection_id"]: (tuple(row["rgb"]), row["texture"]) for row in seen.collect()}


def _looks(batches: Iterator[pa.RecordBatch], photos: PhotoSource) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("detection_id", pa.int64()), ("rgb", pa.list_(pa.int32())), ("texture", pa.string())])
    for batch in batches:
        seen = []
        for row in batch.to_pylist():
            image = look(row["uri"], row["image_id"], photos, _LOOK_SIDE_PX)
            if image is not None:
                x1, y1, x2, y2 = shrunk_box(image, (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"]))
                box = image.pixels[y1:y2, x1:x2]
                rgb = list(dominant_colour(box))
                seen.append({"detection_id": row["detection_id"], "rgb": rgb, "texture": texture_word(box)})
        yield pa.RecordBatch.from_pylist(seen, schema)


def largest_categories(in_groups: DataFrame) -> dict[GroupKey, tuple[str, float]]:
    """The most frequent category of each group that has one, and its share of the members that have one."""
    category = F.col("attributes")["category"].alias("category")
    counts = (
        in_groups.select("level", "label", category)
        .where("category <> ''")
        .groupBy("level", "label", "category")
        .count()
    )
    of_group = Window.partitionBy("level", "label")
    ranked = counts.withColumn("n", F.sum("count").over(of_group)).withColumn(
        "place", F.row_number().over(of_group.orderBy(F.desc("count"), "category"))
    )
    return {
        (row["level"], row["label"]): (row["category"], row["count"] / row["n"])
        for row in ranked.where("place = 1").collect()
    }
