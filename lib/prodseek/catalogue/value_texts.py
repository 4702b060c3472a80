"""Values of a table's columns as text, as Spark writes them; ids as a person sees them."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Up to here every whole number is a float. Longer ids were rounded before they came here, but digits are still what people know
# them by. From the third on Java writes floats with a power of ten.
_EXACT, _LONGEST_ID = 2.0**53, 1e21
_AS_POWER = 1e7
_LEAST_PLAIN = 1e-3


def texts(column: pa.Array, is_id: bool = False) -> pa.StringArray:
    """A column of a plain type as text, without blanks around it.

    is_id: whole numbers that pandas made floats, because some are missing, are written as the ids that they are.
    """
    kind = column.type
    if pa.types.is_string(kind):
        text = column
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind):
        text = column.cast(pa.string())
    elif pa.types.is_floating(kind):
        text = _float_texts(column, is_id)
    else:
        values = column.cast(_in_utc(kind)).to_pylist()
        text = pa.array([None if value is None else _as_spark_writes(value, kind) for value in values], pa.string())
    return pc.utf8_trim(text, characters=" ")


def _float_texts(column: pa.Array, is_id: bool) -> pa.StringArray:
    """Most floats at once; those that Java writes with a power of ten one by one."""
    values = np.abs(column.fill_null(0).to_numpy(zero_copy_only=False))
    is_whole = values == np.trunc(values)
    is_plain = ((values >= _LEAST_PLAIN) & (values < _AS_POWER)) | (values == 0)
    text = column.cast(pa.string())
    if not is_id:
        text = pc.if_else(pa.array(is_whole & is_plain), pc.binary_join_element_wise(text, ".0", ""), text)
    rare = np.flatnonzero(~is_plain)
    if len(rare):
        single = pa.types.is_float32(column.type)
        written = [_one_float(value, single, is_id) for value in column.take(pa.array(rare)).to_pylist()]
        text = pc.replace_with_mask(text, pa.array(~is_plain), pa.array(written, pa.string()))
    return text


def _one_float(value: float, is_single: bool, is_id: bool = False) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and _AS_POWER <= abs(value) < (_LONGEST_ID if is_id else _EXACT):
        return str(int(value))
    return _as_java_writes(value, is_single)


def _as_java_writes(value: float, is_single: bool) -> str:
    """A float by the fewest digits that tell it from others (Java's `Double.toString` since JDK 19)."""
    if not math.isfinite(value):
        return _one_float(value, is_single)
    shortest = Decimal(str(np.float32(value)) if is_single else repr(value))
    if value == 0 or _LEAST_PLAIN <= abs(value) < _AS_POWER:
        text = f"{shortest:f}"
        return text if "." in text else f"{text}.0"
    sign, digits, _ = shortest.as_tuple()
    figures = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' if sign else ''}{figures[0]}.{figures[1:] or '0'}E{shortest.adjusted()}"


def _in_utc(kind: pa.DataType) -> pa.DataType:
    """A type whose times of any zone are in UTC, which is the zone of every session."""
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _as_spark_writes(value: Any, kind: pa.DataType) -> str:
    """A value of a plain type, lists and structs too."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _as_java_writes(value, pa.types.is_float32(kind))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        whole = value.strftime("%Y-%m-%d %H:%M:%S")
        return f"{whole}.{value.microsecond:06}".rstrip("0") if value.microsecond else whole
    if pa.types.is_map(kind):
        pairs = (f"{_as_spark_writes(key, kind.key_type)} -> {_inner(item, kind.item_type)}" for key, item in value)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(_inner(value[field.name], field.type) for field in kind)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_inner(one, kind.value_type) for one in value)}]"
    return str(value)


def _inner(value: Any, kind: pa.DataType) -> str:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC)
    return _as_spark_writes(value, kind)
