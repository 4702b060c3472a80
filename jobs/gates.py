"""Stage gates: measures what decides whether the night is published, in itself and against the run before it.

Limits can be changed without measuring again: figures are facts of the stage, `judge` holds them against the limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.runs.columns import FINE, VISUAL
from prodseek.runs.gates import N_EXAMPLES, Breach, Figure, churn, embedding_drift, find_breaches, share, written
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.arrow import batch_of, vectors_of
from prodseek.spark.photos import uris_of_images
from prodseek.spark.tables import read_table
from prodseek.storage import files

BREACHES = "breaches.json"

# Embeddings are stored in 32 bits and have the length 1 to seven places.
_NORM_TOLERANCE = 1e-3
_COMPARED = ("images", "detections", "embeddings", "curation_summary")


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Measure all figures, whether or not a gate is set for them, and write the breaches for the report."""
    figures = [_rejects(spark, run), *_regions(spark, run), _odd_norms(spark, run)]
    before, not_compared = _before(run)
    if before is not None:
        figures.append(_missing(spark, run, before))
        if _fact(before, "project", "projection_id") == _fact(run, "project", "projection_id"):
            figures.append(_drift(spark, run, before))
        else:
            not_compared.append("embeddings, for the projection is another one")
        if _fact(run, "cluster", "carried_on"):
            figures.append(_churn(spark, run, before))
        else:
            not_compared.append("groups, for they were fitted anew")
    facts = {
        "before": None if before is None else before.run_id,
        "figures": [asdict(figure) for figure in figures],
        "not_compared": not_compared,
    }
    found = _write_breaches(config, run, figures)
    compared = "" if before is None else f", against run {before.run_id}"
    lines = [f"{len(figures)} figures{compared}; {len(found)} beyond the limits"]
    values = (f"{figure.gate.partition('_')[2]} {written(figure.gate, figure.value)}" for figure in figures)
    lines.append(", ".join(dict.fromkeys(values)))  # two limits may be set for one figure
    lines += [f"not compared: {what}" for what in not_compared]
    return Summary("gates", facts=facts, lines=tuple(lines))


def judge(config: Config, run: Run) -> tuple[Breach, ...]:
    """Hold the figures of a run against the limits that are set now, and write what is beyond them."""
    figures = [Figure(**{**each, "examples": tuple(each["examples"])}) for each in _fact(run, "gates", "figures")]
    return _write_breaches(config, run, figures)


def _write_breaches(config: Config, run: Run, figures: list[Figure]) -> tuple[Breach, ...]:
    found = find_breaches(figures, config.gates.model_dump())
    run.write_json(BREACHES, {"run_id": run.run_id, "breaches": [asdict(breach) for breach in found]})
    return found


def _fact(run: Run, stage: str, name: str) -> Any:
    summary = run.summary(stage)
    return None if summary is None else summary.facts.get(name)


def _before(run: Run) -> tuple[Run | None, list[str]]:
    """The run to compare with, or why there is none: the last one, if it was of this feed and is whole."""
    before = Store(run.root).before(run)
    if before is None:
        return None, []
    folder = _fact(before, "ingest", "base_uri")
    if folder != _fact(run, "ingest", "base_uri"):
        return None, [f"anything, for the catalogue of run {before.run_id} lay in another folder, {folder}"]
    gone = [table for table in _COMPARED if not files.exists(before.table_uri(table))]
    if gone:
        return None, [f"anything, for run {before.run_id} has no {', '.join(gone)} any more"]
    return before, []


def _rejects(spark: SparkSession, run: Run) -> Figure:
    rejects = read_table(spark, run, "rejects")
    reasons = rejects.groupBy("reason").count().orderBy(F.desc("count"), "reason").collect()
    n_rejects = sum(row["count"] for row in reasons)
    n_rows = n_rejects + read_table(spark, run, "images").count()
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


def _regions(spark: SparkSession, run: Run) -> list[Figure]:
    """The mean number of regions, held against two limits: examples of too few are other photos than of too many."""
    counts = read_table(spark, run, "detections").groupBy("image_id").agg(F.count(F.lit(1)).alias("n")).cache()
    n_images, n_regions = counts.select(F.count(F.lit(1)), F.sum("n")).first()
    uris = uris_of_images(spark, run)
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


