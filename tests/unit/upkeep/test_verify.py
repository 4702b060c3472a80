"""A table is read to its last byte: what is missing, altered, of another type, absent or there twice is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.errors import StoreError
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Store
from prodseek.runs.tables import TABLES, schema_versions, table_schema
from prodseek.upkeep.verify import read_whole, run_to_verify, verify

SCHEMA = table_schema("duplicate_groups")


def rows(n_rows: int) -> pa.Table:
    values = {
        pa.string(): "text",
        pa.int32(): 1,
        pa.int64(): 1,
        pa.float32(): 0.5,
        pa.float64(): 0.5,
        pa.bool_(): True,
    }
    made = [
        {field.name: f"{field.name} {n}" if field.type == pa.string() else values[field.type] for field in SCHEMA.arrow}
        for n in range(n_rows)
    ]
    return pa.Table.from_pylist(made, pa.schema([field.with_nullable(True) for field in SCHEMA.arrow]))


def written(folder: Path, table: pa.Table, name: str = "part-0.parquet") -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / name, write_page_checksum=True, compression="none", use_dictionary=False)
    return folder / name


def test_a_sound_table_is_counted(tmp_path: Path) -> None:
    table = rows(100)
    written(tmp_path / "t", table.slice(0, 60))
    written(tmp_path / "t", table.slice(60), "part-1.parquet")
    (tmp_path / "t" / "_SUCCESS").touch()
    found = read_whole(str(tmp_path / "t"), SCHEMA)
    assert (found.rows, found.n_files, found.faults) == (100, 2, ())


def replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def test_every_type_of_the_schemas_is_recognised(tmp_path: Path) -> None:
    for name in TABLES:
        schema = table_schema(name)
        written(tmp_path / name, schema.arrow.empty_table())
        assert read_whole(str(tmp_path / name), schema).faults == (), name


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.drop_columns(["product_id"]), "no column product_id"),
        (lambda t: t.append_column("more", t["uri"]), "column more is not in the schema"),
        (lambda t: replaced(t, "uri", pa.array([1] * len(t))), "column uri is int64, must be string"),
        (lambda t: replaced(t, "uri", pa.array([None, *["u"] * (len(t) - 1)])), "1 rows without uri"),
        (lambda t: pa.concat_tables([t, t.slice(3, 2)]), "2 rows repeat the key"),
    ],
)
def test_other_content_is_told(tmp_path: Path, change: Callable[[pa.Table], pa.Table], fault: str) -> None:
    written(tmp_path / "t", change(rows(50)))
    (found,) = read_whole(str(tmp_path / "t"), SCHEMA).faults
    assert fault in found


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (flip_a_byte, "CRC checksum verification failed"),
        (lambda path: path.unlink(), "there is no Parquet file"),
        (lambda path: (path.unlink(), path.parent.rmdir()), "it cannot be listed"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage: Callable[[Path], object], fault: str) -> None:
    damage(written(tmp_path / "t", rows(2000)))
    (found,) = read_whole(str(tmp_path / "t"), SCHEMA).faults
    assert fault in found and ("part-0.parquet" in found or "cannot be read" not in found)


def test_without_a_run_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run has been published"):
        run_to_verify(Store.at(str(tmp_path)))


@pytest.mark.parametrize("manifest", [b"{", b'{"run_id": "20260101T000000Z-00000001", "tables": {}}'])
def test_a_manifest_that_says_too_little_ends_the_checks(tmp_path: Path, manifest: bytes) -> None:
    store = Store.at(str(tmp_path))
    run = store.run("20260101T000000Z-00000001")
    store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
    Path(run.path("MANIFEST.json")).write_bytes(manifest)
    (tmp_path / "LATEST").write_text("nothing")
    assert run_to_verify(store) == run
    checks = list(verify(store, run, n_photos=0))
    assert [(check.name, check.outcome) for check in checks] == [("LATEST", "bad"), ("MANIFEST.json", "bad")]
    assert all(check.repair for check in checks)
