"""Fitting the projection on a bounded sample of slices and of views of photos, in Spark's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.embedding.confidence import InScenes
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.embedding.view_kinds import KindSums, ViewKind
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import EmbedFacts
from prodseek.runs.slice_layout import lay_out, slice_length
from prodseek.spark.arrow import batch_of, flags_of, slices_of
from prodseek.spark.embedding.view_kinds import SHOWN, kinds_of, with_surroundings
from prodseek.spark.gpus import task_profile
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look, one_photo_an_image
from prodseek.spark.shipped_detector import load_shipped, ship
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings

ROWS_PER_PARTITION = 4096
_IMAGES_PER_PARTITION = 32
_MOMENTS_SCHEMA = "partition string, moments binary, kinds binary"
_VIEWS_SCHEMA = "partition string, moments binary, in_scenes binary"
_VIEWED_SIDE_PX = 832  # views are made from the photo at this size


def fit_on(night: Night, n_primary: int) -> Projection:
    """A projection fitted on a sample of the catalogue, which has n_primary primary regions."""
    settings = night.config.project
    layout = night.run.facts(EmbedFacts).slice_layout
    detections = night.table("detections")
    columns = ("detection_id", "image_id", "slice", *SHOWN)
    regions = with_surroundings(detections, detections).select(*columns)
    primary = regions.where("is_primary")
    # The ids are hashes: the lowest of them are a random sample, and the same one every time.
    lowest = primary.orderBy("detection_id").limit(min(settings.sample_rows, settings.fit_rows))
    sample = lowest.join(_products(night), "image_id").toArrow().sort_by("detection_id")
    others = regions.where("not is_primary").orderBy("detection_id").limit(settings.fit_rows)
    fitted = primary.orderBy("detection_id").limit(settings.fit_rows) if n_primary > settings.fit_rows else primary
    measure = partial(_measure, layout_lengths=layout)
    dealt = deal(fitted.unionByName(others), "detection_id", 2 * min(n_primary, settings.fit_rows), ROWS_PER_PARTITION)
    moments, kinds = Moments.empty(lay_out(layout)), KindSums.empty(lay_out(layout))
    for row in sorted(dealt.mapInArrow(measure, _MOMENTS_SCHEMA).collect(), key=lambda row: str(row["partition"])):
        moments = moments.merge(Moments.from_bytes(bytes(row["moments"])))
        kinds = kinds.merge(KindSums.from_bytes(bytes(row["kinds"]), lay_out(layout)))
    nuisances, in_scenes = _seen(night, layout)
    return fit_projection(
        Measured(
            moments,
            kinds,
            nuisances,
            in_scenes,
            slices_of(sample.column("slice")),
            kinds_of(sample),
            sample.column("product").to_numpy(),
        )
    )


def _products(night: Night, *columns: str) -> DataFrame:
    """image_id, product and columns of one photo of each image. product: a hash of its product_id."""
    return one_photo_an_image(night).select("image_id", F.xxhash64("product_id").alias("product"), *columns)


def _seen(night: Night, layout_lengths: dict[str, int]) -> tuple[Moments, InScenes]:
    """How slices of primary regions change under views of them, and the views in scenes, of a sample of photos."""
    layout = lay_out(layout_lengths)
    nuisances, in_scenes = Moments.empty(layout), InScenes.empty(slice_length(layout))
    n_images = night.config.project.nuisance_images
    if n_images == 0:
        return nuisances, in_scenes
    detections = night.table("detections")
    boxes = with_surroundings(detections.where("is_primary"), detections)
    photos = _products(night, "uri")
    chosen = boxes.select("image_id", *SHOWN, *BOX_PX).orderBy("image_id").limit(n_images).join(photos, "image_id")
    views = partial(
        _measure_views,
        settings=ship(night.spark, detector_settings(night.config)),
        photos=night.photos,
        n_views=night.config.project.nuisance_views,
        layout_lengths=layout_lengths,
    )
    dealt = deal(chosen, "image_id", n_images, _IMAGES_PER_PARTITION)
    measured = dealt.mapInArrow(views, _VIEWS_SCHEMA, profile=task_profile(night.spark)).collect()
    for row in sorted(measured, key=lambda row: str(row["partition"])):
        nuisances = nuisances.merge(Moments.from_bytes(bytes(row["moments"])))
        in_scenes = in_scenes.merge(InScenes.from_bytes(bytes(row["in_scenes"]), slice_length(layout)))
    return nuisances, in_scenes


def _measure(batches: Iterator[pa.RecordBatch], layout_lengths: dict[str, int]) -> Iterator[pa.RecordBatch]:
    layout = lay_out(layout_lengths)
    moments, kinds = Moments.empty(layout), KindSums.empty(layout)
    first_id = None
    for batch in batches:
        if not batch.num_rows:
            continue
        if first_id is None:
            first_id = batch.column("detection_id")[0].as_py()
        slices = slices_of(batch.column("slice"))
        kinds = kinds.add(slices, kinds_of(batch))
        moments = moments.add(slices[flags_of(batch.column("is_primary"))])
    if first_id is not None:
        yield batch_of(partition=[f"{first_id:020d}"], moments=[moments.to_bytes()], kinds=[kinds.to_bytes()])


def _measure_views(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    n_views: int,
    layout_lengths: dict[str, int],
) -> Iterator[pa.RecordBatch]:
    # Here, because it imports torch, which the driver need not have.
    from prodseek.vision.nuisance import slice_in_scene, slice_places, slice_views

    layout = lay_out(layout_lengths)
    moments, in_scenes = Moments.empty(layout), InScenes.empty(slice_length(layout))
    first_id, before, scene = None, None, None
    for row, kind in (pair for batch in batches for pair in zip(batch.to_pylist(), kinds_of(batch), strict=True)):
        photo = look(row["uri"], row["image_id"], photos, _VIEWED_SIDE_PX)
        if photo is None:
            continue
        x1, y1, x2, y2 = (row[edge] for edge in BOX_PX)
        box = (x1, y1, x2, y2)
        seed = int(row["image_id"][:16], 16)
        detector = load_shipped(settings)
        views = slice_views(detector, photo, box, n_views, before, seed)
        for of_object in (views, slice_places(detector, photo, box, before, seed)):
            moments = moments.add_views(of_object, len(of_object))
        if before is not None:
            in_scene = slice_in_scene(detector, photo, box, scene or before, seed)
            product = np.array([row["product"]], np.int64)
            in_scenes = in_scenes.merge(InScenes(views[:1], np.array([kind]), product, in_scene))
        if kind != ViewKind.PACKSHOT:
            scene = photo
        first_id, before = first_id or row["image_id"], photo
    if first_id is not None:
        yield batch_of(partition=[first_id], moments=[moments.to_bytes()], in_scenes=[in_scenes.to_bytes()])
