"""One run at a time on a root, between real processes: they hold it, die with it, race for it and lose it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prodseek.errors import RootLockedError, StoreError, explain_errors
from prodseek.runs.lock import LOCK, STALE_SECONDS, Holder, hold_root, read_holder

# Takes the root at every line that comes in and lets it go at the next.
PROCESS = """
import sys
from prodseek.runs import lock
from prodseek.errors import explain_errors
from prodseek.errors import RootLockedError

lock.REFRESH_SECONDS = 0.05

def main():
    print("ready", flush=True)
    while sys.stdin.readline():
        try:
            with lock.hold_root(sys.argv[1]) as held:
                held.name_run("20260101T000000Z-00000000")
                print("held", flush=True)
                sys.stdin.readline()
        except RootLockedError as error:
            if "stops here" in str(error):
                raise
            print("refused", flush=True)
            sys.stdin.readline()
        print("free", flush=True)

explain_errors(main)
"""


class Process:
    """Another process that takes and releases a root when told."""

    def __init__(self, root: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def goes_on(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def holds(self) -> int:
        assert self.hears() == "ready"
        self.goes_on()
        assert self.hears() == "held"
        return self.popen.pid

    def ends(self) -> tuple[int, str]:
        assert self.popen.stderr is not None
        return self.popen.wait(timeout=20), self.popen.stderr.read()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.popen.kill()
    process.popen.communicate()


def test_a_held_root_is_refused_with_who_holds_it_and_free_when_they_are_done(tmp_path: Path, other: Process) -> None:
    process_id = other.holds()
    with pytest.raises(RootLockedError, match=rf"process {process_id} on .* since 20.* run 20260101T000000Z-00000000"):
        hold_root(str(tmp_path)).__enter__()
    assert other.popen.poll() is None
    other.goes_on()
    assert other.hears() == "free" and os.listdir(tmp_path) == []
    with hold_root(str(tmp_path)) as lock:
        assert lock.taken_from is None
        holder = read_holder(str(tmp_path))
        assert holder is not None and holder.process_id == os.getpid() and not holder.is_dead


@pytest.mark.parametrize("is_zombie", [True, False])
def test_a_killed_run_is_followed_at_once(tmp_path: Path, other: Process, is_zombie: bool) -> None:
    process_id = other.holds()
    other.popen.kill()
    if is_zombie:
        os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)
    else:
        other.popen.wait()
    with hold_root(str(tmp_path)) as lock:
        assert lock.taken_from is not None and lock.taken_from.process_id == process_id
    assert os.listdir(tmp_path) == []


def test_a_process_that_has_the_id_of_a_dead_one_does_not_hold_its_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(replace(Holder.this_process(), process_start="1").to_bytes())
    with hold_root(str(tmp_path)) as lock:
        assert lock.taken_from is not None


@pytest.mark.parametrize(("sent", "returned"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_releases_the_root(tmp_path: Path, other: Process, sent: signal.Signals, returned: int) -> None:
    other.holds()
    other.popen.send_signal(sent)
    assert other.ends()[0] == returned
    assert os.listdir(tmp_path) == []


def test_a_failure_releases_the_root(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_root(str(tmp_path)):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_root_that_is_released_stays_so(tmp_path: Path) -> None:
    with hold_root(str(tmp_path)) as lock:
        lock.release()
        lock.refresh()
        assert os.listdir(tmp_path) == []
        with hold_root(str(tmp_path)):
            lock.release()
            assert os.listdir(tmp_path) == [LOCK]


def test_of_many_who_start_at_once_one_has_the_root(tmp_path: Path) -> None:
    processes = [Process(tmp_path) for _ in range(4)]
    dead = replace(Holder.this_process(), process_start="1").to_bytes()
    assert [process.hears() for process in processes] == ["ready"] * len(processes)
    try:
        for attempt in range(20):
            if attempt % 2:
                (tmp_path / LOCK).write_bytes(dead)
            for process in processes:
                process.goes_on()
            assert sorted(process.hears() for process in processes) == ["held", "refused", "refused", "refused"]
            for process in processes:
                process.goes_on()
            assert [process.hears() for process in processes] == ["free"] * len(processes)
            assert os.listdir(tmp_path) == []
    finally:
        for process in processes:
            process.popen.kill()
            process.popen.communicate()


@pytest.mark.parametrize("content", [b"", replace(Holder.this_process(), host="elsewhere", machine="m").to_bytes()])
def test_a_lock_from_elsewhere_counts_until_it_has_been_silent_for_long(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / LOCK
    path.write_bytes(content)
    os.utime(path, (time.time() - STALE_SECONDS / 2,) * 2)
    with pytest.raises(RootLockedError, match=r"on (elsewhere|an unknown host) .* last heard of (299|30.) seconds ago"):
        hold_root(str(tmp_path)).__enter__()
    os.utime(path, (time.time() - STALE_SECONDS - 5,) * 2)
    with hold_root(str(tmp_path)) as lock:
        assert lock.taken_from is not None
    assert os.listdir(tmp_path) == []


def test_a_run_whose_root_was_taken_over_stops_and_leaves_the_lock(tmp_path: Path, other: Process) -> None:
    other.holds()
    taker = replace(Holder.this_process(), host="elsewhere").to_bytes()
    (tmp_path / "new").write_bytes(taker)
    (tmp_path / "new").replace(tmp_path / LOCK)
    code, errors = other.ends()
    assert code == 3 and "was taken over by process" in errors and "elsewhere" in errors and "Traceback" not in errors
    assert (tmp_path / LOCK).read_bytes() == taker


def test_a_root_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StoreError, match=r"/dev/null/root cannot be written to: .* --root"):
        hold_root("/dev/null/root").__enter__()


def test_a_held_root_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold_root(str(tmp_path)), pytest.raises(SystemExit) as ended:
        explain_errors(lambda: hold_root(str(tmp_path)).__enter__())
    assert ended.value.code == 3 and "is in use by process" in capsys.readouterr().err
