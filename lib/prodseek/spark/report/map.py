"""The report's map: where each object lies, and what it can be coloured by."""

from __future__ import annotations

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.colours import COLOUR_NAMES
from prodseek.report.galleries import SummaryRow, largest_first, places, rows_of_facet
from prodseek.report.map import group_column, map_data, value_column
from prodseek.report.records import MapColumn
from prodseek.runs.class_words import class_words
from prodseek.runs.columns import COARSE, FINE, GROUP_COLUMNS, VISUAL
from prodseek.spark.night import Night
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.objects import ShownObjects
from prodseek.spark.report.shards import write_data

# The map can be coloured by columns of the catalogue that have few values: the most columns, and the most values of each.
_MAX_ATTRIBUTES, _MAX_VALUES = 6, 256


def write_map(night: Night, summary: list[SummaryRow], objects: ShownObjects, pictures: DataFrame) -> None:
    """Write the map. pictures: detection_id, colour."""
    photos = one_photo_an_image(night).select("image_id", "attributes")
    rows = (
        objects.rows.select("number", "detection_id", "image_id")
        .join(night.table("region_map"), "detection_id")
        .join(_classes(night), "image_id", "left")
        .join(pictures.select("detection_id", "colour"), "detection_id", "left")
        .join(photos, "image_id")
    )
    names = _telling_attributes(rows)
    attributes = [F.col("attributes")[name].alias(f"attribute {i}") for i, name in enumerate(names)]
    table = rows.select("number", "x", "y", "class_name", "colour", *attributes).orderBy("number").toArrow()
    where = np.stack([table[name].to_numpy() for name in ("x", "y")], axis=1)
    columns = [
        *_group_columns(summary, objects),
        value_column("class", "class", [class_words(name) or None for name in table["class_name"].to_pylist()]),
        value_column("colour", "colour", table["colour"].to_pylist(), COLOUR_NAMES),
        *(value_column(name, name, table[f"attribute {i}"].to_pylist()) for i, name in enumerate(names)),
    ]
    write_data(night.run, "map", map_data(where, [column for column in columns if column["names"]]))


def _group_columns(summary: list[SummaryRow], objects: ShownObjects) -> list[MapColumn]:
    visual = rows_of_facet(summary, VISUAL)
    made = []
    for level, label in ((COARSE, "broad group"), (FINE, "finer group")):
        order = largest_first(visual, level)
        place = places(objects.in_order[GROUP_COLUMNS[level]], order)
        made.append(group_column(level, label, [row["title"] for row in order], place))
    return made


def _classes(night: Night) -> DataFrame:
    """What the network saw most surely in each photo: image_id, class_name."""
    seen = night.table("detections").where("kind = 'detection'")
    surest = F.max_by("class_name", F.struct("score", "detection_id"))
    return seen.groupBy("image_id").agg(surest.alias("class_name"))


def _telling_attributes(rows: DataFrame) -> list[str]:
    """The catalogue's columns that tell a few kinds of things apart, those with fewest values first."""
    pairs = rows.select(F.explode("attributes").alias("name", "value"))
    counts = pairs.groupBy("name").agg(F.count_distinct("value").alias("n"))
    few = counts.where(F.col("n").between(2, _MAX_VALUES)).orderBy("n", "name").limit(_MAX_ATTRIBUTES)
    return [row["name"] for row in few.collect()]
