"""The command line as a person uses it: exit codes, one clear sentence, one run at a time, spark-submit."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from prodseek.index.stored import open_index
from prodseek.runs.store import Run, Store

REPO = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = 24


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, **options)


def prodseek(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run(BIN / "prodseek", *arguments)


def background(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, text: str = "") -> None:
    for _ in range(600):
        if path.exists() and text in path.read_text(encoding="utf-8"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come to hold {text!r}")


@pytest.fixture(scope="module")
def small_catalogue(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some rows of the sample: its bad files, copies and a few views."""
    folder = tmp_path_factory.mktemp("small catalogue é")
    with (sample_folder / "catalog.csv").open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
    chosen = [row for row in rows if "bad-" in row["uri"]] + rows[: SMALL - 6]
    with (folder / "catalog.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, reader.fieldnames or [])
        writer.writeheader()
        writer.writerows(chosen)
    (folder / "images").mkdir()
    for row in chosen:
        if (sample_folder / row["uri"]).exists():
            shutil.copy(sample_folder / row["uri"], folder / row["uri"])
    return folder / "catalog.csv"


def test_one_run_at_a_time(small_catalogue: Path, tmp_path: Path, tiny_weights: Path) -> None:
    root = tmp_path / "root"
    options = ("--catalog", small_catalogue, "--root", root, "--set", "spark.master=local[2]")
    ingest = (BIN / "prodseek", "run", "ingest", *options)
    killed = background(*ingest)
    wait_for(root / "LOCK")
    killed.kill()
    killed.communicate()
    first = background(*ingest)
    wait_for(root / "LOCK", f'"process_id": {first.pid},')
    second = run(*ingest)
    assert second.returncode == 3 and f"is in use by process {first.pid} on " in second.stderr, second.stderr
    _, said = first.communicate(timeout=900)
    assert first.returncode == 0, said
    assert f"was held by process {killed.pid} on " in said and "taken over" in said
    assert not (root / "LOCK").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "catalog.uri: missing"),
        (["run", "--catalog", "/no/such/folder"], "there is no catalogue at '/no/such/folder'"),
        (["config", "--set", "neighbours.k=0", "--set", "x.y=1"], "2 fault(s) in the configuration"),
        (["config", "--env", "mars"], "'mars' is unknown"),
    ],
)
def test_errors_are_one_message_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    root = ["--root", str(tmp_path)] if arguments[0] == "run" else []
    done = prodseek(*arguments, *root)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_config_is_shown() -> None:
    done = prodseek("config", "--show", "--set", "neighbours.k=9")
    assert done.returncode == 0 and "  k: 9\n" in done.stdout and "yolov3-tiny" in done.stdout


def test_the_index_is_exported_for_plain_faiss(night: Run, tmp_path: Path) -> None:
    exported = prodseek("export-index", tmp_path / "likeness.faiss", "--root", night.root)
    assert exported.returncode == 0, exported.stderr
    assert "likeness.faiss: Flat, " in exported.stdout
    plain = faiss.read_index(str(tmp_path / "likeness.faiss"))
    some = pq.read_table(night.table_uri("embeddings"), columns=["detection_id", "likeness"]).slice(0, 20)
    queries = np.array(some["likeness"].to_pylist(), np.float32)
    _, found = plain.search(queries, 5)
    ids, _ = open_index(night).search(queries, 5)
    assert [set(row) for row in found.tolist()] == [set(row) for row in ids.tolist()]
    missing = prodseek("export-index", tmp_path / "x.faiss", "--root", night.root, "--facet", "colour")
    assert missing.returncode == 1 and "index/colour/MANIFEST.json is damaged or missing" in missing.stderr


@pytest.mark.slow  # tests/standalone does it too
def test_spark_submit_with_the_wheel(small_catalogue: Path, tmp_path: Path, tiny_weights: Path) -> None:
    built = run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, REPO
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("prodseek-*.whl")
    java_home = prodseek("java-home").stdout.strip()
    environment = {**os.environ, "JAVA_HOME": java_home, "PYSPARK_PYTHON": sys.executable}
    submit = [BIN / "spark-submit", "--master", "local[2]", "--py-files", wheel]
    done = run(*submit, REPO / "jobs" / "ingest.py", small_catalogue, "--root", tmp_path / "root", env=environment)
    assert done.returncode == 0, done.stderr
    store = Store.at(str(tmp_path / "root"))
    summary = store.run(store.run_ids()[0]).summary("ingest")
    assert summary is not None and summary.rows["images"] == SMALL - 6
    kept = (tmp_path / "root" / "logs" / f"{store.run_ids()[0]}.jsonl").read_text(encoding="utf-8")
    events = {line["event"]: line for line in map(json.loads, kept.splitlines())}
    assert events["stage_done"]["figures"]["rows"] == summary.rows and events["ended"]["figures"]["exit_code"] == 0
