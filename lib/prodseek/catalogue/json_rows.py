"""Rows of JSON lines, and what they hold under a name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from prodseek.catalogue.column_names import folded, match, photo_field
from prodseek.catalogue.delimited import MAX_ROW_CHARS
from prodseek.catalogue.dialect import MAX_COLUMNS

# Whole numbers below are the same as floats.
_EXACT = 2**53
_MONGO_TYPES = ("$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "$date", "$uuid")
TOO_MANY_KEYS: Final = f"has more than {MAX_COLUMNS:,} keys"
# Lines that are no rows.
_BETWEEN_OBJECTS = ("", "[", "]", ",", "];")


class Literal(str):
    """A number as it is written, so that no id is rounded."""


def json_rows(lines: Sequence[str]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The objects of lines, and what is wrong with some, by their place; blank lines are none.

    Lines may be those of one array, with its brackets and commas, if each holds an object.
    """
    found: list[dict[str, Any]] = []
    faults: dict[int, str] = {}
    for line in lines:
        if line.strip() in _BETWEEN_OBJECTS:
            continue
        if len(line) > MAX_ROW_CHARS:
            faults[len(found)] = f"is longer than {MAX_ROW_CHARS:,} characters"
            found.append({})
            continue
        try:
            row = _parsed(line)
        except (ValueError, RecursionError) as error:
            row = _in_array(line.strip())
            if row is None:
                faults[len(found)] = f"is no JSON: {error}"
        if not isinstance(row, dict):
            faults.setdefault(len(found), "is no object between braces")
            row = {}
        elif len(row) > MAX_COLUMNS:
            faults[len(found)] = f"{TOO_MANY_KEYS}: {len(row):,}"
            row = {}
        found.append(row)
    return found, faults


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=Literal, parse_float=Literal, parse_constant=lambda _: None)


def _in_array(line: str) -> Any:
    """An object that an array's bracket or comma stands beside; None for what is none."""
    bare = line.removeprefix("[").strip().rstrip(",") if line.endswith(",") else line.removesuffix("]").strip()
    try:
        return _parsed(bare) if bare.startswith("{") and bare != line else None
    except (ValueError, RecursionError):
        return None


def named(row: list[str] | dict[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
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


def is_in_list(row: Mapping[str, Any], name: str) -> bool:
    """Whether what an object holds under a name, `products.id`, lies in a list, where there may be more of it."""
    value: Any = row
    for part in name.split(".")[:-1]:
        key = match(part, tuple(value)) if isinstance(value, Mapping) else None
        value = None if key is None else value[key]
        if isinstance(value, list):
            return True
    return False


def photo_of(value: Any) -> Any:
    """What names a photo: a value, or of an object the only field that does; the object itself where that is not clear."""
    field = photo_field(tuple(value)) if is_object(value) else None
    return value if field is None else value[field]


def is_object(value: Any) -> bool:
    """Whether a value has names in it that a person could mean."""
    return isinstance(value, dict) and not _is_of_mongo(value)


def _is_of_mongo(value: Mapping[str, Any]) -> bool:
    """Whether an object is what MongoDB exports where JSON has no type for it."""
    return len(value) == 1 and next(iter(value)) in _MONGO_TYPES


def _flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def as_text(value: Any) -> str | None:
    """A value of a JSON object as it stands there; None for null."""
    if isinstance(value, dict) and _is_of_mongo(value):
        (value,) = value.values()
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
