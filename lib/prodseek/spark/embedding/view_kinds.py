"""What tells how regions show their objects, in Spark's queries and tasks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.embedding.view_kinds import Kinds, view_kinds

# The columns that `kinds_of` takes.
SHOWN = ("on_plain_ground", "area_fraction")


def with_ground(regions: DataFrame, detections: DataFrame) -> DataFrame:
    """Regions with a column on_plain_ground. detections: the table, in which a photo with a plain ground has a foreground."""
    plain = detections.where("kind = 'foreground'").select("image_id", F.lit(True).alias("is_plain")).distinct()
    told = regions.join(plain, "image_id", "left").withColumn("on_plain_ground", F.coalesce("is_plain", F.lit(False)))
    return told.drop("is_plain")


def kinds_of(regions: pa.RecordBatch | pa.Table) -> Kinds:
    """The ViewKind of each region, (N,) int8. regions: with the columns SHOWN."""
    return view_kinds(
        np.asarray(regions.column("on_plain_ground"), np.bool_), np.asarray(regions.column("area_fraction"), np.float32)
    )
