"""Reading from storage that fails for a moment or does not answer: tried again where that helps, never waited for without end."""

from __future__ import annotations

import errno
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 10.0
# So many reads given up in a row, none between them succeeding, are no longer the fault of single photos.
_DEAD_AFTER = 8

_PASSING = {
    errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ESTALE, errno.EPIPE,
    errno.EREMOTEIO, errno.ENOLINK, errno.EPROTO, errno.ENOBUFS, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET,
    errno.ECONNABORTED, errno.ECONNRESET, errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
}  # fmt: skip
# What object storage and web servers say of requests that they will refuse again.
_REFUSED = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_|INVALID_|SIGNATURE_|UNRECOGNIZED_|MISSING_|MALFORMED_)|HTTP status 4(?!08|29)\d\d"
)


@dataclass(frozen=True)
class Patience:
    """How often a read is tried, and for how many seconds in all, before it is given up."""

    attempts: int = 5
    seconds: float = 60.0


class GivenUpError(OSError):
    """A read that failed each time it was tried, or did not end in time."""


@dataclass
class _Health:
    """What this process has seen of one storage."""

    n_retries: int = 0
    n_given_up_in_a_row: int = 0
    stalls: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    probe: threading.Lock = field(default_factory=threading.Lock)


# By the server or bucket, for one that is dead says nothing of another; "" for the machine's own file system.
_healths: defaultdict[str, _Health] = defaultdict(_Health)


def n_retries() -> int:
    """How often this process has tried a read again."""
    return sum(health.n_retries for health in list(_healths.values()))


def may_pass(error: OSError, is_remote: bool) -> bool:
    """Whether what failed may succeed if it is tried again. is_remote: storage that does not tell by error numbers."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    if error.errno in _PASSING or isinstance(error, TimeoutError):
        return True
    return is_remote and not _REFUSED.search(str(error))


def persistently(read: Callable[[], T], patience: Patience, storage: str = "") -> T:
    """What `read` returns; it is called again, after a pause that doubles each time, while its OSErrors may pass.

    storage: what it reads from, as `files.storage_of` names it. A call that does not return in time is left behind in a
    thread of its own: nothing can end one that waits for a disk. When eight reads of a storage were given up in a row it is
    taken for dead until one succeeds: reads that fail are tried once, and while they stall one at a time is tried and all
    others are given up at once. Raises GivenUpError, and whatever `read` raises that will not pass.
    """
    health = _healths[storage]
    with health.lock:
        is_dead, stalls = health.n_given_up_in_a_row >= _DEAD_AFTER, health.stalls
    if not (is_dead and stalls):
        return _tried(read, Patience(1, patience.seconds) if is_dead else patience, health, bool(storage))
    if not health.probe.acquire(blocking=False):
        raise GivenUpError("not tried: the storage does not answer, the reads before this one all stalled")
    try:
        return _tried(read, Patience(1, patience.seconds), health, bool(storage))
    finally:
        health.probe.release()


def _tried(read: Callable[[], T], patience: Patience, health: _Health, is_remote: bool) -> T:
    started, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            value = _within(patience.seconds - (time.monotonic() - started), read)
        except OSError as error:
            if not may_pass(error, is_remote):
                _note_answer(health)
                raise
            # Jitter keeps many readers from coming back to an overloaded server at once.
            pause = random.uniform(0.5, 1.0) * min(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), _MAX_PAUSE_SECONDS)
            spent = time.monotonic() - started
            if attempt < patience.attempts and spent + pause < patience.seconds:
                with health.lock:
                    health.n_retries += 1
                time.sleep(pause)
                continue
            with health.lock:
                health.n_given_up_in_a_row += 1
                health.stalls = isinstance(error, TimeoutError)
            tried = "once" if attempt == 1 else f"{attempt} times"
            raise GivenUpError(f"{error}; tried {tried} in {spent:.1f} s") from error
        _note_answer(health)
        return value


def _note_answer(health: _Health) -> None:
    with health.lock:
        health.n_given_up_in_a_row = 0


def _within(seconds: float, read: Callable[[], T]) -> T:
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(read())
        except BaseException as error:  # handed to the caller
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return outcome.result(max(seconds, 0.0))
    except TimeoutError as error:
        if outcome.done():
            raise
        raise TimeoutError(f"no answer in {seconds:.0f} s") from error
