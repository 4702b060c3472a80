"""What every page of the report loads first: of which run it is, and how much of it is shown."""

from __future__ import annotations

from datetime import UTC, datetime

from prodseek import __version__
from prodseek.report.records import (
    GROUPS_PER_SHARD,
    OBJECTS_PER_SHARD,
    PHOTO_THUMBS_PER_SHARD,
    REGION_THUMBS_PER_SHARD,
    About,
    VerdictWords,
)
from prodseek.report.wording import VERDICTS
from prodseek.runs.columns import FACETS
from prodseek.runs.facts import IngestFacts
from prodseek.spark.night import Night
from prodseek.spark.report.copies import ChosenCopies, verdicts_by_tab


def describe_report(night: Night, n_objects: int, copies: ChosenCopies, group_facets: list[str]) -> About:
    """Describe the report of a night, made now."""
    tabs = verdicts_by_tab(copies)
    return About(
        run_id=night.run.run_id,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        catalogue=night.run.facts(IngestFacts).catalog,
        prodseek_version=__version__,
        n_objects=n_objects,
        n_images=night.table("images").select("image_id").distinct().count(),
        n_duplicate_groups=copies.groups.n_shown,
        n_all_duplicate_groups=copies.groups.n_all,
        n_pairs=copies.pairs.n_shown,
        n_all_pairs=copies.pairs.n_all,
        n_pairs_to_look_at=copies.pairs.n_to_look_at,
        n_all_pairs_to_look_at=copies.pairs.n_all_to_look_at,
        objects_per_shard=OBJECTS_PER_SHARD,
        groups_per_shard=GROUPS_PER_SHARD,
        region_thumbs_per_shard=REGION_THUMBS_PER_SHARD,
        photo_thumbs_per_shard=PHOTO_THUMBS_PER_SHARD,
        facets=list(FACETS),
        group_facets=group_facets,
        verdicts={
            name: VerdictWords(label=words.label, meaning=words.meaning, tabs=tabs.get(name, []))
            for name, words in VERDICTS.items()
        },
    )
