"""Parquet manifests: folders whatever their names, Delta's log, columns of every type."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue.manifest_reading import read_manifest
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.parquet_parts import parts_of
from prodseek.catalogue.parquet_table import n_rows_of, read_share, shares_of
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def rows_of(folder: Path, *settings: str) -> list[dict[str, Any]]:
    source = find_catalogue(str(folder))
    assert source.kind == "parquet"
    manifest = read_manifest(source, load_config(settings=settings).catalog)
    shares = [share for task in shares_of(manifest.parts) for share in task]
    found = [row for share in shares for _, batch in read_share(share, manifest.schema) for row in batch.to_pylist()]
    assert len(found) == n_rows_of(manifest.parts)
    return found


def test_a_folder_of_parquet_files_whatever_they_are_called(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00000.parquet", product_id=["p"], uri=["a.jpg"])
    write(tmp_path / "data" / "part-00001", product_id=["q"], uri=["b.jpg"], title=["new"])
    write(
        tmp_path / "data" / "deep" / "country=DE" / "size=__HIVE_DEFAULT_PARTITION__" / "x.parq",
        product_id=["r"],
        uri=["c"],
    )
    for name in ("_SUCCESS", ".part.crc", "README.md", "_temporary/x.parquet", "empty.parquet"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"" if name.startswith("e") else b"no parquet")
    rows = rows_of(tmp_path / "data")
    assert {row["product_id"]: row["uri"] for row in rows} == {"p": "a.jpg", "q": "b.jpg", "r": "c"}
    assert [row["title"] for row in rows if row["product_id"] == "q"] == ["new"]


def test_folders_say_what_they_are_called(tmp_path: Path) -> None:
    for country in ("DE", "at%20home"):
        write(tmp_path / "m.parquet" / f"country={country}" / "x.parquet", product_id=["p"], uri=["a.jpg"])
    assert sorted(row["country"] for row in rows_of(tmp_path / "m.parquet")) == ["DE", "at home"]


def test_a_folder_of_photos_with_a_table_beside_them_is_one_of_photos(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "x.parquet", a=["b"])
    (tmp_path / "deep" / "photos").mkdir()
    (tmp_path / "deep" / "photos" / "a.JPG").write_bytes(b"x")
    assert find_catalogue(str(tmp_path / "deep")).kind == "folder"
    assert find_catalogue(str(tmp_path / "deep" / "x.parquet")).kind == "parquet"
    write(tmp_path / "linked" / "x.parquet", a=["b"])
    (tmp_path / "linked" / "round").symlink_to(".")
    assert find_catalogue(str(tmp_path / "linked")).kind == "parquet"
    (tmp_path / "linked" / "photos").symlink_to("../deep/photos")
    assert find_catalogue(str(tmp_path / "linked")).kind == "folder"


def commit(folder: Path, version: int, *actions: dict[str, Any]) -> None:
    log = folder / "_delta_log" / f"{version:020}.json"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("\n".join(map(json.dumps, actions)))


def test_of_a_delta_table_what_its_log_counts_in(tmp_path: Path) -> None:
    table = tmp_path / "products"
    for name in ("old", "new", "a b"):
        write(table / f"{name}.parquet", product_id=[name], uri=["a.jpg"])
    commit(
        table, 0, {"metaData": {"configuration": {}}}, {"add": {"path": "old.parquet", "partitionValues": {"day": "1"}}}
    )
    commit(
        table, 1, {"remove": {"path": "old.parquet"}}, {"add": {"path": "new.parquet", "partitionValues": {"day": "2"}}}
    )
    commit(table, 2, {"add": {"path": "a%20b.parquet", "partitionValues": {"day": None}}})
    assert {(row["product_id"], row["day"]) for row in rows_of(table)} == {("new", "2"), ("a b", None)}
    checkpoint = pa.table({"add": [{"path": "old.parquet", "deletionVector": None}], "metaData": [None]})
    pq.write_table(checkpoint, table / "_delta_log" / f"{1:020}.checkpoint.parquet")
    assert {Path(part.uri).name for part in parts_of(str(table))} == {"old.parquet", "a b.parquet"}
    commit(table, 3, {"add": {"path": "gone.parquet"}})
    with pytest.raises(CatalogueError, match=r"its log names 'gone\.parquet', and there is no such file"):
        rows_of(table)
    commit(table, 3, {"add": {"path": "new.parquet", "deletionVector": {"storageType": "u"}}})
    with pytest.raises(CatalogueError, match="has deletion vectors: run REORG TABLE"):
        rows_of(table)
    commit(table, 3, {"metaData": {"configuration": {"delta.columnMapping.mode": "name"}}})
    with pytest.raises(CatalogueError, match="maps its columns' names; export it as plain Parquet"):
        rows_of(table)
    (table / "_delta_log" / f"{3:020}.json").write_text("{")
    with pytest.raises(CatalogueError, match=r"the log of the Delta table .* cannot be read"):
        rows_of(table)


def test_columns_of_every_type_are_read_or_passed_over(tmp_path: Path) -> None:
    columns = {
        "product_id": pa.array([1, None], pa.uint64()),
        "uri": pa.array(["a.jpg", "b.jpg"]).dictionary_encode(),
        "ns": pa.array([1_600_000_000_000_000_001, None], pa.timestamp("ns")),
        "time": pa.array([3_600_000_000_000, None], pa.time64("ns")),
        "nested": pa.array([[{"when": 1}], None], pa.list_(pa.struct([("when", pa.timestamp("ns"))]))),
        "half": pa.array([1.5, None], pa.float16()),
        "large": pa.array(["x", None], pa.large_string()),
        "nothing": pa.nulls(2),
        "thumbnail": pa.array([b"\xff", None], pa.binary(1)),
        "image": pa.array([{"bytes": b"x", "path": "y"}, None]),
        "duration": pa.array([1, None], pa.duration("s")),
        "wide": pa.array([None, None], pa.decimal256(70, 2)),
    }
    pq.write_table(pa.table(columns), tmp_path / "m.parquet", compression="brotli")
    first, second = rows_of(tmp_path / "m.parquet")
    assert first["product_id"] == 1 and first["uri"] == "a.jpg" and first["time"] == "01:00:00.000000000"
    assert first["nested"][0]["when"].year == 1970 and first["half"] == 1.5 and first["large"] == "x"
    assert second == {name: "b.jpg" if name == "uri" else None for name in first}
    found = read_manifest(find_catalogue(str(tmp_path / "m.parquet")), load_config().catalog).columns
    assert set(found.passed_over) == {"thumbnail", "image", "wide"} and "bytes" in found.lines()[1]


def test_a_column_that_files_do_not_agree_on_is_text(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet" / "1.parquet", product_id=[7], uri=["a.jpg"])
    write(tmp_path / "m.parquet" / "2.parquet", product_id=["x7"], uri=["b.jpg"])
    assert sorted(row["product_id"] for row in rows_of(tmp_path / "m.parquet")) == ["7", "x7"]


def test_damage_is_named(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet" / "1.parquet", product_id=["p"], uri=["a.jpg"])
    (tmp_path / "m.parquet" / "2.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CatalogueError, match=r"m\.parquet/2\.parquet is damaged or gone; write it again"):
        rows_of(tmp_path / "m.parquet")
    (tmp_path / "none.parquet").mkdir()
    with pytest.raises(CatalogueError, match="holds no Parquet files"):
        rows_of(tmp_path / "none.parquet")


def test_of_a_struct_only_what_is_named_is_read(tmp_path: Path) -> None:
    """The photos beside it are not."""
    structs = [{"bytes": b"x" * 9, "id": 7, "path": "a.jpg", "of": {"shop": "s", "logo": b"y"}}]
    pq.write_table(pa.table({"image": structs}), tmp_path / "m.parquet")
    settings = (
        "catalog.uri_column=image.path", "catalog.product_id_column=image.id", "catalog.columns={supplier: image.of.shop}"
    )  # fmt: skip
    assert rows_of(tmp_path / "m.parquet", *settings) == [{"image": {"id": 7, "path": "a.jpg", "of": {"shop": "s"}}}]


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert find_catalogue(str(tmp_path)).kind == "folder"
    with pytest.raises(CatalogueError, match="is neither a folder nor a manifest"):
        find_catalogue(str(tmp_path / "pipe"))


def test_text_is_text_whoever_wrote_it(tmp_path: Path) -> None:
    """Bytes without a mark, as Impala and Hive write them, marked ones that are no UTF-8, UUIDs, decimals of any width."""
    words = [b"p1", "Stühle".encode(), "Stühle".encode("cp1252"), None]
    columns = {
        "bytes": pa.array(words, pa.binary()), "large": pa.array(words, pa.large_binary()),
        "marked": pa.array(words, pa.binary()).view(pa.string()),
        "listed": pa.array([[b"a.jpg", b"\xfc.jpg"], [], None, [None]], pa.list_(pa.binary())),
        "dictionary": pa.array(words, pa.binary()).dictionary_encode(),
        "uuid": pa.array([bytes(15) + b"\x4d", None, b"\xff" * 16, bytes(16)], pa.uuid()),
        "fixed": pa.array([b"AB01", b"\xff\x00\x01\x02", None, b"CD02"], pa.binary(4)),
        "wide": pa.array([Decimal(1), Decimal(10) ** 45, None, Decimal(-7)], pa.decimal256(50, 0)),
        "whole": pa.array([Decimal(1), Decimal(2), None, Decimal(3)], pa.decimal128(20, 0)),
    }  # fmt: skip
    expected = ["p1", "Stühle", "Stühle", None]
    texts: dict[str, list[Any]] = {
        **dict.fromkeys(("bytes", "large", "marked", "dictionary"), expected),
        "listed": [["a.jpg", "ü.jpg"], [], None, [None]],
        "uuid": [f"{UUID(int=0x4D)}", None, "ffffffff-ffff-ffff-ffff-ffffffffffff", f"{UUID(int=0)}"],
        "fixed": ["41423031", "ff000102", None, "43443032"],
        "wide": ["1", f"{10**45}", None, "-7"],
        "whole": [Decimal(1), Decimal(2), None, Decimal(3)],
    }
    for name, column in columns.items():
        write(tmp_path / "m.parquet", id=column, uri=["a.jpg"] * 4, Title=column)
        rows = rows_of(tmp_path / "m.parquet", "catalog.product_id_column=id")
        assert [row["id"] for row in rows] == texts[name], name


def test_facts_in_bytes_are_read_and_other_bytes_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet", product_id=[b"p"], uri=[b"a.jpg"], Title=[b"Chair"], thumbnail=[b"\xff\xd8"])
    manifest = read_manifest(find_catalogue(str(tmp_path / "m.parquet")), load_config().catalog)
    assert manifest.columns.facts == {"title": "Title"} and manifest.columns.passed_over == {"thumbnail": "bytes"}


def test_a_name_that_stands_there_twice_is_said(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array(["p"]), pa.array(["a.jpg"]), pa.array(["b.jpg"])], ["product_id", "uri", "uri"]
    )
    pq.write_table(table, tmp_path / "m.parquet")
    assert [row["uri"] for row in rows_of(tmp_path / "m.parquet")] == ["a.jpg"]
    manifest = read_manifest(find_catalogue(str(tmp_path / "m.parquet")), load_config().catalog)
    assert manifest.lines()[-1] == "'uri' stands there more than once; the first is read"


def test_a_table_that_is_compressed_as_a_whole_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet", product_id=["p"], uri=["a.jpg"])
    (tmp_path / "m.parquet.gz").write_bytes(gzip.compress((tmp_path / "m.parquet").read_bytes()))
    with pytest.raises(CatalogueError, match="is Parquet and compressed as a whole; unpack it"):
        find_catalogue(str(tmp_path / "m.parquet.gz"))


@pytest.mark.parametrize(
    ("ids", "read"),
    [
        (pa.array([b"\x01\x02\x03\x04", b"ab12", b"\xff\xfe\x00\x01", b"\x00\x01\x00\x00"], pa.binary(4)),
         ["01020304", "61623132", "fffe0001", "00010000"]),
        (pa.array([b"\xff\xfe\x81\x03", b"\xff\xfe\x8d\x03", b"\x80\x80", b"\x00\x01"], pa.binary()),
         ["fffe8103", "fffe8d03", "8080", "0001"]),
        (pa.array([b"p1", "Stühle".encode("cp1252"), b"q\0", b"p\x81"] + [b"p"] * 20, pa.binary()),
         ["p1", "Stühle", "q\0", "p\\x81"]),
        (pa.array([1_700_000_000_123_456_789, 1_700_000_000_123_456_788, 1_700_000_000_100_000_000, 1_700_000_000_000_000_000],
                  pa.timestamp("ns")),
         ["2023-11-14 22:13:20.123456789", "2023-11-14 22:13:20.123456788", "2023-11-14 22:13:20.1", "2023-11-14 22:13:20"]),
        (pa.array([0, 1, 10, 3_600_000_000_000], pa.timestamp("ns", "Europe/Berlin")),
         ["1970-01-01 00:00:00", "1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.00000001", "1970-01-01 01:00:00"]),
    ],
    ids=["bytes of a fixed length", "bytes", "text in bytes", "nanoseconds", "nanoseconds of a zone"],
)  # fmt: skip
def test_ids_that_differ_stay_apart_and_a_column_has_one_form(tmp_path: Path, ids: pa.Array, read: list[str]) -> None:
    write(tmp_path / "m.parquet", product_id=ids, uri=["a.jpg"] * len(ids))
    assert [row["product_id"] for row in rows_of(tmp_path / "m.parquet")][:4] == read
    write(tmp_path / "m.parquet", product_id=ids.dictionary_encode(), uri=["a.jpg"] * len(ids))
    assert [row["product_id"] for row in rows_of(tmp_path / "m.parquet")][:4] == read


def test_times_of_other_files_are_as_fine_as_the_finest(tmp_path: Path) -> None:
    for name, unit, value in (("1", "us", 1_000_001), ("2", "ns", 1_000_001_007)):
        write(
            tmp_path / "m.parquet" / f"{name}.parquet", product_id=pa.array([value], pa.timestamp(unit)), uri=["a.jpg"]
        )
    read = [row["product_id"] for row in rows_of(tmp_path / "m.parquet")]
    assert read == ["1970-01-01 00:00:01.000001", "1970-01-01 00:00:01.000001007"]
