"""What is new since the last night: counts, and a few examples of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from prodseek.duplicates.verdicts import Decision
from prodseek.report.overview_model import (
    ChangedGroup,
    ChangedPhoto,
    Changes,
    CountedExamples,
    GroupChanges,
    NewCopy,
    NewDuplicateGroup,
    NewPair,
)
from prodseek.runs.columns import LEVELS, VISUAL
from prodseek.runs.store import Run
from prodseek.spark.duplicates.pair_verdicts import is_copy
from prodseek.spark.night import Night
from prodseek.spark.report.counted_examples import found_by
from prodseek.spark.report.named_photos import title_of
from prodseek.spark.report.rows_in import rejects_by_reason
from prodseek.spark.tables import read_table
from prodseek.storage import files

T = TypeVar("T")

EXAMPLES = 12
EVENTS = ("born", "merged", "split", "retired")
_TABLES = ("images", "rejects", "near_duplicates", "duplicate_groups", "curation_summary")
_KEY = ["product_id", "uri"]
_WAS_KEY = ["was_product_id", "was_uri"]


def changes_since_last_night(night: Night) -> Changes | None:
    """Compare the night's tables with those of the last night; None when there is none, or it no longer has all of its tables."""
    last_run = night.last_run
    if last_run is None or not all(files.exists(last_run.table_uri(table)) for table in _TABLES):
        return None
    photos = _photos(night, last_run).cache()
    by_change = found_by(photos, ["change"], ["image_id", *_KEY], EXAMPLES)
    duplicates = _duplicates(night, last_run, photos.where("change = 'moved'"))
    by_kind = found_by(duplicates, ["kind"], [F.desc("group_size"), "group_id", *_KEY], EXAMPLES)
    pairs = _new_pairs(night, last_run)
    changes = Changes(
        run_id=last_run.run_id,
        came=_made(_photo, by_change, "came"),
        went=_made(_photo, by_change, "went"),
        replaced=_made(_photo, by_change, "replaced"),
        moved=_made(_photo, by_change, "moved"),
        repaired=_made(_photo, by_change, "repaired"),
        rejects=rejects_by_reason(_new_rejects(night, last_run)),
        n_lost=_made(_photo, by_change, "lost").n,
        duplicate_groups=_made(_duplicate_group, by_kind, "group"),
        copies=_made(_copy, by_kind, "copy"),
        pairs_to_look_at=_made(_pair, pairs, Decision.LOOK.value),
        pairs_apart=_made(_pair, pairs, Decision.VARIANT.value),
        groups=_groups(night, last_run),
    )
    photos.unpersist()
    return changes


def _made(
    made: Callable[[Row], T], found: dict[tuple[str, ...], CountedExamples[Row]], *key: str
) -> CountedExamples[T]:
    rows = found.get(key, CountedExamples())
    return CountedExamples(rows.n, tuple(made(row) for row in rows.examples))


def _photos(night: Night, last_run: Run) -> DataFrame:
    """Every photo that is not as it was: change, image_id, product_id, uri, title, was_product_id, was_uri, reason."""
    now = _titled(night, night.run)
    then = _titled(night, last_run).withColumnsRenamed({"image_id": "was_image_id", "title": "was_title"})
    changed = now.join(then, _KEY, "full_outer").where(~F.col("image_id").eqNullSafe(F.col("was_image_id")))
    for run, name in ((night.run, "reason_now"), (last_run, "reason")):
        rejected = read_table(night.spark, run, "rejects").groupBy(_KEY).agg(F.min("reason").alias(name))
        changed = changed.join(rejected, _KEY, "left")
    change = (
        F.when(F.col("image_id").isNull(), F.when(F.col("reason_now").isNull(), "went").otherwise("lost"))
        .when(F.col("was_image_id").isNotNull(), "replaced")
        .when(F.col("reason").isNotNull(), "repaired")
        .otherwise("came")
    )
    # A file that went and came is one that moved. Copies of one file are told apart by number.
    number = F.row_number().over(Window.partitionBy("change", "image_id").orderBy(*_KEY))
    same_file = Window.partitionBy("image_id", "copy", F.col("change").isin("came", "went"))
    is_went = F.col("change") == "went"
    has_moved = (F.col("came") == 1) & (F.col("went") == 1)
    return (
        changed.select(
            change.alias("change"),
            F.coalesce("image_id", "was_image_id").alias("image_id"),
            *_KEY,
            F.coalesce("title", "was_title").alias("title"),
            F.when(change == "repaired", F.col("reason")).alias("reason"),
        )
        .withColumn("copy", number)
        .withColumns({name: F.count_if(F.col("change") == name).over(same_file) for name in ("came", "went")})
        .withColumns({f"was_{name}": F.max(F.when(is_went, F.col(name))).over(same_file) for name in _KEY})
        .where(~(has_moved & is_went))
        .withColumn("change", F.when(has_moved, "moved").otherwise(F.col("change")))
        .withColumns({name: F.when(has_moved, F.col(name)) for name in _WAS_KEY})
        .drop("copy", "came", "went")
    )


