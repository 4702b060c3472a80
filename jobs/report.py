"""Stage report: static pages of what the night found, their data in shards, pictures made once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek import __version__
from prodseek.cluster.colours import COLOUR_NAMES
from prodseek.config import Config
from prodseek.duplicates.verdicts import MERGING
from prodseek.report.galleries import facet_groups, gallery_order, largest_first, places
from prodseek.report.map import group_column, map_data, value_column
from prodseek.report.pages import render_pages
from prodseek.report.records import (
    GROUPS_PER_SHARD,
    OBJECTS_PER_SHARD,
    PHOTO_THUMBS_PER_SHARD,
    REGION_THUMBS_PER_SHARD,
    About,
    MapColumn,
    VerdictWords,
)
from prodseek.report.wording import VERDICTS
from prodseek.runs.columns import BOX_PX, COARSE, FACETS, FINE, VISUAL
from prodseek.runs.store import Run, Store, Summary
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.copies import ChosenCopies, choose_copies, write_copies
from prodseek.spark.report.objects import (
    choose_objects,
    with_originals,
    write_neighbours,
    write_objects,
    write_pictures,
)
from prodseek.spark.report.overview import PAGE, write_overview
from prodseek.spark.report.shards import write_data
from prodseek.spark.report.thumbnails import thumbnails
from prodseek.spark.tables import local_frame, read_table
from prodseek.storage import files

# The map can be coloured by the catalogue's columns that tell few values apart; so many columns, of so many values at most.
_MAX_ATTRIBUTES, _MAX_VALUES = 6, 256


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Choose what is shown, number it, make its pictures, and write the data files and pages."""
    files.delete_dir(run.path("report"))
    most = config.report.max_images
    copies = choose_copies(spark, run, most)
    chosen = choose_objects(spark, run, copies, most).cache()
    summary = _summary_of(spark, run, chosen)
    objects, members = _numbered(spark, chosen, summary)
    n_objects = members.num_rows
    numbers = objects.select(F.col("number").alias("object"), "image_id")

    regions = read_table(spark, run, "detections").select("detection_id", *BOX_PX)
    photos = one_photo_an_image(spark, run).select("image_id", "uri", "attributes")
    pictures = thumbnails(
        spark,
        config,
        run,
        objects.select("detection_id", "image_id").join(regions, "detection_id").join(photos, "image_id"),
    )
    write_objects(spark, run, objects, n_objects)
    write_pictures(run, objects, pictures, n_objects)
    write_neighbours(spark, run, with_originals(objects), n_objects)
    write_copies(spark, run, copies, numbers)
    _write_groups(spark, run, summary, objects, members)
    _write_map(spark, run, summary, objects, members, pictures, photos)
    about = _about(spark, run, n_objects, copies, _group_facets(summary))
    write_data(run, "about", about)
    for name, content in render_pages(about).items():
        files.write_bytes(run.path("report", name), content)
    n_bytes = write_overview(spark, config, run, about, objects)
    return Summary(
        "report",
        facts={"shown_images": n_objects, "first_page_bytes": n_bytes},
        lines=(f"{run.path(PAGE)}, {n_objects} photos shown",),
    )


def _summary_of(spark: SparkSession, run: Run, chosen: DataFrame) -> list[dict[str, Any]]:
    """Rows of `curation_summary` of the groups that have a region among those shown."""
    groups = read_table(spark, run, "curation_groups").join(chosen.select("detection_id"), "detection_id", "left_semi")
    shown = groups.select(F.explode(F.array("group_id", "coarse_group_id")).alias("group_id")).distinct()
    return _rows(read_table(spark, run, "curation_summary").join(shown, "group_id", "left_semi"))


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.toArrow().to_pylist()
    return rows


def _of_facet(rows: Iterable[dict[str, Any]], facet: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["facet"] == facet]


def _numbered(spark: SparkSession, chosen: DataFrame, summary: list[dict[str, Any]]) -> tuple[DataFrame, pa.Table]:
    """`chosen` with number, group and coarse, and the same in the order of numbers as far as galleries need it."""
    visual = _of_facet(summary, VISUAL)
    table = chosen.select(
        "detection_id", "group_id", "coarse_group_id", "is_exemplar", "membership", "outlier_score"
    ).toArrow()
    fine, coarse = (
        places(table[column], largest_first(visual, level))
        for column, level in (("group_id", FINE), ("coarse_group_id", COARSE))
    )
    order = gallery_order(table, coarse, fine)
    members = table.take(order).append_column("number", pa.array(np.arange(len(order))))
    numbered = pa.table(
        {
            "detection_id": members["detection_id"],
            "number": members["number"],
            "group": fine[order],
            "coarse": coarse[order],
        }
    )
    return chosen.join(spark.createDataFrame(numbered), "detection_id").cache(), members


def _write_groups(
    spark: SparkSession, run: Run, summary: list[dict[str, Any]], objects: DataFrame, members: pa.Table
) -> None:
    lineage, before = _since_the_last_run(spark, run, summary, members.num_rows)
    for facet in _group_facets(summary):
        groups = read_table(spark, run, "curation_groups").where(F.col("facet") == facet)
        counts = groups.agg(F.count(F.lit(1)).alias("n"), F.count_if(F.col("group_id").isNull()).alias("odd")).first()
        of_facet = members
        if facet != VISUAL:
            numbers = objects.select("detection_id", "number")
            of_facet = groups.drop("facet", "nearest_group_id").join(numbers, "detection_id").toArrow()
        data = facet_groups(
            facet,
            _of_facet(summary, facet),
            of_facet,
            _of_facet(lineage, facet),
            before,
            counts["n"],
            counts["odd"],
        )
        write_data(run, f"groups-{facet}", data)


