"""How a manifest is to be read: what it is written in, and which of its columns hold what. Found in its first bytes."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa

from prodseek.catalogue import parquet_table
from prodseek.catalogue.columns import BYTES, Columns, distinct, find_columns, folded, match, n_known
from prodseek.catalogue.dialect import HEAD_BYTES, MAX_COLUMNS, Dialect, find_dialect, quoted
from prodseek.catalogue.encodings import find_encoding
from prodseek.catalogue.manifests import CatalogueSource
from prodseek.catalogue.parquet_table import (
    ParquetPart,
    field_type,
    merged,
    pruned,
)
from prodseek.catalogue.plain_types import holds_bytes, is_bytes, plain_type, text_type
from prodseek.catalogue.text_rows import Literal, Row, TextBlock, TextTable, read_block, read_head
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError

# Whole numbers below are the same as floats.
_EXACT = 2**53
# What begins so is no text, whatever its name is.
_NO_TABLES = {
    b"PK\x03\x04": "is a workbook or a ZIP archive; save it as `CSV UTF-8`, or unpack it",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save it as `CSV UTF-8`",
    b"PAR1": "is a Parquet file; give it the ending .parquet",
    b"%PDF": "is a PDF document; export the table as CSV",
    b"\xfd7zXZ": "is compressed by xz; unpack it with `xz -d`",
    b"7z\xbc\xaf": "is a 7z archive; unpack it",
    b"Rar!": "is a RAR archive; unpack it",
}


@dataclass(frozen=True)
class Manifest:
    """A manifest that was looked into. text: how it is written, None for Parquet. schema: of Parquet the columns to read, in
    types that every reader knows; of a struct only the fields that are needed."""

    source: CatalogueSource
    columns: Columns
    text: TextTable | None = None
    parts: tuple[ParquetPart, ...] = ()
    schema: pa.Schema | None = None

    def lines(self) -> list[str]:
        """What was found, for a person, before anything is read."""
        if self.text is None:
            n_files = f"{len(self.parts):,} Parquet files" if len(self.parts) > 1 else "Parquet"
            return [f"{self.source.uri}: {n_files}", *self.columns.lines()]
        table = self.text
        read_as = table.dialect.describe(len(table.columns), table.is_json)
        return [f"{table.uri}: {read_as}", *table.dialect.notes(), *self.columns.lines()]


def read_manifest(source: CatalogueSource, config: CatalogConfig) -> Manifest:
    """Look into a manifest. Raises CatalogueError, with what was read and what to set, for one that cannot be used."""
    if config.bytes_column and source.kind != "parquet":
        raise CatalogueError(
            f"the catalogue {source.uri!r} is no Parquet manifest, and only that can hold photos; set catalog.bytes_column "
            f"= {config.bytes_column!r} to null: --set catalog.bytes_column=null"
        )
    return _parquet_manifest(source, config) if source.kind == "parquet" else _text_manifest(source, config)


def text_table(source: CatalogueSource, config: CatalogConfig) -> tuple[TextTable, tuple[str, ...]]:
    """A text manifest's dialect and columns, and of JSON lines the fields of their objects. Raises CatalogueError."""
    head, compression = read_head(source.uri)
    said = f"the manifest {source.uri!r}"
    if not head.strip():
        raise CatalogueError(f"{said} is empty; there is nothing to do")
    for magic, what in _NO_TABLES.items():
        if head.startswith(magic):
            raise CatalogueError(f"{said} {what}")
    try:
        if source.kind == "json":
            encoding, n_mark, is_assumed = find_encoding(head, config.encoding)
            dialect = Dialect(compression, encoding, "", "", n_mark, is_assumed)
            table = TextTable(source.uri, True, dialect, ())
            names, fields = _names_in(table, head)
        else:
            known = partial(n_known, config=config)
            given = (config.encoding, config.csv_delimiter, config.csv_quote)
            dialect, header = find_dialect(head, compression, *given, known, config.csv_header)
            names, fields = distinct(header), ()
    except CatalogueError as error:
        raise CatalogueError(f"{said}: {error}") from error
    return TextTable(source.uri, source.kind == "json", dialect, names), fields


def _text_manifest(source: CatalogueSource, config: CatalogConfig) -> Manifest:
    table, fields = text_table(source, config)
    head, _ = read_head(source.uri)
    first = quoted(codecs.getincrementaldecoder(table.dialect.encoding)("replace").decode(head))
    read_as = table.dialect.describe(len(table.columns), table.is_json)
    where = f"the manifest {source.uri!r}, read as {read_as}, with the first line {first},"
    return Manifest(source, find_columns(table.columns, config, where, fields), table)