def _titled(night: Night, run: Run) -> DataFrame:
    return read_table(night.spark, run, "images").select(*_KEY, "image_id", title_of(run).alias("title"))


def _new_rejects(night: Night, last_run: Run) -> DataFrame:
    columns = ["uri", "product_id", "reason"]
    number = F.row_number().over(Window.partitionBy(*columns).orderBy("detail"))
    now, then = (read_table(night.spark, run, "rejects").withColumn("copy", number) for run in (night.run, last_run))
    same = [now[name].eqNullSafe(then[name]) for name in (*columns, "copy")]
    return now.join(then, same, "left_anti")


def _duplicates(night: Night, last_run: Run, moved: DataFrame) -> DataFrame:
    """The representatives of new groups and the photos that joined one that is not: kind is group or copy."""
    was = [F.coalesce(name, own).alias(name) for name, own in zip(_WAS_KEY, _KEY, strict=True)]
    now = night.table("duplicate_groups").join(moved.select(*_KEY, *_WAS_KEY), _KEY, "left")
    then = read_table(night.spark, last_run, "duplicate_groups").select(
        F.col("group_id").alias("was_group_id"), *(F.col(name).alias(f"was_{name}") for name in _KEY)
    )
    members = now.select("group_id", "group_size", "is_representative", *_KEY, *was).join(then, _WAS_KEY, "left")
    shared = members.groupBy("group_id", "was_group_id").agg(F.count("was_group_id").alias("n"))
    is_new = shared.groupBy("group_id").agg((F.max("n") < 2).alias("is_new"))
    kind = F.when(F.col("is_new") & F.col("is_representative"), "group").when(
        ~F.col("is_new") & F.col("was_group_id").isNull(), "copy"
    )
    told = members.join(is_new, "group_id").withColumn("kind", kind).where("kind is not null")
    return told.join(_titled(night, night.run).drop("image_id"), _KEY)


def _duplicate_group(row: Row) -> NewDuplicateGroup:
    return NewDuplicateGroup(*_values(row, "group_id", "group_size", *_KEY, "title"))


def _copy(row: Row) -> NewCopy:
    return NewCopy(*_values(row, "group_id", *_KEY, "title"))


def _new_pairs(night: Night, last_run: Run) -> dict[tuple[str, ...], CountedExamples[Row]]:
    """Pairs that are no copies, and were not decided so in the last run: by decision."""
    ids = ["image_id_a", "image_id_b"]
    now, then = (read_table(night.spark, run, "near_duplicates").where(~is_copy()) for run in (night.run, last_run))
    new = now.join(then, [*ids, "decision"], "left_anti")
    return found_by(new, ["decision"], [F.desc("confidence"), *ids], EXAMPLES)


def _pair(row: Row) -> NewPair:
    return NewPair(*_values(row, "verdict", "confidence", "product_id_a", "uri_a", "product_id_b", "uri_b"))


def _groups(night: Night, last_run: Run) -> tuple[GroupChanges, ...]:
    """Groups of each event; half of the examples are fine groups and half coarse ones, the largest."""
    now, then = (
        read_table(night.spark, run, "curation_summary")
        .where(F.col("facet") == VISUAL)
        .select("group_id", "title", "n_regions")
        for run in (night.run, last_run)
    )
    then = then.withColumnsRenamed({name: f"previous_{name}" for name in then.columns})
    lineage = night.table("group_lineage").where((F.col("facet") == VISUAL) & F.col("event").isin(*EVENTS))
    changed = (
        lineage.join(now, "group_id", "left")
        .join(then, "previous_group_id", "left")
        .groupBy("event", "level", F.coalesce("group_id", "previous_group_id").alias("id"))
        .agg(
            F.first(F.coalesce("title", "previous_title")).alias("title"),
            F.first(F.coalesce("n_regions", "previous_n_regions")).alias("n_regions"),
            F.array_sort(F.collect_set("previous_title")).alias("previous_titles"),
        )
    )
    found = found_by(changed, ["event", "level"], [F.desc("n_regions"), "id"], EXAMPLES // 2)
    return tuple(_group_changes(event, *(_made(_group, found, event, level) for level in LEVELS)) for event in EVENTS)


def _group_changes(
    event: str, fine: CountedExamples[ChangedGroup], coarse: CountedExamples[ChangedGroup]
) -> GroupChanges:
    return GroupChanges(event, fine.n, coarse.n, fine.examples + coarse.examples)


def _group(row: Row) -> ChangedGroup:
    titles = () if row["event"] == "retired" else tuple(row["previous_titles"])
    return ChangedGroup(row["id"], row["level"], row["title"] or "", row["n_regions"] or 0, titles)


def _photo(row: Row) -> ChangedPhoto:
    return ChangedPhoto(*_values(row, "image_id", *_KEY, "title", *_WAS_KEY, "reason"))


def _values(row: Row, *names: str) -> list[Any]:
    return ["" if row[name] is None else row[name] for name in names]
