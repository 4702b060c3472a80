"""Retries for storage that fails for a moment or does not answer.

A read is tried again where that can help, and no read is waited for without end.
"""

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
# After this many reads given up in a row, the storage is at fault and not single photos.
_FAILURES_UNTIL_DEAD = 8

_TRANSIENT_ERRNOS = {
    errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ESTALE, errno.EPIPE,
    errno.EREMOTEIO, errno.ENOLINK, errno.EPROTO, errno.ENOBUFS, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET,
    errno.ECONNABORTED, errno.ECONNRESET, errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
}  # fmt: skip
# Answers of object storage and web servers to requests that they would refuse again.
_PERMANENT_ERRORS = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_|INVALID_|SIGNATURE_|UNRECOGNIZED_|MISSING_|MALFORMED_)|HTTP status 4(?!08|29)\d\d"
)


@dataclass(frozen=True)
class RetryPolicy:
    """How often a read is tried, and for how many seconds in total, before it is given up."""

    attempts: int = 5
    timeout_seconds: float = 60.0


class GivenUpError(OSError):
    """A read that failed every time it was tried, or did not end in time."""


@dataclass
class _StorageState:
    """What this process has seen of one storage."""

    n_retries: int = 0
    n_given_up_in_a_row: int = 0
    is_stalling: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    probe: threading.Lock = field(default_factory=threading.Lock)


# By server or bucket, because a dead one says nothing about another; "" is the machine's own file system.
_storage_states: defaultdict[str, _StorageState] = defaultdict(_StorageState)


def n_retries() -> int:
    """How often this process has tried a read again."""
    return sum(state.n_retries for state in list(_storage_states.values()))


def is_transient(error: OSError, is_remote: bool) -> bool:
    """Whether a failed read may succeed when it is tried again.

    is_remote: the storage reports errors as text, without an error number.
    """
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    if error.errno in _TRANSIENT_ERRNOS or isinstance(error, TimeoutError):
        return True
    return is_remote and not _PERMANENT_ERRORS.search(str(error))


def with_retries(read: Callable[[], T], retry_policy: RetryPolicy, storage: str = "") -> T:
    """Return what `read` returns, and call it again while its errors are transient (`is_transient`).

    The pause between two calls doubles each time. storage: where `read` reads from, as `files.storage_of` names it. A call
    that does not return in time is left behind in its own thread, because nothing can end a thread that waits for a disk.
    After eight reads in a row were given up, a storage counts as dead until one read succeeds: each read is then tried only
    once. While reads of a dead storage stall, one at a time is tried, and all others are given up at once.

    Raises GivenUpError, and any error of `read` that is not transient.
    """
    state = _storage_states[storage]
    with state.lock:
        is_dead, is_stalling = state.n_given_up_in_a_row >= _FAILURES_UNTIL_DEAD, state.is_stalling
    if not (is_dead and is_stalling):
        return _retry(
            read, RetryPolicy(1, retry_policy.timeout_seconds) if is_dead else retry_policy, state, bool(storage)
        )
    if not state.probe.acquire(blocking=False):
        raise GivenUpError("not tried: the storage does not answer, the reads before this one all stalled")
    try:
        return _retry(read, RetryPolicy(1, retry_policy.timeout_seconds), state, bool(storage))
    finally:
        state.probe.release()


def _retry(read: Callable[[], T], retry_policy: RetryPolicy, state: _StorageState, is_remote: bool) -> T:
    started, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            value = _call_with_timeout(retry_policy.timeout_seconds - (time.monotonic() - started), read)
        except OSError as error:
            if not is_transient(error, is_remote):
                _note_answer(state)
                raise
            # Jitter keeps many readers from returning to an overloaded server at the same moment.
            pause = random.uniform(0.5, 1.0) * min(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), _MAX_PAUSE_SECONDS)
            spent = time.monotonic() - started
            if attempt < retry_policy.attempts and spent + pause < retry_policy.timeout_seconds:
                with state.lock:
                    state.n_retries += 1
                time.sleep(pause)
                continue
            with state.lock:
                state.n_given_up_in_a_row += 1
                state.is_stalling = isinstance(error, TimeoutError)
            tried = "once" if attempt == 1 else f"{attempt} times"
            raise GivenUpError(f"{error}; tried {tried} in {spent:.1f} s") from error
        _note_answer(state)
        return value


def _note_answer(state: _StorageState) -> None:
    with state.lock:
        state.n_given_up_in_a_row = 0


def _call_with_timeout(seconds: float, read: Callable[[], T]) -> T:
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
