"""Stage cluster: curation groups of primary regions, from the neighbour graph, named and with ids that last.

Groups are fitted on the driver, on a bounded number of regions; the votes of neighbours, and everything that is counted, are
Spark's.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.cluster.groups import NOISE, Groups
from prodseek.cluster.labels import Graph, Labels, carried, nested, settled, votes
from prodseek.cluster.quality import GroupQuality, group_quality
from prodseek.cluster.stable_ids import Content, LineageRow, match_groups
from prodseek.cluster.titles import GroupTitle, group_titles
from prodseek.config import ClusterConfig, Config, changed_settings
from prodseek.errors import StoreError
from prodseek.jobs.index import facet_vectors
from prodseek.runs.columns import BOX_PX, COARSE, FINE, LEVELS, VISUAL
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import table_schema
from prodseek.spark.arrow import ids_of
from prodseek.spark.cluster.fit import FittedRegions, Nearest, collect, fit_groups
from prodseek.spark.cluster.names import LOOKS_CACHE, GroupKey, largest_categories, member_facts
from prodseek.spark.cluster.neighbour_votes import LABELS, is_noise, nearest_fitted, voted_for
from prodseek.spark.cluster.region_map import write_map
from prodseek.spark.photos import one_photo_an_image, photos_of
from prodseek.spark.tables import local_frame, read_table, spark_schema, write_table


class _Before(NamedTuple):
    """The groups of the last night. titles: by group_id.

    regions: detection_id, image_id, group_id, coarse_group_id, nearest_group_id, membership.
    """

    regions: DataFrame
    titles: dict[str, str]
    facts: dict[str, Any]


class _Fit(NamedTuple):
    """What the groups of this night were fitted on: this one's regions, or an earlier night's."""

    recipe: dict[str, Any]
    fitted_for: int
    changed_since: int


class _Grouped(NamedTuple):
    """A facet's groups. labelled: every primary region with fine, coarse and nearest label. goes_on: from the last night's."""

    facet: str
    fitted: FittedRegions
    nearest: Nearest
    goes_on: bool
    labelled: DataFrame
    ids: dict[GroupKey, str]
    lineage: list[tuple[str, LineageRow]]
    titles: dict[GroupKey, GroupTitle]
    quality: dict[GroupKey, GroupQuality]
    exemplars: dict[GroupKey, list[int]]
    parents: dict[int, int]
    facts: dict[str, Any]


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Group, name, compare with the last run, and write the groups, their summary and lineage, and the map."""
    regions = _standing_regions(spark, run).cache()
    grouped: list[_Grouped] = []
    for facet in config.cluster.facets:
        taken = {title.title for other in grouped for title in other.titles.values()}
        grouped.append(_group(spark, config, run, regions, facet, taken))
    visual = next(one for one in grouped if one.facet == VISUAL)
    rows = {
        "curation_groups": _write_groups(spark, run, grouped),
        "curation_summary": _write_summary(spark, run, grouped),
        "group_lineage": _write_lineage(spark, run, grouped),
        "region_map": write_map(spark, run, regions, visual.fitted, visual.nearest, visual.goes_on, config.seed),
    }
    regions.unpersist()
    for one in grouped:
        one.labelled.unpersist()
    lines = tuple(
        f"{one.facet}: {one.facts['groups']} groups in {one.facts['coarse_groups']} coarse ones, of "
        f"{one.facts['grouped_regions']} primary regions, {one.facts['in_no_group']} in none; {one.facts['how']}"
        for one in grouped
    )
    facts = {one.facet: one.facts for one in grouped}
    return Summary("cluster", rows=rows, facts={**facts[VISUAL], "facets": facts, "caches": [LOOKS_CACHE]}, lines=lines)


