"""Rows of manifests as Arrow columns, the same for texts and Parquet: product, photo, attributes, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.columns import ID_FACTS, Columns
from prodseek.catalogue.encodings import encoding_in_words
from prodseek.catalogue.json_rows import as_text, is_object, named, photo_of, values_at
from prodseek.catalogue.photo_cells import sound
from prodseek.catalogue.photo_rows import RowRules, photo_rows
from prodseek.catalogue.text_rows import TextRows, TextTable
from prodseek.catalogue.value_texts import texts
from prodseek.runs.absent import ABSENT
from prodseek.runs.usual_columns import BETWEEN_LEVELS

SHAPE = pa.schema(
    [
        ("product_id", pa.string()),
        ("uri", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("fault", pa.string()),
        ("role", pa.string()),
    ]
)
# Where a row of Parquet stands: its file, its number in it, the file's size and time of change.
PLACE_TYPE = pa.struct(
    [("file_path", pa.string()), ("row_index", pa.int64()), ("file_size", pa.int64()), ("mtime_ns", pa.int64())]
)
_BATCH_ROWS = 4096
# Stands where bytes are no text, whichever they were.
_UNREADABLE = "\ufffd"
_NOTHING = pa.scalar(None, pa.string())


def shaped(found: TextRows, table: TextTable, rules: RowRules) -> Iterator[pa.RecordBatch]:
    """Rows of a text as batches of SHAPE, one row for each photo, from some thousands of the text's rows each.

    fault names a row by its number, the first below the header being 1.
    """
    shape = _objects if table.is_json else _cells
    for start in range(0, len(found.rows), _BATCH_ROWS):
        yield shape(found, slice(start, start + _BATCH_ROWS), table, rules)


def shaped_parquet(
    batch: pa.RecordBatch, rules: RowRules, file: str, first_row: int
) -> tuple[pa.RecordBatch, np.ndarray]:
    """A batch of `read_share` as one of SHAPE, and for each of its rows the place in the batch. file, first_row: of it."""
    columns = rules.columns
    nothing = pa.nulls(batch.num_rows, pa.string())
    product_ids = (
        nothing if columns.product_id is None else _present(texts(_column(batch, columns.product_id), is_id=True))
    )
    if columns.spare_id is not None:
        product_ids = pc.coalesce(product_ids, _present(texts(_column(batch, columns.spare_id), is_id=True)))
    cells = [_names(_column(batch, name), columns.photo is None) for name in columns.uris]

    def present(name: str, is_id: bool = False) -> pa.Array:
        return _present(texts(_column(batch, name), is_id))

    kept = [(key, _fact(present(name, key in ID_FACTS), key, columns, present)) for key, name in columns.kept]
    return _shape(product_ids, cells, kept, nothing, rules, lambda place: f"row {first_row + place + 1} of {file}")


def _shape(
    product_ids: pa.Array,
    cells: Sequence[pa.Array],
    kept: Sequence[tuple[str, pa.Array]],
    faults: pa.Array,
    rules: RowRules,
    row_name: Callable[[int], str],
) -> tuple[pa.RecordBatch, np.ndarray]:
    rows = photo_rows(product_ids, cells, faults, rules, row_name)
    attributes = _maps(kept, len(product_ids))
    if len(rows.places) != len(product_ids) or not np.array_equal(rows.places, np.arange(len(product_ids))):
        attributes = attributes.take(pa.array(rows.places))
    shape = pa.RecordBatch.from_arrays([rows.product_ids, rows.uris, attributes, rows.faults, rows.roles], schema=SHAPE)
    return shape, rows.places


def _cells(found: TextRows, some: slice, table: TextTable, rules: RowRules) -> pa.RecordBatch:
    """Rows of a delimited text, column by column, because a Python loop over their values would take longest."""
    columns, width = rules.columns, len(table.columns)
    rows: list[list[str]] = [row if isinstance(row, list) else [] for row in found.rows[some]]
    faults: list[str | None] = [None] * len(rows)
    for place, row in enumerate(rows):
        fault = found.faults.get(some.start + place)
        if fault is None and len(row) != width:
            fault = f"has {len(row):,} values, the header {width:,}"
        if fault is not None:
            faults[place] = f"{table.row_name(found.first_row + some.start + place)} {fault}"
            rows[place] = [*row[:width], *[""] * (width - len(row))]
    cells = dict(zip(table.columns, zip(*rows, strict=True), strict=True))

    def cleaned(name: str) -> pa.Array:
        if name not in cells:  # other parts of the manifest have it
            return pa.nulls(len(rows), pa.string())
        return _present(pc.utf8_trim_whitespace(pa.array(cells[name], pa.string())))

    product_ids = pa.nulls(len(rows), pa.string()) if columns.product_id is None else cleaned(columns.product_id)
    if columns.spare_id is not None:
        product_ids = pc.coalesce(product_ids, cleaned(columns.spare_id))
    is_unreadable = pc.fill_null(pc.match_substring(product_ids, _UNREADABLE), False)
    for place in np.flatnonzero(np.asarray(is_unreadable)).tolist():
        faults[place] = faults[place] or f"{table.row_name(found.first_row + some.start + place)} {_unreadable(table)}"
    shape, _ = _shape(
        product_ids,
        [cleaned(name) for name in columns.uris],
        [(key, _fact(cleaned(name), key, columns, cleaned)) for key, name in columns.kept],
        pa.array(faults, pa.string()),
        rules,
        lambda place: table.row_name(found.first_row + some.start + place),
    )
    return shape


def _present(text: pa.Array) -> pa.Array:
    """Null for what says that there is no value."""
    return pc.if_else(pc.is_in(text, pa.array(ABSENT)), _NOTHING, text)


def _fact(text: pa.Array, key: str, columns: Columns, cells: Callable[[str], pa.Array]) -> pa.Array:
    """What a column says, (N,) texts; of a category of several with semicolons between them, and of its levels as a path.

    cells: those of a column.
    """
    if key != "category":
        return text
    for pattern, by in columns.category_marks:
        text = pc.replace_substring_regex(text, pattern, by)
    if columns.narrower:
        levels, last = [text], text
        for narrower in map(cells, columns.narrower):
            # Where nothing is narrower, some write the same again.
            is_same = pc.fill_null(pc.equal(narrower, last), False)
            levels.append(pc.if_else(is_same, _NOTHING, narrower))
            last = pc.coalesce(narrower, last)
        # Rows of nothing but nulls would be left out, and all below them move up.
        is_nothing = pc.is_null(last)
        levels[0] = pc.if_else(is_nothing, "", text)
        joined = pc.binary_join_element_wise(*levels, BETWEEN_LEVELS, null_handling="skip")
        text = pc.if_else(is_nothing, _NOTHING, joined)
    return text


def _maps(columns: Sequence[tuple[str, pa.Array]], n_rows: int) -> pa.Array:
    """A map for each row of the values that it has, (N,) arrays of text by key."""
    n_keys = len(columns)
    if not n_keys:
        return pa.array([[]] * n_rows, SHAPE.field("attributes").type)
    in_rows = np.arange(n_keys * n_rows).reshape(n_keys, n_rows).T.ravel()
    values = pa.concat_arrays([column for _, column in columns]).take(pa.array(in_rows))
    is_there = np.asarray(values.is_valid())
    offsets = np.concatenate([[0], np.cumsum(is_there.reshape(n_rows, n_keys).sum(axis=1))]).astype(np.int32)
    keys = pa.array([key for key, _ in columns]).take(pa.array(np.tile(np.arange(n_keys), n_rows)[is_there]))
    return pa.MapArray.from_arrays(offsets, keys, values.drop_null())


def _objects(found: TextRows, some: slice, table: TextTable, rules: RowRules) -> pa.RecordBatch:
    """Rows of JSON lines."""
    columns = rules.columns
    own = {name.split(".")[0] if name not in table.columns else name for name in columns.uris}
    if columns.product_id is not None:
        own.add(columns.product_id if columns.product_id in table.columns else columns.product_id.split(".")[0])
    products: list[str | None] = []
    uris: list[list[list[str]]] = [[] for _ in columns.uris]
    attributes: list[list[tuple[str, str]]] = []
    faults: list[str | None] = []
    for place, row in enumerate(found.rows[some], start=some.start):
        values = named(row, table.columns) if isinstance(row, dict) else {}
        fault = found.faults.get(place)
        product_id, fault_of_id = _id(values, columns.product_id, table)
        if product_id is None and fault_of_id is None:
            product_id, fault_of_id = _id(values, columns.spare_id, table)
        products.append(product_id)
        fault = fault or fault_of_id
        for names, column in zip(uris, columns.uris, strict=True):
            photos = [photo_of(one) for one in values_at(values, column)]
            if any(map(is_object, photos)):
                fault = fault or f"names a photo in {column!r} by an object; name its field with catalog.uri_column"
            written = (sound(as_text(one)) for one in photos)
            names.append([uri for uri in written if uri is not None])
        kept = {name: sound(as_text(value)) for name, value in values.items() if name not in own}
        kept |= {known: _first(values, name) for known, name in columns.facts.items()}
        if columns.category_marks or columns.narrower:
            category = _fact(_one(kept.get("category")), "category", columns, partial(_cell, values))
            kept["category"] = category[0].as_py()
        attributes.append([(sound(key) or key, value) for key, value in kept.items() if key and value is not None])
        faults.append(None if fault is None else f"{table.row_name(found.first_row + place)} {fault}")
    rows = photo_rows(
        pa.array(products, pa.string()),
        [pa.array(names, pa.list_(pa.string())) for names in uris],
        pa.array(faults, pa.string()),
        rules,
        lambda place: table.row_name(found.first_row + some.start + place),
    )
    maps = pa.array(attributes, SHAPE.field("attributes").type).take(pa.array(rows.places))
    return pa.RecordBatch.from_arrays([rows.product_ids, rows.uris, maps, rows.faults, rows.roles], schema=SHAPE)


def _id(values: Mapping[str, Any], name: str | None, table: TextTable) -> tuple[str | None, str | None]:
    """A product's id as it is written, and what is wrong with it: ids that are not the same must not become so."""
    found = [] if name is None else values_at(values, name)
    if len(found) > 1:
        return None, f"has a list of {len(found):,} values as its product_id, and one is wanted"
    text = as_text(found[0]) if found else None
    if text is None or text.isascii():
        return sound(text), None
    try:
        text.encode()
    except UnicodeEncodeError:
        return None, f"has half a character in its product_id: {text!r}"
    return sound(text), _unreadable(table) if _UNREADABLE in text else None


