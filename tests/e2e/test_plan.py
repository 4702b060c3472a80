"""`prodseek plan` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from commands import prodseek


def test_a_catalogue_is_planned_and_nothing_left_behind(
    sample_folder: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    cluster = ("--executors", 20, "--cores", 4, "--memory", "2g")
    root = tmp_path / "root"
    done = prodseek("plan", sample_folder / "catalog.csv", "--seconds", 1, *cluster, "--json", "--root", root)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["n_rows"] == 246 and len(plan["stages"]) == 9 and plan["cluster"]["executors"] == 20
    assert any("fewer cores an executor" in warning for warning in plan["warnings"])
    assert not root.exists(), "planning leaves nothing behind"