def _group(spark: SparkSession, config: Config, run: Run, regions: DataFrame, facet: str, taken: set[str]) -> _Grouped:
    settings = config.cluster
    fitted = collect(spark, run, regions, facet, settings)
    graph, groups, nearest = fit_groups(spark, config, run, fitted, facet)
    before = _before(spark, run, facet)
    fit, known, why = _taken_over(config, run, regions, fitted, before, facet)
    last = None if known is None else _last_labels(fitted, known)
    fine, coarse = _labels(graph, groups, last, settings)
    labelled = _label_all(
        spark, run, regions, fitted, graph, groups, fine, coarse, facet, known, config.neighbours.k
    ).cache()
    long = _by_level(labelled).cache()
    ids, lineage = _ids(long, before, facet, run.run_id, settings)
    unchanged = {row.group_id for _, row in lineage if row.is_unchanged}
    kept = {key: before.titles[name] for key, name in ids.items() if before is not None and name in unchanged}
    titles = group_titles(member_facts(spark, run, long, photos_of(config, run)), kept, taken)
    quality = {
        (level, label): one
        for level, labels in ((FINE, fine), (COARSE, coarse))
        for label, one in group_quality(fitted.vectors, labels, fitted.product_ids, settings.exemplars).items()
    }
    n_regions, n_in_none = (int(value) for value in labelled.select(F.count("*"), F.count_if(is_noise(FINE))).first())
    facts = {
        **fit._asdict(),
        "grouped_regions": n_regions,
        "in_no_group": n_in_none,
        "fitted_regions": len(fitted.detection_ids),
        "groups": sum(level == FINE for level, _ in ids),
        "coarse_groups": sum(level == COARSE for level, _ in ids),
        "carried_on": known is not None,
        "how": f"fitted, {why}" if known is None else f"carried on, {fit.changed_since} regions changed since the fit",
    }
    exemplars = {key: [int(fitted.detection_ids[row]) for row in one.exemplars] for key, one in quality.items()}
    parents = {int(a): int(b) for a, b in zip(fine, coarse, strict=True) if a != NOISE}
    long.unpersist()
    return _Grouped(
        facet,
        fitted,
        nearest,
        known is not None,
        labelled,
        ids,
        lineage,
        titles,
        quality,
        exemplars,
        parents,
        facts,
    )


def _standing_regions(spark: SparkSession, run: Run) -> DataFrame:
    """Primary regions with the image that stands for theirs: copies of a photo are fitted once."""
    in_groups = read_table(spark, run, "duplicate_groups")
    representative = in_groups.where("is_representative").select(
        "group_id", F.col("image_id").alias("standing_image_id")
    )
    copies = (
        in_groups.join(representative, "group_id")
        .groupBy("image_id")
        .agg(F.min("standing_image_id").alias("standing_image_id"))
    )
    photos = one_photo_an_image(spark, run)
    primary = read_table(spark, run, "detections").where("is_primary")
    return (
        primary.select("detection_id", "image_id", "class_name", "area_fraction", *BOX_PX)
        .join(photos, "image_id")
        .join(copies, "image_id", "left")
        .withColumn("standing_image_id", F.coalesce("standing_image_id", "image_id"))
    )


def _labels(
    graph: Graph, groups: Groups, last: dict[str, Labels] | None, settings: ClusterConfig
) -> tuple[Labels, Labels]:
    """Fine and coarse labels of the fitted regions."""
    fine, coarse = groups.fine, groups.coarse
    if last is not None:
        fine = carried(last[FINE], fine, settings.min_cluster_size)
        coarse = carried(last[COARSE], coarse, settings.min_cluster_size)
    fine = settled(graph, fine)
    return fine, settled(graph, nested(fine, coarse))


def _before(spark: SparkSession, run: Run, facet: str) -> _Before | None:
    try:
        latest = Store(run.root).latest_readable()
    except StoreError:
        return None
    summary = latest.summary("cluster")
    facts = {} if summary is None else summary.facts.get("facets", {}).get(facet)
    if not facts:
        return None
    images = read_table(spark, latest, "detections").select("detection_id", "image_id")
    regions = read_table(spark, latest, "curation_groups").where(F.col("facet") == facet).join(images, "detection_id")
    titles = read_table(spark, latest, "curation_summary").where(F.col("facet") == facet)
    return _Before(
        regions.select("detection_id", "image_id", "group_id", "coarse_group_id", "nearest_group_id", "membership"),
        {row["group_id"]: row["title"] for row in titles.select("group_id", "title").collect()},
        facts,
    )


def _taken_over(
    config: Config, run: Run, regions: DataFrame, fitted: FittedRegions, before: _Before | None, facet: str
) -> tuple[_Fit, DataFrame | None, str]:
    """The fit that this night's groups go back to, and the regions of the last night with their labels if groups go on; if
    not, why.

    A fit of the whole catalogue moves groups about that nothing happened to. So groups go on, like the projection that their
    vectors come from, until the catalogue has become another.
    """
    settings = config.cluster.model_dump(mode="json", exclude={"facets", "exemplars", "refit_change", "id_overlap"})
    projected = run.summary("project")
    projection_id = None if projected is None else projected.facts.get("projection_id")
    recipe = {**settings, "k": config.neighbours.k, "seed": config.seed, "projection_id": projection_id}
    fresh = _Fit(recipe, len(fitted.detection_ids), 0)
    if before is None:
        return fresh, None, "for there are no earlier ones"
    changed = changed_settings(before.facts["recipe"], recipe)
    if changed:
        return fresh, None, f"for {', '.join(changed)}"
    n_new = regions.join(before.regions, "detection_id", "left_anti").count()
    n_gone = before.regions.join(regions, "detection_id", "left_anti").count()
    fit = _Fit(recipe, before.facts["fitted_for"], before.facts["changed_since"] + n_new + n_gone)
    if fit.changed_since > config.cluster.refit_change * fit.fitted_for:
        return (
            fresh,
            None,
            f"for {fit.changed_since} regions changed since {fit.fitted_for} were fitted (cluster.refit_change)",
        )
    standing = regions.where("image_id = standing_image_id").select("detection_id")
    there = before.regions.join(standing, "detection_id", "left_semi").cache()
    fine = _numbered(there, "group_id", fitted, config.cluster.min_cluster_size)
    coarse = _numbered(there, "coarse_group_id", fitted, config.cluster.min_cluster_size)
    known = (
        there.join(F.broadcast(fine.withColumnRenamed("label", FINE)), "group_id", "left")
        .join(F.broadcast(coarse.withColumnRenamed("label", COARSE)), "coarse_group_id", "left")
        .join(F.broadcast(fine.toDF("nearest_group_id", "nearest")), "nearest_group_id", "left")
        .fillna(NOISE, [*LEVELS, "nearest"])
    )
    # A region whose group is no more is as good as new.
    return fit, known.where(F.col("group_id").isNull() | ~is_noise(FINE)).select(*LABELS), ""


