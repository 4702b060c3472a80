"""The report's first page, out of a run's summaries and tables and of the runs before it."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.jobs.gates import BREACHES
from prodseek.report.overview import render_overview
from prodseek.report.overview_model import Cost, IndexQuality, Overview, TableFile, wanted_photos
from prodseek.report.records import About
from prodseek.runs.columns import BOX_PX
from prodseek.runs.gates import Breach
from prodseek.runs.history import figures_of, read_history
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import TABLES, table_schema
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.changes import changes_since
from prodseek.spark.report.rows_in import intake
from prodseek.spark.report.thumbnails import thumbnails
from prodseek.spark.tables import read_table
from prodseek.storage import files

PAGE = "report/index.html"


def write_overview(spark: SparkSession, config: Config, run: Run, about: About, objects: DataFrame) -> int:
    """Compare the run with the last one and write the page; returns its size in bytes.

    objects: image_id and number of those that the other pages show.
    """
    summaries = [summary for stage in STAGES if (summary := run.summary(stage)) is not None]
    runs = Store(run.root)
    before = runs.before(run)
    changes = None if before is None else changes_since(spark, run, before)
    wanted = [] if changes is None else sorted({photo.image_id for photo in wanted_photos(changes)})
    rows = {table: count for summary in summaries for table, count in summary.rows.items()}
    facts = {summary.stage: summary.facts for summary in summaries}
    index = facts["index"]
    page = render_overview(
        Overview(
            about=about,
            figures=figures_of(run.run_id, datetime.fromisoformat(about["finished"]), summaries),
            intake=intake(spark, run, facts["ingest"]["input_rows"]),
            cost=Cost(spark.sparkContext.defaultParallelism, config.report.price_per_core_hour, config.report.currency),
            history=read_history(runs, run.run_id),
            changes=changes,
            thumbnails=_thumbnails(spark, config, run, wanted),
            objects=_numbers(objects, wanted),
            index=IndexQuality(
                index["description"],
                index["recall_k"],
                index["recall"],
                index["recall_target"],
                index["recall_queries"],
            ),
            tables=tuple(
                TableFile(name, rows[name], run.table_uri(name), table_schema(name).grain)
                for name in TABLES
                if name in rows
            ),
            breaches=_breaches(run),
        )
    )
    files.write_bytes(run.path(PAGE), page)
    return len(page)


def _breaches(run: Run) -> tuple[Breach, ...]:
    if not files.exists(run.path(BREACHES)):
        return ()
    return tuple(Breach(**{**row, "examples": tuple(row["examples"])}) for row in run.read_json(BREACHES)["breaches"])


def _thumbnails(spark: SparkSession, config: Config, run: Run, image_ids: list[str]) -> dict[str, bytes]:
    if not image_ids:
        return {}
    wanted = F.col("image_id").isin(*image_ids)
    regions = read_table(spark, run, "detections").where(F.col("is_primary") & wanted)
    photos = one_photo_an_image(spark, run).where(wanted).select("image_id", "uri", "attributes")
    regions = regions.select("detection_id", "image_id", *BOX_PX).join(photos, "image_id").cache()
    pictures = thumbnails(spark, config, run, regions).join(regions.select("detection_id", "image_id"), "detection_id")
    found = {row["image_id"]: bytes(row["photo"]) for row in pictures.select("image_id", "photo").collect()}
    regions.unpersist()
    return found


def _numbers(objects: DataFrame, image_ids: list[str]) -> dict[str, int]:
    if not image_ids:
        return {}
    rows = objects.where(F.col("image_id").isin(*image_ids)).select("image_id", "number").collect()
    return {row["image_id"]: row["number"] for row in rows}
