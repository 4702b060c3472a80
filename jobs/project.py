"""Stage project: fit the projection on a sample of primary regions, or take over the last night's; then turn every slice
into embeddings."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import PROJECTION, Projection, fit_projection, fit_recipe
from prodseek.errors import StoreError
from prodseek.photos.decode import DecodedImage
from prodseek.runs.columns import BOX_PX, FACETS
from prodseek.runs.slice_layout import lay_out
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.arrow import batch_of, ids_of, list_column, slices_of
from prodseek.spark.gpus import task_profile
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look, one_photo_an_image, photos_of
from prodseek.spark.shipped_detector import load_shipped, ship
from prodseek.spark.tables import computed_schema, read_table, write_table
from prodseek.storage import files
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import NUISANCE_VERSION, DetectorSettings

_ROWS_PER_PARTITION = 4096
_IMAGES_PER_PARTITION = 32
_MOMENTS_SCHEMA = "partition string, moments binary"
_VIEWED_SIDE_PX = 832  # views are made from the photo at this size

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Fit:
    """A projection, and what decides whether the next night takes it over.

    recipe: hash over the model and all settings of the fit. fitted_for: primary regions of the catalogue it was fitted
    on. new_since: primary regions that came in since.
    """

    projection: Projection
    recipe: str
    fitted_for: int
    new_since: int
    fitted_in: str

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "projection_id": self.projection.projection_id,
            "recipe": self.recipe,
            "fitted_in": self.fitted_in,
            "fitted_for": self.fitted_for,
            "new_since": self.new_since,
            "fit_regions": self.projection.n_slices,
            "fit_views": self.projection.n_views,
            "dims": dict(self.projection.dims),
            "visual_weights": dict(self.projection.weights),
            "explained_variance": dict(self.projection.explained_variance),
        }


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Fit or take over, store and apply the projection."""
    detections = read_table(spark, run, "detections")
    primary = detections.where("is_primary").select("detection_id", "image_id", "slice")
    recipe = _recipe(config, run)
    fit, why = _previous_fit(spark, config, run, primary, recipe)
    fit = fit or _fit(spark, config, run, primary, recipe)
    data = fit.projection.to_bytes()
    files.write_bytes(run.path(PROJECTION), data)
    n_regions = detections.count()
    dealt = deal(detections.select("detection_id", "slice"), "detection_id", n_regions, _ROWS_PER_PARTITION)
    embeddings = dealt.mapInArrow(
        partial(_apply, projection=spark.sparkContext.broadcast(data)), computed_schema("embeddings")
    )
    n_written = write_table(embeddings, run, "embeddings")
    if fit.fitted_in == run.run_id:
        how = f"fitted on {fit.projection.n_slices} primary regions and {fit.projection.n_views} views, {why}"
    else:
        how = f"of run {fit.fitted_in}, {fit.new_since} of its {fit.fitted_for} regions new since"
    return Summary(
        "project",
        rows={"embeddings": n_written},
        facts=fit.facts,
        lines=(f"projection {how}; {n_written} regions embedded",),
    )


