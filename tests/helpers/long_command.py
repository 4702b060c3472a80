"""`prodseek run ingest` whose stage does not end: long_command.py WAY BEGAN CATALOGUE ROOT [SETTING ...].

WAY: what the stage is in the middle of. BEGAN: a file that is made once it is.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from prodseek.config import load_config
from prodseek.errors import explain_errors
from prodseek.runner import stages
from prodseek.runner.start import run_named
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import LATEST, Summary
from prodseek.spark.night import Night
from prodseek.storage import files

WAY, BEGAN, CATALOGUE, ROOT, *SETTINGS = sys.argv[1:]
_NO_END = 10**13


def _waits(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    Path(BEGAN).touch()
    time.sleep(3600)
    yield from batches


def _counts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    Path(BEGAN).touch()
    sum(range(_NO_END))  # one call, between whose beginning and end Python looks at no signal
    yield from batches


def _writes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    Path(BEGAN).touch()
    while True:
        yield pa.RecordBatch.from_pydict({"id": list(range(1000))})


def waiting_workers(night: Night) -> None:
    night.spark.range(0, 8, 1, 8).mapInArrow(_waits, "id long").write.parquet(night.run.table_uri("images"))


def busy_workers(night: Night) -> None:
    night.spark.range(0, 8, 1, 8).mapInArrow(_counts, "id long").count()


def writing_workers(night: Night) -> None:
    """Each prints a traceback when nobody reads any more."""
    night.spark.range(0, 8, 1, 8).mapInArrow(_writes, "id long").selectExpr("sum(id)").collect()


def java(night: Night) -> None:
    Path(BEGAN).touch()
    night.spark.range(_NO_END).selectExpr("sum(hash(id, id + 1))").collect()


def planning(night: Night) -> None:
    tables = [f"(select id as a{i} from range(1000)) t{i}" for i in range(250)]
    joined = " ".join(f"join {table} on a{i} = a{i + 1}" for i, table in enumerate(tables[1:]))
    Path(BEGAN).touch()
    night.spark.sql(f"select * from {tables[0]} {joined}").explain()


def library_call(night: Night) -> None:
    Path(BEGAN).touch()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # lets other threads run


def swallowing(night: Night) -> None:
    Path(BEGAN).touch()
    while True:
        with suppress(BaseException):
            time.sleep(3600)


def publishing(night: Night) -> None:
    from prodseek.runs.manifest import Manifest
    from prodseek.runs.store import Store

    write = files.write_bytes

    def slowly(uri: str, data: bytes, is_lasting: bool = True) -> None:
        if uri.endswith(LATEST):
            Path(BEGAN).touch()
            time.sleep(2)
        write(uri, data, is_lasting)

    files.write_bytes = slowly
    Store(night.run.root).publish(night.run, Manifest(run_id=night.run.run_id))


class Stage:
    @staticmethod
    def run(night: Night) -> Summary[IngestFacts]:
        ways: dict[str, Callable[[Night], None]] = {
            way.__name__: way
            for way in (
                waiting_workers,
                busy_workers,
                writing_workers,
                java,
                planning,
                library_call,
                swallowing,
                publishing,
            )
        }
        ways[WAY](night)
        return Summary(IngestFacts())


if __name__ == "__main__":
    stages.stage_named = lambda name: Stage()
    config = load_config("local", settings=SETTINGS, catalog=CATALOGUE, root=ROOT)
    explain_errors(lambda: run_named("ingest", config))
