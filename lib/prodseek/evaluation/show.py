"""The command `prodseek evaluate`: what it prints and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from prodseek.errors import StoreError
from prodseek.evaluation.labels import has_column, read_labels, read_pairs
from prodseek.evaluation.pictures import draw_pictures
from prodseek.evaluation.run import changes, evaluate, figures, read_evaluation
from prodseek.report.evaluation_page import Pictures, render_evaluation
from prodseek.report.trends import Trend
from prodseek.runs.history import EVALUATIONS
from prodseek.runs.store import Run, Store
from prodseek.storage import files


def evaluate_run(
    root: str,
    run_id: str | None,
    labels_uri: str,
    uri_column: str | None,
    label_column: str,
    pairs_uri: str | None,
    against: str | None,
    with_pictures: bool,
) -> None:
    """Evaluate a finished run, by default the newest, and write ROOT/evaluations/RUN_ID.json and .html.

    uri_column: of the labels; None for what the catalogue calls it, or `uri`. It is compared with the JSON file `against`,
    or else with the last evaluation of an earlier run there that used the same column of labels. Raises StoreError and
    CatalogueError.
    """
    store = Store.at(root)
    run = store.latest() if run_id is None else store.run(run_id)
    if not run.is_finished:
        known = ", ".join(store.run_ids()[-3:]) or "none"
        raise StoreError(f"{root} has no finished run {run_id}; its newest are {known}")
    labels = read_labels(labels_uri, uri_column or _photo_column(run, labels_uri), label_column)
    pairs = None if pairs_uri is None else read_pairs(pairs_uri)
    evaluation, measured = evaluate(run, labels, labels_uri, pairs)
    evaluation["labels"]["column"] = label_column
    earlier = _earlier(store.root, run.run_id, label_column)
    before = read_evaluation(against) if against else earlier[-1] if earlier else None
    changed = None if before is None else changes(evaluation, before)
    compared_with = None if before is None else str(before.get("run_id"))
    evaluation["compared_with"] = compared_with
    target = files.join(store.root, EVALUATIONS, run.run_id)
    files.write_bytes(f"{target}.json", (json.dumps(evaluation, indent=2, ensure_ascii=False) + "\n").encode())
    drawn = draw_pictures(run, measured, evaluation["by_label"]) if with_pictures else Pictures()
    page = render_evaluation(evaluation, changed, compared_with, trends_of([*earlier, evaluation]), drawn)
    files.write_bytes(f"{target}.html", page)
    _print(evaluation, changed, compared_with, drawn.missing, f"{target}.html")


def _photo_column(run: Run, labels_uri: str) -> str:
    """What the run's catalogue calls the photo, if the labels call it so too, else `uri`."""
    known = run.manifest().config.get("catalog", {}).get("uri_column")
    return known if known and has_column(labels_uri, known) else "uri"


def trends_of(evaluations: Sequence[Mapping[str, Any]]) -> list[Trend]:
    """The trend of each figure of the last evaluation that an earlier one has too. evaluations: the oldest first."""
    values: dict[str, list[tuple[str, float]]] = {}
    for evaluation in evaluations:
        for name, value in figures(evaluation):
            values.setdefault(name, []).append((str(evaluation["run_id"]), value))
    return [Trend(name, tuple(values[name])) for name, _ in figures(evaluations[-1]) if len(values[name]) > 1]


def _earlier(root: str, run_id: str, label_column: str) -> list[dict[str, Any]]:
    """Evaluations of earlier runs with the same column of labels, the oldest first."""
    folder = files.join(root, EVALUATIONS)
    names = [name for name in files.list_names(folder) if name.endswith(".json") and name < f"{run_id}.json"]
    found = [read_evaluation(files.join(folder, name)) for name in names]
    return [each for each in found if each.get("labels", {}).get("column", label_column) == label_column]


def _print(
    evaluation: Mapping[str, Any],
    changed: Mapping[str, tuple[float, float]] | None,
    compared_with: str | None,
    missing: Sequence[str],
    page_uri: str,
) -> None:
    console = Console()
    counts = evaluation["labels"]
    measures = list(next(iter(evaluation["retrieval"].values())))
    table = Table(
        "compared by", title=f"{counts['photos']} photos with {counts['labels']} labels, {evaluation['run_id']}"
    )
    for measure in measures:
        table.add_column(measure, justify="right")
    for way, scores in evaluation["retrieval"].items():
        table.add_row(way, *(f"{scores[measure]:.3f}" for measure in measures))
    console.print(table)
    for level, scores in evaluation["groups"].items():
        console.print(
            f"{level} groups: {scores['n_groups']}, AMI {scores['ami']:.3f}, homogeneity {scores['homogeneity']:.3f}, "
            f"{scores['noise']:.1%} in none"
        )
    for name, column in evaluation["columns"].items():
        shares = ", ".join(f"{level} {share:.3f}" for level, share in column["purity"].items())
        console.print(
            f"groups pure by {name}: {shares}, by chance {column['by_chance']:.3f}", highlight=False, markup=False
        )
    if evaluation["odd_category"]["n_photos"]:
        console.print(f"photos that look like another category: {evaluation['odd_category']['n_photos']}")
    duplicates = evaluation["duplicates"]
    console.print(f"duplicate groups with two labels: {duplicates['groups_with_two_labels']} of {duplicates['groups']}")
    if "pairs" in duplicates:
        pairs = duplicates["pairs"]
        console.print(f"labelled pairs: precision {pairs['precision']:.3f}, recall {pairs['recall']:.3f}")
    if changed is not None:
        largest = sorted(changed.items(), key=lambda item: -abs(item[1][1] - item[1][0]))[:5]
        listed = "; ".join(f"{name} {before:.3f} -> {now:.3f}" for name, (before, now) in largest) or "nothing"
        console.print(f"changed since {compared_with}: {listed}", highlight=False)
    for sentence in missing:
        console.print(sentence, highlight=False, markup=False)
    console.print(page_uri, highlight=False, soft_wrap=True)
