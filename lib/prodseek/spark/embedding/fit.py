"""Fitting the projection on a bounded sample of slices and of views of photos, in Spark's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection, fit_projection
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import EmbedFacts
from prodseek.runs.slice_layout import lay_out
from prodseek.spark.arrow import batch_of, slices_of
from prodseek.spark.gpus import task_profile
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look, one_photo_an_image
from prodseek.spark.shipped_detector import load_shipped, ship
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings

ROWS_PER_PARTITION = 4096
_IMAGES_PER_PARTITION = 32
_MOMENTS_SCHEMA = "partition string, moments binary"
_VIEWED_SIDE_PX = 832  # views are made from the photo at this size


def fit_on(night: Night, primary: DataFrame, n_primary: int) -> Projection:
    """A projection fitted on a sample of the catalogue. primary: detection_id, image_id and slice of its primary regions."""
    settings = night.config.project
    layout = night.run.facts(EmbedFacts).slice_layout
    # The ids are hashes: the lowest of them are a random sample, and the same one every time.
    by_id = primary.orderBy("detection_id")
    sample = by_id.limit(min(settings.sample_rows, settings.fit_rows))
    fitted = by_id.limit(settings.fit_rows) if n_primary > settings.fit_rows else primary
    n_fit = min(n_primary, settings.fit_rows)
    measured = deal(fitted, "detection_id", n_fit, ROWS_PER_PARTITION).mapInArrow(
        partial(_measure, layout_lengths=layout), _MOMENTS_SCHEMA
    )
    return fit_projection(_merged(measured, layout), _nuisances(night, layout), _slices(sample))


def _slices(sample: DataFrame) -> NDArray[np.float16]:
    """(N, slice_length) float16, ordered by detection_id."""
    return slices_of(sample.toArrow().sort_by("detection_id").column("slice"))


def _nuisances(night: Night, layout_lengths: dict[str, int]) -> Moments:
    """How slices of primary regions change under views of them, measured on a sample of photos."""
    n_images = night.config.project.nuisance_images
    if n_images == 0:
        return Moments.empty(lay_out(layout_lengths))
    boxes = night.table("detections").where("is_primary")
    photos = one_photo_an_image(night).select("image_id", "uri")
    chosen = boxes.select("image_id", *BOX_PX).orderBy("image_id").limit(n_images).join(photos, "image_id")
    views = partial(
        _measure_views,
        settings=ship(night.spark, detector_settings(night.config)),
        photos=night.photos,
        n_views=night.config.project.nuisance_views,
        layout_lengths=layout_lengths,
    )
    dealt = deal(chosen, "image_id", n_images, _IMAGES_PER_PARTITION)
    return _merged(dealt.mapInArrow(views, _MOMENTS_SCHEMA, profile=task_profile(night.spark)), layout_lengths)


def _merged(measured: DataFrame, layout_lengths: dict[str, int]) -> Moments:
    moments = Moments.empty(lay_out(layout_lengths))
    for row in sorted(measured.collect(), key=lambda row: str(row["partition"])):
        moments = moments.merge(Moments.from_bytes(bytes(row["moments"])))
    return moments


def _measure(batches: Iterator[pa.RecordBatch], layout_lengths: dict[str, int]) -> Iterator[pa.RecordBatch]:
    moments = Moments.empty(lay_out(layout_lengths))
    first_id = None
    for batch in batches:
        if not batch.num_rows:
            continue
        if first_id is None:
            first_id = batch.column("detection_id")[0].as_py()
        moments = moments.add(slices_of(batch.column("slice")))
    if first_id is not None:
        yield batch_of(partition=[f"{first_id:020d}"], moments=[moments.to_bytes()])


def _measure_views(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    n_views: int,
    layout_lengths: dict[str, int],
) -> Iterator[pa.RecordBatch]:
    # Here, because it imports torch, which the driver need not have.
    from prodseek.vision.nuisance import slice_places, slice_views

    moments = Moments.empty(lay_out(layout_lengths))
    first_id, before = None, None
    for row in (row for batch in batches for row in batch.to_pylist()):
        photo = look(row["uri"], row["image_id"], photos, _VIEWED_SIDE_PX)
        if photo is None:
            continue
        x1, y1, x2, y2 = (row[edge] for edge in BOX_PX)
        box = (x1, y1, x2, y2)
        seed = int(row["image_id"][:16], 16)
        detector = load_shipped(settings)
        for views in (
            slice_views(detector, photo, box, n_views, before, seed),
            slice_places(detector, photo, box, before, seed),
        ):
            moments = moments.add_views(views, len(views))
        first_id, before = first_id or row["image_id"], photo
    if first_id is not None:
        yield batch_of(partition=[first_id], moments=[moments.to_bytes()])
