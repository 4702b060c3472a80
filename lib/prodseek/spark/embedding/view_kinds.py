"""What tells how regions show their objects, in Spark's queries and tasks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.embedding.view_kinds import (
    FOOD,
    FURNITURE,
    ROOM_SCORE,
    ROOM_THING_AREA,
    Kinds,
    are_rooms,
    view_kinds,
)

# The columns that `kinds_of` and `rooms_of` take.
SHOWN = ("on_plain_ground", "area_fraction", "n_sure_classes", "is_furnished", "is_primary")


def with_surroundings(regions: DataFrame, detections: DataFrame) -> DataFrame:
    """Regions with what their photo shows besides: on_plain_ground, n_sure_classes, is_furnished; see `are_rooms`.

    detections: the table, in which a photo with a plain ground has a foreground.
    """
    is_sure = (F.col("kind") == "detection") & (F.col("score") >= ROOM_SCORE)
    photos = detections.groupBy("image_id").agg(
        F.bool_or(F.col("kind") == "foreground").alias("on_plain_ground"),
        F.count_distinct(F.when(is_sure & ~F.col("class_name").isin(*FOOD), F.col("class_name"))).alias(
            "n_sure_classes"
        ),
        (
            F.max(F.when(is_sure, F.col("class_name").isin(*FURNITURE)).otherwise(False))
            & (F.max(F.when(is_sure, F.col("area_fraction")).otherwise(0.0)) < ROOM_THING_AREA)
        ).alias("is_furnished"),
    )
    return regions.join(photos, "image_id")


def kinds_of(regions: pa.RecordBatch | pa.Table) -> Kinds:
    """The ViewKind of each region, (N,) int8. regions: with the columns SHOWN."""
    return view_kinds(
        np.asarray(regions.column("on_plain_ground"), np.bool_), np.asarray(regions.column("area_fraction"), np.float32)
    )


def rooms_of(regions: pa.RecordBatch | pa.Table) -> NDArray[np.bool_]:
    """Which regions are rooms, (N,) bool. regions: with the columns SHOWN."""
    return are_rooms(
        kinds_of(regions),
        np.asarray(regions.column("n_sure_classes")),
        np.asarray(regions.column("is_furnished"), np.bool_),
        np.asarray(regions.column("is_primary"), np.bool_),
    )
