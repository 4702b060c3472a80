"""Killing what works on a night, while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from prodseek.errors import StoreError
from prodseek.runs.store import Store


class Reader(threading.Thread):
    """A program beside the night that looks for the newest run all the time and reads all its tables.

    n_looks, n_read: how often it looked, and found a run. faults: what it saw that must not be seen.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.n_looks = self.n_read = 0
        self.faults: list[str] = []
        self._store = Store.at(str(root))
        self._stopped = threading.Event()

    def __enter__(self) -> Reader:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()
        self._look()

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            self._look()

    def _look(self) -> None:
        self.n_looks += 1
        try:
            latest = self._store.latest()
        except StoreError as error:
            if "no run has been published" not in str(error):
                self.faults.append(str(error))
            return
        self.n_read += 1
        for name, n_rows in latest.manifest().tables.items():
            try:
                found = pq.read_table(latest.table_uri(name)).num_rows
            except (OSError, ValueError) as error:
                self.faults.append(f"{name}: {error}")
                continue
            if found != n_rows:
                self.faults.append(f"{name}: {found} rows, {n_rows} in the manifest")


def when_stage_writes(root: Path, log: Path, stage: str, is_over: Callable[[], bool]) -> bool:
    """Wait until a night has begun a stage and first touches a file for it; False when the night is over before."""
    while not stage_has_begun(log, stage):
        if is_over():
            return False
        time.sleep(0.02)
    before = _files_under(root)
    while _files_under(root) <= before and not is_done(root, stage):
        if is_over():
            return False
        time.sleep(0.01)
    return True


def stage_has_begun(log: Path, stage: str) -> bool:
    return f"  {stage} ..." in log.read_text(encoding="utf-8", errors="replace")


def is_done(root: Path, stage: str) -> bool:
    return any((root / "runs").glob(f"*/stages/{stage}.json"))


def _files_under(root: Path) -> set[str]:
    return {str(path) for part in ("runs", "cache") for path in (root / part).rglob("*")}
