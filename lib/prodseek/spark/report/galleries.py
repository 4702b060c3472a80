"""Groups of look-alikes for the report: which are shown, what became of those of the last night, and their galleries."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.report.galleries import (
    GroupHistory,
    LineageRow,
    RegionCounts,
    SummaryRow,
    facet_groups,
    rows_of_facet,
)
from prodseek.report.wording import products_asked
from prodseek.runs.columns import FACETS, VISUAL
from prodseek.runs.facts import ClusterFacts
from prodseek.spark.night import Night
from prodseek.spark.report.objects import ShownObjects
from prodseek.spark.report.shards import write_data
from prodseek.spark.tables import local_frame, only_row, read_table
from prodseek.storage import files


def shown_groups(night: Night, chosen: DataFrame) -> list[SummaryRow]:
    """Rows of `curation_summary` of the groups that have a region among those shown. chosen: their detection_id."""
    groups = night.table("curation_groups").join(chosen.select("detection_id"), "detection_id", "left_semi")
    shown = groups.select(F.explode(F.array("group_id", "coarse_group_id")).alias("group_id")).distinct()
    rows: list[SummaryRow] = night.table("curation_summary").join(shown, "group_id", "left_semi").toArrow().to_pylist()
    return rows


def grouped_facets(summary: Iterable[SummaryRow]) -> list[str]:
    """The facets that have groups, `visual` first, with or without any."""
    found = {row["facet"] for row in summary}
    return [VISUAL, *(facet for facet in FACETS if facet in found and facet != VISUAL)]


def write_galleries(night: Night, summary: list[SummaryRow], objects: ShownObjects) -> None:
    """Write the groups of each facet with the objects that are shown of them."""
    history = _group_history(night, summary, objects.n)
    for facet in grouped_facets(summary):
        groups = night.table("curation_groups").where(F.col("facet") == facet)
        counts = only_row(groups.agg(F.count(F.lit(1)).alias("n"), F.count_if(F.col("group_id").isNull()).alias("odd")))
        members = objects.in_order
        if facet != VISUAL:
            numbers = objects.rows.select("detection_id", "number")
            members = groups.drop("facet", "nearest_group_id").join(numbers, "detection_id").toArrow()
        data = facet_groups(
            facet,
            rows_of_facet(summary, facet),
            members,
            None if history is None else history.of_facet(facet),
            RegionCounts(counts["n"], counts["odd"], _asked(night, facet)),
        )
        write_data(night.run, f"groups-{facet}", data)


def _asked(night: Night, facet: str) -> str:
    cluster = night.run.facts_if_done(ClusterFacts)
    found = None if cluster is None else cluster.facets.get(facet)
    if found is None:
        return ""
    return products_asked(found.products_asked, found.products_asked_narrowly, found.products)


def _group_history(night: Night, summary: list[SummaryRow], max_retired: int) -> GroupHistory | None:
    """What became of the groups in `summary`, and of some that are no more; None when there is no last night."""
    last_run = night.last_run
    if last_run is None or not files.exists(last_run.table_uri("curation_summary")):
        return None
    lineage = night.table("group_lineage")
    shown = local_frame(night.spark, [(row["group_id"],) for row in summary], "group_id string")
    retired = lineage.where("event = 'retired'").orderBy("facet", "level", "previous_group_id").limit(max_retired)
    told = lineage.join(shown, "group_id", "left_semi").unionByName(retired).cache()
    then = told.select(F.col("previous_group_id").alias("group_id")).distinct()
    groups_then = read_table(night.spark, last_run, "curation_summary").join(then, "group_id", "left_semi")
    rows: list[LineageRow] = told.toArrow().to_pylist()
    titles = {row["group_id"]: row["title"] for row in groups_then.select("group_id", "title").collect()}
    told.unpersist()
    return GroupHistory(rows, titles)
