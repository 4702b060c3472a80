"""The graph of the last night: whose edges are carried on tonight, and which regions have to ask again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.config import changed_settings
from prodseek.index.graph import Answers
from prodseek.runs.facts import NeighboursFacts
from prodseek.runs.store import Run
from prodseek.spark.arrow import flags_of, ids_of
from prodseek.spark.neighbours.packed_answers import ANSWERS, pack_answers
from prodseek.spark.night import Night
from prodseek.spark.tables import read_table
from prodseek.storage import files


def last_graph(night: Night, recipe: dict[str, Any]) -> tuple[Run | None, str]:
    """The last night's run, if its edges can be carried on, or None and the reason.

    recipe: what decides which edges the same vectors get.
    """
    last_run = night.last_run
    if last_run is None:
        return None, "because this is the first night"
    gone = [name for name in ("detections", "neighbours") if not files.exists(last_run.table_uri(name))]
    if gone:
        return None, f"because run {last_run.run_id} has no table {gone[0]}"
    facts = last_run.facts_if_done(NeighboursFacts)
    last_recipe = None if facts is None else facts.recipe
    if last_recipe is None:
        return None, f"because run {last_run.run_id} does not say how it found its edges"
    changes = changed_settings(last_recipe, recipe)
    if changes:
        return None, f"because of what has changed since run {last_run.run_id}: {', '.join(changes)}"
    return last_run, ""


def asking_regions(night: Night, last_run: Run | None) -> DataFrame:
    """detection_id, image, is_primary, is_new, asks_all of tonight's regions.

    image: a number, equal for regions of one image. asks_all: the region is new, or one of its neighbours is gone; all are where
    there is no last_run. The others ask only among those that are new.
    """
    regions = night.table("detections").select("detection_id", F.xxhash64("image_id").alias("image"), "is_primary")
    if last_run is None:
        return regions.withColumns({"is_new": F.lit(True), "asks_all": F.lit(True)})
    known = read_table(night.spark, last_run, "detections").select("detection_id", F.lit(False).alias("is_new"))
    gone = known.join(regions, "detection_id", "left_anti").select(F.col("detection_id").alias("neighbour_id"))
    has_lost = (
        read_table(night.spark, last_run, "neighbours")
        .join(gone, "neighbour_id", "left_semi")
        .select("detection_id", F.lit(True).alias("has_lost"))
        .distinct()
    )
    return (
        regions.join(known, "detection_id", "left")
        .join(has_lost, "detection_id", "left")
        .withColumn("is_new", F.coalesce("is_new", F.lit(True)))
        .withColumn("asks_all", F.col("is_new") | F.coalesce("has_lost", F.lit(False)))
        .drop("has_lost")
    )


def carried_on_edges(night: Night, last_run: Run, regions: DataFrame) -> DataFrame:
    """The edges in last_run of all regions that keep theirs, as rows of ANSWERS. regions: as `asking_regions` gives them."""
    asking = regions.where("not asks_all").select("detection_id", "is_primary")
    answering = regions.select(
        F.col("detection_id").alias("neighbour_id"), F.col("is_primary").alias("neighbour_is_primary")
    )
    edges = read_table(night.spark, last_run, "neighbours").select("detection_id", "neighbour_id", "cosine_similarity")
    kept = edges.join(asking, "detection_id").join(answering, "neighbour_id")
    return kept.mapInArrow(_as_answers, ANSWERS)


def _as_answers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """An answer of one neighbour for each edge."""
    for batch in batches:
        answers = Answers(
            np.arange(batch.num_rows),
            ids_of(batch.column("neighbour_id")),
            batch.column("cosine_similarity").to_numpy(),
            flags_of(batch.column("neighbour_is_primary")),
        )
        yield pack_answers(ids_of(batch.column("detection_id")), flags_of(batch.column("is_primary")), answers)
