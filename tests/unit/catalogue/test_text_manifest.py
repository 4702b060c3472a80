"""Text manifests of one file and of many: what they are called, what of them is one table, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue import text_manifest
from prodseek.catalogue.check import CheckedRow, check_catalogue
from prodseek.catalogue.dialect import MAX_COLUMNS
from prodseek.catalogue.manifest_reading import read_manifest
from prodseek.catalogue.manifests import find_catalogue
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def checked(path: Path, *settings: str) -> list[CheckedRow]:
    return check_catalogue(load_config(settings=settings, catalog=str(path))).rows


def part(folder: Path, number: int, text: str, ending: str = "csv") -> None:
    folder.mkdir(exist_ok=True)
    data = text.encode()
    (folder / f"part-{number:05}-c000.{ending}").write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    (folder / f".part-{number:05}-c000.{ending}.crc").write_bytes(b"crc")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "json"])
def test_a_folder_of_parts_is_one_manifest(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "products.csv"
    rows = [("p1", "a.jpg", "Chair"), ("p2", "b.jpg", "Desk"), ("p3", "c.jpg", "Lamp")]
    names = [("product_id", "uri", "title"), ("URI", "Product_ID", "colour"), ("product_id", "uri", "title")]
    for number, (header, row) in enumerate(zip(names, rows, strict=True)):
        values = (row[1], row[0], row[2]) if number == 1 else row
        lines = [",".join(header), ",".join(values)]
        if ending == "json":
            lines = [json.dumps(dict(zip(header, values, strict=True)))]
        part(folder, number, "\n".join(lines) + "\n", ending)
    part(folder, 3, "", ending)
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / f"part-00009-c000.{ending}").write_bytes(b"")  # a task without rows
    source = find_catalogue(str(folder))
    assert (source.kind, source.base_uri) == ("json" if ending == "json" else "csv", str(tmp_path))
    found = checked(folder)
    assert [(row.product_id, row.uri, row.attributes.get("title"), row.attributes.get("colour")) for row in found] == [
        ("p1", "a.jpg", "Chair", None), ("p2", "b.jpg", None, "Desk"), ("p3", "c.jpg", "Lamp", None),
    ]  # fmt: skip
    manifest = read_manifest(source, load_config().catalog)
    assert manifest.lines()[0].startswith(f"{folder}: {len(manifest.texts)} files, the first as ")


def test_a_row_of_a_part_is_named_with_its_file(tmp_path: Path) -> None:
    part(tmp_path / "m", 0, "product_id,uri\np,a.jpg\n")
    part(tmp_path / "m", 1, "product_id,uri\np,b.jpg\nq\n,c.jpg\n")
    name = tmp_path / "m" / "part-00001-c000.csv"
    assert [row.detail for row in checked(tmp_path / "m") if row.outcome == "invalid_row"] == [
        f"row 2 of {name} has 1 values, the header 2", f"row 3 of {name} names no product_id",
    ]  # fmt: skip


def test_a_part_without_header_refuses_them_all(tmp_path: Path) -> None:
    part(tmp_path / "m", 0, "product_id,uri\np,a.jpg\n")
    part(tmp_path / "m", 1, "q,b.jpg\nr,c.jpg\n")
    with pytest.raises(CatalogueError, match=r"part-00001-c000\.csv' has no column 'uri', 'product_id', which"):
        checked(tmp_path / "m")
    part(tmp_path / "m", 1, "q" * 100_000 + ",b.jpg\n")
    with pytest.raises(CatalogueError) as refused:
        checked(tmp_path / "m")
    assert len(str(refused.value)) < 2000
    part(tmp_path / "m", 1, "q,b.jpg\nr,c.jpg\n")
    part(tmp_path / "m", 0, "p,a.jpg\n")
    found = checked(tmp_path / "m", "catalog.csv_header=[product_id, uri]")
    assert [row.product_id for row in found] == ["p", "q", "r"]


@pytest.mark.parametrize("other", ["a.jpg", "notes.txt", "photo", "m.jsonl"])
def test_a_folder_of_something_else_is_none(tmp_path: Path, other: str) -> None:
    part(tmp_path / "m", 0, "product_id,uri\np,a.jpg\n")
    (tmp_path / "m" / other).write_bytes(b"x")
    assert find_catalogue(str(tmp_path / "m")).kind == "folder"


def test_a_folder_of_parts_without_text_is_empty(tmp_path: Path) -> None:
    part(tmp_path / "m", 0, "\n", "csv.gz")
    with pytest.raises(CatalogueError, match=r"m' is empty; there is nothing to do"):
        checked(tmp_path / "m")


def test_parquet_parts_whose_names_differ_in_capitals_are_one(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    tables = [
        {"product_id": ["p"], "uri": ["a.jpg"], "Size": ["S"]}, {"PRODUCT_ID": ["q"], "URI": ["b.jpg"], "size": ["M"]},
        {"product_id": ["r"], "uri": ["c.jpg"], "size": ["L"], "SIZE": ["XL"]},
    ]  # fmt: skip
    for number, columns in enumerate(tables):
        pq.write_table(pa.table(columns), tmp_path / "m" / f"{number}.parquet")
    found = [(row.product_id, row.uri, dict(row.attributes)) for row in checked(tmp_path / "m")]
    assert found == [
        ("p", "a.jpg", {"Size": "S"}), ("q", "b.jpg", {"size": "M"}), ("r", "c.jpg", {"size": "L", "SIZE": "XL"}),
    ]  # fmt: skip


@pytest.mark.parametrize("n_bytes", [1 << 21, 9_000_000])
def test_a_long_line_of_json_is_one_row_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    lines = [json.dumps({"product_id": "long", "uri": "a.jpg", "text": "z" * n_bytes})]
    lines += [json.dumps({"product_id": f"p{n}", "uri": "a.jpg"}) for n in range(3)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    found = checked(tmp_path / "m.jsonl")
    assert [row.product_id for row in found] == ["long" if n_bytes < 1 << 23 else None, "p0", "p1", "p2"]
    assert (found[0].detail == "row 1 is longer than 8,388,608 characters") == (n_bytes > 1 << 23)
    monkeypatch.setattr(text_manifest, "_SOUGHT_BYTES", 1 << 20)
    if n_bytes > 1 << 23:
        with pytest.raises(CatalogueError, match="its first lines are no JSON objects; it begins"):
            checked(tmp_path / "m.jsonl")


def test_objects_of_too_many_keys_are_told_the_limit(tmp_path: Path) -> None:
    row = {"product_id": "p", "uri": "a.jpg"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row | {f"k{n}": n for n in range(MAX_COLUMNS - 2)}))
    assert [one.product_id for one in checked(tmp_path / "m.jsonl")] == ["p"]
    wide = json.dumps(row | {f"k{n}": n for n in range(MAX_COLUMNS)})
    (tmp_path / "m.jsonl").write_text(wide)
    with pytest.raises(
        CatalogueError, match="its row 1 has more than 4,096 keys: 4,098; keep those that you need, such as: jq"
    ):
        checked(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text("\n".join([json.dumps(row), wide]))
    assert [one.detail for one in checked(tmp_path / "m.jsonl")][1] == "row 2 has more than 4,096 keys: 4,098"
