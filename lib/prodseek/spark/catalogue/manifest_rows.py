"""Rows of a manifest, read in Spark's tasks: blocks of a text, files and row groups of Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from prodseek.catalogue.manifests import FAULT
from prodseek.catalogue.parquet_parts import ParquetPart
from prodseek.catalogue.parquet_table import ParquetShare, read_share, shares_of
from prodseek.catalogue.photo_rows import Role, RowRules
from prodseek.catalogue.shaped_rows import PLACE_TYPE, SHAPE, shaped, shaped_parquet
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
from prodseek.spark.catalogue.reading_tallies import ReadingTallies

# The column that says where a row of Parquet stands, see PLACE_TYPE.
PLACE = "_place"
_NAMES = ("product_id", "uri", "attributes", FAULT, "role")
_ROWS = pa.schema([field.with_name(name) for field, name in zip(SHAPE, _NAMES, strict=True)])
_PLACED_ROWS = _ROWS.append(pa.field(PLACE, PLACE_TYPE))
# A part of a text.
Piece = tuple[TextTable, TextBlock]


def text_rows(spark: SparkSession, tables: Sequence[TextTable], rules: RowRules, tallies: ReadingTallies) -> DataFrame:
    """product_id, uri, attributes, _fault, role of a text manifest; whether it is damaged the tallies say."""
    pieces = _counted(spark, tables)
    read = partial(_read_text, rules=rules, pieces=tuple(pieces), tallies=tallies)
    return _tasks(spark, len(pieces)).mapInArrow(read, from_arrow_schema(_ROWS))


def parquet_rows(
    spark: SparkSession, parts: Sequence[ParquetPart], schema: pa.Schema, rules: RowRules, tallies: ReadingTallies
) -> DataFrame:
    """product_id, uri, attributes, _fault, role of a Parquet manifest; _place too if it holds the photos.

    Raises CatalogueError for a file whose end shows that it is damaged; of others the tallies say it.
    """
    shares = shares_of(parts)
    read = partial(_read_parquet, schema=schema, rules=rules, shares=tuple(map(tuple, shares)), tallies=tallies)
    rows = _ROWS if rules.columns.photo is None else _PLACED_ROWS
    return _tasks(spark, len(shares)).mapInArrow(read, from_arrow_schema(rows))


def _tasks(spark: SparkSession, n_tasks: int) -> DataFrame:
    """A row for each task, with its number."""
    return spark.range(0, n_tasks, 1, numPartitions=max(1, n_tasks))


def _numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    return (number for batch in batches for number in batch.column(0).to_pylist())


def _counted(spark: SparkSession, tables: Sequence[TextTable]) -> list[Piece]:
    """The blocks of texts, each with the number of its first row in its file."""
    blocks = {table: blocks_of(table) for table in tables}
    ends: dict[TextTable, dict[TextBlock, BlockEnd]] = {table: {} for table in tables}
    while True:
        todo = tuple(
            (table, block)
            for table, some in blocks.items()
            for block in some
            if len(some) > 1 and block not in ends[table]
        )
        count = partial(_count_text, pieces=todo)
        counting = _tasks(spark, len(todo)).mapInArrow(count, "number long, n_rows long, is_closed boolean")
        for row in counting.collect() if todo else ():
            table, block = todo[row["number"]]
            ends[table][block] = BlockEnd(row["n_rows"], row["is_closed"])
        whole = {table: some if len(some) == 1 else joined(some, ends[table]) for table, some in blocks.items()}
        if whole == blocks:
            return [
                (table, block)
                for table, some in blocks.items()
                for block in (some if len(some) == 1 else numbered(some, ends[table]))
            ]
        blocks = whole


def _count_text(batches: Iterator[pa.RecordBatch], pieces: Sequence[Piece]) -> Iterator[pa.RecordBatch]:
    for number in _numbers(batches):
        end = count_block(*pieces[number])
        yield pa.RecordBatch.from_pydict({"number": [number], "n_rows": [end.n_rows], "is_closed": [end.is_closed]})


def _read_text(
    batches: Iterator[pa.RecordBatch], rules: RowRules, pieces: Sequence[Piece], tallies: ReadingTallies
) -> Iterator[pa.RecordBatch]:
    for table, block in (pieces[number] for number in _numbers(batches)):
        for found in tallies.until_damage(read_block(table, block), table.uri):
            for batch in shaped(found, table, rules):
                _count(batch, rules, tallies)
                yield batch.rename_columns(_NAMES)


def _count(shape: pa.RecordBatch, rules: RowRules, tallies: ReadingTallies) -> None:
    if rules.columns.has_other_rows:
        tallies.n_without_photo.add(pc.sum(pc.equal(shape.column("role"), Role.NO_PHOTO)).as_py() or 0)


def _read_parquet(
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    rules: RowRules,
    shares: Sequence[Sequence[ParquetShare]],
    tallies: ReadingTallies,
) -> Iterator[pa.RecordBatch]:
    for share in chain.from_iterable(shares[number] for number in _numbers(batches)):
        part = share.part
        for first_row, batch in tallies.until_damage(read_share(share, schema), part.uri):
            rows, places = shaped_parquet(batch, rules, part.uri, first_row)
            _count(rows, rules, tallies)
            columns = rows.columns
            if rules.columns.photo is None:
                yield pa.RecordBatch.from_arrays(columns, schema=_ROWS)
                continue
            n = len(places)
            place = pa.StructArray.from_arrays(
                [
                    pa.array([part.uri] * n, pa.string()),
                    pa.array(first_row + places),
                    pa.array(np.full(n, part.n_bytes)),
                    pa.array(np.full(n, part.mtime_ns)),
                ],
                fields=list(PLACE_TYPE),
            )
            yield pa.RecordBatch.from_arrays([*columns, place], schema=_PLACED_ROWS)