def _names_in(table: TextTable, head: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the objects at a file's beginning, and of the objects in them, each in the order in which they come."""
    if head.lstrip().startswith(b"["):
        raise CatalogueError(
            "it is one JSON array, not an object a line; convert it: jq -c '.[]' products.json > products.jsonl"
        )
    names: dict[str, None] = {}
    spelled: dict[str, str] = {}
    fields: dict[str, str] = {}
    for row in first_rows(table, 1000):
        if isinstance(row, dict):
            for key, value in row.items():
                name = spelled.setdefault(folded(key), key)
                if name != key and name in row:
                    name = key  # two columns, because both stand in one object
                names.setdefault(name)
                inner = value[0] if isinstance(value, list) and value else value
                if isinstance(inner, dict):
                    for child in inner:
                        fields.setdefault(folded(f"{name}.{child}"), f"{name}.{child}")
        if len(names) > MAX_COLUMNS:
            raise CatalogueError(
                f"its first objects have more than {MAX_COLUMNS:,} keys; leave out those that nobody needs"
            )
    if not names:
        text = codecs.getincrementaldecoder(table.dialect.encoding)("replace").decode(head)
        raise CatalogueError(f"its first lines are no JSON objects; it begins {quoted(text)}")
    return tuple(names), tuple(fields.values())


def first_rows(table: TextTable, n_rows: int) -> Iterator[list[str] | dict[str, Any]]:
    """The first rows of a text manifest, without those that cannot be understood. Raises CatalogueError."""
    end = None if not table.dialect.is_cut_anywhere else table.dialect.start_bytes + 4 * HEAD_BYTES
    for some in read_block(table, TextBlock(table.dialect.start_bytes, end)):
        for place, row in enumerate(some.rows):
            if place in some.faults or not row:
                continue
            yield row
            n_rows -= 1
            if not n_rows:
                return


def refuse_without_rows(manifest: Manifest) -> None:
    """Raise CatalogueError for a manifest without any row, understood or not."""
    if manifest.text is None:
        has_rows = any(parquet_table.n_rows_of([part]) for part in manifest.parts)
    else:
        whole = TextBlock(manifest.text.dialect.start_bytes, None)
        has_rows = any(some.rows for some in read_block(manifest.text, whole))
    if not has_rows:
        raise CatalogueError(f"the catalogue {manifest.source.uri!r} has no rows; there is nothing to do")


def named(row: Row, names: Sequence[str]) -> Mapping[str, Any]:
    """A row's values by the names of their columns; a key of a JSON object that is spelled otherwise is that column too."""
    if not isinstance(row, dict):
        return dict(zip(names, row, strict=False))
    spelled = _by_spelling(tuple(names))
    if all(key in spelled for key in row):
        return row
    found = {}
    for key, value in row.items():
        name = key if key in spelled else spelled.get(folded(key), key)
        found[key if name in row else name] = value
    return found


@lru_cache(maxsize=16)
def _by_spelling(names: tuple[str, ...]) -> Mapping[str, str]:
    """Names by what is left of them without capitals and blanks, and by themselves."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(folded(name), name)
    return found | {name: name for name in names}


def _parquet_manifest(source: CatalogueSource, config: CatalogConfig) -> Manifest:
    parts = tuple(parquet_table.parts_of(source.uri))
    schema = parquet_table.schema_of(parts)
    if len(schema) > MAX_COLUMNS:
        raise CatalogueError(f"the manifest {source.uri!r} has {len(schema):,} columns, more than {MAX_COLUMNS:,}")
    fields = [f"{field.name}.{child}" for field in schema for child in _children(field.type)]
    more = [name for name in _dotted(config) if name not in fields and field_type(schema, name) is not None]
    unneeded = _unneeded(schema)
    columns = find_columns(schema.names, config, f"the manifest {source.uri!r}", (*fields, *more), unneeded)
    twice = [f"{name!r} stands there more than once; the first is read" for name in parquet_table.repeated(parts[0])]
    columns = replace(columns, notes=(*columns.notes, *twice))
    held = columns.photo and field_type(schema, columns.photo)
    if held and not is_bytes(held):
        raise CatalogueError(
            f"the column {columns.photo!r} of the manifest {source.uri!r} is {held}, not binary, and holds no photos; name "
            "another with catalog.bytes_column, or the names of photos with catalog.uri_column"
        )
    return Manifest(source, columns, parts=parts, schema=_schema_to_read(schema, columns, source.uri))


def _schema_to_read(schema: pa.Schema, columns: Columns, uri: str) -> pa.Schema:
    """The columns to read, each as its plain type; the photos themselves are read by themselves, later."""
    needed: dict[str, pa.DataType] = {}
    for name in (columns.product_id, *columns.uris, *(column for _, column in columns.kept)):
        if name is None:
            continue
        first, *rest = [name] if name in schema.names else name.split(".")
        kind = pruned(schema.field(first).type, rest)
        if text_type(kind) is None:
            raise CatalogueError(
                f"the column {name!r} of the manifest {uri!r} is {kind}, of which nothing can be read; write it as text, or "
                "name another column"
            )
        needed[first] = merged(needed[first], kind) if first in needed else kind
    return pa.schema([pa.field(name, text_type(kind)) for name, kind in needed.items()])


def _unneeded(schema: pa.Schema) -> dict[str, str]:
    """Columns that cannot be kept as text -> why."""
    found = {}
    for field in schema:
        plain = plain_type(field.type)
        if plain is None:
            found[field.name] = str(field.type)
        elif holds_bytes(field.type):
            found[field.name] = BYTES if is_bytes(field.type) else "bytes in it"
    return found


def _children(kind: pa.DataType) -> list[str]:
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    return [field.name for field in inner] if pa.types.is_struct(inner) else []


def _dotted(config: CatalogConfig) -> list[str]:
    names: Mapping[str, str] = config.columns  # type: ignore[assignment]
    return [
        name for name in (config.uri_column, config.product_id_column, config.bytes_column, *names.values()) if name
    ]


def values_at(row: Mapping[str, Any], name: str) -> list[Any]:
    """What a JSON object holds under a name, `image.src` for a key of an object in it, or of every object in a list."""
    if name in row:
        found: list[Any] = [row[name]]
    else:
        found = [row]
        for part in name.split("."):
            objects = [one for one in _flat(found) if isinstance(one, Mapping)]
            found = [one[key] for one in objects if (key := match(part, tuple(one))) is not None]
    return _flat(found)


def _flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def as_text(value: Any) -> str | None:
    """A value of a JSON object as it stands there; None for null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Literal):
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < _EXACT and "." not in value else number
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
