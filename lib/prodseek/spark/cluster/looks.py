"""A look at a few members of each curation group: colour and texture, kept from night to night."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, IntegerType, StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.cluster.group_facts import Look
from prodseek.cluster.groups import GroupKey
from prodseek.cluster.textures import texture_word
from prodseek.photos.decode import PIXELS_VERSION, DecodedImage
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import CacheFolder
from prodseek.spark.batch_cache import kept
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import Box, look, shrunk_box
from prodseek.spark.region_colour import COLOUR_SIDE_PX, COLOUR_VERSION, region_colour

# The photos of how many members of a group are looked at, and the size at which textures are told.
_LOOKED_AT_MEMBERS = 6
_TEXTURE_SIDE_PX = 96
_PHOTOS_PER_PARTITION = 256

# Raise it when a region gets another texture: then what earlier nights kept is looked at anew.
_TEXTURE_VERSION = 1
LOOKS_CACHE = CacheFolder("looks", f"texture={_TEXTURE_VERSION},colour={COLOUR_VERSION},pixels={PIXELS_VERSION}")
_LOOKS = StructType().add("detection_id", "long").add("rgb", ArrayType(IntegerType())).add("texture", "string")


def looks_by_group(night: Night, in_groups: DataFrame) -> dict[GroupKey, list[Look]]:
    """What a few members of each group look like, of those whose photo can still be read."""
    first = Window.partitionBy("level", "label").orderBy("detection_id")
    looked_at = in_groups.withColumn("place", F.row_number().over(first)).where(F.col("place") <= _LOOKED_AT_MEMBERS)
    seen = _looks_of(night, looked_at)
    found: dict[GroupKey, list[Look]] = defaultdict(list)
    for row in looked_at.select("level", "label", "detection_id").orderBy("level", "label", "detection_id").collect():
        if row["detection_id"] in seen:
            found[row["level"], row["label"]].append(seen[row["detection_id"]])
    return found


def _looks_of(night: Night, members: DataFrame) -> dict[int, Look]:
    """detection_id -> what it looks like, of those whose photo can still be read."""
    run, photos = night.run, night.photos

    def look_at(todo: DataFrame, n_todo: int) -> DataFrame:
        dealt = deal(todo, "detection_id", n_todo, _PHOTOS_PER_PARTITION)
        return dealt.mapInArrow(partial(_looks, photos=photos), _LOOKS)

    looked_at = members.select("detection_id", "image_id", "uri", *BOX_PX).distinct()
    cache_uri = run.cache_uri(LOOKS_CACHE)
    seen = kept(night.spark, cache_uri, run.run_id, _LOOKS, looked_at, "detection_id", look_at)
    return {row["detection_id"]: Look(row["rgb"] and tuple(row["rgb"]), row["texture"]) for row in seen.collect()}


def _looks(batches: Iterator[pa.RecordBatch], photos: PhotoSource) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("detection_id", pa.int64()), ("rgb", pa.list_(pa.int32())), ("texture", pa.string())])
    for batch in batches:
        seen = []
        for row in batch.to_pylist():
            image = look(row["uri"], row["image_id"], photos, COLOUR_SIDE_PX)
            if image is not None:
                box_px = row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"]
                seen.append(
                    {
                        "detection_id": row["detection_id"],
                        "rgb": region_colour(image, box_px),
                        "texture": texture_word(_for_texture(image, box_px)),
                    }
                )
        yield pa.RecordBatch.from_pylist(seen, schema)


def _for_texture(image: DecodedImage, box_px: Box) -> NDArray[np.uint8]:
    """A box at the size that textures are told at, (H, W, 3) uint8 RGB."""
    x1, y1, x2, y2 = shrunk_box(image, box_px)
    shrink = min(1.0, _TEXTURE_SIDE_PX / max(image.pixels.shape[:2]))
    size = max(1, round(shrink * (x2 - x1))), max(1, round(shrink * (y2 - y1)))
    return np.asarray(Image.fromarray(image.pixels[y1:y2, x1:x2]).resize(size, Image.Resampling.BOX))
