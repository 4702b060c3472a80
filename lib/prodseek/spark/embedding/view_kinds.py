"""How regions show their objects, in Spark's queries."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.embedding.view_kinds import WHOLE_SCENE_AREA, ViewKind


def with_view_kind(regions: DataFrame, detections: DataFrame) -> DataFrame:
    """Regions with a column view_kind, as `embedding.view_kinds.view_kinds` tells it.

    regions: with image_id and area_fraction. detections: the table, in which a photo with a plain ground has a foreground.
    """
    plain = detections.where("kind = 'foreground'").select("image_id", F.lit(True).alias("is_plain")).distinct()
    in_scene = F.when(F.col("area_fraction") > WHOLE_SCENE_AREA, int(ViewKind.SCENE)).otherwise(
        int(ViewKind.OBJECT_IN_SCENE)
    )
    kind = F.when(F.col("is_plain"), int(ViewKind.PACKSHOT)).otherwise(in_scene).cast("tinyint")
    return regions.join(plain, "image_id", "left").withColumn("view_kind", kind).drop("is_plain")