def _odd_norms(spark: SparkSession, run: Run) -> Figure:
    """Embeddings are unit vectors, so what has another length is no answer of the network: zeros, or no numbers."""
    vectors = read_table(spark, run, "embeddings").select("detection_id", F.col(VISUAL).alias("vector"))
    norms = vectors.mapInArrow(_norms, "detection_id long, norm double")
    # To Spark, what is no number is larger than all numbers.
    is_odd = F.abs(F.col("norm") - 1) > _NORM_TOLERANCE
    n_regions, n_odd = norms.select(F.count(F.lit(1)), F.count_if(is_odd)).first()
    examples = []
    if n_odd:
        few = F.broadcast(norms.where(is_odd).orderBy("detection_id").limit(N_EXAMPLES))
        regions = read_table(spark, run, "detections").select("detection_id", "image_id", "kind")
        found = regions.join(few, "detection_id").join(uris_of_images(spark, run), "image_id")
        examples = found.orderBy("detection_id").collect()
    return Figure(
        "max_odd_norm_share",
        share(n_odd, n_regions),
        f"the {VISUAL} embeddings of {n_odd} of {n_regions} regions have not the length 1",
        tuple(f"{row['uri']}: {row['kind']}, length {row['norm']:.3g}" for row in examples),
    )


def _norms(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            norms = np.linalg.norm(vectors_of(batch.column("vector")).astype(np.float64), axis=1)
            yield batch_of(detection_id=batch.column("detection_id"), norm=norms)


def _missing(spark: SparkSession, run: Run, before: Run) -> Figure:
    """Photos that the run before had, and this one has under no name: neither the file nor another in its place."""
    then = read_table(spark, before, "images").select("uri", "image_id")
    now = read_table(spark, run, "images")
    missing = then.join(now, "uri", "left_anti").join(now, "image_id", "left_anti")
    n_then, n_missing = then.count(), missing.count()
    return Figure(
        "max_missing_share",
        share(n_missing, n_then),
        f"{n_missing} of the {n_then} photos of run {before.run_id} are not among the images",
        tuple(row["uri"] for row in missing.select("uri").distinct().orderBy("uri").limit(N_EXAMPLES).collect()),
    )


def _drift(spark: SparkSession, run: Run, before: Run) -> Figure:
    """Examples are photos that are new, those that most rows show first."""
    then, now = (read_table(spark, one, "images") for one in (before, run))
    new = now.join(then, "image_id", "left_anti").groupBy("image_id")
    most = new.agg(F.min("uri").alias("uri"), F.count(F.lit(1)).alias("n")).orderBy(F.desc("n"), "image_id")
    return Figure(
        "max_embedding_drift",
        round(embedding_drift(_mean_of_photos(spark, before), _mean_of_photos(spark, run)), 6),
        f"since run {before.run_id} the mean {VISUAL} embedding of all photos has moved by this share of their spread",
        tuple(f"{row['uri']}: new, in {row['n']} rows" for row in most.limit(N_EXAMPLES).collect()),
    )


def _mean_of_photos(spark: SparkSession, run: Run) -> NDArray[np.float64]:
    """The mean over rows of `images` of their primary region's embedding: a photo that many rows show counts as often."""
    rows = read_table(spark, run, "images").select("image_id")
    primary = read_table(spark, run, "detections").where("is_primary").select("image_id", "detection_id")
    vectors = read_table(spark, run, "embeddings").select("detection_id", F.col(VISUAL).alias("vector"))
    shown = rows.join(primary, "image_id").join(vectors, "detection_id").select("vector")
    sums = shown.mapInArrow(_sums, "n long, total binary").collect()
    total = np.sum([np.frombuffer(row["total"], np.float64) for row in sums], axis=0)
    return np.asarray(total / sum(row["n"] for row in sums))


def _sums(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            vectors = vectors_of(batch.column("vector")).astype(np.float64)
            yield batch_of(n=[len(vectors)], total=[vectors.sum(axis=0).tobytes()])


def _churn(spark: SparkSession, run: Run, before: Run) -> Figure:
    then, now = _group_titles(spark, before), _group_titles(spark, run)
    gone, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
    told = [*(f"gone: {then[name]}" for name in gone), *(f"new: {now[name]}" for name in new)]
    return Figure(
        "max_group_churn",
        churn(then.keys(), now.keys()),
        f"{len(gone)} of the {len(then)} groups of run {before.run_id} are gone and {len(new)} are new",
        tuple(told[:N_EXAMPLES]),
    )


def _group_titles(spark: SparkSession, run: Run) -> dict[str, str]:
    """group_id -> title of the fine groups of the visual facet."""
    fine = read_table(spark, run, "curation_summary").where((F.col("facet") == VISUAL) & (F.col("level") == FINE))
    return {row["group_id"]: row["title"] for row in fine.select("group_id", "title").collect()}


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("gates")
