"""The report's first page, out of a night's summaries and tables and of the runs before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.overview import render_overview
from prodseek.report.overview_model import Cost, IndexQuality, Overview, TableFile, wanted_photos
from prodseek.report.records import About
from prodseek.runs.breaches import read_breaches
from prodseek.runs.columns import BOX_PX
from prodseek.runs.facts import STAGES, IndexFacts, IngestFacts, StageFacts
from prodseek.runs.history import figures_of, read_history
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import TABLES, table_schema
from prodseek.spark.night import Night
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.changes import changes_since_last_night
from prodseek.spark.report.rows_in import count_rows_in
from prodseek.spark.report.thumbnails import thumbnails
from prodseek.storage import files

PAGE = "report/index.html"


def write_overview(night: Night, about: About, objects: DataFrame) -> int:
    """Compare the night with the last one and write the page; returns its size in bytes.

    objects: image_id and number of those that the other pages show.
    """
    run, report = night.run, night.config.report
    summaries = [summary for stage in STAGES if (summary := run.summary(stage)) is not None]
    changes = changes_since_last_night(night)
    wanted = [] if changes is None else sorted({photo.image_id for photo in wanted_photos(changes)})
    page = render_overview(
        Overview(
            about=about,
            figures=figures_of(run.run_id, datetime.fromisoformat(about["finished"]), summaries),
            rows_in=count_rows_in(night, run.facts(IngestFacts)),
            cost=Cost(night.spark.sparkContext.defaultParallelism, report.price_per_core_hour, report.currency),
            history=read_history(Store(run.root), run.run_id),
            changes=changes,
            thumbnails=_thumbnails(night, wanted),
            objects=_numbers(objects, wanted),
            index=_index_quality(run.facts(IndexFacts)),
            tables=_table_files(run, summaries),
            breaches=read_breaches(run),
        )
    )
    files.write_bytes(run.path(PAGE), page)
    return len(page)


def _index_quality(facts: IndexFacts) -> IndexQuality | None:
    """None where the recall was not measured."""
    index = facts.likeness
    if index.recall is None or index.recall_k is None or index.recall_target is None or index.recall_queries is None:
        return None
    return IndexQuality(index.description, index.recall_k, index.recall, index.recall_target, index.recall_queries)


def _table_files(run: Run, summaries: Sequence[Summary[StageFacts]]) -> tuple[TableFile, ...]:
    rows = {table: count for summary in summaries for table, count in summary.rows.items()}
    return tuple(
        TableFile(name, rows[name], run.table_uri(name), table_schema(name).grain) for name in TABLES if name in rows
    )


def _thumbnails(night: Night, image_ids: list[str]) -> dict[str, bytes]:
    if not image_ids:
        return {}
    wanted = F.col("image_id").isin(*image_ids)
    regions = night.table("detections").where(F.col("is_primary") & wanted)
    photos = one_photo_an_image(night).where(wanted).select("image_id", "uri")
    regions = regions.select("detection_id", "image_id", *BOX_PX).join(photos, "image_id").cache()
    pictures = thumbnails(night, regions).join(regions.select("detection_id", "image_id"), "detection_id")
    found = {row["image_id"]: bytes(row["photo"]) for row in pictures.select("image_id", "photo").collect()}
    regions.unpersist()
    return found


def _numbers(objects: DataFrame, image_ids: list[str]) -> dict[str, int]:
    if not image_ids:
        return {}
    rows = objects.where(F.col("image_id").isin(*image_ids)).select("image_id", "number").collect()
    return {row["image_id"]: row["number"] for row in rows}
