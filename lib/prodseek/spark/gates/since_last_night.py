"""Figures of a night against the last one: photos that are missing, embeddings that moved, groups that came and went."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from prodseek.runs.columns import FINE, VISUAL
from prodseek.runs.facts import IngestFacts, ProjectFacts
from prodseek.runs.gates import N_EXAMPLES, Figure, churn, embedding_drift, share
from prodseek.runs.store import Run
from prodseek.spark.arrow import batch_of, vectors_of
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors, read_table
from prodseek.storage import files

_COMPARED = ("images", "detections", "embeddings", "curation_summary")


def comparable_run(night: Night) -> tuple[Run | None, list[str]]:
    """The run to compare with, or why there is none: the last one, if it was of this catalogue and is whole."""
    last_run = night.last_run
    if last_run is None:
        return None, []
    folder = _base_uri(last_run)
    if folder != _base_uri(night.run):
        return None, [f"anything, because the catalogue of run {last_run.run_id} lay in another folder, {folder}"]
    gone = [table for table in _COMPARED if not files.exists(last_run.table_uri(table))]
    if gone:
        return None, [f"anything, because run {last_run.run_id} has no {', '.join(gone)} any more"]
    return last_run, []


def have_one_projection(run: Run, other: Run) -> bool:
    """Whether the embeddings of two runs can be compared."""
    return _projection_id(run) == _projection_id(other)


def missing_share(night: Night, last_run: Run) -> Figure:
    """Photos that the last run had and this one has under no name: neither the file nor another in its place."""
    then = read_table(night.spark, last_run, "images").select("uri", "image_id")
    now = night.table("images")
    missing = then.join(now, "uri", "left_anti").join(now, "image_id", "left_anti")
    n_then, n_missing = then.count(), missing.count()
    return Figure(
        "max_missing_share",
        share(n_missing, n_then),
        f"{n_missing} of the {n_then} photos of run {last_run.run_id} are not among the images",
        tuple(row["uri"] for row in missing.select("uri").distinct().orderBy("uri").limit(N_EXAMPLES).collect()),
    )


def drift(night: Night, last_run: Run) -> Figure:
    """How far the mean embedding of all photos has moved. Examples are new photos, those in most rows first."""
    then, now = read_table(night.spark, last_run, "images"), night.table("images")
    new = now.join(then, "image_id", "left_anti").groupBy("image_id")
    most = new.agg(F.min("uri").alias("uri"), F.count(F.lit(1)).alias("n")).orderBy(F.desc("n"), "image_id")
    mean_then, mean_now = (_mean_of_photos(night.spark, run) for run in (last_run, night.run))
    return Figure(
        "max_embedding_drift",
        round(embedding_drift(mean_then, mean_now), 6),
        f"since run {last_run.run_id} the mean {VISUAL} embedding of all photos has moved by this share of their spread",
        tuple(f"{row['uri']}: new, in {row['n']} rows" for row in most.limit(N_EXAMPLES).collect()),
    )


def group_churn(night: Night, last_run: Run) -> Figure:
    """The share of groups that are gone or new."""
    then, now = (_group_titles(night.spark, run) for run in (last_run, night.run))
    gone, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
    told = [*(f"gone: {then[name]}" for name in gone), *(f"new: {now[name]}" for name in new)]
    return Figure(
        "max_group_churn",
        churn(then.keys(), now.keys()),
        f"{len(gone)} of the {len(then)} groups of run {last_run.run_id} are gone and {len(new)} are new",
        tuple(told[:N_EXAMPLES]),
    )


def _base_uri(run: Run) -> str | None:
    ingested = run.facts_if_done(IngestFacts)
    return None if ingested is None else ingested.base_uri


def _projection_id(run: Run) -> str | None:
    projected = run.facts_if_done(ProjectFacts)
    return None if projected is None else projected.projection_id


def _mean_of_photos(spark: SparkSession, run: Run) -> NDArray[np.float64]:
    """The mean over rows of `images` of their primary region's embedding, (d,): a photo that many rows show counts as often."""
    rows = read_table(spark, run, "images").select("image_id")
    primary = read_table(spark, run, "detections").where("is_primary").select("image_id", "detection_id")
    shown = rows.join(primary, "image_id").join(facet_vectors(spark, run, VISUAL), "detection_id").select("vector")
    sums = shown.mapInArrow(_sums, "n long, total binary").collect()
    total = np.sum([np.frombuffer(row["total"], np.float64) for row in sums], axis=0)
    return np.asarray(total / sum(row["n"] for row in sums))


def _sums(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            vectors = vectors_of(batch.column("vector")).astype(np.float64)
            yield batch_of(n=[len(vectors)], total=[vectors.sum(axis=0).tobytes()])


def _group_titles(spark: SparkSession, run: Run) -> dict[str, str]:
    """group_id -> title of the fine groups of the visual facet."""
    fine = read_table(spark, run, "curation_summary").where((F.col("facet") == VISUAL) & (F.col("level") == FINE))
    return {row["group_id"]: row["title"] for row in fine.select("group_id", "title").collect()}
