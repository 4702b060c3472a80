"""`prodseek evaluate` on the sample's night: figures that must be what other means say, a page, and a comparison."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from prodseek.store import Run

BIN = Path(sys.executable).parent


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


def evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "prodseek"), "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_sample_is_evaluated_and_compared_with_the_last_time(
    night: Run, sample_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    labels = ("--labels", sample_folder / "catalog.csv", "--label-column", "product_id", "--root", night.root)
    done = evaluate(*labels, "--pairs", pairs)
    assert done.returncode == 0, done.stderr
    page = Path(night.root) / "evaluations" / f"{night.run_id}.html"
    evaluation = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert (evaluation["labels"]["in_run"], evaluation["labels"]["photos"]) == (240, 236)
    visual, raw = (evaluation["retrieval"][way] for way in ("visual", "slice"))
    assert visual["mAP"] > raw["mAP"] and visual["P@1"] > 0.6
    found = evaluation["duplicates"]["pairs"]
    assert found["recall"] >= 0.9 and found["verdict_right"] > 0.9
    assert evaluation["groups"]["coarse"]["n_groups"] <= evaluation["groups"]["fine"]["n_groups"]
    assert "The nearest photo has the same label" in page.read_text(encoding="utf-8")

    earlier = tmp_path / "earlier.json"
    evaluation["retrieval"]["visual"]["mAP"] -= 0.25
    earlier.write_text(json.dumps({**evaluation, "run_id": "earlier"}), encoding="utf-8")
    again = evaluate(*labels, "--pairs", pairs, "--against", earlier)
    assert "changed since earlier: retrieval visual mAP" in again.stdout
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["compared_with"] == "earlier"


def test_what_cannot_be_evaluated_is_said(night: Run, sample_folder: Path) -> None:
    labels = ("--labels", sample_folder / "catalog.csv", "--root", night.root)
    done = evaluate(*labels)
    assert done.returncode == 2 and "has no column label; it has product_id" in done.stderr
    done = evaluate(*labels, "--label-column", "category", "--run", "20200101T000000Z-00000000")
    assert done.returncode == 1 and "no finished run 20200101T000000Z-00000000" in done.stderr
    done = evaluate(*labels, "--label-column", "category", "--against", sample_folder / "catalog.csv")
    assert done.returncode == 1 and "no evaluation" in done.stderr
