"""One run at a time on a root: the file LOCK in it says who holds it.

On a file system LOCK is created exclusively, so that of two who start at once one has it. pyarrow offers no such creation on
object storage; there LOCK is written and read back `SETTLE_SECONDS` later, and whoever wrote last has it. Two runs both take
it there only if one needs longer than that from finding it free to having written it; the next refresh of one of them then
finds the other's name and stops that run.

LOCK is written anew every `REFRESH_SECONDS`. It is taken over from a process of this machine that no longer exists, whatever
the clock says, and from another machine when it was not refreshed for `STALE_SECONDS` by the storage's own clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from pyarrow import fs
from pydantic import TypeAdapter, ValidationError

from prodseek.errors import RootLockedError, StoppedError, StoreError
from prodseek.runs.signals import postponed_signals
from prodseek.storage import files

LOCK = "LOCK"
REFRESH_SECONDS = 15.0
# Long enough for a library that keeps Python's other threads waiting while it works on a large catalogue.
STALE_SECONDS = 600.0
SETTLE_SECONDS = 5.0
_ATTEMPTS = 10


@dataclass(frozen=True)
class Holder:
    """Who holds a root. since: UTC, ISO 8601. run_id: None until it is known.

    machine: boot and process namespace, within which process_id means something; process_start tells two processes that had
    the same id apart. Both are empty where the system does not tell. token: of this very lock.
    """

    host: str
    process_id: int
    since: str
    run_id: str | None
    machine: str
    process_start: str
    token: str

    @classmethod
    def this_process(cls) -> Holder:
        process_id = os.getpid()
        return cls(
            host=socket.gethostname(),
            process_id=process_id,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            run_id=None,
            machine=_machine(),
            process_start=_process_start(process_id) or "",
            token=uuid.uuid4().hex,
        )

    @property
    def is_of_this_machine(self) -> bool:
        return self.machine != "" and self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether it is known that the process no longer exists; False for one of another machine."""
        return self.is_of_this_machine and _process_start(self.process_id) != self.process_start

    def __str__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        return f"process {self.process_id} on {self.host} since {self.since}{run}"

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Holder:
        """What `to_bytes` wrote; of a file that is only being written, someone of whom nothing is known."""
        try:
            return _HOLDER.validate_json(data)
        except ValidationError:
            return cls("an unknown host", 0, "an unknown time", None, "", "", "")


_HOLDER = TypeAdapter(Holder)


class RootLock:
    """A root that this process holds. Get one from `hold_root`."""

    def __init__(self, root: str, holder: Holder, taken_from: Holder | None) -> None:
        """taken_from: a holder before, who did not release it."""
        self.taken_from = taken_from
        self.lost: RootLockedError | None = None
        self._root = root
        self._holder = holder
        self._writing = threading.Lock()
        self._released = threading.Event()

    def name_run(self, run_id: str) -> None:
        """Write down which run this is. Raises RootLockedError when the lock is lost."""
        self._holder = replace(self._holder, run_id=run_id)
        self.refresh()

    def refresh(self) -> None:
        """Show that this process goes on. Raises RootLockedError when another has taken the root meanwhile."""
        with self._writing:
            if self._released.is_set():
                return
            if not _rewrite(self._root, self._holder, self._holder.token) and not _create(self._root, self._holder):
                self.lost = RootLockedError(
                    f"this run was not heard of for {STALE_SECONDS / 60:.0f} minutes, and {self._root} was taken over by "
                    f"{read_holder(self._root)}; it stops here. The same command resumes what is unfinished"
                )
                raise self.lost

    def keep_refreshed(self) -> None:
        """Refresh until the root is released. When the lock is lost, end this process by SIGTERM."""
        while not self._released.wait(REFRESH_SECONDS):
            try:
                self.refresh()
            except RootLockedError:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except OSError:  # a full disk or a storage that fails; the next attempt is soon
                continue

    def release(self) -> None:
        """Let others have the root. Nothing happens where that was done before."""
        self._released.set()
        with self._writing, _settled(self._root) as holder:
            if holder is not None and holder.token == self._holder.token:
                files.delete_file(_uri(self._root))


