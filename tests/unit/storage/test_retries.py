"""Reads that fail or stall: tried again where it can help, given up in time, and said how often."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.web import WebAccess
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files, retries
from prodseek.storage.retries import GivenUpError, RetryPolicy, is_transient, n_retries, with_retries

QUICK = RetryPolicy(attempts=4, timeout_seconds=5.0)


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has seen nothing fail yet, and pauses for a moment only."""
    monkeypatch.setattr(retries, "_storage_states", defaultdict(retries._StorageState))
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.001)
    yield


def failing(n_times: int, error: OSError) -> Callable[[], str]:
    """A read that fails `n_times` and then succeeds."""
    calls = iter(range(n_times))

    def read() -> str:
        if next(calls, None) is not None:
            raise error
        return "read"

    return read


@pytest.mark.parametrize(
    ("error", "is_remote", "is_tried_again"),
    [
        (OSError(errno.EIO, "Input/output error"), False, True),
        (OSError(errno.ESTALE, "Stale file handle"), False, True),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset"), True, True),
        (OSError("AWS Error SLOW_DOWN during GetObject operation: Please reduce your request rate."), True, True),
        (OSError("AWS Error UNKNOWN (HTTP status 500) during HeadObject operation: No response body."), True, True),
        (OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout"), True, True),
        (OSError("HTTP status 429"), True, True),
        (OSError("HTTP status 403"), True, False),
        (OSError("AWS Error ACCESS_DENIED during HeadObject operation: No response body."), True, False),
        (FileNotFoundError(errno.ENOENT, "No such file"), True, False),
        (PermissionError(errno.EACCES, "Permission denied"), False, False),
        (OSError("Cannot open for reading: path '/x' is a directory"), False, False),
        (OSError(errno.ELOOP, "Too many levels of symbolic links"), False, False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: OSError, is_remote: bool, is_tried_again: bool) -> None:
    assert is_transient(error, is_remote) == is_tried_again
    if is_tried_again:
        assert with_retries(failing(3, error), QUICK, "s3://bucket" if is_remote else "") == "read" and n_retries() == 3
    else:
        with pytest.raises(type(error)):
            with_retries(failing(1, error), QUICK, "s3://bucket" if is_remote else "")
        assert n_retries() == 0


def test_attempts_and_time_are_bounded() -> None:
    error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(GivenUpError, match=r"Input/output error; tried 4 times in 0\.\d s"):
        with_retries(failing(4, error), QUICK)
    with pytest.raises(GivenUpError, match="tried once"):
        with_retries(failing(4, error), RetryPolicy(attempts=100, timeout_seconds=0.0001))


def test_a_dead_storage_is_tried_once_a_read_until_it_lives_again() -> None:
    error = OSError(errno.EIO, "Input/output error")
    dead = failing(8 * 2 + 2, error)
    for _ in range(8):
        with pytest.raises(GivenUpError, match="tried 2 times"):
            with_retries(dead, RetryPolicy(2, 5.0))
    for _ in range(2):
        with pytest.raises(GivenUpError, match="tried once"):
            with_retries(dead, RetryPolicy(2, 5.0))
    elsewhere = failing(1, error)
    assert with_retries(elsewhere, QUICK, "s3://bucket") == "read", "another storage is as good as before"
    assert with_retries(dead, QUICK) == "read"
    assert with_retries(failing(1, error), QUICK) == "read"


def test_a_storage_that_stalls_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stalls = f"http://127.0.0.1:{silent.getsockname()[1]}/stalls.jpg"
        photos = PhotoSource(str(tmp_path), (), ImageLimits(), RetryPolicy(3, 0.05), WebAccess(("127.0.0.1",), 5.0))
        for _ in range(8):
            with pytest.raises(ImageRejected, match=r"unreadable: no answer in 0 s; tried once in 0\.\d s"):
                photos.read(stalls)
    # One waits, the others do not; and what lies elsewhere is read as before.
    answers, told, server = threading.Event(), [], files.storage_of(stalls)
    waiting = threading.Thread(target=lambda: told.append(with_retries(answers.wait, QUICK, server)))
    waiting.start()
    until = time.monotonic() + 5
    while not retries._storage_states[server].probe.locked() and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(ImageRejected, match="not tried: the storage does not answer"):
        photos.read(stalls)
    assert photos.read("a.jpg") == b"photo"
    answers.set()
    waiting.join()
    assert told == [True] and with_retries(lambda: "read", QUICK, server) == "read"


def test_what_a_file_system_cannot_read_is_rejected_and_said_how_often_it_was_tried(tmp_path: Path) -> None:
    # Reading address 0 of a process fails as a bad sector does.
    (tmp_path / "bad sector.jpg").symlink_to("/proc/self/mem")
    photos = PhotoSource(str(tmp_path), ("/proc",), ImageLimits(), QUICK)
    with pytest.raises(ImageRejected, match=r"unreadable: .*Input/output error.*; tried 4 times in "):
        photos.read("bad sector.jpg")
