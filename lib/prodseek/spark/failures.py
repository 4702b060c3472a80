"""What a person is told when storage or a process of Spark's fails under a night."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException

from prodseek.errors import MachineError
from prodseek.spark.tables import naming_damaged_files

_AGAIN = "then start the same command again: it goes on with the stage that it was in"
_OUT_OF_ROOM = re.compile(
    r"No space left on device|Disk quota exceeded|Not enough space|failed to create local dir", re.I
)
# As Linux, pyarrow and Java say it, in the sentence that is shown.
_STORAGE_FAILS = re.compile(
    r"[^\n]*(?:Read-only file system|Permission denied|AccessDenied|Input/output error|Stale file handle"
    r"|Transport endpoint is not connected|Mkdirs failed to create)[^\n]*"
)
_OUT_OF_MEMORY = re.compile(r"java\.lang\.OutOfMemoryError[^\n]*")
_WORKER_DIED = re.compile(r"Python worker exited unexpectedly|Python worker failed to connect back")
_SHUT_DOWN = re.compile(r"SparkContext (?:was|has been) (?:shut ?down|stopped)|on a stopped SparkContext")
_JAVA_ENDED = (
    "Spark's Java process on this machine ended; the system kills it when memory is short (see the system's log). Give the "
    f"machine more, or Spark less with spark.driver_memory, {_AGAIN}"
)
_EXECUTOR_DIED = re.compile(r"ExecutorLostFailure[^\n]*|Checkpoint block \S+ not found")


@contextmanager
def explaining_failures(root: str, local_dirs: str | None = None) -> Iterator[None]:
    """Turn a failure of storage, of memory or of one of Spark's processes into a MachineError that says what, where, and
    what to do; a damaged file into a StoreError. Whatever else went wrong is raised as it is.

    root: where runs are kept. local_dirs: `spark.local.dir`, where it is set.
    """
    try:
        with naming_damaged_files():
            yield
    except (Py4JError, PySparkException, OSError) as error:
        try:
            told = _explained(error, root, local_dirs)
        except (Py4JError, ConnectionError):  # an error of Spark's asks Java for its own text
            told = _JAVA_ENDED
        if told is None:
            raise
        raise MachineError(told) from error


def _explained(error: Exception, root: str, local_dirs: str | None) -> str | None:
    text = str(error)
    if _SHUT_DOWN.search(text):
        return (
            f"Spark was shut down under the run: by a signal to its Java process, or by the cluster. See why, {_AGAIN}"
        )
    if _OUT_OF_ROOM.search(text):
        return f"there is no room left: {_room(root, local_dirs)}. Make room, {_AGAIN}"
    found = _STORAGE_FAILS.search(text)
    if found is not None:
        return f"storage fails: {_shortened(found[0])}. See that {root} can be read and written, {_AGAIN}"
    found = _OUT_OF_MEMORY.search(text)
    if found is not None:
        return (
            f"Java is out of memory: {_shortened(found[0])}. Give it more, with --set spark.driver_memory=4g or, on a cluster, "
            f"spark.executor.memory, {_AGAIN}"
        )
    if _SHUT_DOWN.search(text):
        return (
            f"Spark was shut down under the run: by a signal to its Java process, or by the cluster. See why, {_AGAIN}"
        )
    if _WORKER_DIED.search(text):
        return (
            "a Python worker died under one task each time it was tried; most often the system kills it because memory is "
            "short (see the system's log). Use fewer task slots (--set 'spark.master=local[2,4]', or fewer "
            f"spark.executor.cores) or smaller batches (embed.batch_size, *_per_partition), {_AGAIN}"
        )
    found = _EXECUTOR_DIED.search(text)
    if found is not None:
        return f"executors were lost: {_shortened(found[0])}. See their logs, {_AGAIN}"
    if isinstance(error, (Py4JNetworkError, ConnectionError)):
        return _JAVA_ENDED
    return None


def _room(root: str, local_dirs: str | None) -> str:
    """How much room there is where a night writes, as far as this machine can see it."""
    temporary = os.environ.get("SPARK_LOCAL_DIRS") or local_dirs or tempfile.gettempdir()
    places = [("the root", root), *(("Spark's folder for temporary files", folder) for folder in temporary.split(","))]
    told = [
        f"{what} {place} has {shutil.disk_usage(place).free / 2**20:,.1f} MB"
        for what, place in places
        if os.path.isdir(place)
    ]
    return ", ".join(told) or f"see {root} and the disks of the executors"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:300] + " ..."
