"""What a text manifest is written in and what its columns are called, found in its first bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from pyarrow import fs

from prodseek.catalogue.column_names import distinct, folded, listed
from prodseek.catalogue.columns import Columns, find_columns, n_known
from prodseek.catalogue.dialect import HEAD_BYTES, MAX_COLUMNS, Dialect, find_dialect, quoted
from prodseek.catalogue.encodings import find_encoding
from prodseek.catalogue.foreign_formats import (
    hint_for_indented,
    hint_for_many_keys,
    hint_for_one_object,
    refuse_arrays,
    refuse_columns,
    refuse_header,
    refuse_no_text,
    refuse_other_text,
)
from prodseek.catalogue.json_rows import TOO_MANY_KEYS, is_in_list, is_object, photo_of, values_at
from prodseek.catalogue.level_columns import JUDGED_ROWS, with_levels
from prodseek.catalogue.manifests import CatalogueSource, text_kind
from prodseek.catalogue.parquet_parts import is_hidden
from prodseek.catalogue.text_file import read_head
from prodseek.catalogue.text_rows import TextBlock, TextTable, read_block
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

_HEAD_THREADS = 8
# So far rows that can be understood are looked for, and how many are enough then.
_SOUGHT_BYTES = 1 << 28
_JUDGED_LATE_ROWS = 10
_JUDGED_ROWS = 100


def text_tables(source: CatalogueSource, config: CatalogConfig) -> tuple[tuple[TextTable, ...], tuple[str, ...]]:
    """The tables of a text manifest, and of JSON lines the fields of their objects. Raises CatalogueError.

    A folder of files is one manifest: what is called alike in them is one column. One that others have and a file lacks is
    empty there.
    """
    uris = _parts_of(source)
    read = partial(text_table, is_json=source.kind == "json", config=config)
    if uris == [source.uri]:
        table, fields = read(source.uri)
        return (table,), fields
    found = list(map_ahead(read, [uri for uri in uris if read_head(uri)[0].strip()], _HEAD_THREADS))
    if not found:
        raise CatalogueError(f"the manifest {source.uri!r} is empty; there is nothing to do")
    spelled: dict[str, str] = {}
    for table, _ in found:
        for name in table.columns:
            spelled.setdefault(folded(name), name)
    tables = tuple(replace(table, columns=_respelled(table.columns, spelled), is_part=True) for table, _ in found)
    if source.kind == "json":  # whose objects have their names with them
        names = tuple(dict.fromkeys(name for table in tables for name in table.columns))
        tables = tuple(replace(table, columns=names) for table in tables)
    return tables, tuple(dict.fromkeys(name for _, fields in found for name in fields))


def _respelled(names: Sequence[str], spelled: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a part's columns as the first part has them; one that stands there twice keeps its own."""
    wanted = [spelled[folded(name)] for name in names]
    return tuple(one if wanted.count(one) == 1 else name for one, name in zip(wanted, names, strict=True))


def _parts_of(source: CatalogueSource) -> list[str]:
    """The files of a text manifest, in order of their names. Raises CatalogueError."""
    try:
        file_system, path = files.locate(source.uri)
        if file_system.get_file_info(path).type != fs.FileType.Directory:
            return [source.uri]
        listed = file_system.get_file_info(fs.FileSelector(path, recursive=True))
    except OSError as error:
        raise CatalogueError(f"the manifest {source.uri!r} cannot be listed: {error}") from error
    names = sorted(one.path[len(path) :].strip("/") for one in listed if one.type == fs.FileType.File and one.size)
    return [files.join(source.uri, name) for name in names if not is_hidden(name) and text_kind(name) == source.kind]


def text_table(uri: str, is_json: bool, config: CatalogConfig) -> tuple[TextTable, tuple[str, ...]]:
    """A file's dialect and columns, and of JSON lines the fields of their objects. Raises CatalogueError."""
    head, compression = read_head(uri)
    said = f"the manifest {uri!r}"
    if not head.strip():
        raise CatalogueError(f"{said} is empty; there is nothing to do")
    try:
        refuse_no_text(head, uri)
        refuse_other_text(_text_of(head, find_encoding(head, config.encoding).name))
    except CatalogueError as error:
        raise CatalogueError(f"{said} {error}") from error
    try:
        if is_json:
            encoding, n_mark, is_assumed = find_encoding(head, config.encoding)
            dialect = Dialect(compression, encoding, "", "", n_mark, is_assumed)
            table = TextTable(uri, True, dialect, ())
            names, fields = _names_in(table, head)
        else:
            known = partial(n_known, config=config)
            given = (config.encoding, config.csv_delimiter, config.csv_quote)
            dialect, header = find_dialect(head, compression, *given, known, config.csv_header)
            if config.csv_header is None:
                refuse_header(header, _text_of(head, dialect.encoding), uri, dialect, known)
            names, fields = distinct(header), ()
    except CatalogueError as error:
        raise CatalogueError(f"{said}: {error}") from error
    return TextTable(uri, is_json, dialect, names), fields


