"""Rows of text manifests as Arrow columns: product, photos, attributes, and what is wrong with a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.columns import ABSENT, Columns
from prodseek.catalogue.manifest_reading import as_text, values_at
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.text_rows import TextRows, TextTable

SHAPE = pa.schema(
    [
        ("product_id", pa.string()),
        ("uris", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("fault", pa.string()),
    ]
)
_BATCH_ROWS = 4096


def shaped(found: TextRows, table: TextTable, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Rows as batches of SHAPE, some thousands each. fault names a row by its number, the first below the header being 1."""
    shape = _objects if table.is_json else _cells
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
            _lists(uris),
            _maps([(key, _cleaned(pa.array(cells[name], pa.string()))) for key, name in columns.kept], len(rows)),
            pa.array(faults, pa.string()),
        ],
        schema=SHAPE,
    )


def _cleaned(values: pa.Array) -> pa.Array:
    """Text without white space around it; null for what says that there is no value."""
    text = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.is_in(text, pa.array(ABSENT)), pa.scalar(None, pa.string()), text)


def _lists(cells: pa.Array) -> pa.Array:
    """Each cell as a list of the photo that it names; of photos where it is a list itself, as JSON writes one."""
    if not pc.any(pc.starts_with(cells, '["')).as_py():
        return pa.ListArray.from_arrays(np.arange(len(cells) + 1, dtype=np.int32), cells)
    return pa.array([_listed(cell) for cell in cells.to_pylist()], SHAPE.field("uris").type)


def _listed(cell: str | None) -> list[str | None]:
    if cell is None or not cell.startswith('["'):
        return [cell]
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        return [cell]
    found = [_sound(name) for name in names if isinstance(name, str)] if isinstance(names, list) else [cell]
    return [name for name in found if name is not None] or [None]


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
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*made, strict=True), SHAPE.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SHAPE)


def _first(values: dict[str, Any], name: str | None) -> str | None:
    found = [] if name is None else values_at(values, name)
    return _sound(as_text(found[0])) if found else None


def _sound(text: str | None) -> str | None:
    """Text that can be written as UTF-8, without white space around it; None for what says that there is no value."""
    if text is None:
        return None
    text = text.strip()
    return None if text in ABSENT else text.encode(errors="replace").decode()


def split_names(names: Sequence[str | None] | None, separators: Sequence[str], photos: PhotoSource) -> list[str]:
    """The photos that a cell names, several with separators between them. One that is there under the whole of it is the
    only one."""
    found: list[str] = []
    for name in names or ():
        if name is None:
            continue
        parts = [name]
        for separator in separators:
            parts = [part for one in parts for part in one.split(separator)]
        is_one = len(parts) < 2 or photos.stamp(name).n_bytes is not None
        found += [name] if is_one else [part.strip() for part in parts if part.strip()]
    return found
