"""Figures of earlier runs, from manifests as they are written and as they may be found."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from prodseek.runs.facts import FACTS, IngestFacts
from prodseek.runs.history import EVALUATIONS, MAX_RUNS, figures_of, read_history
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import MANIFEST, Store, Summary
from prodseek.storage import files

NOW = "20260201T000000Z-00000000"


def manifest(name: str, **changed: Any) -> dict[str, Any]:
    """What a night publishes, as far as history reads it."""
    return {
        "run_id": name,
        "finished": "2026-01-05T03:00:00+00:00",
        "tables": {"images": 98, "rejects": 2, "detections": 300, "duplicate_groups": 7},
        "seconds": {"ingest": 1.5, "embed": 40, "report": 9.0},
        "stages": {
            "ingest": {"input_rows": 100},
            "embed": {"model_id": "tiny", "embedded_images": 8, "cached_images": 90},
            "project": {"projection_id": "p1"},
            "index": {"recall": 0.99},
            "neighbours": {"recall": 0.98},
            "duplicates": {"groups": 3, "pairs_kept_apart": 5, "pairs_to_look_at": 2},
            "cluster": {"groups": 9, "coarse_groups": 2, "grouped_regions": 80, "in_no_group": 20},
        },
        **changed,
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path))


def publish(store: Store, day: int, **changed: Any) -> str:
    run = store.run(f"202601{day:02d}T000000Z-{day:08d}")
    run.write_json(MANIFEST, manifest(run.run_id, **changed))
    return run.run_id


def test_figures_are_those_of_the_manifest(store: Store) -> None:
    publish(store, 5)
    (run,) = read_history(store, NOW).runs
    assert run.figures == {
        "rows_in": 100,
        "images": 98,
        "rejected": 2,
        "regions": 300,
        "embedded": 8,
        "cached": 90,
        "duplicate_groups": 3,
        "duplicate_photos": 7,
        "pairs_apart": 5,
        "pairs_to_look_at": 2,
        "groups": 9,
        "coarse_groups": 2,
        "in_no_group": 0.25,
        "index_recall": 0.99,
        "graph_recall": 0.98,
    }
    assert (run.model_id, run.projection_id) == ("tiny", "p1")
    assert run.finished == datetime.datetime(2026, 1, 5, 3, tzinfo=datetime.UTC)
    assert run.seconds == {"ingest": 1.5, "embed": 40.0}


def test_a_run_without_manifest_has_the_figures_that_its_manifest_will_have(store: Store) -> None:
    run_id = publish(store, 5)
    values = manifest(run_id)
    rows = {"ingest": ("images", "rejects"), "embed": ("detections",), "duplicates": ("duplicate_groups",)}
    summaries = [
        Summary(
            FACTS[stage].from_json(facts),
            rows={name: values["tables"][name] for name in rows.get(stage, ())},
            seconds=values["seconds"].get(stage, 0.0),
        )
        for stage, facts in values["stages"].items()
    ]
    own = figures_of(run_id, datetime.datetime.fromisoformat(values["finished"]), summaries)
    (read,) = read_history(store, NOW).runs
    assert own.figures == read.figures and own.model_id == read.model_id and own.projection_id == read.projection_id


def test_what_an_earlier_version_did_not_keep_is_missing(store: Store) -> None:
    stages = {"embed": {"model_id": "tiny"}, "cluster": {"grouped_regions": 0}}
    publish(store, 5, stages=stages, tables={"detections": 3})
    history = read_history(store, NOW)
    assert history.runs[0].figures == {"regions": 3} and history.runs[0].projection_id == ""
    assert history.n_skipped == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"finished": "yesterday"},
        {"finished": "2026-01-05T03:00:00"},
        {"tables": None},
        {"stages": []},
        {"stages": {"embed": []}},
        {"stages": {}},
        {"stages": {"embed": {"model_id": "tiny"}, "ingest": {"input_rows": None}}},
        {"tables": {"images": "many"}},
        {"tables": {"images": float("nan")}},
        {"seconds": {"ingest": "long"}},
        {"run_id": "20260106T000000Z-00000006"},
    ],
)
def test_what_cannot_be_used_is_skipped_and_counted(store: Store, changed: dict[str, Any]) -> None:
    good = publish(store, 3)
    publish(store, 5, **changed)
    history = read_history(store, NOW)
    assert [run.run_id for run in history.runs] == [good] and history.n_skipped == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_manifest_is_skipped_and_counted(store: Store, damage: bytes) -> None:
    run_id = publish(store, 5)
    files.write_bytes(store.run(run_id).path("MANIFEST.json"), damage)
    assert read_history(store, NOW).n_skipped == 1


def test_only_finished_runs_before_this_one_count(store: Store) -> None:
    before, own, after = publish(store, 5), publish(store, 6), publish(store, 7)
    store.run("20260104T000000Z-00000004").write_summary(Summary(IngestFacts(input_rows=0)))
    history = read_history(store, own)
    assert [run.run_id for run in history.runs] == [before] and history.n_skipped == 0
    assert after > own


def test_the_last_runs_are_kept_the_oldest_first(store: Store) -> None:
    ids = []
    for place in range(MAX_RUNS + 5):
        run = store.run(f"20260101T0000{place:02d}Z-{place:08d}")
        store.publish(run, Manifest.from_json(manifest(run.run_id)))
        ids.append(run.run_id)
    files.write_bytes(store.run(ids[-2]).path("MANIFEST.json"), b"{")
    history = read_history(store, NOW)
    assert [run.run_id for run in history.runs] == [*ids[5:-2], ids[-1]]
    assert len(history.runs) + history.n_skipped == MAX_RUNS


def test_an_empty_store_has_no_history(store: Store) -> None:
    history = read_history(store, NOW)
    assert history.runs == () and history.evaluations == () and history.n_skipped == 0


def test_evaluations_by_the_newest_labels_are_compared(store: Store) -> None:
    def evaluated(day: int, column: str, ami: float | None) -> dict[str, Any]:
        return {
            "run_id": f"202601{day:02d}T000000Z-{day:08d}",
            "labels": {"file": f"{day}.csv", "column": column},
            "retrieval": {"visual": {"P@1": 0.9, "mAP": 0.5}},
            "groups": {"fine": {"ami": ami}},
        }

    found = [evaluated(1, "kind", 0.5), evaluated(2, "colour", 0.6), evaluated(3, "kind", None), {"run_id": "old"}]
    for day, values in enumerate(found, 1):
        uri = files.join(store.root, EVALUATIONS, f"202601{day:02d}T000000Z-{day:08d}.json")
        files.write_bytes(uri, json.dumps(values).encode())
    files.write_bytes(files.join(store.root, EVALUATIONS, "20260105T000000Z-00000005.json"), b"{")
    files.write_bytes(files.join(store.root, EVALUATIONS, "20260103T000000Z-00000003.html"), b"<p>")
    later = json.dumps(evaluated(9, "kind", 0.1)).encode()
    files.write_bytes(files.join(store.root, EVALUATIONS, "20260209T000000Z-00000009.json"), later)

    evaluations = read_history(store, NOW).evaluations
    assert [(one.run_id[:8], one.labels) for one in evaluations] == [("20260101", "1.csv"), ("20260103", "3.csv")]
    assert evaluations[0].figures == {"precision_at_1": 0.9, "mean_average_precision": 0.5, "mutual_information": 0.5}
    assert "mutual_information" not in evaluations[1].figures
