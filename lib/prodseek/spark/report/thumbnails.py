"""Small pictures of primary regions and of their photos: each made once, whichever night, and kept in a cache."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.cluster.colours import colour_name, dominant_colour
from prodseek.config import Config
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.store import Run
from prodseek.spark.batch_cache import kept
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look, photos_of, shrunk_box

_PHOTOS_PER_PARTITION = 128
# Enough for a sharp crop of a region that fills a fifth of its photo's side.
_DECODE_FACTOR = 4
_COLUMNS = ("detection_id", "region", "photo", "colour")
_SCHEMA = (
    StructType().add("detection_id", "long").add("region", "binary").add("photo", "binary").add("colour", "string")
)
_ARROW = pa.schema(
    [
        ("detection_id", pa.int64()),
        ("region", pa.binary()),
        ("photo", pa.binary()),
        ("colour", pa.string()),
    ]
)


def thumbnails(spark: SparkSession, config: Config, run: Run, regions: DataFrame) -> DataFrame:
    """Pictures of regions, those that no earlier night has made added to the cache: detection_id, region, photo, colour.

    regions: detection_id, uri and box. region, photo: WebP. colour: name of the dominant colour. A photo that can no longer be
    read has no row.
    """
    sizes = config.report.region_px, config.report.photo_px
    pictures = partial(_pictures, photos=photos_of(config, run), sizes_px=sizes)

    def make(todo: DataFrame, n_todo: int) -> DataFrame:
        return deal(todo, "detection_id", n_todo, _PHOTOS_PER_PARTITION).mapInArrow(pictures, _SCHEMA)

    made = kept(spark, run.thumbnails_uri(*sizes), run.run_id, _SCHEMA, regions, "detection_id", make)
    return made.select(*_COLUMNS)


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
            box = (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"])
            x1, y1, x2, y2 = shrunk_box(image, box)
            size_px = (image.width_px, image.height_px)
            made.append(
                {
                    "detection_id": row["detection_id"],
                    "region": thumbnail(image.pixels, region_px, box, "crop", photo_size_px=size_px),
                    "photo": thumbnail(image.pixels, photo_px),
                    "colour": colour_name(dominant_colour(image.pixels[y1:y2, x1:x2])),
                }
            )
        yield pa.RecordBatch.from_pylist(made, _ARROW)