def text_columns(source: CatalogueSource, config: CatalogConfig) -> tuple[tuple[TextTable, ...], Columns]:
    """A text manifest's tables, and which of their columns hold what. Raises CatalogueError."""
    tables, fields = text_tables(source, config)
    table = tables[0]
    head, _ = read_head(table.uri)
    first = quoted(_text_of(head, table.dialect.encoding))
    read_as = table.dialect.describe(len(table.columns), table.is_json)
    where = f"the manifest {table.uri!r}, read as {read_as}, with the first line {first},"
    names = tuple(dict.fromkeys(name for each in tables for name in each.columns))
    try:
        columns = find_columns(names, config, where, fields)
    except CatalogueError as error:
        rows = [row for row in islice(first_rows(table, 2), 2) if isinstance(row, dict)] if table.is_json else []
        raise CatalogueError(f"{error}{hint_for_one_object(rows, table.uri, table.dialect.compression)}") from error
    if columns.narrower:
        found = first_rows(table, JUDGED_ROWS)
        by_column = (row if isinstance(row, dict) else dict(zip(table.columns, row, strict=False)) for row in found)
        columns = with_levels(columns, by_column)
    if table.is_json:
        columns = _with_objects(table, columns, fields)
    else:
        _refuse_other_parts(tables, columns)
    return tables, columns


def _refuse_other_parts(tables: Sequence[TextTable], columns: Columns) -> None:
    """A part without the columns of photos and products has no header, or is no part. Raises CatalogueError."""
    needed = [name for name in (columns.uri, columns.product_id) if name is not None]
    for table in tables:
        absent = [name for name in needed if name not in table.columns]
        if absent:
            raise CatalogueError(
                f"{table.uri!r} has no column {listed(absent)}, which other files of its folder "
                f"have. It has {listed(table.columns)}. Write the header into each file; if none "
                "has one, say what the columns are called with --set 'catalog.csv_header=[product_id, uri]'; take away what is "
                "no part"
            )


def _with_objects(table: TextTable, columns: Columns, fields: Sequence[str]) -> Columns:
    """The columns; what objects name is one photo. Raises CatalogueError where products' ids lie in lists, or photos are
    objects of which no field is known to name them."""
    rows = [row for row in first_rows(table, _JUDGED_ROWS) if isinstance(row, dict)]
    name = columns.product_id
    if name is not None and any(is_in_list(row, name) for row in rows):
        raise CatalogueError(
            f"the manifest {table.uri!r}: product_id_column names a list: {name!r} holds several values in a row. Write a row "
            "for each product, or name a column of single values: --set catalog.product_id_column=... (null: every photo is "
            f"its own product).{hint_for_one_object(rows, table.uri, table.dialect.compression)}"
        )
    for name in columns.uris:
        photos = [photo_of(one) for row in rows for one in values_at(row, name)]
        if photos and all(map(is_object, photos)):
            own = [field for field in fields if field.startswith(f"{name}.")]
            raise CatalogueError(
                f"the manifest {table.uri!r}: its photos in {name!r} are objects; name the field that holds their names, one "
                f"of {listed(own)}: --set catalog.uri_column=..."
            )
    parents = {field.rpartition(".")[0] for field in fields}
    return replace(columns, lists=columns.lists - parents)


def _names_in(table: TextTable, head: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the objects at a file's beginning, and of the objects in them, each in the order in which they come."""
    text = _text_of(head, table.dialect.encoding)
    refuse_arrays(text, table.uri, table.dialect.compression)
    names: dict[str, None] = {}
    spelled: dict[str, str] = {}
    fields: dict[str, str] = {}
    first: list[dict[str, Any]] = []
    for row in first_rows(table, 1000):
        if not isinstance(row, dict):
            continue
        first += [row] if len(first) < 2 else []
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
            hint = hint_for_many_keys(table.uri, table.dialect.compression)
            raise CatalogueError(
                f"its first objects have more than {MAX_COLUMNS:,} keys; keep those that you need, such as: {hint}"
            )
    refuse_columns(first, table.uri, table.dialect.compression)
    if not names:
        hint = hint_for_indented(text, table.uri, table.dialect.compression)
        fault = next(
            (
                some.faults[0]
                for some in read_block(table, TextBlock(table.dialect.start_bytes, None))
                if 0 in some.faults
            ),
            "",
        )
        if fault.startswith(TOO_MANY_KEYS):
            hint = hint_for_many_keys(table.uri, table.dialect.compression)
            raise CatalogueError(f"its row 1 {fault}; keep those that you need, such as: {hint}")
        raise CatalogueError(f"its first lines are no JSON objects; it begins {quoted(text)}{hint}")
    return tuple(names), tuple(fields.values())


def _text_of(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)


def first_rows(table: TextTable, n_rows: int) -> Iterator[list[str] | dict[str, Any]]:
    """The first rows of a text manifest, without those that cannot be understood. Raises CatalogueError.

    They are looked for in the first bytes, and further on only if none is there, as behind a row that is too long.
    """
    start, is_cut_anywhere = table.dialect.start_bytes, table.dialect.is_cut_anywhere
    has_rows = False
    for row in _rows_within(table, start + 4 * HEAD_BYTES if is_cut_anywhere else None, n_rows):
        has_rows = True
        yield row
    if not has_rows:
        yield from _rows_within(table, start + _SOUGHT_BYTES if is_cut_anywhere else None, _JUDGED_LATE_ROWS)


def _rows_within(table: TextTable, end_bytes: int | None, n_rows: int) -> Iterator[list[str] | dict[str, Any]]:
    for some in read_block(table, TextBlock(table.dialect.start_bytes, end_bytes)):
        for place, row in enumerate(some.rows):
            if place in some.faults or not row:
                continue
            yield row
            n_rows -= 1
            if not n_rows:
                return
