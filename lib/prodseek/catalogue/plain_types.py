"""The types that columns of Parquet are read as, and their values as these types: text is text, whoever wrote it."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prodseek.catalogue.encodings import CP_1252, UTF_8

# How ids in bytes are written is said by their column's field, because values of one column have one form.
_FORM = b"prodseek.form"
_DIGITS, _LETTERS = b"digits", b"letters"
# Of ids that are text so many may be damaged.
_MOST_DAMAGED = 1 / 20


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """The type that a column is read as, one that every reader knows; None for one of which nothing can be kept."""
    types = pa.types
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.string()
    if types.is_time(kind):
        return pa.string()
    if types.is_unsigned_integer(kind):
        return {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}.get(kind.bit_width, pa.decimal128(20, 0))
    if types.is_boolean(kind) or types.is_signed_integer(kind) or types.is_float32(kind) or types.is_float64(kind):
        return kind
    if types.is_duration(kind):
        return pa.int64()
    if types.is_float16(kind):
        return pa.float32()
    if types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= 38 else None
    if types.is_date(kind):
        return pa.date32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if is_bytes(kind):
        return pa.binary()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        value = plain_type(kind.value_type)
        return None if value is None else pa.list_(value)
    if types.is_map(kind):
        key, item = plain_type(kind.key_type), plain_type(kind.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if types.is_struct(kind):
        fields = [(field.name, plain_type(field.type)) for field in kind]
        return None if not fields or any(of is None for _, of in fields) else pa.struct(fields)
    return None


def text_type(kind: pa.DataType) -> pa.DataType | None:
    """The type that a column of names or ids is read as: as `plain_type`, and bytes are text, as old programs write it."""
    if pa.types.is_dictionary(kind):
        return text_type(kind.value_type)
    if is_bytes(kind) or (pa.types.is_decimal(kind) and plain_type(kind) is None):
        return pa.string()
    if pa.types.is_struct(kind):
        fields = [(field.name, text_type(field.type)) for field in kind]
        return None if not fields or any(of is None for _, of in fields) else pa.struct(fields)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        value = text_type(kind.value_type)
        return None if value is None else pa.list_(value)
    return plain_type(kind)


def id_field(name: str, kind: pa.DataType, sample: Sequence[bytes]) -> pa.Field:
    """The field that a column of ids is read as: as `text_type`, but unequal ids stay unequal.

    sample: some of them, if they are bytes. Where these are no text, all of the column are hexadecimal digits.
    """
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if is_bytes(kind):
        is_fixed = pa.types.is_fixed_size_binary(value)
        damaged = sum(not _is_text(one, is_fixed) for one in sample)
        form = _DIGITS if damaged > (0 if is_fixed else _MOST_DAMAGED * len(sample)) else _LETTERS
        return pa.field(name, pa.string(), metadata={_FORM: form})
    # Of nanoseconds Spark's times have no room for the last three digits.
    return pa.field(name, pa.string() if pa.types.is_timestamp(value) and value.unit == "ns" else text_type(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values of a type are bytes, as photos are."""
    if pa.types.is_dictionary(kind):
        return is_bytes(kind.value_type)
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether there are bytes anywhere in values of a type."""
    children = [kind.field(number).type for number in range(kind.num_fields)]
    return is_bytes(kind) or any(map(holds_bytes, children))


def as_type(column: pa.Array, field: pa.Field) -> pa.Array:
    """A column as the plain type, or the type of text, that its field has.

    Text that is no UTF-8 is taken for Windows-1252, value by value, as a line of a text manifest is; what is of a fixed
    length and no text is written in hexadecimal digits. Of ids in bytes the field says whether they are digits.
    """
    kind, form = field.type, (field.metadata or {}).get(_FORM)
    if isinstance(column, pa.ExtensionArray):
        is_uuid = isinstance(column.type, pa.UuidType)
        column = column.storage
        if is_uuid:
            return pa.array([None if one is None else str(uuid.UUID(bytes=one)) for one in column.to_pylist()], kind)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if form is not None and is_bytes(column.type):
        is_fixed = pa.types.is_fixed_size_binary(column.type)
        return pa.array([_id_text(one, form == _DIGITS, is_fixed) for one in column.to_pylist()], kind)
    if pa.types.is_timestamp(column.type) and pa.types.is_string(kind):
        return _time_texts(column)
    if pa.types.is_fixed_size_binary(column.type) and pa.types.is_string(kind):
        return pa.array([_text(one, in_digits=True) for one in column.to_pylist()], kind)
    typed = column if column.type == kind else column.cast(kind, safe=False)
    try:
        typed.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([_text(one) for one in typed.cast(_with_bytes(kind)).to_pylist()], kind)
    return typed


def _time_texts(column: pa.Array) -> pa.Array:
    """Times as Spark writes them, in UTC, with every digit that they have."""
    written = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
    return written if column.type.unit == "s" else pc.replace_substring_regex(written, r"\.?0+$", "")


def _is_text(value: bytes, is_fixed: bool) -> bool:
    """Whether bytes are letters and signs. NUL characters fill up text of a fixed length."""
    value = value.rstrip(b"\0")
    for encoding in (UTF_8,) if is_fixed else (UTF_8, CP_1252):
        try:
            text = value.decode(encoding)
        except UnicodeDecodeError:
            continue
        return not any(unicodedata.category(char) == "Cc" and char not in "\t\r\n" for char in text)
    return False


def _id_text(value: bytes | None, in_digits: bool, is_fixed: bool) -> str | None:
    if value is None or in_digits:
        return None if value is None else value.hex()
    try:
        return value.decode(UTF_8)
    except UnicodeDecodeError:
        return value.hex() if is_fixed else value.decode(CP_1252, "backslashreplace")


def _with_bytes(kind: pa.DataType) -> pa.DataType:
    """A type with bytes in place of text."""
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(_with_bytes(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_with_bytes(kind.key_type), _with_bytes(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_bytes(field.type)) for field in kind])
    return kind


def _text(value: Any, in_digits: bool = False) -> Any:
    """A value with text in place of bytes, all through it. in_digits: what is no UTF-8 is no text."""
    if isinstance(value, bytes):
        try:
            return value.decode(UTF_8)
        except UnicodeDecodeError:
            return value.hex() if in_digits else value.decode(CP_1252, "replace")
    if isinstance(value, dict):
        return {key: _text(inner) for key, inner in value.items()}
    return type(value)(map(_text, value)) if isinstance(value, list | tuple) else value
