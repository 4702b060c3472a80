"""The groups of the last night, and whether tonight's go on from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.groups import NOISE
from prodseek.cluster.labels import LevelLabels
from prodseek.cluster.titles import KeptTitle
from prodseek.config import changed_settings
from prodseek.runs.columns import COARSE, FINE, GROUP_COLUMNS, LEVELS
from prodseek.runs.facts import ClusterFacts, GroupedFacet, ProjectFacts
from prodseek.spark.arrow import ids_of
from prodseek.spark.cluster.fit import FittedRegions
from prodseek.spark.cluster.neighbour_votes import LABELS, is_noise
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame, read_table

# Settings that change neither which groups a fit finds nor where regions belong.
_BESIDE_THE_FIT = {"facets", "exemplars", "refit_change", "id_overlap"}


@dataclass(frozen=True)
class LastGroups:
    """A facet's groups of the last night. titles: by group_id, as they were.

    regions: detection_id, image_id, group_id, coarse_group_id, nearest_group_id, membership.
    """

    regions: DataFrame
    titles: dict[str, KeptTitle]
    facts: GroupedFacet


@dataclass(frozen=True)
class Origin:
    """What tonight's groups go back to: tonight's fit, or an earlier one that was carried on from night to night.

    recipe, fitted_for, changed_since: as in `GroupedFacet`. known: LABELS of the last night's regions; None where
    nothing is carried on. how: for a person.
    """

    recipe: dict[str, Any]
    fitted_for: int
    changed_since: int
    known: DataFrame | None
    how: str

    def known_labels(self, fitted: FittedRegions) -> LevelLabels | None:
        """The last night's labels of the fitted regions, NOISE for new ones; None where nothing is carried on."""
        if self.known is None:
            return None
        among = fitted.id_frame(self.known.sparkSession)
        rows = self.known.join(among, "detection_id", "left_semi").select("detection_id", *LEVELS).toArrow()
        place = np.searchsorted(fitted.detection_ids, ids_of(rows.column("detection_id")))
        fine, coarse = (np.full(fitted.n_rows, NOISE, np.int32) for _ in LEVELS)
        fine[place], coarse[place] = (rows.column(level).to_numpy() for level in LEVELS)
        return LevelLabels(fine, coarse)


def last_groups(night: Night, facet: str) -> LastGroups | None:
    """The facet's groups of the last night; None where there is none, or it did not group by this facet."""
    if night.last_run is None:
        return None
    stage = night.last_run.facts_if_done(ClusterFacts)
    facts = None if stage is None else stage.facets.get(facet)
    if facts is None:
        return None
    images, regions, titles = (
        read_table(night.spark, night.last_run, name) for name in ("detections", "curation_groups", "curation_summary")
    )
    of_facet = regions.where(F.col("facet") == facet).join(images.select("detection_id", "image_id"), "detection_id")
    titled = titles.where(F.col("facet") == facet).select("group_id", "title", "title_from").collect()
    return LastGroups(
        of_facet.select("detection_id", "image_id", *GROUP_COLUMNS.values(), "nearest_group_id", "membership"),
        {row["group_id"]: KeptTitle(row["title"], row["title_from"]) for row in titled},
        facts,
    )


def origin_of_groups(night: Night, regions: DataFrame, fitted: FittedRegions, last: LastGroups | None) -> Origin:
    """Whether tonight's groups are those of tonight's fit, or go on from the last night's.

    A fit of the whole catalogue moves groups about that nothing happened to. So groups go on, like the projection that
    their vectors come from, until the catalogue has become another.
    """
    recipe = _recipe(night)

    def fitted_because(reason: str) -> Origin:
        return Origin(recipe, fitted.n_rows, 0, None, f"fitted, because {reason}")

    if last is None:
        return fitted_because("there are no earlier groups")
    changed = changed_settings(last.facts.recipe, recipe)
    if changed:
        return fitted_because(", ".join(changed))
    n_new = regions.join(last.regions, "detection_id", "left_anti").count()
    n_gone = last.regions.join(regions, "detection_id", "left_anti").count()
    fitted_for, changed_since = last.facts.fitted_for, last.facts.changed_since + n_new + n_gone
    if changed_since > night.config.cluster.refit_change * fitted_for:
        return fitted_because(f"{changed_since} regions changed since {fitted_for} were fitted (cluster.refit_change)")
    known = _known_labels(regions, fitted, last, night.config.cluster.min_cluster_size)
    return Origin(
        recipe, fitted_for, changed_since, known, f"carried on, {changed_since} regions changed since the fit"
    )


def _recipe(night: Night) -> dict[str, Any]:
    """Everything that decides what a fit finds."""
    config = night.config
    project = night.run.facts_if_done(ProjectFacts)
    return {
        **config.cluster.model_dump(mode="json", exclude=_BESIDE_THE_FIT),
        "k": config.neighbours.k,
        "seed": config.seed,
        "projection_id": None if project is None else project.projection_id,
    }


def _known_labels(regions: DataFrame, fitted: FittedRegions, last: LastGroups, min_size: int) -> DataFrame:
    """LABELS of the regions that were there in the last night, but of those whose group is no more."""
    there = last.regions.join(standing_regions(regions).select("detection_id"), "detection_id", "left_semi").cache()
    fine, coarse = (_numbered(there, GROUP_COLUMNS[level], fitted, min_size) for level in LEVELS)
    labelled = (
        there.join(F.broadcast(fine.withColumnRenamed("label", FINE)), "group_id", "left")
        .join(F.broadcast(coarse.withColumnRenamed("label", COARSE)), "coarse_group_id", "left")
        .join(F.broadcast(fine.toDF("nearest_group_id", "nearest")), "nearest_group_id", "left")
        .fillna(NOISE, [*LEVELS, "nearest"])
    )
    # A region whose group is no more is as good as new.
    return labelled.where(F.col("group_id").isNull() | ~is_noise(FINE)).select(*LABELS)


def _numbered(there: DataFrame, column: str, fitted: FittedRegions, min_size: int) -> DataFrame:
    """The groups of the last night that are still large enough and have a region in tonight's fit: column, label."""
    spark = there.sparkSession
    is_fitted = spark.createDataFrame(
        pa.table({"detection_id": fitted.detection_ids, "is_fitted": np.ones(fitted.n_rows, bool)})
    )
    sizes = there.join(is_fitted, "detection_id", "left").where(F.col(column).isNotNull()).groupBy(column)
    alive = sizes.agg(F.count("*").alias("n"), F.count("is_fitted").alias("n_fitted"))
    rows = alive.where((F.col("n") >= min_size) & (F.col("n_fitted") > 0)).select(column).collect()
    names = sorted(row[column] for row in rows)
    return local_frame(spark, zip(names, range(len(names)), strict=True), f"{column} string, label int")
