"""Manifests as Spark reads them, CSV and Parquet, some holding photos: rows with product and photo each, or a CatalogueError."""

from __future__ import annotations

import atexit
import csv
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import mutated
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from prodseek.catalogue.manifests import find_catalogue
from prodseek.config import load_config
from prodseek.errors import CatalogueError, StoreError
from prodseek.runs.store import Store
from prodseek.spark.catalogue.held_photos import copy_held_photos
from prodseek.spark.catalogue.manifest_rows import PLACE
from prodseek.spark.catalogue.rows import catalogue_rows
from prodseek.spark.night import Night
from prodseek.spark.tables import naming_damaged_files

MEMORY_BYTES = -1  # Java reserves what it likes
_NAMES = (
    "uri",
    "product_id",
    "URI",
    "Uri ",
    "",
    " ",
    "_fault",
    "a.b",
    "a`b",
    "`",
    "a b",
    "é",
    "a" * 300,
    "title",
    "\n",
    "attributes",
    "*",
    "_c0",
)
_VALUES: tuple[Any, ...] = ("photos/a.jpg", "", " ", None, "x", "\0", "\u202e", "=1", "😀" * 50, "a,b", "a\nb")
_TYPED: tuple[pa.Array, ...] = (
    pa.array([b"\xff\x00", None]), pa.array([1.5, None]), pa.array([[1], None]), pa.array([{"x": 1}, None]),
    pa.array([True, None]), pa.array([None, None]), pa.array([1, 2], pa.timestamp("us")),
    pa.array([1, 2], pa.uint64()), pa.array([1, 2], pa.timestamp("ns")), pa.array([1, 2], pa.time64("ns")),
    pa.array([1, 2], pa.date32()), pa.array(["a", "b"]).dictionary_encode(),
    pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), pa.array([1, None], pa.decimal128(38, 3)),
)  # fmt: skip


class Case(NamedTuple):
    """A manifest. kind: its ending. held: the column that is said to hold its photos."""

    kind: str
    data: bytes
    held: str | None = None


@cache
def spark() -> SparkSession:
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    from prodseek.spark.session import start_session

    started = start_session(load_config().spark.model_copy(update={"master": "local[1]"}), "fuzz")
    atexit.register(started.stop)
    return started


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="prodseek-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _csv(names: list[str], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    return text.getvalue().encode()


def _parquet(columns: dict[str, pa.Array]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def cases() -> st.SearchStrategy[Case]:
    spark()
    more = st.lists(st.sampled_from(_NAMES), max_size=3)
    names = st.builds(lambda first, rest: [*first, *rest], st.sampled_from((["uri", "product_id"], ["uri"], [])), more)
    rows = st.lists(st.lists(st.sampled_from(_VALUES), min_size=1, max_size=4), max_size=4)
    texts = st.one_of(st.none(), st.sampled_from(_TYPED))
    columns = st.dictionaries(st.sampled_from(_NAMES), texts, max_size=3).map(
        lambda found: (
            {"uri": pa.array(["a.jpg", None]), "product_id": pa.array(["p", "q"])}
            | {name: pa.array(["x", None]) if values is None else values for name, values in found.items()}
        )
    )
    whole = _parquet(
        {"uri": pa.array(["a.jpg"] * 50), "product_id": pa.array(list("abcde") * 10), "n": pa.array(range(50))}
    )
    photos = pa.array([b"x" * n if n % 9 else None for n in range(50)], pa.binary())
    holding = _parquet({"uri": pa.array(["a.jpg"] * 50), "product_id": pa.array(list("abcde") * 10), "bytes": photos})
    nested = _parquet({"uri": pa.array(["a.jpg", None]), "image": pa.array([{"bytes": b"x", "path": "y"}, None])})
    held = st.sampled_from(("bytes", "image.bytes", "image", "uri", "a.b", "`", "_metadata", PLACE))
    return st.one_of(
        st.builds(Case, st.just("csv"), st.builds(_csv, names, rows), st.none()),
        st.builds(Case, st.just("parquet"), st.builds(_parquet, columns), st.one_of(st.none(), held)),
        st.builds(Case, st.just("parquet"), mutated([whole], (b"PAR1",)), st.none()),
        st.builds(Case, st.just("parquet"), mutated([holding, nested], (b"PAR1",)), held),
    )


def check(case: Case) -> None:
    path = _folder() / f"manifest.{case.kind}"
    path.write_bytes(case.data)
    (path.parent / f".{path.name}.crc").unlink(missing_ok=True)
    try:
        found = _rows(case, path)
    except (CatalogueError, StoreError) as error:
        assert len(str(error)) < 5000
        return
    assert found
    for row in found:
        assert row.uri is None or (row.uri.strip() and isinstance(row.attributes, dict | list))
        assert case.held is None or (row.image_id is None) != (row.reason is None)


def _rows(case: Case, path: Path) -> list[Any]:
    config = load_config(settings=() if case.held is None else (f"catalog.bytes_column={case.held!r}",))
    rows = catalogue_rows(spark(), find_catalogue(str(path)), config.catalog).rows
    with naming_damaged_files():
        if case.held is not None:
            run = Store.at(str(_folder() / "root")).run("20260101T000000Z-00000000")
            rows = copy_held_photos(Night.of(spark(), config, run), rows, spark().sparkContext.accumulator(0))
        return rows.collect()
