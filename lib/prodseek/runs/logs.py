"""The log of a run, one JSON object a line: kept in the root, and with `logs.format: json` on standard error too.

<root>/logs/<run_id>.jsonl holds all attempts at a run, one after the other, so that a night that failed can be read in the
morning. What ended before it was known which run it was is in <root>/logs/unopened.jsonl.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from pyarrow import fs

from prodseek.errors import ProdseekError, StoppedError, exit_code_of
from prodseek.storage import files

LOGS = "logs"
UNOPENED = "unopened"


def log_uri(root: str, run_id: str) -> str:
    """Where the log of a run is kept."""
    return files.join(root, LOGS, f"{run_id}.jsonl")


class RunLog:
    """Writes what happens. run_id, stage: what each line says it belongs to, None while that is not known.

    root: as `Store.root`; None keeps nothing. shown: where lines go as well. A root that cannot be written to ends no run: its
    log is then incomplete, which is said once on standard error.
    """

    def __init__(self, root: str | None = None, shown: TextIO | None = None) -> None:
        self.run_id: str | None = None
        self.stage: str | None = None
        self._root = root
        self._shown = shown
        self._waiting: list[str] = []
        self._object: bytes | None = (
            None  # what the log on an object store holds, because nothing can be appended there
        )
        self._has_failed = False
        self._writing = threading.RLock()
        self._started = time.monotonic()

    @property
    def is_shown(self) -> bool:
        return self._shown is not None

    @property
    def uri(self) -> str | None:
        """Where this log is kept."""
        return None if self._root is None else log_uri(self._root, self.run_id or UNOPENED)

    def name_run(self, run_id: str) -> None:
        """Say which run this is; what was written before is kept in its log."""
        with self._writing:
            self.run_id = run_id
        self.keep()

    def write(
        self,
        event: str,
        message: str,
        figures: Mapping[str, Any] | None = None,
        level: str = "info",
        partition: int | None = None,
        traceback_text: str | None = None,
    ) -> None:
        """Write one line. event: a short name that does not change; message: for a person; figures: numbers by name."""
        values = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "run_id": self.run_id,
            "stage": self.stage,
            **({} if partition is None else {"partition": partition}),
            "event": event,
            "message": message,
            "figures": _plain(dict(figures or {})),
            **({} if traceback_text is None else {"traceback": traceback_text}),
        }
        # In ASCII: names come from the catalogue, and some characters end a line for some readers.
        line = json.dumps(values, allow_nan=False, default=str)
        with self._writing:
            if self._shown is not None:
                print(line, file=self._shown, flush=True)
            if self._root is not None:
                self._waiting.append(line)
                if self.run_id is not None:
                    self.keep(is_urgent=level != "info")

    def keep(self, is_urgent: bool = True) -> None:
        """Bring what waits into the root; to an object store, which is given the whole log each time, only if it is urgent."""
        with self._writing:
            if self.uri is None or not self._waiting:
                return
            try:
                file_system, path = files.locate(self.uri)
                if isinstance(file_system, fs.LocalFileSystem):
                    _append(Path(path), self._text)
                elif is_urgent:
                    self._rewrite(self.uri)
                else:
                    return
                self._waiting.clear()
            except (OSError, ValueError) as error:
                if not self._has_failed:
                    print(f"the log {self.uri} cannot be written: {error}", file=sys.stderr)
                self._has_failed = True

    def end(self, error: BaseException | None) -> None:
        """Write the last line: exit code, seconds, and what ended the run where that was an error."""
        code = exit_code_of(error)
        figures = {"exit_code": code, "seconds": round(time.monotonic() - self._started, 2)}
        if error is None:
            self.write("ended", "the command has done what it was to do", figures)
        elif isinstance(error, StoppedError):
            self.write("stopped", str(error), figures, "warning")
        else:
            is_explained = isinstance(error, ProdseekError) or not isinstance(error, Exception)
            told = None if is_explained else "".join(traceback.format_exception(error))
            message = str(error) if isinstance(error, ProdseekError) else f"{type(error).__name__}: {error}"
            self.write("failed", message, figures, "error", traceback_text=told)
        self.keep()

    @property
    def _text(self) -> bytes:
        return "".join(f"{line}\n" for line in self._waiting).encode()

    def _rewrite(self, uri: str) -> None:
        if self._object is None:
            self._object = files.read_bytes(uri) if files.exists(uri) else b""
        whole = self._object + self._text
        files.write_bytes(uri, whole)
        self._object = whole


@contextmanager
def kept_log(root: str, as_json: bool) -> Iterator[RunLog]:
    """Keep a log until the block ends, and say how it ended; warnings of any library's logger are in it.

    as_json: standard error gets the lines of the log and nothing else of ours: an error of any kind is told in the last line
    and ends the process with its exit code.
    """
    log = RunLog(root, sys.stderr if as_json else None)
    everything, ours = logging.getLogger(), logging.getLogger("prodseek")
    level_before = ours.level
    handlers: list[logging.Handler] = [_IntoLog(log)]
    if not as_json and not everything.handlers:
        handlers.append(_OnConsole())
    for handler in handlers:
        everything.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield log
        log.end(None)
    except BaseException as error:
        log.end(error)
        if as_json and isinstance(error, Exception):
            raise SystemExit(exit_code_of(error)) from error
        raise
    finally:
        ours.setLevel(level_before)
        for handler in handlers:
            everything.removeHandler(handler)


class _IntoLog(logging.Handler):
    """A record of Python's logging as a line: `partition` of it is kept where it has one."""

    def __init__(self, log: RunLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        event = "warning" if record.levelno >= logging.WARNING else "note"
        partition = getattr(record, "partition", None)
        told = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        self._log.write(
            event,
            record.getMessage(),
            {"logger": record.name},
            record.levelname.lower(),
            partition if isinstance(partition, int) else None,
            told,
        )


class _OnConsole(logging.StreamHandler[TextIO]):
    """Warnings for a person, as Python prints them where nothing is set up; what several partitions say alike, once."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setLevel(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if hasattr(record, "partition") and text in self._said:
            return
        self._said.add(text)
        super().emit(record)


def _append(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        # An attempt that was killed, or a disk that was full, may have left half a line.
        if handle.tell() and not _ends_with_newline(path):
            handle.write(b"\n")
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) == b"\n"


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