def _recipe(config: Config, run: Run) -> str:
    """16 hex digits that change whenever a fit on the same catalogue would give another projection."""
    run.require("project", "ingest", "embed")
    settings = config.project.model_dump(exclude={"refit_growth"})
    text = json.dumps([_embed_facts(run)["model_id"], settings, fit_recipe(), NUISANCE_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _embed_facts(run: Run) -> dict[str, Any]:
    embedded = run.summary("embed")
    return {} if embedded is None else embedded.facts


def _previous_fit(
    spark: SparkSession, config: Config, run: Run, primary: DataFrame, recipe: str
) -> tuple[_Fit | None, str]:
    """The published projection, when it was made in the same way and the catalogue has not outgrown it, or why there is none.

    Embeddings of one projection can be compared from night to night; those of two cannot.
    """
    try:
        latest = Store(run.root).latest_readable()
    except StoreError:
        return None, "for there is no earlier one"
    before = latest.summary("project")
    if before is None or before.facts.get("recipe") != recipe:
        return None, f"for that of run {latest.run_id} is of another model or was fitted with other settings"
    known = read_table(spark, latest, "embeddings").select("detection_id")
    new_since = before.facts["new_since"] + primary.join(known, "detection_id", "left_anti").count()
    fitted_for = before.facts["fitted_for"]
    if new_since > config.project.refit_growth * fitted_for:
        return None, f"for {new_since} regions came in since one was fitted for {fitted_for} (project.refit_growth)"
    try:
        projection = Projection.from_bytes(files.read_bytes(latest.path(PROJECTION)))
    except (StoreError, OSError) as error:
        _logger.warning("the projection of run %s cannot be taken over, another is fitted: %s", latest.run_id, error)
        return None, f"for that of run {latest.run_id} cannot be read"
    return _Fit(projection, recipe, fitted_for, new_since, before.facts["fitted_in"]), ""


def _fit(spark: SparkSession, config: Config, run: Run, primary: DataFrame, recipe: str) -> _Fit:
    layout_lengths = dict(_embed_facts(run)["slice_layout"])
    n_primary = primary.count()
    # The ids are hashes: the lowest of them are a random sample, and the same one every time.
    sample = primary.orderBy("detection_id").limit(min(config.project.sample_rows, config.project.fit_rows))
    fitted = (
        primary.orderBy("detection_id").limit(config.project.fit_rows)
        if n_primary > config.project.fit_rows
        else primary
    )
    n_fit = min(n_primary, config.project.fit_rows)
    measured = deal(fitted, "detection_id", n_fit, _ROWS_PER_PARTITION).mapInArrow(
        partial(_measure, layout_lengths=layout_lengths), _MOMENTS_SCHEMA
    )
    projection = fit_projection(
        _merged(measured, layout_lengths),
        _nuisances(spark, config, run, layout_lengths),
        _slices(sample),
    )
    return _Fit(projection, recipe, n_primary, 0, run.run_id)


def _slices(sample: DataFrame) -> NDArray[np.float16]:
    """(N, slice_length) float16, ordered by detection_id."""
    return slices_of(sample.toArrow().sort_by("detection_id").column("slice"))


def _nuisances(spark: SparkSession, config: Config, run: Run, layout_lengths: dict[str, int]) -> Moments:
    """How slices of primary regions change under views of them, measured on a sample of photos."""
    n_images = config.project.nuisance_images
    if n_images == 0:
        return Moments.empty(lay_out(layout_lengths))
    boxes = read_table(spark, run, "detections").where("is_primary")
    photos = one_photo_an_image(spark, run).select("image_id", "uri")
    chosen = boxes.select("image_id", *BOX_PX).orderBy("image_id").limit(n_images).join(photos, "image_id")
    views = partial(
        _measure_views,
        settings=ship(spark, detector_settings(config)),
        photos=photos_of(config, run),
        n_views=config.project.nuisance_views,
        layout_lengths=layout_lengths,
    )
    dealt = deal(chosen, "image_id", n_images, _IMAGES_PER_PARTITION)
    return _merged(dealt.mapInArrow(views, _MOMENTS_SCHEMA, profile=task_profile(spark)), layout_lengths)


def _merged(measured: DataFrame, layout_lengths: dict[str, int]) -> Moments:
    moments = Moments.empty(lay_out(layout_lengths))
    for row in sorted(measured.collect(), key=lambda row: row["partition"]):
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
    from prodseek.vision.nuisance import slice_places, slice_views

    moments = Moments.empty(lay_out(layout_lengths))
    first_id, before = None, None
    for row in (row for batch in batches for row in batch.to_pylist()):
        photo: DecodedImage | None = look(row["uri"], row["image_id"], photos, _VIEWED_SIDE_PX)
        if photo is None:
            continue
        box = (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"])
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


def _apply(batches: Iterator[pa.RecordBatch], projection: object) -> Iterator[pa.RecordBatch]:
    fitted = Projection.from_bytes(projection.value)  # type: ignore[attr-defined]
    for batch in batches:
        if not batch.num_rows:
            continue
        facets = fitted.apply(slices_of(batch.column("slice")))
        yield batch_of(
            detection_id=ids_of(batch.column("detection_id")),
            **{facet: list_column(facets[facet]) for facet in FACETS},
            projection_id=[fitted.projection_id] * batch.num_rows,
        )


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("project")
