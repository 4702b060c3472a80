"""The photos among which copies are looked for: one for each image, read at the size that comparing takes."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame

from prodseek.spark.night import Night
from prodseek.spark.photos import WorkingPhotos, one_photo_an_image


@dataclass(frozen=True)
class ComparedPhotos:
    """rows: one row of `images` for each image_id. n_photos: how many they are. read: reads their pixels."""

    rows: DataFrame
    n_photos: int
    read: WorkingPhotos

    @classmethod
    def of(cls, night: Night) -> ComparedPhotos:
        """The photos of tonight's run, cached."""
        rows = one_photo_an_image(night).cache()
        return cls(rows, rows.count(), WorkingPhotos(night.photos))
