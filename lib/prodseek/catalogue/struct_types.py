"""Types of structs: what stands in them under a name, and structs of fewer fields."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def field_type(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a column, or of a field of a struct, `image.path`; of structs in a list too. None where there is none."""
    if name in schema.names:
        return schema.field(name).type
    first, *rest = name.split(".")
    found = schema.field(first).type if first in schema.names else None
    in_list = False
    for part in rest:
        if found is not None and (pa.types.is_list(found) or pa.types.is_large_list(found)):
            found, in_list = found.value_type, True
        if found is None or not pa.types.is_struct(found) or found.get_field_index(part) < 0:
            return None
        found = found.field(part).type
    return pa.list_(found) if in_list and found is not None else found


def pruned(kind: pa.DataType, path: Sequence[str]) -> pa.DataType:
    """A struct with no other fields than those that lead to one; what is no struct stays whole."""
    if not path or not pa.types.is_struct(kind):
        return kind
    return pa.struct([pa.field(path[0], pruned(kind.field(path[0]).type, path[1:]))])


def merged(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Two results of `pruned` for one column: a struct with the fields of both."""
    if not (pa.types.is_struct(one) and pa.types.is_struct(other)):
        return one
    fields = {field.name: field for field in one}
    for field in other:
        known = fields.get(field.name)
        fields[field.name] = field if known is None else pa.field(field.name, merged(known.type, field.type))
    return pa.struct(list(fields.values()))
