"""Pictures of the objects that the report shows: of what lies in their boxes, and of their photos."""

from __future__ import annotations

import base64

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.records import PHOTO_THUMBS_PER_SHARD, REGION_THUMBS_PER_SHARD
from prodseek.runs.columns import BOX_PX
from prodseek.spark.night import Night
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.objects import ShownObjects
from prodseek.spark.report.shards import Row, ShardKind, write_shards
from prodseek.spark.report.thumbnails import thumbnails


def make_pictures(night: Night, objects: ShownObjects) -> DataFrame:
    """What `thumbnails` gives for each object."""
    boxes = night.table("detections").select("detection_id", *BOX_PX)
    photos = one_photo_an_image(night).select("image_id", "uri")
    regions = objects.rows.select("detection_id", "image_id").join(boxes, "detection_id").join(photos, "image_id")
    return thumbnails(night, regions)


def write_pictures(night: Night, objects: ShownObjects, pictures: DataFrame) -> None:
    """Write the shards of pictures. pictures: detection_id, region, photo."""
    shown = objects.rows.select("detection_id", "number").join(pictures, "detection_id", "left")
    for column, kind in (("region", _REGIONS), ("photo", _PHOTOS)):
        write_shards(night.run, kind, shown.select("number", F.col(column).alias("picture")), objects.n)


def _picture_record(row: Row) -> str:
    return "" if row["picture"] is None else base64.b64encode(row["picture"]).decode("ascii")


_REGIONS = ShardKind("regions", REGION_THUMBS_PER_SHARD, _picture_record, "thumbs")
_PHOTOS = ShardKind("photos", PHOTO_THUMBS_PER_SHARD, _picture_record, "thumbs")
