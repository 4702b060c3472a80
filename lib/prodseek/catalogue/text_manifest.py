"""What a text manifest is written in and what its columns are called, found in its first bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from typing import Any

from prodseek.catalogue.columns import Columns, distinct, find_columns, folded, n_known
from prodseek.catalogue.dialect import HEAD_BYTES, MAX_COLUMNS, Dialect, find_dialect, quoted
from prodseek.catalogue.encodings import find_encoding
from prodseek.catalogue.manifests import CatalogueSource
from prodseek.catalogue.text_file import read_head
from prodseek.catalogue.text_rows import TextBlock, TextTable, read_block
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError

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


def text_columns(source: CatalogueSource, config: CatalogConfig) -> tuple[TextTable, Columns]:
    """A text manifest's table, and which of its columns hold what. Raises CatalogueError."""
    table, fields = text_table(source, config)
    head, _ = read_head(source.uri)
    first = quoted(codecs.getincrementaldecoder(table.dialect.encoding)("replace").decode(head))
    read_as = table.dialect.describe(len(table.columns), table.is_json)
    where = f"the manifest {source.uri!r}, read as {read_as}, with the first line {first},"
    return table, find_columns(table.columns, config, where, fields)


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
