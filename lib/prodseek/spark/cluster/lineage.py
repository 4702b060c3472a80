"""Ids of tonight's groups: matched, by the images that they share, to those of the last night."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.groups import GroupKey
from prodseek.cluster.stable_ids import Content, LineageRow, match_groups
from prodseek.cluster.titles import KeptTitle
from prodseek.runs.columns import GROUP_COLUMNS, LEVELS
from prodseek.spark.cluster.last_night import LastGroups
from prodseek.spark.night import Night


@dataclass(frozen=True)
class MatchedGroups:
    """ids: of every group. lineage: level, and what became of a group of the last night or of this one."""

    ids: dict[GroupKey, str]
    lineage: list[tuple[str, LineageRow]]

    def kept_titles(self, last: LastGroups | None) -> dict[GroupKey, KeptTitle]:
        """The titles of groups that hold much the same as in the last night."""
        if last is None:
            return {}
        unchanged = {row.group_id for _, row in self.lineage if row.is_unchanged}
        return {key: last.titles[group_id] for key, group_id in self.ids.items() if group_id in unchanged}


def matched_groups(night: Night, in_groups: DataFrame, last: LastGroups | None, facet: str) -> MatchedGroups:
    """Match a facet's groups to those of the last night. in_groups: as `in_groups_by_level` gives it."""
    current = _contents(in_groups)
    previous: dict[str, dict[str, int]] = {level: {} for level in LEVELS}
    shared: dict[str, dict[tuple[int, str], int]] = {level: {} for level in LEVELS}
    if last is not None:
        was = _last_by_level(last)
        for row in was.groupBy("level", "was").count().collect():
            previous[row["level"]][row["was"]] = row["count"]
        both = in_groups.select("level", "label", "image_id").join(was, ["level", "image_id"])
        for row in both.groupBy("level", "label", "was").count().collect():
            shared[row["level"]][row["label"], row["was"]] = row["count"]
    ids: dict[GroupKey, str] = {}
    lineage: list[tuple[str, LineageRow]] = []
    for level in LEVELS:
        matched, rows = match_groups(
            current[level],
            previous[level],
            shared[level],
            f"{facet}-{level}",
            night.run.run_id,
            night.config.cluster.id_overlap,
        )
        ids |= {(level, label): group_id for label, group_id in matched.items()}
        lineage += [(level, row) for row in rows]
    return MatchedGroups(ids, lineage)


def _contents(in_groups: DataFrame) -> dict[str, dict[int, Content]]:
    """level -> label -> what the group holds."""
    found: dict[str, dict[int, Content]] = {level: {} for level in LEVELS}
    counted = in_groups.groupBy("level", "label").agg(F.count("*").alias("n"), F.min("image_id").alias("first"))
    for row in counted.collect():
        found[row["level"]][row["label"]] = Content(row["n"], row["first"])
    return found


def _last_by_level(last: LastGroups) -> DataFrame:
    """level, image_id, was: the group of the last night that the image was in."""
    levels = [
        last.regions.select(F.lit(level).alias("level"), "image_id", F.col(column).alias("was"))
        for level, column in GROUP_COLUMNS.items()
    ]
    return reduce(DataFrame.unionByName, levels).where("was is not null")
