"""Every line of a log is JSON, all attempts are in it, and the last line says how it ended."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from prodseek.errors import GateError, StoppedError, StoreError
from prodseek.runs.logs import RunLog, kept_log

RUN_ID = "20260101T000000Z-00000001"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_a_line_holds_and_where_it_is_kept(tmp_path: Path) -> None:
    with kept_log(str(tmp_path), as_json=False) as log:
        log.write("note", "before the run is known")
        log.name_run(RUN_ID)
        log.stage = "embed"
        log.write("progress", "half\n\u2028", {"tasks_done": 1, "nan": float("nan"), "rows": {"images": 3}})
        logging.getLogger("prodseek.x").warning("slow: %d", 3, extra={"partition": 7})
        logging.getLogger("another.library").info("chatter")
        logging.getLogger("another.library").warning("mind this")
    first, progress, warning, other, last = lines_of(tmp_path / "logs" / f"{RUN_ID}.jsonl")
    assert (first["run_id"], first["stage"], first["message"]) == (None, None, "before the run is known")
    assert progress["figures"] == {"tasks_done": 1, "nan": None, "rows": {"images": 3}}
    assert (progress["run_id"], progress["stage"], progress["level"]) == (RUN_ID, "embed", "info")
    assert progress["time"].endswith("Z") and progress["message"] == "half\n\u2028"
    assert (warning["event"], warning["level"], warning["partition"], warning["message"]) == (
        "warning",
        "warning",
        7,
        "slow: 3",
    )
    assert other["figures"] == {"logger": "another.library"}
    assert last["event"] == "ended" and last["figures"]["exit_code"] == 0
    assert not (tmp_path / "logs" / "unopened.jsonl").exists()


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (GateError("beyond a gate"), 4, False),
        (StoreError("gone"), 1, False),
        (KeyboardInterrupt(), 130, False),
        (SystemExit(143), 143, False),
        (ZeroDivisionError("x"), 1, True),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_the_last_line_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, told: bool, as_json: bool
) -> None:
    ends_process = as_json and isinstance(error, Exception)
    with pytest.raises(SystemExit if ends_process else type(error)) as raised, kept_log(str(tmp_path), as_json) as log:
        log.name_run(RUN_ID)
        log.write("note", "at work")
        raise error
    if ends_process:
        assert isinstance(raised.value, SystemExit) and raised.value.code == code
    kept = lines_of(tmp_path / "logs" / f"{RUN_ID}.jsonl")
    assert (kept[-1]["event"], kept[-1]["level"], kept[-1]["figures"]["exit_code"]) == ("failed", "error", code)
    assert ("ZeroDivisionError" in kept[-1].get("traceback", "")) == told
    shown = capsys.readouterr().err
    assert [json.loads(line) for line in shown.splitlines()] == (kept if as_json else [])


def test_being_stopped_is_the_last_line_and_no_failure(tmp_path: Path) -> None:
    with pytest.raises(StoppedError), kept_log(str(tmp_path), as_json=False) as log:
        log.name_run(RUN_ID)
        raise StoppedError("stopped by SIGTERM", 143)
    last = lines_of(tmp_path / "logs" / f"{RUN_ID}.jsonl")[-1]
    assert (last["event"], last["level"], last["figures"]["exit_code"]) == ("stopped", "warning", 143)
    assert last["message"] == "stopped by SIGTERM" and "traceback" not in last


def test_attempts_follow_one_another_also_after_half_a_line(tmp_path: Path) -> None:
    for _ in range(2):
        with kept_log(str(tmp_path), as_json=False) as log:
            log.name_run(RUN_ID)
        with (tmp_path / "logs" / f"{RUN_ID}.jsonl").open("a") as handle:
            handle.write('{"time": "20')
    text = (tmp_path / "logs" / f"{RUN_ID}.jsonl").read_text()
    assert [line[:10] for line in text.splitlines()] == ['{"time": "'] * 4
    assert json.loads(text.splitlines()[2])["event"] == "ended"


def test_what_ended_before_its_run_was_known_is_kept_too(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(StoreError), kept_log(str(tmp_path), as_json=False):
            raise StoreError("no such root")
    kept = lines_of(tmp_path / "logs" / "unopened.jsonl")
    assert [(line["message"], line["run_id"]) for line in kept] == [("no such root", None)] * 2


@pytest.mark.parametrize("root", ["a file", "ftp://nowhere/root"])
def test_a_root_that_cannot_be_written_to_ends_nothing_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], root: str
) -> None:
    (tmp_path / "a file").write_bytes(b"")
    with kept_log(root if "://" in root else str(tmp_path / root), as_json=False) as log:
        log.name_run(RUN_ID)
        for _ in range(3):
            log.write("note", "on")
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    log = RunLog(str(tmp_path))
    log.name_run(RUN_ID)
    threads = [threading.Thread(target=lambda: [log.write("note", "x" * 500) for _ in range(20)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines_of(tmp_path / "logs" / f"{RUN_ID}.jsonl")) == 100


def test_the_console_gets_warnings_as_before_and_what_partitions_say_alike_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    logger = logging.getLogger("prodseek.x")
    with kept_log(str(tmp_path), as_json=False):
        logger.info("of no interest to a person")
        for partition in range(3):
            logger.warning("no GPU", extra={"partition": partition})
    assert capsys.readouterr().err == "no GPU\n"
    assert logging.getLogger().handlers == []
