"""kill -9 in every stage: the same command goes on, and the tables are those of a night that nobody disturbed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from commands import prodseek
from kills import Reader, is_done, stage_has_begun, when_stage_writes
from nights import TINY_SETTINGS, tables_of
from processes import children_of, kill, python_workers_of

from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run, Store

# Fewer than a task of local[2,4] is tried.
_WORKERS_KILLED = 3


class Night:
    """`prodseek run` in the background; its standard output and error are in a file."""

    def __init__(self, catalogue: Path, root: Path, log: Path) -> None:
        command = [sys.executable, "-m", "prodseek.cli", *night_arguments(catalogue, root)]
        self.root, self.log = root, log
        with log.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def java(self) -> int:
        (java,) = children_of(self.process.pid)
        return java

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def night_arguments(catalogue: Path, root: Path) -> list[str]:
    settings = [part for setting in (*TINY_SETTINGS, "spark.master=local[2,4]") for part in ("--set", setting)]
    return ["run", "--catalog", str(catalogue), "--root", str(root), *settings]


def kill_workers(night: Night, stage: str, killed: dict[str, int]) -> None:
    """Kill Python workers of one stage as they come."""
    killed[stage] = 0
    while not is_done(night.root, stage) and not night.is_over() and killed[stage] < _WORKERS_KILLED:
        if stage_has_begun(night.log, stage):
            for worker in python_workers_of(night.process.pid)[:1]:
                killed[stage] += kill(worker)
        time.sleep(0.3)


@pytest.mark.slow
def test_a_night_that_is_killed_time_and_again(
    undisturbed_tiny_night: Run, tiny_catalogue: Path, tmp_path: Path
) -> None:
    """The driver in a stage, and Python workers in that stage when it is resumed; meanwhile a reader looks for runs."""
    root = tmp_path / "root"
    root.mkdir()
    killed_in, workers = [], {}
    with Reader(root) as reader:
        resumed = None
        for number, stage in enumerate(STAGES):
            night = Night(tiny_catalogue, root, tmp_path / f"{number}.log")
            killer = threading.Thread(target=kill_workers, args=(night, resumed, workers)) if resumed else None
            if killer is not None:
                killer.start()
            assert when_stage_writes(root, night.log, stage, night.is_over), night.said()[-4000:]
            java = night.java()
            kill(night.process.pid)
            if number % 2 == 0:  # all at once, else Java has to find out that nobody speaks to it any more
                kill(java)
            night.process.wait(60)
            if killer is not None:
                killer.join()
            if not is_done(root, stage):
                killed_in.append(stage)
            resumed = stage
        last = Night(tiny_catalogue, root, tmp_path / "last.log")
        assert last.process.wait(600) == 0, last.said()[-4000:]
    print(f"killed in {killed_in}; workers {workers}; {reader.n_looks} looks, {reader.n_read} found a run")
    assert killed_in == list(STAGES)
    assert workers["ingest"] > 0 and workers["embed"] > 0
    assert reader.faults == [] and reader.n_read > 0
    assert "resuming run" in last.said() and "ingest: done" in last.said() and "taken over" in last.said()
    for line in (
        "rows in",
        "rejected          2 (1 missing, 1 truncated)",
        "duplicate groups",
        "curation groups",
        "Parquet",
    ):
        assert line in last.said()
    run_ids = Store.at(str(root)).run_ids()
    assert len(run_ids) == 1
    assert tables_of(root) == tables_of(Path(undisturbed_tiny_night.root))
    again = prodseek(*night_arguments(tiny_catalogue, root))
    assert again.returncode == 0 and "exists and is finished" in again.stderr
    assert Store.at(str(root)).run_ids() == run_ids


@pytest.mark.slow
def test_a_java_that_is_killed_ends_the_run_with_a_message(
    tiny_catalogue: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    night = Night(tiny_catalogue, tmp_path, tmp_path / "night.log")
    assert when_stage_writes(tmp_path, night.log, "ingest", night.is_over), night.said()
    kill(night.java())
    assert night.process.wait(120) == 1
    last = night.said().splitlines()[-1]  # pyspark's own server of accumulators has a traceback before it
    assert last.startswith("prodseek: Spark's Java process on this machine ended"), night.said()
    assert "then start the same command again" in last
    assert not (tmp_path / "LOCK").exists()
