"""Stage project: fit the projection on a sample of primary regions, then turn every slice into embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from prodseek.jobs.partitions import deal
from prodseek.jobs.vectors import batch_of, ids_of, list_column, slices_of
from pyspark.sql import SparkSession

from prodseek import files
from prodseek.config import Config
from prodseek.embedding.facets import FACETS
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection, fit_projection
from prodseek.slice_layout import lay_out
from prodseek.spark.tables import computed_schema, read_table, write_table
from prodseek.store import Run, Summary

PROJECTION = "projection.npz"
_ROWS_PER_PARTITION = 4096


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Fit, store and apply the projection."""
    detections = read_table(spark, store, "detections")
    layout_lengths = _layout_lengths(store)
    primary = detections.where("is_primary").select("detection_id", "slice")
    n_primary = primary.count()
    # The ids are hashes: the lowest of them are a random sample, and the same one every time.
    sample = (
        primary.orderBy("detection_id").limit(config.project.fit_rows)
        if n_primary > config.project.fit_rows
        else primary
    )
    n_fit = min(n_primary, config.project.fit_rows)
    measured = deal(sample, "detection_id", n_fit, _ROWS_PER_PARTITION).mapInArrow(
        partial(_measure, layout_lengths=layout_lengths), "partition string, moments binary"
    )
    moments = Moments.empty(lay_out(layout_lengths))
    for row in sorted(measured.collect(), key=lambda row: row["partition"]):
        moments = moments.merge(Moments.from_bytes(bytes(row["moments"])))
    projection = fit_projection(moments, shrinkage=config.project.shrinkage)
    data = projection.to_bytes()
    files.write_bytes(store.path(PROJECTION), data)
    n_regions = detections.count()
    dealt = deal(detections.select("detection_id", "slice"), "detection_id", n_regions, _ROWS_PER_PARTITION)
    embeddings = dealt.mapInArrow(
        partial(_apply, projection=spark.sparkContext.broadcast(data)), computed_schema("embeddings")
    )
    n_written = write_table(embeddings, store, "embeddings")
    return Summary(
        "project",
        rows={"embeddings": n_written},
        facts={
            "projection_id": projection.projection_id,
            "fit_regions": n_fit,
            "dims": dict(projection.dims),
            "explained_variance": {name: float(share) for name, share in projection.explained_variance.items()},
        },
        lines=(f"projection fitted on {n_fit} primary regions, {n_written} regions embedded",),
    )


def _layout_lengths(store: Run) -> dict[str, int]:
    store.require("project", "embed")
    embedded = store.summary("embed")
    return dict(embedded.facts["slice_layout"]) if embedded else {}


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
    from prodseek.jobs.stages import main

    main("project")
