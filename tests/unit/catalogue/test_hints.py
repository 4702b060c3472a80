"""What a refusal says to type: pasted into a shell, it goes on, or says the next true thing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from commands import prodseek

from prodseek.catalogue.check import Checked, check_catalogue
from prodseek.config import load_config
from prodseek.errors import CatalogueError

ROWS = [{"product_id": f"p{n}", "uri": f"{n}.jpg", "note": "'é"} for n in range(3)]
PRETTY = "\n".join(json.dumps(row, indent=1) for row in ROWS)
SHOP = [{"id": n, "images": [{"src": f"{n}.jpg"}], "title": "Chair"} for n in range(3)]


def checked(catalog: Path, *settings: str) -> Checked:
    return check_catalogue(load_config(settings=settings, catalog=str(catalog)))


def refusal(path: Path) -> str:
    with pytest.raises(CatalogueError) as refused:
        checked(path)
    return str(refused.value)


CURLY = "\u201cproduct_id\u201d,\u201euri\u201d,\u201cnote\u201d\n" + "".join(
    f"\u201cp{n}\u201d,\u201c{n}.jpg\u201d,\u201ca, b\u00e9\u201d\n" for n in range(3)
)
WHOLE = '"product_id;uri;note"\n' + "".join(f'"p{n};{n}.jpg;""a; b\u00e9"""\n' for n in range(3))
FIXED = "product_id  uri    note\n" + "".join(f"p{n}          {n}.jpg  {'x'[:n]} b\u00e9\n" for n in range(3))


@pytest.mark.parametrize("text", [CURLY, WHOLE, FIXED], ids=["curly quotes", "rows in quotes", "columns of a width"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_text_of_another_form_is_converted_by_what_is_said(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "my feed.csv.gz"
    path.write_bytes(gzip.compress(text.encode(encoding)))
    told = refusal(path)
    assert "this may help" not in told
    run, _, target = told[told.index("gzip -dc") :].rpartition(" > ")
    subprocess.run(f"{run} > {target}", shell=True, check=True)
    (converted,) = (one for one in tmp_path.iterdir() if one != path)
    rows = checked(converted).rows
    assert [(row.product_id, row.uri) for row in rows] == [(f"p{n}", f"{n}.jpg") for n in range(3)]
    assert all(row.attributes["note"].endswith("b\u00e9") for row in rows)


@pytest.mark.parametrize("text", ["uri\na.jpg\nb.jpg\n", "a.jpg\nb.jpg\n"], ids=["a header", "none"])
def test_a_single_column_of_photos_is_read_by_what_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    command = shlex.split(refusal(tmp_path / "m.csv").splitlines()[-1].removeprefix("this may help: "))
    assert command[:2] == ["prodseek", "check"]
    settings = [value for option, value in pairwise(command) if option == "--set"]
    assert [row.product_id for row in checked(tmp_path / "m.csv", *settings).rows] == ["a", "b"]


def workbook() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "product_ids"),
    [
        ("m.json", json.dumps(ROWS, indent=1).encode(), ["p0", "p1", "p2"]),
        ("m.json", json.dumps(ROWS).encode("utf-8-sig"), ["p0", "p1", "p2"]),
        ("m.json.gz", gzip.compress(json.dumps(ROWS).encode()), ["p0", "p1", "p2"]),
        ("m.json.bz2", bz2.compress(gzip.compress(json.dumps(ROWS).encode())), ["p0", "p1", "p2"]),
        ("m.jsonl", json.dumps(ROWS).encode(), ["p0", "p1", "p2"]),
        ("m", json.dumps(ROWS).encode(), ["p0", "p1", "p2"]),
        ("m.jsonl", "\n".join(map(json.dumps, (ROWS[:2], ROWS[2:]))).encode(), ["p0", "p1", "p2"]),
        ("m.jsonl", "\n".join(json.dumps(list(row)) for row in (ROWS[0], *(row.values() for row in ROWS))).encode(),
         ["p0", "p1", "p2"]),
        ("m.json", json.dumps({"products": SHOP, "page": 1}).encode(), ["0", "1", "2"]),
        ("m.json", json.dumps({key: {str(n): row[key] for n, row in enumerate(ROWS)} for key in ROWS[0]}).encode(),
         ["p0", "p1", "p2"]),
        ("m.json", json.dumps({"columns": [*ROWS[0]], "index": [0, 1, 2], "data": [[*row.values()] for row in ROWS]}).encode(),
         ["p0", "p1", "p2"]),
    ],
    ids=[
        "an array", "an array in a line", "an array in gzip", "an array packed twice", "an array called lines",
        "an array without ending", "lines of arrays of objects", "lines of arrays", "an object around it", "columns of pandas",
        "pandas in parts",
    ],
)  # fmt: skip
def test_json_of_another_form_is_converted_by_what_is_said(
    tmp_path: Path, name: str, data: bytes, product_ids: list[str]
) -> None:
    folder = tmp_path / "my feeds"
    folder.mkdir()
    (folder / name).write_bytes(data)
    told = refusal(folder / name)
    command = next(line for line in told.splitlines() if "python3 -c" in line)
    command = (
        command.partition("convert it: ")[2]
        or command.partition("make a CSV of it: ")[2]
        or command.partition("a line: ")[2]
    )
    subprocess.run(command, shell=True, check=True)
    (made,) = [path for path in folder.iterdir() if path.name != name]
    assert [row.product_id for row in checked(made).rows] == product_ids


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_objects_over_many_lines_are_joined_by_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(PRETTY)
    told = refusal(tmp_path / "m.jsonl")
    subprocess.run(told[told.index("jq -c") :], shell=True, check=True)
    assert [row.product_id for row in checked(tmp_path / "m-rows.jsonl").rows] == ["p0", "p1", "p2"]


@pytest.mark.parametrize("text", ["[\n%s,\n%s,\n%s\n]\n", "[%s,\n%s,\n%s]", "%s,\n%s,\n%s,\n"])
def test_an_array_with_an_object_a_line_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text % tuple(map(json.dumps, ROWS)))
    assert [(row.product_id, row.outcome) for row in checked(tmp_path / "m.json").rows] == [
        ("p0", "missing"), ("p1", "missing"), ("p2", "missing"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            b'<?xml version="1.0"?><rss xmlns:g="x"><channel><item/></channel></rss>',
            "is XML; export the products as CSV",
        ),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<products>\n", "is XML; export the products as CSV"),
        (b"<!DOCTYPE html>\n<html><body>502 Bad Gateway", "is a web page, most often the message of a server"),
        (workbook(), "is a workbook, whatever its ending is; save it as `CSV UTF-8`"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "is an Excel workbook; save it as `CSV UTF-8`"),
        (b"ARROW1\0\0", "is an Arrow (Feather) file; write the table as Parquet"),
        (b"-- MySQL dump 10.13\nINSERT INTO p VALUES (1);", "is a dump of a database; export the table: mysql"),
    ],
    ids=["xml", "xml with a mark", "a web page", "a workbook", "an old workbook", "feather", "a dump"],
)
def test_formats_that_are_not_read_say_how_to_export(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "m.csv").write_bytes(data)
    assert f"m.csv' {told}" in refusal(tmp_path / "m.csv")