def _unreadable(table: TextTable) -> str:
    return (
        f"has bytes in its product_id that are no text in {encoding_in_words(table.dialect.encoding)}; name the encoding, "
        "such as --set catalog.encoding=cp1250"
    )


def _first(values: Mapping[str, Any], name: str | None) -> str | None:
    found = [] if name is None else values_at(values, name)
    return sound(as_text(found[0])) if found else None


def _cell(values: Mapping[str, Any], name: str) -> pa.Array:
    return _one(_first(values, name))


def _one(text: str | None) -> pa.Array:
    return pa.array([text], pa.string())


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column, or a field of the structs in it, of structs in lists too."""
    names = batch.schema.names
    first, *fields = [name] if name in names else name.split(".")
    return _field(batch.column(names.index(first)), fields)


def _field(column: pa.Array, fields: Sequence[str]) -> pa.Array:
    if not fields:
        return column
    if pa.types.is_list(column.type):
        return _relisted(column, _field(column.flatten(), fields))
    return _field(pc.struct_field(column, fields[0]), fields[1:])


def _relisted(lists: pa.Array, values: pa.Array) -> pa.Array:
    """Lists as long as others, with other values; null where those are."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    is_null = np.append(np.asarray(lists.is_null()), False)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=is_null), values)


def _names(column: pa.Array, may_be_lists: bool) -> pa.Array:
    """Names of photos, as text or lists of text."""
    if pa.types.is_list(column.type) and may_be_lists:
        return _relisted(column, _present(texts(column.flatten())))
    return _present(texts(column))
