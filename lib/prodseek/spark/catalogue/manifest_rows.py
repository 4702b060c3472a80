"""Rows of a manifest, read in Spark's tasks: blocks of a text, files and row groups of Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from prodseek.catalogue.columns import ABSENT, Columns
from prodseek.catalogue.manifest_reading import as_text, values_at
from prodseek.catalogue.parquet_table import ParquetPart, ParquetShare, read_share, shares_of
from prodseek.catalogue.text_rows import (
    BlockEnd,
    TextBlock,
    TextRows,
    TextTable,
    blocks_of,
    count_block,
    joined,
    numbered,
    read_block,
)

# The column that says where a row of Parquet stands: its file, its number in it, the file's size and time of change.
PLACE = "_place"
_PLACE = pa.struct(
    [("file_path", pa.string()), ("row_index", pa.int64()), ("file_size", pa.int64()), ("mtime_ns", pa.int64())]
)
_TEXT_SCHEMA = "product_id string, uris array<string>, attributes map<string,string>, fault string"
_TEXT_ARROW = pa.schema(
    [
        ("product_id", pa.string()),
        ("uris", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("fault", pa.string()),
    ]
)
_BATCH_ROWS = 4096


def text_rows(spark: SparkSession, table: TextTable, columns: Columns) -> DataFrame:
    """product_id, uris, attributes, fault of a text manifest. Raises CatalogueError for one that is damaged."""
    blocks = _counted(spark, table)
    read = partial(_read_text, table=table, columns=columns, blocks=tuple(blocks))
    return _tasks(spark, len(blocks)).mapInArrow(read, _TEXT_SCHEMA)


def parquet_rows(spark: SparkSession, parts: Sequence[ParquetPart], schema: pa.Schema) -> DataFrame:
    """The columns of a Parquet manifest by their place in `schema`, `c0`, `c1` ..., and _place.

    Raises CatalogueError for a file that is damaged.
    """
    shares = shares_of(parts)
    # No names, because Spark takes some for others: with dots, in other capitals, twice.
    renamed = pa.schema([*(pa.field(f"c{n}", kind) for n, kind in enumerate(schema.types)), pa.field(PLACE, _PLACE)])
    read = partial(_read_parquet, schema=schema, renamed=renamed, shares=tuple(map(tuple, shares)))
    return _tasks(spark, len(shares)).mapInArrow(read, from_arrow_schema(renamed))


def _tasks(spark: SparkSession, n_tasks: int) -> DataFrame:
    """A row for each task, with its number."""
    return spark.range(0, n_tasks, 1, numPartitions=max(1, n_tasks))


def _numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    return (number for batch in batches for number in batch.column(0).to_pylist())


def _counted(spark: SparkSession, table: TextTable) -> list[TextBlock]:
    """The blocks of a text, each with the number of its first row."""
    blocks = blocks_of(table)
    if len(blocks) == 1:
        return blocks
    ends: dict[TextBlock, BlockEnd] = {}
    while True:
        todo = tuple(block for block in blocks if block not in ends)
        count = partial(_count_text, table=table, blocks=todo)
        counted = _tasks(spark, len(todo)).mapInArrow(count, "number long, n_rows long, is_closed boolean").collect()
        ends |= {todo[row["number"]]: BlockEnd(row["n_rows"], row["is_closed"]) for row in counted}
        whole = joined(blocks, ends)
        if whole == blocks:
            return numbered(blocks, ends)
        blocks = whole


def _count_text(
    batches: Iterator[pa.RecordBatch], table: TextTable, blocks: Sequence[TextBlock]
) -> Iterator[pa.RecordBatch]:
    for number in _numbers(batches):
        end = count_block(table, blocks[number])
        yield pa.RecordBatch.from_pydict({"number": [number], "n_rows": [end.n_rows], "is_closed": [end.is_closed]})


def _read_text(
    batches: Iterator[pa.RecordBatch], table: TextTable, columns: Columns, blocks: Sequence[TextBlock]
) -> Iterator[pa.RecordBatch]:
    shape = _objects if table.is_json else _cells
    for number in _numbers(batches):
        for found in read_block(table, blocks[number]):
            for start in range(0, len(found.rows), _BATCH_ROWS):
                yield shape(found, slice(start, start + _BATCH_ROWS), table, columns)


def _cells(found: TextRows, some: slice, table: TextTable, columns: Columns) -> pa.RecordBatch:
    """Rows of a delimited text, column by column, because a Python loop over their values would take longest."""
    width = len(table.columns)
    rows: list[list[str]] = [row if isinstance(row, list) else [] for row in found.rows[some]]
    faults: list[str | None] = [None] * len(rows)
    for place, row in enumerate(rows):
        fault = found.faults.get(some.start + place)
        if fault is None and len(row) != width:
            fault = f"has {len(row):,} values, the header {width:,}"
        if fault is not None:
            faults[place] = f"row {found.first_row + some.start + place} {fault}"
            rows[place] = [*row[:width], *[""] * (width - len(row))]
    cells = dict(zip(table.columns, zip(*rows, strict=True), strict=True))
    nothing = pa.nulls(len(rows), pa.string())
    product_ids, uris = (
        nothing if name is None else _cleaned(pa.array(cells[name], pa.string()))
        for name in (columns.product_id, columns.uri)
    )
    return pa.RecordBatch.from_arrays(
        [
            product_ids,
            pa.ListArray.from_arrays(np.arange(len(rows) + 1, dtype=np.int32), uris),
            _maps([(key, _cleaned(pa.array(cells[name], pa.string()))) for key, name in columns.kept], len(rows)),
            pa.array(faults, pa.string()),
        ],
        schema=_TEXT_ARROW,
    )


def _cleaned(values: pa.Array) -> pa.Array:
    """Text without white space around it; null for what says that there is no value."""
    text = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.is_in(text, pa.array(ABSENT)), pa.scalar(None, pa.string()), text)


def _maps(columns: Sequence[tuple[str, pa.Array]], n_rows: int) -> pa.Array:
    """A map for each row of the values that it has, (N,) arrays of text by key."""
    n_keys = len(columns)
    if not n_keys:
        return pa.array([[]] * n_rows, _TEXT_ARROW.field("attributes").type)
    in_rows = np.arange(n_keys * n_rows).reshape(n_keys, n_rows).T.ravel()
    values = pa.concat_arrays([column for _, column in columns]).take(pa.array(in_rows))
    is_there = np.asarray(values.is_valid())
    offsets = np.concatenate([[0], np.cumsum(is_there.reshape(n_rows, n_keys).sum(axis=1))]).astype(np.int32)
    keys = pa.array([key for key, _ in columns]).take(pa.array(np.tile(np.arange(n_keys), n_rows)[is_there]))
    return pa.MapArray.from_arrays(offsets, keys, values.drop_null())


def _objects(found: TextRows, some: slice, table: TextTable, columns: Columns) -> pa.RecordBatch:
    """Rows of JSON lines."""
    own = {
        name and name.split(".")[0] if name not in table.columns else name for name in (columns.product_id, columns.uri)
    }
    made: list[tuple[str | None, list[str | None], list[tuple[str, str]], str | None]] = []
    for place, row in enumerate(found.rows[some], start=some.start):
        values = row if isinstance(row, dict) else {}
        fault = found.faults.get(place)
        product_id = _first(values, columns.product_id)
        uris = [] if columns.uri is None else [_sound(as_text(one)) for one in values_at(values, columns.uri)]
        kept = {name: _sound(as_text(value)) for name, value in values.items() if name not in own}
        kept |= {known: _first(values, name) for known, name in columns.facts.items()}
        made.append(
            (
                product_id,
                [uri for uri in uris if uri is not None],
                [(_sound(key) or key, value) for key, value in kept.items() if key and value is not None],
                None if fault is None else f"row {found.first_row + place} {fault}",
            )
        )
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*made, strict=True), _TEXT_ARROW.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_TEXT_ARROW)


def _first(values: dict[str, Any], name: str | None) -> str | None:
    found = [] if name is None else values_at(values, name)
    return _sound(as_text(found[0])) if found else None


def _sound(text: str | None) -> str | None:
    """Text that can be written as UTF-8, without white space around it; None for what says that there is no value."""
    if text is None:
        return None
    text = text.strip()
    return None if text in ABSENT else text.encode(errors="replace").decode()


def _read_parquet(
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    renamed: pa.Schema,
    shares: Sequence[Sequence[ParquetShare]],
) -> Iterator[pa.RecordBatch]:
    for share in chain.from_iterable(shares[number] for number in _numbers(batches)):
        part = share.part
        for first_row, batch in read_share(share, schema):
            n = batch.num_rows
            place = pa.StructArray.from_arrays(
                [
                    pa.array([part.uri] * n, pa.string()),
                    pa.array(np.arange(first_row, first_row + n)),
                    pa.array(np.full(n, part.n_bytes)),
                    pa.array(np.full(n, part.mtime_ns)),
                ],
                fields=list(_PLACE),
            )
            columns = batch.columns if len(schema) else []
            yield pa.RecordBatch.from_arrays([*columns, place], schema=renamed)