def _numbered(there: DataFrame, column: str, fitted: FittedRegions, min_size: int) -> DataFrame:
    """The groups of the last night that are still large enough and have a region in this night's fit: column, label."""
    spark = there.sparkSession
    is_fitted = spark.createDataFrame(
        pa.table({"detection_id": fitted.detection_ids, "is_fitted": np.ones(len(fitted.detection_ids), bool)})
    )
    sizes = there.join(is_fitted, "detection_id", "left").where(F.col(column).isNotNull()).groupBy(column)
    alive = sizes.agg(F.count("*").alias("n"), F.count("is_fitted").alias("n_fitted"))
    rows = alive.where((F.col("n") >= min_size) & (F.col("n_fitted") > 0)).select(column).collect()
    names = sorted(row[column] for row in rows)
    return local_frame(spark, zip(names, range(len(names)), strict=True), f"{column} string, label int")


def _last_labels(fitted: FittedRegions, known: DataFrame) -> dict[str, Labels]:
    """Each level's labels of the fitted regions where groups go on from."""
    among = known.sparkSession.createDataFrame(pa.table({"detection_id": fitted.detection_ids}))
    rows = known.join(among, "detection_id", "left_semi").select("detection_id", *LEVELS).toArrow()
    place = np.searchsorted(fitted.detection_ids, ids_of(rows.column("detection_id")))
    found = {}
    for level in LEVELS:
        found[level] = np.full(len(fitted.detection_ids), NOISE, np.int32)
        found[level][place] = rows.column(level).to_numpy()
    return found


def _label_all(
    spark: SparkSession,
    run: Run,
    regions: DataFrame,
    fitted: FittedRegions,
    graph: Graph,
    groups: Groups,
    fine: Labels,
    coarse: Labels,
    facet: str,
    known: DataFrame | None,
    k: int,
) -> DataFrame:
    """All primary regions with labels: fitted, carried on, voted for, or those of their original."""
    cast = votes(graph, fine)
    is_alone = np.bincount(graph.rows, minlength=graph.n_rows) == 0
    membership = np.where(fine == NOISE, 0.0, np.where(is_alone, 1.0, cast.own_share)).astype(np.float32)
    decided = spark.createDataFrame(
        pa.table(
            {
                "detection_id": fitted.detection_ids,
                "fine": fine,
                "coarse": coarse,
                "nearest": np.where(fine == NOISE, cast.label, NOISE),
                "membership": membership,
                "outlier_score": groups.outlier_score,
            }
        ),
        "detection_id long, fine int, coarse int, nearest int, membership float, outlier_score float",
    )
    standing = regions.where("image_id = standing_image_id").select("detection_id", "standing_image_id")
    if fitted.is_sample:
        unfitted = standing.select("detection_id").join(decided, "detection_id", "left_anti")
        edges = (
            read_table(spark, run, "neighbours")
            if facet == VISUAL
            else nearest_fitted(
                facet_vectors(spark, run, facet).join(unfitted, "detection_id", "left_semi"),
                fitted.detection_ids,
                fitted.vectors,
                k,
            )
        )
        parents = sorted({(int(a), int(b)) for a, b in zip(fine, coarse, strict=True) if a != NOISE})
        decided = decided.unionByName(voted_for(spark, edges, unfitted, decided, known, parents))
    of_image = standing.join(decided, "detection_id").drop("detection_id")
    return regions.join(of_image, "standing_image_id")


def _by_level(labelled: DataFrame) -> DataFrame:
    """Every region in a group, once for each level: level, label."""
    levels = [labelled.withColumns({"level": F.lit(level), "label": F.col(level)}) for level in LEVELS]
    return reduce(DataFrame.unionByName, levels).where(~is_noise("label"))


