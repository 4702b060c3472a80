"""Rows of a manifest, read in Spark's tasks: blocks of a text, files and row groups of Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from prodseek.catalogue.columns import Columns
from prodseek.catalogue.parquet_table import ParquetPart, ParquetShare, read_share, shares_of
from prodseek.catalogue.shaped_rows import shaped
from prodseek.catalogue.text_rows import (
    BlockEnd,
    TextBlock,
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
    for number in _numbers(batches):
        for found in read_block(table, blocks[number]):
            yield from shaped(found, table, columns)


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
