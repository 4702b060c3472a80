"""`prodseek check`: how a catalogue is read, what becomes of its first rows, and what to set."""

from __future__ import annotations

import gzip
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import prodseek

from prodseek.catalogue import check
from prodseek.catalogue.check import Checked, check_catalogue
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def checked(catalog: Path, *settings: str) -> Checked:
    return check_catalogue(load_config(settings=settings, catalog=str(catalog)))


def test_rows_are_counted_by_what_becomes_of_them(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "page.jpg").write_bytes(b"<html>")
    lines = ["Product_ID;uri;Title", "p;a.jpg;Chair", "q;gone.jpg;", "r;page.jpg;", ";a.jpg;", "s", 't;a.jpg;"open']
    (tmp_path / "m.csv").write_text("\n".join(lines))
    found = checked(tmp_path / "m.csv")
    assert found.counts == {"invalid_row": 3, "image": 1, "missing": 1, "not_an_image": 1} and found.settings == []
    assert found.lines == [
        f"{tmp_path}/m.csv: semicolons, UTF-8, 3 columns",
        "columns found: product_id = 'Product_ID', uri, title = 'Title'; not found: category, colour, supplier, created, ean",
    ]
    assert [row.detail for row in found.rows if row.outcome == "invalid_row"] == [
        "row 4 names no product_id", "row 5 has 1 values, the header 3", "row 6 does not close the quote of its value 3",
    ]  # fmt: skip
    assert found.rows[0].attributes == {"Title": "Chair", "title": "Chair"}


def test_what_would_help_is_ready_to_be_typed(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "b.jpg").write_bytes(make_jpeg())
    (tmp_path / "feed").mkdir()
    rows = ["p,a.jpg|b.jpg", "q,https://img.example.com/c.jpg", f"r,{tmp_path}/a.jpg"]
    (tmp_path / "feed" / "m.csv").write_text("product_id,uri\n" + "\n".join(rows))
    found = checked(tmp_path / "feed" / "m.csv")
    assert found.settings == [
        'catalog.uri_separators=["|"]', "catalog.http_hosts=[img.example.com]", f"catalog.allowed_roots=[{tmp_path}]",
    ]  # fmt: skip
    helped = checked(tmp_path / "feed" / "m.csv", found.settings[2])
    assert helped.counts["image"] == 1
    (tmp_path / "m.csv").write_text("product_id,uri\np,a.jpg|b.jpg\n")
    assert checked(tmp_path / "m.csv", found.settings[0]).counts == {"image": 2}


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_columns_that_are_not_there_are_guessed_by_what_is_in_them(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"sku": [1, 2], "shop": ["x", "x"], "Bild": ["a.jpg", "b.png"]}), path)
    elif ending == "csv":
        path.write_text("sku,shop,Bild\n1,x,a.jpg\n2,x,b.png\n")
    else:
        path.write_text('{"sku": 1, "shop": "x", "Bild": "a.jpg"}\n{"sku": 2, "shop": "x", "Bild": "b.png"}\n')
    with pytest.raises(CatalogueError) as error:
        checked(path)
    assert "\n  sku: '1'\n  shop: 'x'\n  Bild: 'a.jpg'\n" in str(error.value)
    helps = "--set catalog.uri_column=Bild --set catalog.product_id_column=sku"
    assert str(error.value).endswith(f"this may help: prodseek check {path} {helps}")
    assert checked(path, "catalog.uri_column=Bild", "catalog.product_id_column=sku").counts == {"missing": 2}


def test_folders_and_photos_in_manifests_are_checked_too(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "shop" / "cut.jpg").write_bytes(make_jpeg()[:400])
    found = checked(tmp_path / "shop")
    assert sum(found.counts.values()) == 2 and found.counts["image"] == 1 and "a folder of 2 photos" in found.lines[0]
    pq.write_table(pa.table({"product_id": ["p"], "photo": [make_jpeg()]}), tmp_path / "held.parquet")
    held = checked(tmp_path / "held.parquet", "catalog.bytes_column=photo", "catalog.uri_column=null")
    assert held.counts == {"photo in the manifest": 1}


def test_the_command_prints_it(tmp_path: Path, make_jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "m.csv").write_text("Nr;uri\np;a.jpg\n")
    options = ("--set", "catalog.product_id_column=Nr", "--root", tmp_path / "root")
    done = prodseek("check", tmp_path / "m.csv", *options)
    assert done.returncode == 0 and "of the first 1 rows: 1 image" in done.stdout, done.stderr
    root = f"--root {tmp_path}/root --set catalog.product_id_column=Nr"
    assert done.stdout.endswith(f"start it with: prodseek run --catalog {tmp_path}/m.csv {root}\n")
    assert not (tmp_path / "root").exists(), "nothing is written"
    done = prodseek("check", tmp_path / "m.csv")
    assert done.returncode == 2 and "no column 'product_id'" in done.stderr
    assert prodseek("--version").stdout.startswith("prodseek ")


