"""The regions that are grouped: the primary one of each photo, and which of them stand for the copies of a photo."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.runs.columns import BOX_PX
from prodseek.spark.night import Night
from prodseek.spark.photos import one_photo_an_image


def primary_regions(night: Night) -> DataFrame:
    """Primary regions with their photo and `standing_image_id`, the image that stands for it and its copies."""
    in_groups = night.table("duplicate_groups")
    representative = in_groups.where("is_representative").select(
        "group_id", F.col("image_id").alias("standing_image_id")
    )
    copies = (
        in_groups.join(representative, "group_id")
        .groupBy("image_id")
        .agg(F.min("standing_image_id").alias("standing_image_id"))
    )
    photos = one_photo_an_image(night)
    primary = night.table("detections").where("is_primary")
    return (
        primary.select("detection_id", "image_id", "class_name", "area_fraction", *BOX_PX)
        .join(photos, "image_id")
        .join(copies, "image_id", "left")
        .withColumn("standing_image_id", F.coalesce("standing_image_id", "image_id"))
    )


def standing_regions(regions: DataFrame) -> DataFrame:
    """Those of the primary regions that are grouped; copies of a photo go where its standing region goes."""
    return regions.where("image_id = standing_image_id")
