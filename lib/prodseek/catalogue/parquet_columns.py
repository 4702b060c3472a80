"""Which columns of a Parquet manifest hold what, and the types that they are read as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from prodseek.catalogue import parquet_table
from prodseek.catalogue.column_names import listed, photo_field
from prodseek.catalogue.columns import BYTES, Columns, find_columns
from prodseek.catalogue.dialect import MAX_COLUMNS
from prodseek.catalogue.level_columns import JUDGED_ROWS, with_levels
from prodseek.catalogue.manifests import CatalogueSource
from prodseek.catalogue.parquet_parts import ParquetPart
from prodseek.catalogue.plain_types import holds_bytes, id_field, is_bytes, plain_type, text_type
from prodseek.catalogue.struct_types import field_type, merged, pruned
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError

# So many ids in bytes tell whether they are text.
_JUDGED_IDS = 1000


def parquet_columns(
    source: CatalogueSource, parts: Sequence[ParquetPart], config: CatalogConfig
) -> tuple[Columns, pa.Schema]:
    """Which columns hold what, and those to read, in types that every reader knows; of a struct only the fields that are needed.

    Raises CatalogueError.
    """
    schema = parquet_table.schema_of(parts)
    if len(schema) > MAX_COLUMNS:
        raise CatalogueError(f"the manifest {source.uri!r} has {len(schema):,} columns, more than {MAX_COLUMNS:,}")
    fields = [f"{field.name}.{child}" for field in schema for child in _children(field.type)]
    known = (*schema.names, *fields)
    more = [name for name in _dotted(config) if name not in known and field_type(schema, name) is not None]
    unneeded = _unneeded(schema)
    columns = find_columns(schema.names, config, f"the manifest {source.uri!r}", (*fields, *more), unneeded)
    if columns.narrower:
        names = [columns.facts["category"], *columns.narrower]
        columns = with_levels(columns, parquet_table.first_rows(parts[0], names, JUDGED_ROWS))
    twice = [f"{name!r} stands there more than once; the first is read" for name in parquet_table.repeated(parts[0])]
    columns = replace(columns, notes=(*columns.notes, *twice))
    if columns.photo is None:
        columns = _with_fields(columns, schema, source.uri)
    name = columns.product_id
    id_type = None if name is None or name in schema.names else field_type(schema, name)
    if id_type is not None and pa.types.is_list(id_type):
        raise CatalogueError(
            f"the manifest {source.uri!r}: product_id_column names a list: {name!r} holds several values in a "
            "row. Write a row for each product, or name a column of single values: --set catalog.product_id_column=... (null: "
            "every photo is its own product)"
        )
    held = columns.photo and field_type(schema, columns.photo)
    if held and not is_bytes(held):
        raise CatalogueError(
            f"the column {columns.photo!r} of the manifest {source.uri!r} is {held}, not binary, and holds no photos; name "
            "another with catalog.bytes_column, or the names of photos with catalog.uri_column"
        )
    return columns, _schema_to_read(schema, columns, source.uri, parts)


def _with_fields(columns: Columns, schema: pa.Schema, uri: str) -> Columns:
    """The columns, for one of structs the field of it that names the photos. Raises CatalogueError where that is not clear."""
    found: list[str] = []
    for name in columns.uris:
        children = _children(field_type(schema, name) or pa.null())
        field = photo_field(children)
        if children and field is None:
            raise CatalogueError(
                f"the manifest {uri!r}: its photos in {name!r} are structs; name the field that holds their names, one of "
                f"{listed([f'{name}.{child}' for child in children])}: --set catalog.uri_column=..."
            )
        found.append(name if field is None else f"{name}.{field}")
    main = found[0] if found else None
    return replace(columns, uri=main, more_uris=tuple(found[1:]), lists=columns.lists & frozenset(found))


def _schema_to_read(schema: pa.Schema, columns: Columns, uri: str, parts: Sequence[ParquetPart]) -> pa.Schema:
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
    fields = {name: pa.field(name, text_type(kind)) for name, kind in needed.items()}
    if columns.product_id in needed:
        kind = needed[columns.product_id]
        sample = parquet_table.first_values(parts[0], columns.product_id, _JUDGED_IDS) if is_bytes(kind) else []
        fields[columns.product_id] = id_field(columns.product_id, kind, sample)
    return pa.schema(list(fields.values()))


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