def _group_facets(summary: list[dict[str, Any]]) -> list[str]:
    found = {row["facet"] for row in summary}
    return [VISUAL, *(facet for facet in FACETS if facet in found and facet != VISUAL)]


def _since_the_last_run(
    spark: SparkSession, run: Run, summary: list[dict[str, Any]], most: int
) -> tuple[list[dict[str, Any]], dict[str, str] | None]:
    """What became of groups, and what those of the last run were called: None when there is no last run.

    Of the groups in `summary`, and of `most` of those that are no more.
    """
    before = Store(run.root).before(run)
    if before is None or not files.exists(before.table_uri("curation_summary")):
        return [], None
    lineage = read_table(spark, run, "group_lineage")
    shown = local_frame(spark, [(row["group_id"],) for row in summary], "group_id string")
    retired = lineage.where("event = 'retired'").orderBy("facet", "level", "previous_group_id").limit(most)
    told = lineage.join(shown, "group_id", "left_semi").unionByName(retired).cache()
    was = told.select(F.col("previous_group_id").alias("group_id")).distinct()
    titles = (
        read_table(spark, before, "curation_summary").join(was, "group_id", "left_semi").select("group_id", "title")
    )
    found = _rows(told), {row["group_id"]: row["title"] for row in titles.collect()}
    told.unpersist()
    return found


def _write_map(
    spark: SparkSession,
    run: Run,
    summary: list[dict[str, Any]],
    objects: DataFrame,
    members: pa.Table,
    pictures: DataFrame,
    photos: DataFrame,
) -> None:
    visual = _of_facet(summary, VISUAL)
    rows = (
        objects.select("number", "detection_id", "image_id")
        .join(read_table(spark, run, "region_map"), "detection_id")
        .join(_classes(spark, run), "image_id", "left")
        .join(pictures.select("detection_id", "colour"), "detection_id", "left")
        .join(photos.select("image_id", "attributes"), "image_id")
    )
    names = _telling_attributes(rows)
    columns = [F.col("attributes")[name].alias(f"attribute {i}") for i, name in enumerate(names)]
    table = rows.select("number", "x", "y", "class_name", "colour", *columns).orderBy("number").toArrow()
    where = np.stack([table[name].to_numpy() for name in ("x", "y")], axis=1)
    made: list[MapColumn] = []
    for name, label, level, column in (
        ("coarse", "broad group", COARSE, "coarse_group_id"),
        ("fine", "finer group", FINE, "group_id"),
    ):
        order = largest_first(visual, level)
        made.append(group_column(name, label, [row["title"] for row in order], places(members[column], order)))
    made.append(value_column("class", "class", table["class_name"].to_pylist()))
    made.append(value_column("colour", "colour", table["colour"].to_pylist(), COLOUR_NAMES))
    made += [value_column(name, name, table[f"attribute {i}"].to_pylist()) for i, name in enumerate(names)]
    write_data(run, "map", map_data(where, [column for column in made if column["names"]]))


def _classes(spark: SparkSession, run: Run) -> DataFrame:
    """What the network saw most surely in each photo: image_id, class_name."""
    seen = read_table(spark, run, "detections").where("kind = 'detection'")
    surest = F.max_by("class_name", F.struct("score", "detection_id"))
    return seen.groupBy("image_id").agg(surest.alias("class_name"))


def _telling_attributes(rows: DataFrame) -> list[str]:
    """The catalogue's columns that tell a few kinds of things apart, those with fewest values first."""
    pairs = rows.select(F.explode("attributes").alias("name", "value"))
    counts = pairs.groupBy("name").agg(F.count_distinct("value").alias("n"))
    few = counts.where(F.col("n").between(2, _MAX_VALUES)).orderBy("n", "name").limit(_MAX_ATTRIBUTES)
    return [row["name"] for row in few.collect()]


def _about(spark: SparkSession, run: Run, n_objects: int, copies: ChosenCopies, group_facets: list[str]) -> About:
    ingest = run.summary("ingest")
    return About(
        run_id=run.run_id,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        catalogue="" if ingest is None else str(ingest.facts["catalog"]),
        prodseek_version=__version__,
        n_objects=n_objects,
        n_images=read_table(spark, run, "images").select("image_id").distinct().count(),
        n_duplicate_groups=copies.n_groups,
        n_all_duplicate_groups=copies.n_all_groups,
        n_pairs=copies.n_pairs,
        n_all_pairs=copies.n_all_pairs,
        objects_per_shard=OBJECTS_PER_SHARD,
        groups_per_shard=GROUPS_PER_SHARD,
        region_thumbs_per_shard=REGION_THUMBS_PER_SHARD,
        photo_thumbs_per_shard=PHOTO_THUMBS_PER_SHARD,
        facets=list(FACETS),
        group_facets=group_facets,
        verdicts={
            name: VerdictWords(label=words.label, meaning=words.meaning, merges=name in {one.value for one in MERGING})
            for name, words in VERDICTS.items()
        },
    )


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("report")
