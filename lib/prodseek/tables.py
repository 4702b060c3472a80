"""The tables' definitions, read from `schemas/`: columns, types, keys, allowed values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pyarrow as pa

TABLES = (
    "images",
    "rejects",
    "detections",
    "embeddings",
    "neighbours",
    "near_duplicates",
    "duplicate_groups",
    "curation_groups",
    "curation_summary",
    "group_lineage",
    "region_map",
    "search_results",
    "rejected_prompts",
)

_ARROW_TYPES = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """One column. allowed: the closed list of values, empty where any value goes."""

    name: str
    nullable: bool
    comment: str
    allowed: tuple[str, ...]
    arrow_type: pa.DataType


@dataclass(frozen=True)
class TableSchema:
    """One table. spark_json: the same columns in Spark's own StructType JSON."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    spark_json: dict[str, Any]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.arrow_type, c.nullable) for c in self.columns])


@cache
def table_schema(name: str) -> TableSchema:
    """The definition of a table. Raises KeyError for a name that is not in TABLES."""
    if name not in TABLES:
        raise KeyError(f"no table is called {name!r}; there are {', '.join(TABLES)}")
    definition = json.loads(files("prodseek.schemas").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    columns = tuple(
        Column(
            field["name"],
            field["nullable"],
            field["metadata"]["comment"],
            tuple(field["metadata"].get("allowed", ())),
            _arrow_type(field["type"]),
        )
        for field in definition["fields"]
    )
    spark_json = {"type": "struct", "fields": definition["fields"]}
    return TableSchema(name, definition["grain"], tuple(definition["key"]), columns, spark_json)


def _arrow_type(spark_type: str | dict[str, Any]) -> pa.DataType:
    if isinstance(spark_type, str):
        return _ARROW_TYPES[spark_type]
    if spark_type["type"] == "array":
        return pa.list_(pa.field("element", _arrow_type(spark_type["elementType"]), spark_type["containsNull"]))
    if spark_type["type"] == "map":
        return pa.map_(_arrow_type(spark_type["keyType"]), _arrow_type(spark_type["valueType"]))
    return pa.struct([pa.field(f["name"], _arrow_type(f["type"]), f["nullable"]) for f in spark_type["fields"]])
