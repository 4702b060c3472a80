"""The photos that the cells of a row name: one, several with marks between them, or a list."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.columns import Columns
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.web import web_address
from prodseek.runs.absent import ABSENT

_LISTS = pa.list_(pa.string())
_COMMA = ","


def photos_named(
    cells: Sequence[pa.Array], columns: Columns, separators: Sequence[str], photos: PhotoSource, n_rows: int
) -> tuple[pa.Array, pa.Array]:
    """For each row the photos that its cells name, and those of them that its main cell names; what a further column says again
    is left out."""
    if not cells:
        none = _one_each(pa.nulls(n_rows, pa.string()))
        return none, none
    lists = [
        _without(_divided(_as_lists(column), _separators(name, columns, separators), photos), columns.no_photo)
        for name, column in zip(columns.uris, cells, strict=True)
    ]
    if len(lists) == 1 or not any(len(more.flatten().drop_null()) for more in lists[1:]):
        return lists[0], lists[0]
    rows = zip(*(each.to_pylist() for each in lists), strict=True)
    return pa.array([_joined(main, more) for main, *more in rows], _LISTS), lists[0]


def _joined(main: list[str | None] | None, more: Sequence[list[str | None] | None]) -> list[str]:
    found = [name for name in main or () if name is not None]
    for name in (name for names in more for name in names or ()):
        if name is not None and name not in found:
            found.append(name)
    return found


def _separators(name: str, columns: Columns, separators: Sequence[str]) -> tuple[str, ...]:
    if columns.photo is not None:
        return ()
    is_list = name in columns.lists and _COMMA not in separators
    return (*separators, *((_COMMA,) if is_list else ()))


def _one_each(cells: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(np.arange(len(cells) + 1, dtype=np.int32), cells)


def _as_lists(cells: pa.Array) -> pa.Array:
    """Each cell as a list of the photo that it names; of photos where it is a list itself, as JSON writes one."""
    if not pa.types.is_string(cells.type):
        return cells
    if not pc.any(pc.starts_with(cells, '["')).as_py():
        return _one_each(cells)
    return pa.array([_listed(cell) for cell in cells.to_pylist()], _LISTS)


def _listed(cell: str | None) -> list[str | None]:
    if cell is None or not cell.startswith('["'):
        return [cell]
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        return [cell]
    found = [sound(name) for name in names if isinstance(name, str)] if isinstance(names, list) else [cell]
    return [name for name in found if name is not None] or [None]


def sound(text: str | None) -> str | None:
    """Text that can be written as UTF-8, without white space around it; None for what says that there is no value."""
    if text is None:
        return None
    text = text.strip()
    return None if text in ABSENT else text.encode(errors="replace").decode()


def _divided(lists: pa.Array, separators: Sequence[str], photos: PhotoSource) -> pa.Array:
    """Lists with every name divided that has separators in it."""
    names = lists.flatten()
    if not any(pc.any(pc.match_substring(names, mark)).as_py() for mark in separators):
        return lists
    return pa.array([_split_names(names, separators, photos) for names in lists.to_pylist()], _LISTS)


def _without(lists: pa.Array, no_photo: str) -> pa.Array:
    """Lists without what says that there is no photo."""
    if not no_photo or not pc.any(pc.equal(lists.flatten(), no_photo)).as_py():
        return lists
    return pa.array([[name for name in names or () if name != no_photo] for names in lists.to_pylist()], _LISTS)


def _split_names(names: Sequence[str | None] | None, separators: Sequence[str], photos: PhotoSource) -> list[str]:
    found: list[str] = []
    for name in names or ():
        if name is None:
            continue
        parts = [name]
        for mark in separators:
            parts = [part for one in parts for part in _split(one, mark)]
        is_one = parts == [name] or (not web_address(name) and photos.stamp(name).n_bytes is not None)
        found += [name] if is_one else [part.strip() for part in parts if part.strip()]
    return found


def _split(names: str, mark: str) -> list[str]:
    """Names with a mark between them. Behind an address only another address is one: an address may have the mark in it."""
    parts: list[str] = []
    for part in _unescaped(names, mark):
        if parts and web_address(parts[-1].strip()) and part.strip() and not web_address(part.strip()):
            parts[-1] += mark + part
        else:
            parts.append(part)
    return parts


def _unescaped(names: str, mark: str) -> list[str]:
    """Names divided at a mark, but not at one behind a backslash: WooCommerce writes so what is no mark."""
    if f"\\{mark}" not in names:
        return names.split(mark)
    return [part.replace(f"\\{mark}", mark) for part in re.split(rf"(?<!\\){re.escape(mark)}", names)]
