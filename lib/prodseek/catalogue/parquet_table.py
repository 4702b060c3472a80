"""A Parquet manifest: its columns, what each task reads of it, and its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from prodseek.catalogue.parquet_parts import ParquetPart
from prodseek.catalogue.plain_types import as_type, plain_type
from prodseek.errors import NOTHING_USED, CatalogueError
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

T = TypeVar("T")

# Files of a folder may have other columns; so many of them, all over it, are asked for theirs.
_ASKED_FILES = 32
_FOOTER_THREADS = 8
# Up to this many files are divided by their row groups, so that every core has something to read.
_DIVIDED_FILES = 64
_SHARE_BYTES = 1 << 22
_BATCH_ROWS = 8192
# In a damaged file even the name of a column may not be text.
_DAMAGED = (OSError, pa.ArrowException, UnicodeDecodeError)


@dataclass(frozen=True)
class ParquetShare:
    """What a task reads of a file: all, or row groups in a row. first_row: of these in the file."""

    part: ParquetPart
    groups: tuple[int, ...] | None = None
    first_row: int = 0


def schema_of(parts: Sequence[ParquetPart]) -> pa.Schema:
    """The columns of a manifest as its files have them, those of its folders last. Raises CatalogueError for a damaged file.

    A column whose type differs between files is text, and one whose name differs in capitals alone is called as the first file
    calls it.
    """
    step = -(-len(parts) // _ASKED_FILES)
    fields: dict[str, pa.Field] = {}
    for schema in map_ahead(_schema_of, parts[::step], _FOOTER_THREADS):
        own = _own_names(list(fields), schema.names)
        for field in (field.with_name(own.get(field.name, field.name)) for field in schema):
            known = fields.setdefault(field.name, field)
            if plain_type(known.type) != plain_type(field.type):
                fields[field.name] = pa.field(field.name, pa.string())
            elif pa.types.is_timestamp(field.type) and field.type.unit == "ns":
                fields[field.name] = field  # the finest, for ids
    for name, _ in parts[0].values:
        fields.setdefault(name, pa.field(name, pa.string()))
    return pa.schema(list(fields.values()))


def _own_names(names: Sequence[str], in_file: Sequence[str]) -> dict[str, str]:
    """A file's columns that the manifest calls otherwise, but for capitals -> what it calls them."""
    known = {name.casefold(): name for name in reversed(names)}
    twice = Counter(name.casefold() for name in in_file)
    return {
        name: known[name.casefold()]
        for name in in_file
        if name not in names and name.casefold() in known and twice[name.casefold()] == 1
    }


def repeated(part: ParquetPart) -> list[str]:
    """Names that stand more than once in a file. Raises CatalogueError for a damaged file."""
    counts = Counter(_schema_of(part).names)
    return [name for name, n in counts.items() if n > 1]


def shares_of(parts: Sequence[ParquetPart]) -> list[list[ParquetShare]]:
    """What each task reads: a few files, or part of one. Raises CatalogueError for a damaged file."""
    if len(parts) <= _DIVIDED_FILES:
        shares = [share for some in map_ahead(_divided, parts, _FOOTER_THREADS) for share in some]
    else:
        shares = [(ParquetShare(part), part.n_bytes) for part in parts]
    tasks: list[list[ParquetShare]] = []
    filled_bytes = _SHARE_BYTES
    for share, n_bytes in shares:
        if filled_bytes >= _SHARE_BYTES:
            tasks.append([])
            filled_bytes = 0
        tasks[-1].append(share)
        filled_bytes += n_bytes
    return tasks


def first_values(part: ParquetPart, name: str, most: int) -> list[Any]:
    """The first values of a column that are not null. Raises CatalogueError for a damaged file."""

    def read(file: pq.ParquetFile) -> list[Any]:
        if name not in file.schema_arrow.names:
            return []
        batch = next(file.iter_batches(most, columns=[name], use_threads=False), None)
        return [] if batch is None else batch.column(0).drop_null().to_pylist()

    return _with_footer(part, read)


def first_rows(part: ParquetPart, names: Sequence[str], most: int) -> list[dict[str, Any]]:
    """The first rows, of these columns those that the file has. Raises CatalogueError for a damaged file."""

    def read(file: pq.ParquetFile) -> list[dict[str, Any]]:
        columns = [name for name in names if name in file.schema_arrow.names]
        batch = next(file.iter_batches(most, columns=columns, use_threads=False), None) if columns else None
        return [] if batch is None else batch.to_pylist()

    return _with_footer(part, read)


