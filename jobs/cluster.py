"""Stage cluster: curation groups of primary regions, from the neighbour graph, named and with ids that last.

Groups are fitted on the driver, on a bounded number of regions; the votes of neighbours, and everything that is counted,
are Spark's.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.labels import labels_of_night
from prodseek.cluster.named_columns import NamedColumns
from prodseek.cluster.titles import group_titles
from prodseek.runs.columns import COARSE, FINE, VISUAL
from prodseek.runs.facts import ClusterFacts, GroupedFacet
from prodseek.runs.store import Summary
from prodseek.spark.cluster.fit import Fit, fit_groups
from prodseek.spark.cluster.group_tables import (
    FacetGroups,
    curation_groups,
    write_groups,
    write_lineage,
    write_summary,
)
from prodseek.spark.cluster.labelled_regions import in_groups_by_level, label_regions
from prodseek.spark.cluster.last_night import Origin, last_groups, origin_of_groups
from prodseek.spark.cluster.lineage import matched_groups
from prodseek.spark.cluster.looks import LOOKS_CACHE, looks_by_group
from prodseek.spark.cluster.names import CatalogueWords, catalogue_words, group_facts
from prodseek.spark.cluster.neighbour_votes import is_noise
from prodseek.spark.cluster.odd_categories import with_odd_category
from prodseek.spark.cluster.primary_regions import primary_regions
from prodseek.spark.cluster.region_map import write_map
from prodseek.spark.night import Night
from prodseek.spark.tables import only_row


@dataclass(frozen=True)
class _Grouped:
    """A facet's groups, and the fit that they, or only new ones among them, come from."""

    groups: FacetGroups
    fit: Fit
    facts: GroupedFacet


def run(night: Night) -> Summary[ClusterFacts]:
    """Group, name, compare with the last run, and write the groups, their summary and lineage, and the map."""
    regions = primary_regions(night).cache()
    words = catalogue_words(regions, night.config.catalog.columns)
    words.said.cache()
    grouped: dict[str, _Grouped] = {}
    for facet in night.config.cluster.facets:
        taken = {title for other in grouped.values() for title in other.groups.titles}
        grouped[facet] = _group(night, regions, words, facet, taken)
    groups, visual = [one.groups for one in grouped.values()], grouped[VISUAL]
    rows = {
        "curation_groups": write_groups(night, groups),
        "curation_summary": write_summary(night, groups, words.columns),
        "group_lineage": write_lineage(night, groups),
        "region_map": write_map(night, regions, visual.fit, visual.facts.carried_on),
    }
    words.said.unpersist()
    regions.unpersist()
    for one in groups:
        one.labelled.unpersist()
    facts = {facet: one.facts for facet, one in grouped.items()}
    lines = tuple(
        f"{facet}: {one.groups} groups in {one.coarse_groups} coarse ones, of {one.grouped_regions} primary regions, "
        f"{one.in_no_group} in none{_in_other_category(one)}; {one.how}"
        for facet, one in facts.items()
    )
    if words.columns.not_found:
        lines = (*lines, f"titles: {words.columns.not_found}")
    return Summary(ClusterFacts(facets=facts, looks_cache=LOOKS_CACHE, title_column=words.columns.title), rows, lines)


def _group(night: Night, regions: DataFrame, words: CatalogueWords, facet: str, taken: Set[str]) -> _Grouped:
    """A facet's groups. taken: titles that other facets' groups have."""
    settings = night.config.cluster
    fit = fit_groups(night, regions, facet)
    last = last_groups(night, facet)
    origin = origin_of_groups(night, regions, fit.regions, last)
    labels = labels_of_night(fit.graph, fit.groups, origin.known_labels(fit.regions), settings.min_cluster_size)
    labelled = label_regions(night, regions, fit, labels, origin.known)
    labelled = with_odd_category(night, labelled, fit, words.columns).cache()
    in_groups = in_groups_by_level(labelled).cache()
    matched = matched_groups(night, in_groups, last, facet)
    named_after = group_facts(night, in_groups, words, looks_by_group(night, in_groups))
    titles = group_titles(named_after, matched.kept_titles(last), taken)
    in_groups.unpersist()
    described = curation_groups(fit.regions, labels, matched.ids, titles, settings.exemplars)
    groups = FacetGroups(facet, labelled, described, matched.lineage)
    return _Grouped(groups, fit, _facts(groups, fit, origin, words.columns))


def _facts(groups: FacetGroups, fit: Fit, origin: Origin, columns: NamedColumns) -> GroupedFacet:
    counted = only_row(
        groups.labelled.select(
            F.count("*").alias("all"),
            F.count_if(is_noise(FINE)).alias("in_none"),
            F.count("odd_category").alias("odd"),
            F.count_distinct("product_id").alias("products"),
            F.count_distinct(F.when(F.col("asked_neighbours").isNotNull(), F.col("product_id"))).alias("asked"),
            F.count_distinct(F.when(F.col("asked_narrowly"), F.col("product_id"))).alias("asked_narrowly"),
        )
    )
    return GroupedFacet(
        recipe=origin.recipe,
        fitted_for=origin.fitted_for,
        changed_since=origin.changed_since,
        grouped_regions=int(counted["all"]),
        in_no_group=int(counted["in_none"]),
        in_other_category=None if columns.category is None else int(counted["odd"]),
        products_asked=None if columns.category is None else int(counted["asked"]),
        products_asked_narrowly=None if columns.category is None else int(counted["asked_narrowly"]),
        products=int(counted["products"]),
        fitted_regions=fit.regions.n_rows,
        groups=groups.n_groups(FINE),
        coarse_groups=groups.n_groups(COARSE),
        carried_on=origin.known is not None,
        how=origin.how,
    )


def _in_other_category(one: GroupedFacet) -> str:
    if one.in_other_category is None:
        return ""
    return (
        f", {one.in_other_category} that look like another category ({one.products_asked} of {one.products} products "
        f"could be asked, {one.products_asked_narrowly} of them at the narrowest level)"
    )


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("cluster")
