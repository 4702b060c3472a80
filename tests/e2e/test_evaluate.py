"""`prodseek evaluate` on the sample's night: figures that must be what other means say, a page, and a comparison."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import prodseek

from prodseek.evaluation.labels import read_labels
from prodseek.evaluation.pictures import N_ALONG, N_MATCHES, N_OBJECTS, draw_pictures
from prodseek.evaluation.run import evaluate as evaluate_labels
from prodseek.report.evaluation_page import Pictures
from prodseek.runs.store import Run, Store


@pytest.fixture(scope="module")
def pairs(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted copies, as people would label them."""
    with (sample_folder / "truth.csv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["source_uri"]]
    path = tmp_path_factory.mktemp("labels") / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["uri_a", "uri_b", "verdict"])
        writer.writerows((row["uri"], row["source_uri"], row["kind"]) for row in rows)
    return path


def test_the_sample_is_evaluated_and_compared_with_the_last_time(
    night: Run, sample_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    labels = ("--labels", sample_folder / "catalog.csv", "--label-column", "product_id", "--root", night.root)
    done = prodseek("evaluate", *labels, "--pairs", pairs)
    assert done.returncode == 0, done.stderr
    page = Path(night.root) / "evaluations" / f"{night.run_id}.html"
    evaluation = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert (evaluation["labels"]["in_run"], evaluation["labels"]["photos"]) == (240, 236)
    visual, raw = (evaluation["retrieval"][way] for way in ("visual", "slice"))
    # `visual` asks for the kind of thing, and the labels are products.
    assert visual["mAP"] > raw["mAP"] and visual["P@1"] > 0.5
    found = evaluation["duplicates"]["pairs"]
    assert found["recall"] >= 0.9 and found["verdict_right"] > 0.9
    assert evaluation["groups"]["coarse"]["n_groups"] <= evaluation["groups"]["fine"]["n_groups"]
    by_column = evaluation["columns"]
    assert {"category", "colour", "supplier"} <= by_column.keys() and "best_seller" not in by_column
    assert by_column["category"]["purity"]["fine"] > 2 * by_column["category"]["by_chance"]
    shown = page.read_text(encoding="utf-8")
    assert "Groups by the catalogue’s columns" in shown
    assert "The nearest photo has the same label" in shown
    check_figures(shown, evaluation)

    earlier = page.parent / "20200101T000000Z-00000000.json"
    for run_id, column in (("20200101T000000Z-00000000", "product_id"), ("20200102T000000Z-00000000", "category")):
        other = {**evaluation, "run_id": run_id, "labels": {**evaluation["labels"], "column": column}}
        other["retrieval"] = {**evaluation["retrieval"], "visual": {**visual, "mAP": visual["mAP"] - 0.25}}
        earlier.with_name(f"{run_id}.json").write_text(json.dumps(other), encoding="utf-8")
    again = prodseek("evaluate", *labels, "--pairs", pairs, "--no-figures")
    assert "changed since 20200101T000000Z-00000000: retrieval visual mAP" in again.stdout
    shown = page.read_text(encoding="utf-8")
    low, high = visual["mAP"] - 0.25, visual["mAP"]
    assert f"mean average precision: {low:.3f} to {high:.3f} in 2 evaluations" in shown
    assert "20200102" not in shown and "data:image" not in shown  # other labels; no pictures
    against = prodseek(
        "evaluate", *labels, "--against", earlier.with_name("20200102T000000Z-00000000.json"), "--no-figures"
    )
    assert "changed since 20200102T000000Z-00000000: retrieval visual mAP" in against.stdout
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["compared_with"].startswith("20200102")


def check_figures(page: str, evaluation: dict[str, Any]) -> None:
    """Three labels with what they find, the cells of three maps for each, and the place before and after projection."""
    examples = page.split('<article class="example"')[1:]
    assert len(examples) == 3 and all(example.count("<img") == 1 + N_MATCHES for example in examples)
    names = [re.findall(r"<h3[^>]*><span[^>]*>([^<]*)", example)[0] for example in examples]
    means = [evaluation["by_label"][name]["mAP"] for name in names]
    askable = [scores["mAP"] for scores in evaluation["by_label"].values() if scores["photos"] > 1]
    assert (means[0], means[2]) == (max(askable), min(askable)) and means[0] >= means[1] >= means[2]
    assert page.count('class="veil"') == 9 and all(f"<strong>stride{stride}</strong>" in page for stride in (8, 16, 32))
    dots = re.findall(r'aria-label="(\w+): R squared of the place ([\d.]+), coloured from (.*?)</svg>', page, re.S)
    assert [(title, text.count("h0")) for title, _, text in dots] == [
        (title, N_OBJECTS * N_ALONG**2) for title in ("slice", "slice", "visual", "visual")
    ]
    assert float(dots[0][1]) > 0.4 and float(dots[2][1]) < 0.2  # what the projection is for


@pytest.fixture
def moved_night(night: Run, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Run]:
    """The night as it would be read elsewhere, its manifest changed."""

    def moved(change: Callable[[dict[str, Any]], None]) -> Run:
        run = Store.at(str(tmp_path)).run(night.run_id)
        Path(run.uri).mkdir(parents=True)
        for path in Path(night.uri).iterdir():
            if path.name != "MANIFEST.json":
                Path(run.path(path.name)).symlink_to(path)
        manifest = night.read_json("MANIFEST.json")
        change(manifest)
        run.write_json("MANIFEST.json", manifest)
        return run

    return moved


def pictures_of(run: Run, sample_folder: Path) -> Pictures:
    labels = read_labels(str(sample_folder / "catalog.csv"), "uri", "category")
    evaluation, measured = evaluate_labels(run, labels, "catalog.csv")
    return draw_pictures(run, measured, evaluation["by_label"])


def test_without_photos_there_are_no_pictures_and_it_is_said(moved_night, sample_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run = moved_night(lambda manifest: manifest["stages"]["ingest"].update(base_uri=str(tmp_path / "gone")))
    drawn = pictures_of(run, sample_folder)
    assert drawn == Pictures(missing=drawn.missing)
    assert drawn.missing == (f"There are no pictures: the photos cannot be read any more from {tmp_path / 'gone'}.",)


def test_without_the_network_the_matches_are_shown_and_it_is_said(  # type: ignore[no-untyped-def]
    moved_night, sample_folder: Path, tmp_path: Path, in_cache: Path
) -> None:
    nowhere = {"sources": [str(tmp_path / "gone.weights")]}
    run = moved_night(lambda manifest: manifest["config"]["network"]["weights"].update(nowhere))
    drawn = pictures_of(run, sample_folder)
    assert len(drawn.examples) == 3 and not drawn.sliced and drawn.location is None
    (sentence,) = drawn.missing
    assert sentence.startswith("Without the network") and "its weights could neither be found nor fetched" in sentence


def test_what_cannot_be_evaluated_is_said(night: Run, sample_folder: Path) -> None:
    labels = ("--labels", sample_folder / "catalog.csv", "--root", night.root)
    done = prodseek("evaluate", *labels)
    assert done.returncode == 2 and "has no column label; it has product_id" in done.stderr
    done = prodseek("evaluate", *labels, "--label-column", "category", "--run", "20200101T000000Z-00000000")
    assert done.returncode == 1 and "no finished run 20200101T000000Z-00000000" in done.stderr
    done = prodseek("evaluate", *labels, "--label-column", "category", "--against", sample_folder / "catalog.csv")
    assert done.returncode == 1 and "catalog.csv cannot be read" in done.stderr