def n_rows_of(parts: Sequence[ParquetPart]) -> int:
    """How many rows a manifest has, by what its files say of themselves. Raises CatalogueError for a damaged file."""
    return sum(
        map_ahead(lambda part: _with_footer(part, lambda file: int(file.metadata.num_rows)), parts, _FOOTER_THREADS)
    )


def read_share(share: ParquetShare, schema: pa.Schema) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of a share as columns of plain types, each batch with the number of its first row in the file, from 0.

    schema: the columns to read; of a struct only the fields that it has there. What a file does not have is null. Raises
    CatalogueError for a file that is damaged or has other types.
    """
    part = share.part
    of_folder = dict(part.values)
    row = share.first_row
    try:
        file_system, path = files.locate(part.uri)
        with (
            file_system.open_input_file(path) as handle,
            pq.ParquetFile(handle, page_checksum_verification=True) as stored,
        ):
            there = stored.schema_arrow.names
            in_file = {name: name for name in there} | {
                own: name for name, own in _own_names(schema.names, there).items()
            }
            leaves = [
                leaf for field in schema if field.name in in_file for leaf in _leaves(in_file[field.name], field.type)
            ]
            groups = range(stored.num_row_groups) if share.groups is None else share.groups
            for batch in stored.iter_batches(_BATCH_ROWS, row_groups=list(groups), columns=leaves, use_threads=False):
                columns = [
                    as_type(batch.column(batch.schema.get_all_field_indices(in_file[field.name])[0]), field)
                    if field.name in in_file
                    else pa.array([of_folder.get(field.name)] * batch.num_rows, pa.string()).cast(field.type)
                    for field in schema
                ]
                n_rows = batch.num_rows
                yield row, pa.RecordBatch.from_arrays(columns, schema=schema) if len(schema) else batch
                row += n_rows
    except _DAMAGED as error:
        raise _damaged(part.uri, f"behind row {row:,}: {error}") from error


def _schema_of(part: ParquetPart) -> pa.Schema:
    return _with_footer(part, _with_utc)


def _with_utc(file: pq.ParquetFile) -> pa.Schema:
    """The columns of a file. Times of the old kind, INT96, are in UTC, which Arrow does not say."""
    old = {
        file.schema.column(number).path
        for number in range(len(file.schema))
        if file.schema.column(number).physical_type == "INT96"
    }
    return pa.schema(
        [pa.field(f.name, pa.timestamp("ns", "UTC")) if f.name in old else f for f in file.schema_arrow]
    )  # fmt: skip


def _divided(part: ParquetPart) -> list[tuple[ParquetShare, int]]:
    """A file's row groups, so many together as a task is to read, with their size in bytes."""

    def divide(file: pq.ParquetFile) -> list[tuple[ParquetShare, int]]:
        shares: list[tuple[ParquetShare, int]] = []
        groups: list[int] = []
        row = first_row = n_bytes = 0
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            groups.append(number)
            row += group.num_rows
            n_bytes += group.total_byte_size
            if n_bytes >= _SHARE_BYTES or number == file.num_row_groups - 1:
                shares.append((ParquetShare(part, tuple(groups), first_row), n_bytes))
                groups, first_row, n_bytes = [], row, 0
        return shares

    return _with_footer(part, divide)


def _with_footer(part: ParquetPart, ask: Callable[[pq.ParquetFile], T]) -> T:
    try:
        file_system, path = files.locate(part.uri)
        with file_system.open_input_file(path) as handle, pq.ParquetFile(handle) as stored:
            return ask(stored)
    except _DAMAGED as error:
        raise _damaged(part.uri, str(error)) from error


def _damaged(uri: str, why: str) -> CatalogueError:
    said = " ".join(why.split()).rstrip(".")
    return CatalogueError(f"{uri} is damaged or gone; write it again: {said}. Of the manifest {NOTHING_USED}")


def _leaves(name: str, kind: pa.DataType) -> list[str]:
    """The paths of a column to read; a struct's fields are read alone."""
    if not pa.types.is_struct(kind):
        return [name]
    return [leaf for field in kind for leaf in _leaves(f"{name}.{field.name}", field.type)]
