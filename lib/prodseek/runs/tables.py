"""The tables' definitions, read from `schemas/`: columns, types, keys, allowed values.

`python -m prodseek.runs.tables schemas/README.md` writes them down for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
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

_REFERENCE_STARTS = "<!-- All below is written by `python -m prodseek.runs.tables schemas/README.md`. -->"

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
    """One table. version: goes up whenever a reader of the table before would misread it, see `schema_versions`.

    spark_json: the same columns in Spark's own StructType JSON.
    """

    name: str
    version: int
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
    return TableSchema(name, definition["version"], definition["grain"], tuple(definition["key"]), columns, spark_json)


def schema_versions() -> dict[str, int]:
    """table -> version. A manifest keeps those that it was written with, and a run with others is not read."""
    return {name: table_schema(name).version for name in TABLES}


def _arrow_type(spark_type: str | dict[str, Any]) -> pa.DataType:
    if isinstance(spark_type, str):
        return _ARROW_TYPES[spark_type]
    if spark_type["type"] == "array":
        return pa.list_(pa.field("element", _arrow_type(spark_type["elementType"]), spark_type["containsNull"]))
    if spark_type["type"] == "map":
        return pa.map_(_arrow_type(spark_type["keyType"]), _arrow_type(spark_type["valueType"]))
    return pa.struct([pa.field(f["name"], _arrow_type(f["type"]), f["nullable"]) for f in spark_type["fields"]])


def write_reference(page: Path) -> None:
    """Write `reference` anew in a Markdown file. What a person wrote above it stays."""
    above, _, _ = page.read_text(encoding="utf-8").partition(_REFERENCE_STARTS)
    page.write_text(above + reference(), encoding="utf-8")


def reference() -> str:
    """Every table and column for people, as Markdown: grain, key, type, where null may stand, allowed values."""
    lines = [
        _REFERENCE_STARTS,
        "",
        "## Every column",
        "",
        "The JSON files beside this page define the tables. `prodseek search-batch` writes `search_results` and",
        "`rejected_prompts`; a run has all others.",
    ]
    for name in TABLES:
        table = table_schema(name)
        key = ", ".join(f"`{column}`" for column in table.key) or "none"
        lines += ["", f"### {name}", "", f"A row is {table.grain}. Key: {key}.", ""]
        lines += [
            "| column | type | null | what it holds |",
            "|---|---|---|---|",
            *_described(table.spark_json["fields"]),
        ]
    return "\n".join(lines) + "\n"


def _described(fields: Iterable[dict[str, Any]], within: str = "") -> Iterator[str]:
    for field in fields:
        name, comment = within + field["name"], field["metadata"]["comment"]
        allowed = ", ".join(f"`{value}`" for value in field["metadata"].get("allowed", ()))
        text = f"{comment}: {allowed}" if allowed else comment
        yield f"| `{name}` | {_type_name(field['type'])} | {'yes' if field['nullable'] else ''} | {text} |"
        if isinstance(field["type"], dict) and field["type"]["type"] == "struct":
            yield from _described(field["type"]["fields"], f"{name}.")


def _type_name(spark_type: str | dict[str, Any]) -> str:
    if isinstance(spark_type, str):
        return spark_type
    if spark_type["type"] == "array":
        return f"array of {_type_name(spark_type['elementType'])}"
    if spark_type["type"] == "map":
        return f"map of {_type_name(spark_type['keyType'])} to {_type_name(spark_type['valueType'])}"
    return str(spark_type["type"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m prodseek.runs.tables schemas/README.md")
    write_reference(Path(sys.argv[1]))
