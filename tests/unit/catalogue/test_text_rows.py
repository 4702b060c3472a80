"""Text manifests in blocks: the same rows with the same numbers however a file is cut, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import json
import random
import re
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from text_blocks import whole_blocks

from prodseek.catalogue import delimited, json_rows, text_file, text_rows
from prodseek.catalogue.check import check_catalogue
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.text_manifest import text_table
from prodseek.catalogue.text_rows import TextTable, read_block
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def opened(path: Path) -> TextTable:
    source = find_catalogue(str(path))
    return text_table(source.uri, source.kind == "json", load_config().catalog)[0]


def rows_of(table: TextTable) -> list[tuple[int, Any, str | None]]:
    """(number, row, fault) of every row, in the blocks that a night would read."""
    found = (some for block in whole_blocks(table) for some in read_block(table, block))
    return [
        (some.first_row + place, row, some.faults.get(place)) for some in found for place, row in enumerate(some.rows)
    ]


def zipped(data: bytes, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("block_bytes", [1 << 23, 4000, 300, 64])
@pytest.mark.parametrize("piece_bytes", [1 << 22, 100])
def test_the_same_rows_however_a_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, piece_bytes: int
) -> None:
    lines = ["product_id,uri,title"]
    for number in range(300):
        title = {
            0: '"two\nlines, and ""more"" of\n\nthem"', 1: '"a, b"', 2: "24\" x", 3: '"open', 4: "ü" * 40,
            5: '"' + "p,q,r\n" * 9 + '"', 6: 'x,y',
        }.get(number % 11, "plain")  # fmt: skip
        lines.append(f"p{number},{number}.jpg,{title}")
    (tmp_path / "m.csv").write_text("\n".join(lines), encoding="utf-8")
    table = opened(tmp_path / "m.csv")
    expected = rows_of(table)
    assert [number for number, *_ in expected] == list(range(1, 301))
    assert [row[0] for _, row, _ in expected] == [f"p{number}" for number in range(300)]
    assert [number for number, _, fault in expected if fault] == [n + 1 for n in range(300) if n % 11 == 3]
    assert expected[5][1][2] == "p,q,r\n" * 9
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(text_rows, "_PIECE_BYTES", piece_bytes)
    assert rows_of(table) == expected


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_compression_and_encoding_change_no_row(tmp_path: Path, kind: str, encoding: str) -> None:
    text = "product_id;uri\r\n" + "".join(f"p{n};Stühle {n}.jpg\r\n" for n in range(200))
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    (tmp_path / "packed.csv.x").write_bytes(zipped(text.encode(encoding), kind))
    plain, packed = rows_of(opened(tmp_path / "m.csv")), rows_of(opened(tmp_path / "packed.csv.x"))
    assert plain == packed and plain[-1] == (200, ["p199", "Stühle 199.jpg"], None)


def test_a_line_of_another_encoding_is_read_by_itself(tmp_path: Path) -> None:
    lines = ["product_id,uri", *(f"p{n},Stühle {n}.jpg" for n in range(3))]
    for encoding, other in (("utf-8", "cp1252"), ("cp1252", "cp1252")):
        data = [line.encode(other if "1.jpg" in line else encoding) for line in lines]
        (tmp_path / "m.csv").write_bytes(b"\n".join(data))
        table = opened(tmp_path / "m.csv")
        assert table.dialect.encoding == encoding
        assert [row[1] for _, row, _ in rows_of(table)] == [f"Stühle {n}.jpg" for n in range(3)]


def test_what_is_compressed_again_is_unpacked_as_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"product_id,uri\n" + b"".join(b"p%d,%d.jpg\n" % (n, n) for n in range(5000))
    (tmp_path / "plain.csv").write_bytes(text)
    expected = rows_of(opened(tmp_path / "plain.csv"))
    for name, data in {
        "m.csv.gz": gzip.compress(gzip.compress(text)),
        "m.csv": gzip.compress(zipped(text, "zstd")),
        "m.csv.gz.zst": zipped(zipped(gzip.compress(text), "zstd"), "zstd"),
        "m.csv.bz2": bz2.compress(text),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert rows_of(opened(tmp_path / name)) == expected
    assert opened(tmp_path / "m.csv").dialect.describe(2, is_json=False) == "commas, UTF-8, zstd in gzip, 2 columns"
    (tmp_path / "deep.csv").write_bytes(gzip.compress(gzip.compress(gzip.compress(gzip.compress(text)))))
    with pytest.raises(CatalogueError, match="compressed more than 3 times over; unpack it"):
        opened(tmp_path / "deep.csv")
    monkeypatch.setattr(text_file, "_BOMB_BYTES", 1 << 20)
    (tmp_path / "bomb.csv").write_bytes(gzip.compress(gzip.compress(b"product_id,uri\n" + b"p,a.jpg\n" * 1_000_000)))
    with pytest.raises(CatalogueError, match="more than 400 times its size"):
        rows_of(opened(tmp_path / "bomb.csv"))


def test_lines_may_end_as_on_old_machines(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"product_id,uri\rp,a.jpg\rq,b.jpg\r")
    assert [row for _, row, _ in rows_of(opened(tmp_path / "m.csv"))] == [["p", "a.jpg"], ["q", "b.jpg"]]


@pytest.mark.parametrize("block_bytes", [1 << 23, 300, 64])
@pytest.mark.parametrize("piece_bytes", [1 << 22, 10])
def test_a_line_end_behind_a_backslash_is_part_of_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, piece_bytes: int
) -> None:
    """As `mysql` writes tables with tabs; a path may end with a backslash, and two of them are one."""
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(text_rows, "_PIECE_BYTES", piece_bytes)
    rows = {
        "p\ta.jpg\tA\\tB": ["p", "a.jpg", "A\\tB"], "q\tb.jpg\t\\N": ["q", "b.jpg", "\\N"],
        "r\tc.jpg\tline\\\nnext\\\nlast": ["r", "c.jpg", "line\\nnext\\nlast"],
        "s\tone\\\ntwo.jpg\tx": ["s", "one\\ntwo.jpg", "x"], "t\td.jpg\tC:\\": ["t", "d.jpg", "C:\\"],
        "u\te.jpg\tC:\\\\": ["u", "e.jpg", "C:\\\\"],
    }  # fmt: skip
    (tmp_path / "m.tsv").write_text("\n".join(["product_id\turi\ttitle", *(list(rows) * 20), "v\tf.jpg\tend\\"]))
    found = rows_of(opened(tmp_path / "m.tsv"))
    assert [row for _, row, _ in found] == [*(list(rows.values()) * 20), ["v", "f.jpg", "end\\"]]
    assert [number for number, *_ in found] == list(range(1, 122)) and not any(fault for *_, fault in found)
    (tmp_path / "plain.tsv").write_text("product_id\turi\ttitle\np\ta.jpg\tx\\\ny\n")
    assert [row for _, row, _ in rows_of(opened(tmp_path / "plain.tsv"))] == [["p", "a.jpg", "x\\"], ["y"]]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_line_without_end_is_one_reject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    for module in (delimited, json_rows, text_file, text_rows):
        monkeypatch.setattr(module, "MAX_ROW_CHARS", 1000)
    monkeypatch.setattr(text_rows, "_PIECE_BYTES", 300)
    lines = ["p,a.jpg", "q," + "x" * 5000, "r,c.jpg"]
    if ending == "jsonl":
        lines = [json.dumps(dict(zip(("product_id", "uri"), line.split(","), strict=True))) for line in lines]
    else:
        lines = ["product_id,uri", *lines]
    (tmp_path / f"m.{ending}").write_text("\n".join(lines) + "\n")
    found = rows_of(opened(tmp_path / f"m.{ending}"))
    assert [number for number, *_ in found] == [1, 2, 3]
    assert [fault for *_, fault in found] == [None, "is longer than 1,000 characters", None]


def test_a_bomb_is_refused_before_it_is_unzipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "_BOMB_BYTES", 1 << 22)
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress(b"product_id,uri\n" + b"p,a.jpg\n" * (1 << 20), 9))
    table = opened(tmp_path / "m.csv.gz")
    size_bytes = (tmp_path / "m.csv.gz").stat().st_size
    with pytest.raises(CatalogueError, match="unpacks to more than 400 times its size") as refused:
        rows_of(table)
    figures = re.search(r"of its ([\d,]+) bytes the first ([\d,]+) hold ([\d,]+) bytes", str(refused.value))
    assert figures is not None
    in_all, read, held = (int(figure.replace(",", "")) for figure in figures.groups())
    assert in_all == size_bytes and 0 < read <= size_bytes and held > 400 * read


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["unix", "windows"])
def test_blank_lines_without_number_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    monkeypatch.setattr(text_rows, "_PIECE_BYTES", 200_001)
    blank = end * 200_000
    text = end.join(
        [b"product_id,uri,title", b"p,a.jpg,1" + blank + b'q,b.jpg,"two', b"", b'lines"' + blank, b"r,c.jpg,3"]
    )
    (tmp_path / "m.csv").write_bytes(text)
    expected = [["p", "a.jpg", "1"], ["q", "b.jpg", f"two{2 * end.decode()}lines"], ["r", "c.jpg", "3"]]
    assert [row for _, row, _ in rows_of(opened(tmp_path / "m.csv"))] == expected


TWO = gzip.compress(b"product_id,uri\np,a.jpg\n") + gzip.compress(b"q,b.jpg\n")
CRC = zlib.crc32(b"q,b.jpg\n")


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 100_000], ids=["none", "a byte", "a block"])
def test_zeros_behind_the_end_of_gzip_are_nothing(tmp_path: Path, padding: bytes) -> None:
    (tmp_path / "m.csv.gz").write_bytes(TWO + padding)
    assert [row for _, row, _ in rows_of(opened(tmp_path / "m.csv.gz"))] == [["p", "a.jpg"], ["q", "b.jpg"]]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            TWO + b"JUNK",
            "behind the end of its compressed text there is something else, after 31 bytes of text in 3 lines",
        ),
        (TWO[:-9], "Truncated compressed stream, after 31 bytes of text in 3 lines"),
        (
            TWO[:-8] + b"\0" * 8,
            f"CRC check failed 0x0 != {CRC:#x}, after 31 bytes of text in 3 lines",
        ),
    ],
    ids=["something else behind it", "cut", "changed"],
)
def test_how_far_a_damaged_file_was_read_is_said(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "m.csv.gz").write_bytes(data)
    with pytest.raises(CatalogueError) as refused:
        opened(tmp_path / "m.csv.gz")
    assert f"cannot be read to its end: {told}" in str(refused.value)


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    data = gzip.compress(b"product_id,uri\n" + bytes(str(list(range(300_000))), "ascii").replace(b" ", b"\n"))
    (tmp_path / "m.csv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CatalogueError, match=r"m\.csv\.gz' cannot be read to its end: .*Write it anew"):
        rows_of(opened(tmp_path / "m.csv.gz"))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bz2", "gzip in gzip", "a wrong checksum"])
def test_what_can_be_read_of_a_damaged_file_is_counted(tmp_path: Path, kind: str) -> None:
    lines = [b"product_id,uri,t"] + [
        b"p%d,a.jpg,%s" % (n, random.Random(n).randbytes(30).hex().encode()) for n in range(40_000)
    ]
    data = b"\n".join(lines)
    packed = zipped(data, "gzip" if kind == "a wrong checksum" else kind.partition(" ")[0])
    if kind == "gzip in gzip":
        packed = gzip.compress(packed)
    damaged = packed[:-8] + b"12345678" if kind == "a wrong checksum" else packed[: len(packed) * 7 // 8]
    (tmp_path / "m.csv").write_bytes(damaged)
    table = opened(tmp_path / "m.csv")
    with pytest.raises(CatalogueError) as refused:
        rows_of(table)
    told = re.search(
        r"cannot be read to its end: .+, after ([\d,]+) bytes of text in ([\d,]+) lines\. It is", str(refused.value)
    )
    assert told is not None, refused.value
    n_bytes, n_lines = (int(number.replace(",", "")) for number in told.groups())
    if kind != "gzip in gzip":  # of which the inner file is counted
        assert n_lines == data[:n_bytes].count(b"\n") and n_bytes > 0.5 * len(data)
    with pytest.raises(CatalogueError, match="cannot be read to its end"):
        check_catalogue(load_config(catalog=str(tmp_path / "m.csv")))


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"product_id": 12345678901234567890, "uri": "a.jpg", "price": 1.50}',
        "", "[1]", '{"uri": ', '{"b": 1}', "[" * 100_000,
    ]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    table = opened(tmp_path / "m.jsonl")
    assert table.columns == ("product_id", "uri", "price", "b")
    found = rows_of(table)
    assert found[0] == (1, {"product_id": "12345678901234567890", "uri": "a.jpg", "price": "1.50"}, None)
    assert [bool(fault) for *_, fault in found] == [False, True, True, False, True]
    (tmp_path / "mongo.json").write_text(
        '{"product_id": {"$numberLong": "9007199254740993"}, "uri": {"$oid": "a.jpg"}}'
    )
    (row,) = check_catalogue(load_config(catalog=str(tmp_path / "mongo.json"))).rows
    assert (row.product_id, row.uri) == ("9007199254740993", "a.jpg")
    (tmp_path / "array.json").write_text('[{"uri": "a.jpg"}]')
    with pytest.raises(CatalogueError, match="is one JSON array, not an object a line; convert it: python3"):
        opened(tmp_path / "array.json")