def test_all_that_is_missing_is_named_and_what_is_found_by_another_name_counted(
    tmp_path: Path, make_jpeg: Callable[..., bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "b c.jpg").write_bytes(make_jpeg())
    names = ["a.jpg"] * 10 + ["A.jpg", "A.jpg", "b%20c.jpg", "gone-1.jpg", "gone-2.jpg"]
    lines = [f"p{n},{name}" for n, name in enumerate(names)]
    (tmp_path / "m.csv").write_text("\n".join(["product_id,uri", *lines]))
    found = checked(tmp_path / "m.csv")
    assert found.counts == {"image": 13, "missing": 2} and found.missing == ["gone-1.jpg", "gone-2.jpg"]
    assert found.found_otherwise == {"capitals or slashes": 1, "percent-encoding": 1}
    check.show_check(found, ())
    said = capsys.readouterr().out.splitlines()
    assert said[-4:-1] == [
        "of the first 15 rows: 13 image, 2 missing",
        "2 photos found though their names are spelled otherwise: 1 by capitals or slashes, 1 by percent-encoding",
        "missing: 'gone-1.jpg', 'gone-2.jpg'",
    ]


@pytest.mark.parametrize(
    ("name", "told"), [("m.csv.gz", "only the first 1 MB of the text"), ("m.parquet", "only the first 8,192 rows")]
)
def test_what_is_too_large_for_seconds_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setattr(check, "_READ_SECONDS", 0.0)
    ids, uris = [f"p{n}" for n in range(9000)], ["x" * 200 + ".jpg"] * 9000
    if name == "m.parquet":
        pq.write_table(pa.table({"product_id": ids, "uri": uris}), tmp_path / name)
    else:
        (tmp_path / name).write_bytes(
            gzip.compress("\n".join(["product_id,uri", *map("{},{}".format, ids, uris)]).encode())
        )
    assert checked(tmp_path / name).lines[-1].startswith(told)


def test_a_file_in_place_of_a_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (("status",), ("search", "--image", "x.jpg"), ("verify",)):
        done = prodseek(*command, "--root", tmp_path / "file")
        assert done.returncode == 1 and "Errno" not in done.stderr
        assert "/file is a file, not a folder of runs; name the folder that" in done.stderr


@pytest.mark.parametrize(
    "name", ["#", "No", "12", "Image: Front", "null"], ids=["comment", "no", "twelve", "mapping", "null"]
)
def test_names_that_yaml_takes_for_something_else_are_quoted(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.csv").write_text(f'"{name}",photo,words\n1,a.jpg,x\n2,b.jpg,x\n3,c.jpg,x\n')
    with pytest.raises(CatalogueError) as refused:
        checked(tmp_path / "m.csv")
    command = shlex.split(str(refused.value).partition("this may help: ")[2])
    settings = [part for before, part in pairwise(command) if before == "--set"]

    found = checked(tmp_path / "m.csv", *settings)

    assert found.rows[0].product_id == "1" and found.rows[0].uri == "a.jpg"


def test_a_table_without_a_header_is_read_by_what_the_hint_says(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("p1,a.jpg,Chair\np2,b.jpg,Chair\np3,c.jpg,Chair\n")
    with pytest.raises(CatalogueError, match="seems to be no header but a row") as refused:
        checked(tmp_path / "m.csv")
    command = shlex.split(str(refused.value).partition("this may help: ")[2])
    assert command[-1] == "catalog.csv_header=[product_id, uri, c3]"
    assert [(row.product_id, row.uri) for row in checked(tmp_path / "m.csv", command[-1]).rows] == [
        ("p1", "a.jpg"), ("p2", "b.jpg"), ("p3", "c.jpg"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.parquet"])
def test_a_table_without_rows_is_refused_as_the_night_would(tmp_path: Path, name: str) -> None:
    if name == "m.parquet":
        pq.write_table(
            pa.table({"product_id": pa.array([], pa.string()), "uri": pa.array([], pa.string())}), tmp_path / name
        )
    else:
        (tmp_path / name).write_text("product_id,uri\n" if name == "m.csv" else "\n\n")
    with pytest.raises(CatalogueError, match=r"has no rows|is empty"):
        checked(tmp_path / name)


def test_an_encoding_that_is_assumed_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("product_id,uri\nžába,a.jpg\n".encode("cp1250"))
    assert (
        checked(tmp_path / "m.csv")
        .lines[1]
        .startswith(
            "the text does not say its encoding: Windows-1252 (Latin-1) is assumed. Where letters come out wrong, name it: --set "
            "catalog.encoding=cp1250 (Czech, Polish ...)"
        )
    )
    found = checked(tmp_path / "m.csv", "catalog.encoding=cp1250")
    assert found.rows[0].product_id == "žába" and found.lines[1].startswith("columns found")