@contextlib.contextmanager
def hold_root(root: str) -> Iterator[RootLock]:
    """Hold a root until the block ends, in whatever way; SIGTERM ends it like Ctrl-C.

    root: as `Store.root`. Raises RootLockedError when someone else holds it or, at any time in the block, has taken it
    over; StoreError when nothing can be written there.
    """
    try:
        lock = _take(root)
    except (OSError, ValueError) as error:
        raise StoreError(f"{root} cannot be written to: {error}; free it, or name another root with --root") from error
    with _ended_by_sigterm():
        threading.Thread(target=lock.keep_refreshed, daemon=True).start()
        try:
            yield lock
        except (SystemExit, StoppedError):
            if lock.lost is None:
                raise
            raise lock.lost from None
        finally:
            with postponed_signals():
                lock.release()


def read_holder(root: str) -> Holder | None:
    """Who holds a root, alive or not; None when nobody does."""
    try:
        return Holder.from_bytes(files.read_bytes(_uri(root)))
    except FileNotFoundError:
        return None


def _uri(root: str) -> str:
    return files.join(root, LOCK)


def _local_path(root: str) -> Path | None:
    file_system, path = files.locate(_uri(root))
    return Path(path) if isinstance(file_system, fs.LocalFileSystem) else None


def _take(root: str) -> RootLock:
    own = Holder.this_process()
    before: Holder | None = None
    for _ in range(_ATTEMPTS):
        if _create(root, own):
            return RootLock(root, own, before)
        before = read_holder(root)
        if before is None:
            continue
        _raise_if_held(root, before)
        if _rewrite(root, own, before.token):
            return RootLock(root, own, before)
    raise RootLockedError(f"{root} is being taken by others time and again, last by {before}; start again later")


def _raise_if_held(root: str, holder: Holder) -> None:
    fate = ""
    if not holder.is_of_this_machine:
        silent_seconds = _silent_seconds(root)
        if silent_seconds > STALE_SECONDS:
            return
        fate = (
            f" It was last heard of {silent_seconds:.0f} seconds ago; after {STALE_SECONDS:.0f} seconds of silence the next "
            "run takes over by itself."
        )
    elif holder.is_dead:
        return
    raise RootLockedError(
        f"{root} is in use by {holder}; one run at a time works on a root. Wait until it is done, or stop it.{fate}"
    )


def _silent_seconds(root: str) -> float:
    """How long ago LOCK was written, by the clock of the storage: machines need not agree on the time."""
    probe = files.join(root, f".{LOCK}.{uuid.uuid4().hex}")
    files.write_bytes(probe, b"now", is_lasting=False)
    try:
        now, written = files.mtime_seconds(probe), files.mtime_seconds(_uri(root))
    finally:
        files.delete_file(probe)
    return 0.0 if now is None or written is None else now - written


def _create(root: str, holder: Holder) -> bool:
    """Make LOCK where there is none; False when there is one."""
    path = _local_path(root)
    if path is None:
        if read_holder(root) is not None:
            return False
        return _write_and_read_back(root, holder)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as handle:
            try:
                handle.write(holder.to_bytes())
                handle.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        return False
    return True


def _rewrite(root: str, holder: Holder, token: str) -> bool:
    """Put `holder` into LOCK if the lock there has this token; False when it has not."""
    with _settled(root) as before:
        if before is None or before.token != token:
            return False
        if holder.token != token and _local_path(root) is None:
            return _write_and_read_back(root, holder)
        files.write_bytes(_uri(root), holder.to_bytes(), is_lasting=False)
        return True


def _write_and_read_back(root: str, holder: Holder) -> bool:
    files.write_bytes(_uri(root), holder.to_bytes())
    time.sleep(SETTLE_SECONDS)
    return read_holder(root) == holder


@contextlib.contextmanager
def _settled(root: str) -> Iterator[Holder | None]:
    """Who holds the root; on a file system nobody else changes that inside the block."""
    path = _local_path(root)
    if path is None:
        yield read_holder(root)
        return
    with contextlib.ExitStack() as stack:
        handle = _opened_alone(path, stack)
        yield None if handle is None else Holder.from_bytes(handle.read())


def _opened_alone(path: Path, stack: contextlib.ExitStack) -> IO[bytes] | None:
    while True:
        try:
            handle = stack.enter_context(path.open("rb"))
            # On a file system without flock two who take over a dead run's lock in the same moment may both believe they have it.
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                return handle
        except FileNotFoundError:
            return None


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _process_start(process_id: int) -> str | None:
    """When a process of this machine started, in clock ticks since boot; None when there is none, or only its remains."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]
