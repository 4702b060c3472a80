"""A real run with JSON asked for: standard error holds nothing else of ours."""

from __future__ import annotations

import json
from pathlib import Path

from commands import prodseek


def test_a_catalogue_of_rejects_only_exits_2_and_says_so_in_json(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "page.jpg").write_bytes(b"<html></html>")
    command = ["run", "nightly", "--catalog", tmp_path / "photos", "--root", tmp_path / "root"]
    settings = ["--set", "logs.format=json", "--set", "spark.master=local[1]"]
    done = prodseek(*command, *settings)
    assert done.returncode == 2 and done.stdout == ""
    # Java says a word of its own when it starts.
    shown = [json.loads(line) for line in done.stderr.splitlines() if not line.startswith(("WARNING", "NOTE"))]
    assert [line["event"] for line in shown] == ["run_opened", "stage_started", "failed"]
    last = shown[-1]
    assert last["stage"] == "ingest" and last["figures"]["exit_code"] == 2
    assert "none of the 1 rows" in last["message"] and "1 not_an_image" in last["message"]
    (kept,) = (tmp_path / "root" / "logs").iterdir()
    assert kept.stem == last["run_id"]
    assert [json.loads(line) for line in kept.read_text().splitlines()] == shown
