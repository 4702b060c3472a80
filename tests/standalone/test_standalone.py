"""A night on a cluster: a master, two workers and a driver, each a process of its own, that share nothing but the root."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from kills import Reader, when_stage_writes
from nights import TINY_SETTINGS, tables_of
from processes import kill
from standalone import Shipped, Standalone, standalone

from prodseek.runs.facts import STAGES, EmbedFacts
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import TABLES

# An executor dies with broadcasts, cached tables and local checkpoints. The other stages take minutes more.
_KILLED_IN = STAGES if os.environ.get("PRODSEEK_SLOW_TESTS") else ("cluster",)
_GPU = 7


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Each worker believes that it has a GPU."""
    folder = tmp_path_factory.mktemp("cluster")
    script = folder / "find-gpus.sh"
    script.write_text(f"""#!/bin/sh\necho '{{"name": "gpu", "addresses": ["{_GPU}"]}}'\n""")
    script.chmod(0o755)
    gpus = {"spark.worker.resource.gpu.amount": "1", "spark.worker.resource.gpu.discoveryScript": str(script)}
    with standalone(folder, worker_conf=gpus) as running:
        yield running


def test_a_cluster_gives_the_tables_of_one_machine(
    cluster: Standalone, shipped: Shipped, undisturbed_tiny_night: Run, tiny_catalogue: Path, tmp_path: Path
) -> None:
    """Exactly, floating-point numbers too, because what is computed together depends on the rows alone (`spark/partitions.py`);
    though executors are killed under it; and only what runs the network holds a GPU."""
    root, log, events = tmp_path / "root", tmp_path / "night.log", tmp_path / "events"
    root.mkdir()
    events.mkdir()
    conf = {
        "spark.sql.shuffle.partitions": "3",  # 2 on one machine
        "spark.executor.resource.gpu.amount": "1",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
    }
    killed: list[str] = []
    with Reader(root) as reader, log.open("w") as out:
        night = cluster.submit(shipped, tiny_catalogue, root, out, TINY_SETTINGS, conf)

        def kill_executors() -> None:
            for stage in _KILLED_IN:
                when_stage_writes(root, log, stage, lambda: night.poll() is not None)
                killed.extend([stage] if any(kill(executor) for executor in cluster.executors()[:1]) else [])

        killer = threading.Thread(target=kill_executors)
        killer.start()
        assert night.wait(900) == 0, log.read_text(errors="replace")[-6000:]
        killer.join()
    print(f"executors killed in {killed}; {reader.n_looks} looks, {reader.n_read} found a run")
    assert killed == list(_KILLED_IN)
    assert reader.faults == [] and reader.n_read > 0
    found = tables_of(root)
    assert set(found) == set(TABLES) - {"search_results", "rejected_prompts"}
    for name, rows in tables_of(Path(undisturbed_tiny_night.root)).items():
        assert found[name] == rows, name
    latest = Store.at(str(root)).latest()
    assert latest.manifest().fingerprint == undisturbed_tiny_night.manifest().fingerprint, (
        "one run, wherever it is computed"
    )
    embedded = latest.facts(EmbedFacts)
    # Photos that an executor took with it are counted again.
    assert set(embedded.on_gpu) == {str(_GPU)} and embedded.on_gpu[str(_GPU)] >= 9
    assert stages_with_a_profile_of_their_own(events) == {"embed", "project"}


def stages_with_a_profile_of_their_own(events: Path) -> set[str]:
    """Stages of the night in which some Spark stage's tasks asked for more than cores, by Spark's own record."""
    (record,) = [path for path in events.rglob("*") if path.is_file() and path.stat().st_size]
    found = set()
    for line in record.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["Event"] == "SparkListenerStageSubmitted" and event["Stage Info"]["Resource Profile Id"] != 0:
            found.add(event["Properties"]["spark.job.description"])
    return found
