"""Processes that other processes have started: Java, Spark's executors and Python workers. As Linux tells of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def children_of(process: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{process}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def python_workers_of(process: int) -> list[int]:
    """Python workers below a JVM or a driver: forks of Spark's daemon."""
    found = []
    for child in children_of(process):
        is_daemon = b"pyspark.daemon" in command_line(child)
        found += children_of(child) if is_daemon else python_workers_of(child)
    return found


def kill(process: int) -> bool:
    """kill -9; False when the process had gone by itself."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
