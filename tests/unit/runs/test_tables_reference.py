"""The columns' documentation is that of the schemas."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from prodseek.runs.tables import TABLES, reference, table_schema, write_reference

WRITTEN = Path(__file__).parents[3] / "schemas" / "README.md"


def section(name: str) -> list[list[str]]:
    """The rows of a table's section: column, type, null, what it holds."""
    text = WRITTEN.read_text(encoding="utf-8").split(f"\n### {name}\n")[1].split("\n### ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_what_is_written_down_has_not_drifted() -> None:
    written = WRITTEN.read_text(encoding="utf-8")
    assert written.endswith("\n\n" + reference()), "run: python -m prodseek.runs.tables schemas/README.md"


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    above = "# Tables\n\nWritten by hand.\n\n"
    for below in ("", reference()[:-100]):
        page.write_text(above + below, encoding="utf-8")
        write_reference(page)
        assert page.read_text(encoding="utf-8") == above + reference()


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_there_with_what_the_schema_says(name: str) -> None:
    rows = {row[0].strip("`"): row for row in section(name)}
    columns = table_schema(name).columns
    assert [cell for cell in rows if "." not in cell] == [column.name for column in columns]
    for column in columns:
        _, _, null, text = rows[column.name]
        assert (null == "yes") == column.nullable and text.startswith(column.comment)
        assert all(f"`{value}`" in text for value in column.allowed)
        if pa.types.is_struct(column.arrow_type):
            inner = [f"{column.name}.{field.name}" for field in column.arrow_type]
            assert [cell for cell in rows if cell.startswith(f"{column.name}.")] == inner


# Version and columns of each table. Who changes columns, or what they mean, raises the version in the schema, and writes both
# here.
KNOWN = {
    "images": (3, "7d030b0c40ec"),
    "rejects": (1, "a1ddbf57ba7e"),
    "detections": (1, "72a25d33205d"),
    "embeddings": (3, "c68e0cbda5c0"),
    "neighbours": (1, "593f5e420a91"),
    "near_duplicates": (4, "b57fdf05d857"),
    "duplicate_groups": (2, "266895126114"),
    "curation_groups": (3, "a49a71b1ed22"),
    "curation_summary": (2, "87620ad25f73"),
    "group_lineage": (1, "7269d5cf363d"),
    "region_map": (1, "1c73cbc5a162"),
    "search_results": (2, "5b73a130bca8"),
    "rejected_prompts": (1, "4ea49de0dd70"),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_do_not_change_without_their_version(name: str) -> None:
    schema = table_schema(name)
    columns = [[column.name, str(column.arrow_type)] for column in schema.columns]
    digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:12]
    assert KNOWN[name] == (schema.version, digest), "other columns are another version: see schemas/*.json"
