"""Figures of this run and of those before it: what the report's trends are drawn of.

They are read from manifests and evaluations alone, without a table. A figure that an earlier version did not keep is missing from
its runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from pydantic_core import from_json

from prodseek.errors import StoreError
from prodseek.runs.columns import FINE, VISUAL
from prodseek.runs.facts import (
    ClusterFacts,
    DuplicatesFacts,
    EmbedFacts,
    GroupedFacet,
    IndexFacts,
    IngestFacts,
    NeighboursFacts,
    ProjectFacts,
    ReportFacts,
    StageFacts,
)
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Store, Summary
from prodseek.storage import files

MAX_RUNS = 30
EVALUATIONS = "evaluations"

# figure -> the table that it counts
_TABLES = {
    "images": "images",
    "rejected": "rejects",
    "regions": "detections",
    "duplicate_photos": "duplicate_groups",
}
# figure -> where an evaluation has it
_MEASURED = {
    "precision_at_1": ("retrieval", VISUAL, "P@1"),
    "mean_average_precision": ("retrieval", VISUAL, "mAP"),
    "mutual_information": ("groups", FINE, "ami"),
}


@dataclass(frozen=True)
class RunFigures:
    """What one run came to.

    figures: name -> value, shares and recalls 0..1; in_no_group is the share of primary regions in no fine group. seconds: stage
    -> wall time, the report's own apart. finished: with a time zone.
    """

    run_id: str
    finished: datetime
    model_id: str
    projection_id: str
    figures: Mapping[str, float]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What `prodseek evaluate` measured of a run by labels, 0..1 each. labels, column: the file and the column of it."""

    run_id: str
    labels: str
    column: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class History:
    """Finished runs before this one and evaluations, the oldest first. n_skipped: manifests that could not be used."""

    runs: tuple[RunFigures, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    n_skipped: int = 0


def read_history(store: Store, run_id: str) -> History:
    """The last MAX_RUNS finished runs before `run_id`, and as many evaluations by the labels that the newest of them used,
    which are those in a column of the same name.

    A manifest that is damaged, or that a version with another notion of it wrote, is skipped and counted.
    """
    earlier = [store.run(name) for name in store.run_ids() if name < run_id]
    runs: list[RunFigures] = []
    n_skipped = 0
    for run in reversed(earlier):
        if len(runs) + n_skipped == MAX_RUNS:
            break
        if not run.is_finished:
            continue
        try:
            runs.append(_of_manifest(run.manifest()))
        except (StoreError, ValueError):
            n_skipped += 1
    return History(tuple(reversed(runs)), _evaluations(store, run_id), n_skipped)


def figures_of(run_id: str, finished: datetime, summaries: Iterable[Summary[StageFacts]]) -> RunFigures:
    """The figures of a run that has no manifest yet. summaries: of its stages, in their order."""
    done = list(summaries)
    manifest = Manifest(
        run_id=run_id,
        tables={table: rows for summary in done for table, rows in summary.rows.items()},
        stages={summary.stage: summary.facts_json for summary in done},
        seconds={summary.stage: summary.seconds for summary in done},
    )
    return _figures(manifest, finished)


def _of_manifest(manifest: Manifest) -> RunFigures:
    """Raises ValueError where the manifest does not say when the run finished."""
    finished = datetime.fromisoformat(manifest.finished or "")
    if finished.tzinfo is None:
        raise ValueError(f"the run finished at {finished}, which has no time zone")
    return _figures(manifest, finished)


def _figures(manifest: Manifest, finished: datetime) -> RunFigures:
    ingest, duplicates = manifest.facts_if_there(IngestFacts), manifest.facts_if_there(DuplicatesFacts)
    embed, project = manifest.facts(EmbedFacts), manifest.facts_if_there(ProjectFacts)
    cluster, index = manifest.facts_if_there(ClusterFacts), manifest.facts_if_there(IndexFacts)
    neighbours = manifest.facts_if_there(NeighboursFacts)
    groups = GroupedFacet() if cluster is None else cluster.visual
    found: dict[str, float | None] = {name: manifest.tables.get(table) for name, table in _TABLES.items()}
    found |= {
        "rows_in": None if ingest is None else ingest.input_rows,
        "embedded": embed.embedded_images,
        "cached": embed.cached_images,
        "duplicate_groups": None if duplicates is None else duplicates.groups,
        "pairs_judged_copies": None if duplicates is None else duplicates.pairs_judged_copies,
        "pairs_to_look_at": None if duplicates is None else duplicates.pairs_to_look_at,
        "pairs_apart": None if duplicates is None else duplicates.pairs_kept_apart,
        "groups": groups.groups,
        "coarse_groups": groups.coarse_groups,
        "in_other_category": groups.in_other_category,
        "products_asked": groups.products_asked,
        "products_asked_narrowly": groups.products_asked_narrowly,
        "products": groups.products,
        "index_recall": None if index is None else index.likeness.recall,
        "graph_recall": None if neighbours is None else neighbours.recall,
    }
    if groups.grouped_regions and groups.in_no_group is not None:
        found["in_no_group"] = groups.in_no_group / groups.grouped_regions
    return RunFigures(
        manifest.run_id,
        finished,
        embed.model_id,
        "" if project is None else project.projection_id,
        {name: value for name, value in found.items() if _is_number(value)},
        {stage: spent for stage, spent in manifest.seconds.items() if stage != ReportFacts.stage},
    )


def _evaluations(store: Store, run_id: str) -> tuple[Evaluation, ...]:
    folder = files.join(store.root, EVALUATIONS)
    names = [name for name in files.list_names(folder) if name.endswith(".json") and name <= f"{run_id}.json"]
    read = [_read_evaluation(files.join(folder, name)) for name in names[-MAX_RUNS:]]
    found = [evaluation for evaluation in read if evaluation is not None]
    return tuple(evaluation for evaluation in found if evaluation.column == found[-1].column)


def _read_evaluation(uri: str) -> Evaluation | None:
    try:
        values = from_json(files.read_bytes(uri))
        run_id, labels = str(values["run_id"]), values["labels"]
        file, column = str(labels["file"]), str(labels["column"])
        figures = {name: values[section][way][measure] for name, (section, way, measure) in _MEASURED.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Evaluation(run_id, file, column, {name: value for name, value in figures.items() if _is_number(value)})


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