def _ids(
    long: DataFrame, before: _Before | None, facet: str, run_id: str, settings: ClusterConfig
) -> tuple[dict[GroupKey, str], list[tuple[str, LineageRow]]]:
    current: dict[str, dict[int, Content]] = {level: {} for level in LEVELS}
    for row in long.groupBy("level", "label").agg(F.count("*").alias("n"), F.min("image_id").alias("first")).collect():
        current[row["level"]][row["label"]] = Content(row["n"], row["first"])
    previous: dict[str, dict[str, int]] = {level: {} for level in LEVELS}
    shared: dict[str, dict[tuple[int, str], int]] = {level: {} for level in LEVELS}
    if before is not None:
        columns = ((FINE, "group_id"), (COARSE, "coarse_group_id"))
        was = reduce(
            DataFrame.unionByName,
            [
                before.regions.select(F.lit(level).alias("level"), "image_id", F.col(name).alias("was"))
                for level, name in columns
            ],
        ).where("was is not null")
        for row in was.groupBy("level", "was").count().collect():
            previous[row["level"]][row["was"]] = row["count"]
        both = long.select("level", "label", "image_id").join(was, ["level", "image_id"])
        for row in both.groupBy("level", "label", "was").count().collect():
            shared[row["level"]][row["label"], row["was"]] = row["count"]
    ids: dict[GroupKey, str] = {}
    lineage: list[tuple[str, LineageRow]] = []
    for level in LEVELS:
        matched, rows = match_groups(
            current[level], previous[level], shared[level], f"{facet}-{level}", run_id, settings.id_overlap
        )
        ids |= {(level, label): name for label, name in matched.items()}
        lineage += [(level, row) for row in rows]
    return ids, lineage


def _write_groups(spark: SparkSession, run: Run, grouped: list[_Grouped]) -> int:
    frames = []
    for one in grouped:
        named = {level: [(label, name) for (at, label), name in one.ids.items() if at == level] for level in LEVELS}
        fine = local_frame(spark, named[FINE], "fine int, group_id string")
        coarse = local_frame(spark, named[COARSE], "coarse int, coarse_group_id string")
        nearest = fine.select(F.col("fine").alias("nearest"), F.col("group_id").alias("nearest_group_id"))
        marked = [(row, True) for (level, _), rows in one.exemplars.items() if level == FINE for row in rows]
        exemplars = local_frame(spark, marked, "detection_id long, is_exemplar boolean")
        frames.append(
            one.labelled.join(F.broadcast(fine), "fine", "left")
            .join(F.broadcast(coarse), "coarse", "left")
            .join(F.broadcast(nearest), "nearest", "left")
            .join(F.broadcast(exemplars), "detection_id", "left")
            .withColumn("is_exemplar", F.coalesce("is_exemplar", F.lit(False)))
            .withColumn("facet", F.lit(one.facet))
            .select(*table_schema("curation_groups").column_names)
        )
    return write_table(reduce(DataFrame.unionByName, frames), run, "curation_groups")


def _write_summary(spark: SparkSession, run: Run, grouped: list[_Grouped]) -> int:
    rows = []
    for one in grouped:
        counted = _by_level(one.labelled).groupBy("level", "label")
        sizes = counted.agg(F.count("*").alias("regions"), F.count_distinct("product_id").alias("products")).collect()
        categories = largest_categories(_by_level(one.labelled))
        for row in sorted(sizes):
            key = (row["level"], row["label"])
            is_fine = row["level"] == FINE
            category, share = categories.get(key, (None, None))
            rows.append(
                {
                    "facet": one.facet,
                    "level": row["level"],
                    "group_id": one.ids[key],
                    "coarse_group_id": one.ids[COARSE, one.parents[row["label"]]] if is_fine else None,
                    "title": one.titles[key].title,
                    "n_regions": row["regions"],
                    "n_products": row["products"],
                    "cohesion": one.quality[key].cohesion,
                    "separation": one.quality[key].separation,
                    "category": category,
                    "category_share": share,
                    "dominant_class": one.titles[key].dominant_class,
                    "dominant_colour": one.titles[key].dominant_colour,
                    "exemplar_ids": one.exemplars[key],
                }
            )
    schema = spark_schema("curation_summary")
    values = [tuple(row[name] for name in schema.names) for row in rows]
    return write_table(local_frame(spark, values, schema), run, "curation_summary")


def _write_lineage(spark: SparkSession, run: Run, grouped: list[_Grouped]) -> int:
    rows = [
        (one.facet, level, row.group_id, row.previous_group_id, row.event, row.overlap)
        for one in grouped
        for level, row in one.lineage
    ]
    return write_table(local_frame(spark, rows, spark_schema("group_lineage")), run, "group_lineage")


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("cluster")
