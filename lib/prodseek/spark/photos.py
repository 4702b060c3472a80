"""Looking at pixels again after the pass: bounded decodes of a bounded number of photos, in Spark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.duplicates.features import WORKING_SIDE_PX, shrunk
from prodseek.duplicates.proof import COARSE_PHOTO_PX, DETAILED_SIDE_PX
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.spark.night import Night

Box = tuple[float, float, float, float]


def look(
    uri: str, image_id: str, photos: PhotoSource, max_side_px: int | None, enough_side_px: int | None = None
) -> DecodedImage | None:
    """A photo at bounded size; None when it can no longer be read, or another lies there now. Sizes as for `decode_image`."""
    try:
        data = photos.read(uri, image_id)
        if content_id(data) != image_id:
            return None
        return decode_image(data, photos.limits, max_side_px, enough_side_px)
    except ImageRejected:
        return None


@dataclass(frozen=True)
class WorkingPhotos:
    """Reads photos at the size that copies are found at."""

    photos: PhotoSource

    def __call__(self, uri: str, image_id: str) -> NDArray[np.uint8] | None:
        image = look(uri, image_id, self.photos, WORKING_SIDE_PX)
        return None if image is None else shrunk(image.pixels, WORKING_SIDE_PX)

    def coarse(self, uri: str, image_id: str) -> NDArray[np.uint8] | None:
        """A photo at the size that pairs are compared at."""
        return self._shrunk(uri, image_id, COARSE_PHOTO_PX)

    def detailed(self, uri: str, image_id: str) -> NDArray[np.uint8] | None:
        """A photo at the size that copies are proved at."""
        return self._shrunk(uri, image_id, DETAILED_SIDE_PX)

    def _shrunk(self, uri: str, image_id: str, side_px: int) -> NDArray[np.uint8] | None:
        """Pixels are averaged by area: the decoder's own shrinking would leave patterns that differ with the photo's size."""
        image = look(uri, image_id, self.photos, None, side_px)
        return None if image is None else shrunk(image.pixels, side_px)


def shrunk_box(image: DecodedImage, box_px: Box) -> tuple[int, int, int, int]:
    """A box in full-size pixels as whole pixels of `image.pixels`, at least one pixel large."""
    height, width = image.pixels.shape[:2]
    x_scale, y_scale = width / image.width_px, height / image.height_px
    x1 = min(int(box_px[0] * x_scale), width - 1)
    y1 = min(int(box_px[1] * y_scale), height - 1)
    x2 = max(x1 + 1, min(round(box_px[2] * x_scale), width))
    y2 = max(y1 + 1, min(round(box_px[3] * y_scale), height))
    return x1, y1, x2, y2


def uris_of_images(night: Night) -> DataFrame:
    """image_id, uri: one for each image, the first by name."""
    return night.table("images").groupBy("image_id").agg(F.min("uri").alias("uri"))


def one_photo_an_image(night: Night) -> DataFrame:
    """Rows of `images`, one for each image_id: the first by product_id and uri."""
    first = Window.partitionBy("image_id").orderBy("product_id", "uri")
    images = night.table("images").withColumn("place", F.row_number().over(first))
    return images.where("place = 1").drop("place")
