"""SIGTERM and Ctrl-C in the middle of something long: the root is free, one line says so, the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import prodseek
from processes import children_of, kill
from standalone import BIN, spark_environment

from prodseek.runner.stopping import GRACE_SECONDS, LAST_SECONDS
from prodseek.runs.lock import LOCK
from prodseek.runs.store import MANIFEST, Store

LONG_COMMAND = Path(__file__).parents[1] / "helpers" / "long_command.py"
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
SETTING = "spark.master=local[2,4]"


class LongCommand:
    """A command whose stage does not end, once it is in the middle of it; see tests/helpers/long_command.py."""

    def __init__(self, way: str, catalogue: Path, folder: Path, *settings: str, starter: tuple[str, ...] = ()) -> None:
        self.root, self.began, self._said = folder / "root", folder / "began", folder / "said"
        arguments = [str(LONG_COMMAND), way, str(self.began), str(catalogue), str(self.root), SETTING, *settings]
        with self._said.open("w") as out:
            self.process = subprocess.Popen(
                [*(starter or (sys.executable,)), *arguments],
                stdout=out,
                stderr=out,
                env=spark_environment(PYSPARK_PYTHON=sys.executable) if starter else None,
            )

    def wait_for(self, path: Path) -> None:
        """Wait until a file is there. Raises RuntimeError where the command ends before, or takes minutes."""
        ends = time.monotonic() + 300
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(self.said())
            time.sleep(0.02)

    def descendants(self) -> list[int]:
        found = [self.process.pid]
        for process in found:
            found += children_of(process)
        return found[1:]

    def stop(self, *numbers: int) -> int:
        """Send signals, a second and a half apart; returns what it ends with, when nothing that it has started is left."""
        started = self.descendants()
        for place, number in enumerate(numbers):
            time.sleep(1.5 * (place > 0))
            self.process.send_signal(number)
        code = self.process.wait(120)
        ends = time.monotonic() + 60
        while (left := [process for process in started if is_at_work(process)]) and time.monotonic() < ends:
            time.sleep(0.05)
        assert left == []
        return code

    def said(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def last_line_of_log(self) -> dict[str, object]:
        (log,) = (self.root / "logs").iterdir()
        return dict(json.loads(log.read_text().splitlines()[-1]))

    def end(self) -> None:
        for process in (self.process.pid, *self.descendants()):
            kill(process)
        self.process.wait()


def is_at_work(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def start(tiny_catalogue: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Start a long command, and see to it that it has ended."""
    started: list[LongCommand] = []

    def begin(way: str, *settings: str, starter: tuple[str, ...] = ()) -> LongCommand:
        started.append(LongCommand(way, tiny_catalogue, tmp_path, *settings, starter=starter))
        return started[-1]

    yield begin
    for command in started:
        command.end()


def check_stopped(command: LongCommand, number: signal.Signals, code: int, goes_on: str) -> None:
    assert code == CODES[number]
    assert not (command.root / LOCK).exists()
    # Java says a word of its own when it starts, a night what its catalogue is, and a stage that it begins.
    others = ("NOTE", "WARNING", "  ", "/", "columns found: ")
    said = [line for line in command.said().splitlines() if not line.startswith(others)]
    message = f"stopped by {NAMES[number]}; the root is free, and the same command {goes_on}"
    assert said == [f"prodseek: {message}"], command.said()
    last = command.last_line_of_log()
    assert (last["event"], last["level"], last["message"]) == ("stopped", "warning", message)
    assert dict(last["figures"])["exit_code"] == code  # type: ignore[call-overload]


def test_a_root_is_free_within_ten_seconds() -> None:
    assert GRACE_SECONDS + LAST_SECONDS <= 10


