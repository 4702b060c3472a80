"""Figures of a night in itself: what was rejected, how many regions were found, whether embeddings have a length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import Row, Window
from pyspark.sql import functions as F

from prodseek.runs.columns import VISUAL
from prodseek.runs.gates import N_EXAMPLES, Figure, share
from prodseek.spark.arrow import batch_of, vectors_of
from prodseek.spark.night import Night
from prodseek.spark.photos import uris_of_images
from prodseek.spark.tables import facet_vectors, only_row

# Embeddings are stored in 32 bits and have the length 1 to seven places.
_NORM_TOLERANCE = 1e-3


def reject_share(night: Night) -> Figure:
    """The share of rows that were rejected. Examples are of each reason in turn."""
    rejects = night.table("rejects")
    reasons = rejects.groupBy("reason").count().orderBy(F.desc("count"), "reason").collect()
    n_rejects = sum(row["count"] for row in reasons)
    n_rows = n_rejects + night.table("images").count()
    counted = ", ".join(f"{row['count']} {row['reason']}" for row in reasons)
    of_reason = Window.partitionBy("reason").orderBy("uri", "product_id")
    each_reason_in_turn = rejects.withColumn("place", F.row_number().over(of_reason)).orderBy("place", "reason")
    return Figure(
        "max_reject_share",
        share(n_rejects, n_rows),
        f"{n_rejects} of {n_rows} rows were rejected" + (f": {counted}" if counted else ""),
        tuple(
            f"{row['uri'] or row['product_id'] or 'a row without a name'}: {row['reason']}, {row['detail']}"
            for row in each_reason_in_turn.limit(N_EXAMPLES).collect()
        ),
    )


def regions_per_image(night: Night) -> list[Figure]:
    """The mean number of regions, held against two limits: photos with too few are other examples than those with too many."""
    counts = night.table("detections").groupBy("image_id").agg(F.count(F.lit(1)).alias("n")).cache()
    n_images, n_regions = only_row(counts.select(F.count(F.lit(1)), F.sum("n")))
    uris = uris_of_images(night)
    mean = share(n_regions or 0, n_images)
    said = f"{n_regions or 0} regions were found in {n_images} photos"
    figures = []
    for gate, order in (("min_regions_per_image", F.asc("n")), ("max_regions_per_image", F.desc("n"))):
        # The names of a few are looked up, not those of all.
        few = F.broadcast(counts.orderBy(order, "image_id").limit(N_EXAMPLES))
        examples = uris.join(few, "image_id").orderBy(order, "image_id").collect()
        figures.append(Figure(gate, mean, said, tuple(f"{row['uri']}: {row['n']}" for row in examples)))
    counts.unpersist()
    return figures


def odd_norm_share(night: Night) -> Figure:
    """The share of embeddings that have another length than 1.

    The network gives unit vectors, so zeros and NaN are no answers of it.
    """
    norms = facet_vectors(night.spark, night.run, VISUAL).mapInArrow(_norms, "detection_id long, norm double")
    # Spark sorts NaN above all numbers.
    is_odd = F.abs(F.col("norm") - 1) > _NORM_TOLERANCE
    n_regions, n_odd = only_row(norms.select(F.count(F.lit(1)), F.count_if(is_odd)))
    examples: list[Row] = []
    if n_odd:
        few = F.broadcast(norms.where(is_odd).orderBy("detection_id").limit(N_EXAMPLES))
        regions = night.table("detections").select("detection_id", "image_id", "kind")
        found = regions.join(few, "detection_id").join(uris_of_images(night), "image_id")
        examples = found.orderBy("detection_id").collect()
    return Figure(
        "max_odd_norm_share",
        share(n_odd, n_regions),
        f"the {VISUAL} embeddings of {n_odd} of {n_regions} regions do not have the length 1",
        tuple(f"{row['uri']}: {row['kind']}, length {row['norm']:.3g}" for row in examples),
    )


def _norms(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            norms = np.linalg.norm(vectors_of(batch.column("vector")).astype(np.float64), axis=1)
            yield batch_of(detection_id=batch.column("detection_id"), norm=norms)
