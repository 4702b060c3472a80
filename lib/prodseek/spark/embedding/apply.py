"""Slices to embeddings, in Spark's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame

from prodseek.embedding.projection import Projection
from prodseek.embedding.view_kinds import ViewKind
from prodseek.runs.columns import FACETS, LIKENESS
from prodseek.spark.arrow import batch_of, ids_of, list_column, slices_of
from prodseek.spark.embedding.view_kinds import kinds_of, rooms_of
from prodseek.spark.tables import computed_schema


def apply_projection(slices: DataFrame, projection: bytes) -> DataFrame:
    """Rows of `embeddings`. slices: detection_id, slice and SHOWN; projection: as `Projection.to_bytes`."""
    shared = slices.sparkSession.sparkContext.broadcast(projection)
    return slices.mapInArrow(partial(_apply, projection=shared), computed_schema("embeddings"))


def _apply(batches: Iterator[pa.RecordBatch], projection: Broadcast[bytes]) -> Iterator[pa.RecordBatch]:
    fitted = Projection.from_bytes(projection.value)
    for batch in batches:
        if not batch.num_rows:
            continue
        kinds = kinds_of(batch)
        facets = fitted.apply(slices_of(batch.column("slice")), kinds)
        yield batch_of(
            detection_id=ids_of(batch.column("detection_id")),
            **{facet: list_column(facets[facet]) for facet in FACETS},
            hubness=fitted.hubness_of(facets[LIKENESS]),
            is_scene=kinds == ViewKind.SCENE,
            is_room=rooms_of(batch),
            projection_id=[fitted.projection_id] * batch.num_rows,
        )
