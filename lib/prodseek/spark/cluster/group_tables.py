"""The tables of curation groups: which region is in which, what each group is, what became of last night's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.categories import category_path
from prodseek.cluster.groups import GroupKey
from prodseek.cluster.labels import LevelLabels
from prodseek.cluster.named_columns import NamedColumns
from prodseek.cluster.quality import GroupQuality, group_quality
from prodseek.cluster.stable_ids import LineageRow
from prodseek.cluster.titles import GroupTitle
from prodseek.runs.columns import COARSE, FINE, LEVELS
from prodseek.runs.tables import table_schema
from prodseek.spark.cluster.fit import FittedRegions
from prodseek.spark.cluster.labelled_regions import in_groups_by_level
from prodseek.spark.cluster.names import attribute
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame, spark_schema


@dataclass(frozen=True)
class CurationGroup:
    """What is said of a group. coarse_group_id: None for a coarse one. exemplar_ids: detection ids, most central first."""

    group_id: str
    coarse_group_id: str | None
    title: GroupTitle
    quality: GroupQuality
    exemplar_ids: list[int]


@dataclass(frozen=True)
class FacetGroups:
    """A facet's groups. labelled: as `label_regions` gives it, with ODD_COLUMNS.

    lineage: level, and what became of a group.
    """

    facet: str
    labelled: DataFrame
    groups: dict[GroupKey, CurationGroup]
    lineage: list[tuple[str, LineageRow]]

    @property
    def titles(self) -> set[str]:
        return {group.title.title for group in self.groups.values()}

    def n_groups(self, level: str) -> int:
        return sum(at == level for at, _ in self.groups)


def curation_groups(
    fitted: FittedRegions,
    labels: LevelLabels,
    ids: dict[GroupKey, str],
    titles: dict[GroupKey, GroupTitle],
    n_exemplars: int,
) -> dict[GroupKey, CurationGroup]:
    """Every group with what is said of it. labels: of the fitted regions. ids, titles: of every group."""
    quality = {
        (level, label): one
        for level, of_level in labels.by_level.items()
        for label, one in group_quality(fitted.vectors, of_level, fitted.product_ids, n_exemplars).items()
    }
    parents = labels.parents
    return {
        (level, label): CurationGroup(
            group_id,
            ids[COARSE, parents[label]] if level == FINE else None,
            titles[level, label],
            quality[level, label],
            [int(fitted.detection_ids[row]) for row in quality[level, label].exemplars],
        )
        for (level, label), group_id in ids.items()
    }


def write_groups(night: Night, facets: Sequence[FacetGroups]) -> int:
    """Write `curation_groups`; returns its rows."""
    return night.write_table(reduce(DataFrame.unionByName, [_named(one) for one in facets]), "curation_groups")


def _named(one: FacetGroups) -> DataFrame:
    spark = one.labelled.sparkSession
    ids = {
        level: [(label, group.group_id) for (at, label), group in one.groups.items() if at == level] for level in LEVELS
    }
    fine = local_frame(spark, ids[FINE], "fine int, group_id string")
    coarse = local_frame(spark, ids[COARSE], "coarse int, coarse_group_id string")
    nearest = fine.select(F.col(FINE).alias("nearest"), F.col("group_id").alias("nearest_group_id"))
    marked = [(number, True) for (at, _), group in one.groups.items() if at == FINE for number in group.exemplar_ids]
    exemplars = local_frame(spark, marked, "detection_id long, is_exemplar boolean")
    return (
        one.labelled.join(F.broadcast(fine), FINE, "left")
        .join(F.broadcast(coarse), COARSE, "left")
        .join(F.broadcast(nearest), "nearest", "left")
        .join(F.broadcast(exemplars), "detection_id", "left")
        .withColumn("is_exemplar", F.coalesce("is_exemplar", F.lit(False)))
        .withColumn("facet", F.lit(one.facet))
        .select(*table_schema("curation_groups").column_names)
    )


def write_summary(night: Night, facets: Sequence[FacetGroups], columns: NamedColumns) -> int:
    """Write `curation_summary`; returns its rows."""
    schema = spark_schema("curation_summary")
    rows = [tuple(row[name] for name in schema.names) for one in facets for row in _summary_rows(one, columns)]
    return night.write_table(local_frame(night.spark, rows, schema), "curation_summary")


def _summary_rows(one: FacetGroups, columns: NamedColumns) -> list[dict[str, Any]]:
    counted = in_groups_by_level(one.labelled).groupBy("level", "label")
    sizes = counted.agg(F.count("*").alias("regions"), F.count_distinct("product_id").alias("products")).collect()
    categories = _largest_categories(in_groups_by_level(one.labelled), columns)
    rows = []
    for row in sorted(sizes):
        key = (row["level"], row["label"])
        group = one.groups[key]
        category, share = categories.get(key, (None, None))
        rows.append(
            {
                "facet": one.facet,
                "level": row["level"],
                "group_id": group.group_id,
                "coarse_group_id": group.coarse_group_id,
                "title": group.title.title,
                "title_from": group.title.title_from,
                "n_regions": row["regions"],
                "n_products": row["products"],
                "cohesion": group.quality.cohesion,
                "separation": group.quality.separation,
                "category": category,
                "category_share": share,
                "dominant_class": group.title.dominant_class,
                "dominant_colour": group.title.dominant_colour,
                "exemplar_ids": group.exemplar_ids,
            }
        )
    return rows


def _largest_categories(in_groups: DataFrame, columns: NamedColumns) -> dict[GroupKey, tuple[str, float]]:
    """The most frequent category of each group that has one, and its share of the members that have one."""
    of_group = ("level", "label")
    cells = (
        in_groups.select(*of_group, attribute(columns.category).alias("category"))
        .where("category <> ''")
        .groupBy(*of_group, "category")
        .count()
    )
    counts = cells.mapInArrow(_as_paths, cells.schema).groupBy(*of_group, "category").agg(F.sum("count").alias("count"))
    members = Window.partitionBy(*of_group)
    ranked = counts.withColumn("n", F.sum("count").over(members)).withColumn(
        "place", F.row_number().over(members.orderBy(F.desc("count"), "category"))
    )
    return {
        (row["level"], row["label"]): (row["category"], row["count"] / row["n"])
        for row in ranked.where("place = 1").collect()
    }


def _as_paths(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Counts with one category for each cell."""
    for batch in batches:
        paths = [category_path(cell) for cell in batch.column("category").to_pylist()]
        yield batch.set_column(batch.schema.get_field_index("category"), "category", pa.array(paths, pa.string()))


def write_lineage(night: Night, facets: Sequence[FacetGroups]) -> int:
    """Write `group_lineage`; returns its rows."""
    rows = [
        (one.facet, level, row.group_id, row.previous_group_id, row.event, row.overlap)
        for one in facets
        for level, row in one.lineage
    ]
    return night.write_table(local_frame(night.spark, rows, spark_schema("group_lineage")), "group_lineage")