def test_workbooks_are_known_by_their_endings_too(tmp_path: Path) -> None:
    (tmp_path / "products.xlsx").write_bytes(workbook())
    assert "products.xlsx' is a workbook, whatever its ending is; save it as" in refusal(tmp_path / "products.xlsx")


def test_names_of_nested_photos_are_shown_and_ids_are_known_by_their_names(tmp_path: Path) -> None:
    rows = [{"kind": f"k{n}", "handleId": "p", "image": [{"url": f"{n}.jpg"}]} for n in range(2)]
    (tmp_path / "m.json").write_text("\n".join(map(json.dumps, rows)))
    told = refusal(tmp_path / "m.json")
    assert told.endswith("--set catalog.uri_column=image.url --set catalog.product_id_column=handleId")
    command = shlex.split(told.partition("this may help: ")[2])
    found = checked(tmp_path / "m.json", command[-3], command[-1])
    assert [(row.product_id, row.uri) for row in found.rows] == [("p", "0.jpg"), ("p", "1.jpg")]


def test_an_address_without_scheme_is_one_of_the_web(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("product_id,uri\np,//cdn.example.invalid/a.jpg\nq,//b.jpg\n")
    found = checked(tmp_path / "m.csv")
    assert found.settings == ["catalog.http_hosts=[cdn.example.invalid]"]
    (row,) = [row for row in checked(tmp_path / "m.csv", *found.settings).rows if row.product_id == "p"]
    assert row.outcome == "unreadable"


def test_what_is_to_be_typed_stands_blanks_in_paths_and_keeps_the_options(
    tmp_path: Path, make_jpeg: Callable[..., bytes]
) -> None:
    folder, root = tmp_path / "my feeds", tmp_path / "my root"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(make_jpeg())
    (folder / "m y.csv").write_text("Nr;Bild\n1;a.jpg\n2;a.jpg\n")
    (tmp_path / "c.yaml").write_text("cluster:\n  min_samples: 2\n")
    given = ("--root", root, "--env", "local", "--config", tmp_path / "c.yaml", "--set", "catalog.product_id_column=Nr")
    done = prodseek("check", folder / "m y.csv", *given)
    command = shlex.split(done.stderr.partition("this may help: ")[2])
    assert [str(part) for part in given] == command[3:-2] and command[:3] == [
        "prodseek",
        "check",
        str(folder / "m y.csv"),
    ]
    done = prodseek(*command[1:])
    assert done.returncode == 0 and "of the first 2 rows: 2 image" in done.stdout
    start = shlex.split(done.stdout.partition("start it with: ")[2])
    assert start[:4] == ["prodseek", "run", "--catalog", str(folder / "m y.csv")] and start[4:] == command[3:]
    options = [part for before, part in pairwise(start) if before == "--set"]
    assert load_config(settings=options).catalog.uri_column == "Bild"
    done = prodseek("run", "--catalog", folder / "m y.csv", "--root", root)
    again = shlex.split(done.stderr.splitlines()[-1].partition("what to set: ")[2])
    assert again == ["prodseek", "check", str(folder / "m y.csv"), "--root", str(root)]
    assert "Bild: 'a.jpg'" in prodseek(*again[1:]).stderr
    done = prodseek("search", "--image", folder / "a.jpg", "--root", root)
    assert f"`prodseek run nightly --root '{root}' --catalog ...`" in done.stderr
