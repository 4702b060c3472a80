"""Small pictures of primary regions and of their photos: each made once, whichever night, and kept in a cache."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.cluster.colours import colour_name
from prodseek.photos.decode import PIXELS_VERSION
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import CacheFolder, thumbnails_cache
from prodseek.spark.batch_cache import kept
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look
from prodseek.spark.region_colour import COLOUR_VERSION, region_colour

_PHOTOS_PER_PARTITION = 128
# Enough for a sharp crop of a region that fills a fifth of its photo's side.
_DECODE_FACTOR = 4
_SCHEMA = (
    StructType().add("detection_id", "long").add("region", "binary").add("photo", "binary").add("colour", "string")
)
_ARROW = to_arrow_schema(_SCHEMA)


def pictures_cache(night: Night) -> CacheFolder:
    """Where pictures of the sizes that are set are kept."""
    return thumbnails_cache(night.config.report.region_px, night.config.report.photo_px, PIXELS_VERSION, COLOUR_VERSION)


def thumbnails(night: Night, regions: DataFrame) -> DataFrame:
    """Pictures of regions, those that no earlier night has made added to the cache: detection_id, region, photo, colour.

    regions: detection_id, image_id, uri and box. region, photo: WebP. colour: its name; null where the object has none. A photo
    that can no longer be read has no row.
    """
    sizes_px = night.config.report.region_px, night.config.report.photo_px
    pictures = partial(_pictures, photos=night.photos, sizes_px=sizes_px)

    def make(todo: DataFrame, n_todo: int) -> DataFrame:
        return deal(todo, "detection_id", n_todo, _PHOTOS_PER_PARTITION).mapInArrow(pictures, _SCHEMA)

    cache_uri = night.run.cache_uri(pictures_cache(night))
    made = kept(night.spark, cache_uri, night.run.run_id, _SCHEMA, regions, "detection_id", make)
    return made.select(*_SCHEMA.names)


def _pictures(
    batches: Iterator[pa.RecordBatch], photos: PhotoSource, sizes_px: tuple[int, int]
) -> Iterator[pa.RecordBatch]:
    region_px, photo_px = sizes_px
    for batch in batches:
        made = []
        for row in batch.to_pylist():
            image = look(row["uri"], row["image_id"], photos, _DECODE_FACTOR * region_px)
            if image is None:
                continue
            left, top, right, bottom = (row[name] for name in BOX_PX)
            box_px = (left, top, right, bottom)
            rgb = region_colour(image, box_px)
            size_px = (image.width_px, image.height_px)
            made.append(
                {
                    "detection_id": row["detection_id"],
                    "region": thumbnail(image.pixels, region_px, box_px, "crop", photo_size_px=size_px),
                    "photo": thumbnail(image.pixels, photo_px),
                    "colour": None if rgb is None else colour_name(rgb),
                }
            )
        yield pa.RecordBatch.from_pylist(made, _ARROW)
