"""The columns' documentation is that of the schemas."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from prodseek.tables import TABLES, reference, table_schema

WRITTEN = Path(__file__).parents[2] / "schemas" / "README.md"


def section(name: str) -> list[list[str]]:
    """The rows of a table's section: column, type, null, what it holds."""
    text = WRITTEN.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_what_is_written_down_has_not_drifted() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == reference(), "run: python -m prodseek.tables > schemas/README.md"


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