def test_sigterm_in_the_middle_of_a_long_job(start, tiny_catalogue: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The same command then resumes the run."""
    figures = tmp_path / "figures" / "prodseek.prom"
    command = start("waiting_workers", f"metrics.prometheus_file={figures}")
    command.wait_for(command.began)
    check_stopped(command, signal.SIGTERM, command.stop(signal.SIGTERM), "goes on with stage ingest")
    assert '",state="stopped"} 1\n' in figures.read_text()
    run_ids = Store.at(str(command.root)).run_ids()
    assert len(run_ids) == 1
    again = prodseek(
        *("run", "ingest", "--env", "local", "--catalog", tiny_catalogue, "--root", command.root),
        *("--set", SETTING, "--set", f"metrics.prometheus_file={figures}"),
    )
    assert again.returncode == 0, again.stderr
    assert "taken over" not in again.stderr and "✓ ingest" in again.stderr
    assert Store.at(str(command.root)).run_ids() == run_ids
    assert Store.at(str(command.root)).run(run_ids[0]).summary("ingest") is not None
    assert '",state="succeeded"} 1\n' in figures.read_text()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_long_call_of_a_library(start) -> None:  # type: ignore[no-untyped-def]
    command = start("library_call")
    command.wait_for(command.began)
    check_stopped(command, signal.SIGINT, command.stop(signal.SIGINT, signal.SIGINT), "goes on with stage ingest")


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    "way", ["waiting_workers", "busy_workers", "writing_workers", "java", "planning", "library_call", "swallowing"]
)
def test_a_signal_in_the_middle_of_anything(start, way: str, number: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    command = start(way)
    command.wait_for(command.began)
    time.sleep(1.0)  # until it is well in it
    check_stopped(command, number, command.stop(number), "goes on with stage ingest")


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("after_seconds", [0.0, 1.0, 3.0])
def test_a_signal_while_spark_starts(start, number: signal.Signals, after_seconds: float) -> None:  # type: ignore[no-untyped-def]
    command = start("java")
    command.wait_for(command.root / LOCK)
    time.sleep(after_seconds)
    code = command.stop(number)
    assert code == CODES[number] and not (command.root / LOCK).exists()
    assert "Traceback" not in command.said() and "\tat " not in command.said()
    assert command.said().splitlines()[-1].startswith(f"prodseek: stopped by {NAMES[number]}; the root is free, ")


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_signal_does_not_come_between_manifest_and_latest(start, number: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    command = start("publishing")
    command.wait_for(command.began)
    store = Store.at(str(command.root))
    (run_id,) = store.run_ids()
    assert (command.root / "runs" / run_id / MANIFEST).exists()
    check_stopped(command, number, command.stop(number), "goes on with stage ingest")
    assert store.latest().run_id == run_id


@pytest.mark.slow
@pytest.mark.parametrize("way", ["waiting_workers", "library_call"])
def test_a_signal_to_spark_submit_reaches_what_it_has_started(start, way: str) -> None:  # type: ignore[no-untyped-def]
    """Java, which is spark-submit, gets the signal, and ends before the process that holds the root."""
    command = start(
        way, starter=(str(BIN / "spark-submit"), "--master", "local[2]", "--conf", "spark.ui.enabled=false")
    )
    command.wait_for(command.began)
    assert command.stop(signal.SIGTERM) == CODES[signal.SIGTERM]
    assert not (command.root / LOCK).exists()
    last = command.last_line_of_log()
    assert last["event"] == "stopped" and str(last["message"]).startswith("stopped by the end of spark-submit")


@pytest.mark.slow
def test_a_signal_to_all_that_a_command_has_started_is_one_line_too(start) -> None:  # type: ignore[no-untyped-def]
    """As timeout(1) and systemd send it."""
    command = start("waiting_workers")
    command.wait_for(command.began)
    for process in command.descendants():
        if b"java" in Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0]:
            os.kill(process, signal.SIGTERM)
    check_stopped(command, signal.SIGTERM, command.stop(signal.SIGTERM), "goes on with stage ingest")
