"""Catalogues as spreadsheets, dumps and pandas leave them: what a night makes of each."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from prodseek.catalogue import text_rows
from prodseek.catalogue.check import check_catalogue
from prodseek.config import Config
from prodseek.errors import CatalogueError
from prodseek.jobs import ingest
from prodseek.runs.store import Run
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue

Expected = tuple[dict[str, str], dict[str, str]]
TWO = "product_id,uri\np1,a.jpg\np2,b.jpg\n"


def zipped(text: str) -> bytes:
    return gzip.compress(text.encode())


def zstandard(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text.encode())
    return bytes(sink.getvalue())


# name of the file, what is in it, settings, images (photo -> product), rejects (row's fault -> reason)
TEXTS: list[tuple[str, str, bytes, tuple[str, ...], dict[str, str], list[str]]] = [
    ("semicolons", "m.csv", b"product_id;uri;title\np1;a.jpg;x\np2;b.jpg;y\n", (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("tabs", "m.tsv", TWO.replace(",", "\t").encode(), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("sep line", "m.csv", b"sep=|\r\n" + TWO.replace(",", "|").encode(), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("utf 16", "m.csv", TWO.encode("utf-16"), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("latin 1", "m.csv", "product_id,uri\nStühle,a.jpg\n".encode("latin-1"), (), {"a.jpg": "Stühle"}, []),
    (
        "another encoding", "m.csv", "product_id,uri\nžába,a.jpg\n".encode("cp1250"),
        ("catalog.encoding=cp1250",), {"a.jpg": "žába"}, [],
    ),
    ("gzip", "m.csv.gz", zipped(TWO), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("zstd", "m.csv.zst", zstandard(TWO), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("gzip by another name", "m.csv", zipped(TWO), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    (
        "long cell", "m.csv", b'product_id,uri,text\np1,a.jpg,"' + b"<p>x</p>" * 25_000 + b'"\np2,b.jpg,y\n',
        (), {"a.jpg": "p1", "b.jpg": "p2"}, [],
    ),
    (
        "stray quote", "m.csv", b'product_id,uri,title\np1,a.jpg,"24" monitor"\np2,b.jpg,"24\\" x"\n',
        (), {"a.jpg": "p1", "b.jpg": "p2"}, [],
    ),
    (
        "open quote", "m.csv", b'product_id,uri,title\np1,a.jpg,"24\np2,b.jpg,ok\np3,c.jpg\n',
        (), {"b.jpg": "p2"}, ["row 1 does not close the quote of its value 3", "row 3 has 2 values, the header 3"],
    ),
    ("empty headers", "m.csv", b"product_id,uri,,\np1,a.jpg,,\n", (), {"a.jpg": "p1"}, []),
    ("index of pandas", "m.csv", b",product_id,uri\n0,p1,a.jpg\n", (), {"a.jpg": "p1"}, []),
    ("trailing comma", "m.csv", b"product_id,uri,t\np1,a.jpg,x,\np2,b.jpg,y,\n", (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
    ("spaced headers", "m.csv", b" Product_ID , URI \np1,a.jpg\n", (), {"a.jpg": "p1"}, []),
    (
        "several in a cell", "m.csv",
        b'product_id,uri\np1,"a.jpg, b.jpg"\np2,c.jpg|d.jpg|\np3,"High Street, London.jpg"\n',
        ("catalog.uri_separators=[',', '|']",),
        {"a.jpg": "p1", "b.jpg": "p1", "c.jpg": "p2", "d.jpg": "p2", "High Street, London.jpg": "p3"}, [],
    ),
    (
        "a list in a cell", "m.csv", b'product_id,uri\np1,"[""a.jpg"", ""b.jpg""]"\np2,c.jpg\n',
        (), {"a.jpg": "p1", "b.jpg": "p1", "c.jpg": "p2"}, [],
    ),
    (
        "no value in words", "m.csv", b"product_id,uri\nNaN,a.jpg\np2,NULL\nNA,c.jpg\n",
        (), {"c.jpg": "NA"}, ["row 1 names no product_id", "row 2 names no uri"],
    ),
    (
        "json lines", "m.jsonl",
        b'{"Product ID": 12345678901234567890, "uri": ["a.jpg", "b.jpg"]}\n{"Product ID": 1.50, "uri": "c.jpg"}\n{"uri": \n',
        (), {"a.jpg": "12345678901234567890", "b.jpg": "12345678901234567890", "c.jpg": "1.50"}, ["row 3 is no JSON: "],
    ),
    (
        "json of a shop", "m.json", b'{"id": 7, "images": [{"src": "a.jpg"}, {"src": "b.jpg"}]}\n',
        ("catalog.uri_column=images.src", "catalog.product_id_column=id"), {"a.jpg": "7", "b.jpg": "7"}, [],
    ),
    ("no ending", "dump", TWO.encode(), (), {"a.jpg": "p1", "b.jpg": "p2"}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "settings", "images", "faults"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS]
)
def test_a_text_of_each_kind(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg: Callable[..., bytes], make_config: Callable[..., Config],
    tables: Callable[[Run, str], pa.Table], name: str, data: bytes, settings: tuple[str, ...], images: dict[str, str],
    faults: list[str],
) -> None:  # fmt: skip
    for number, photo in enumerate(images):
        (tmp_path / photo).write_bytes(make_jpeg(colour=(40 * number, 90, 200)))
    (tmp_path / name).write_bytes(data)
    summary = ingest.run(Night.of(spark, make_config(tmp_path / name, empty_run.root, *settings), empty_run))
    found = tables(empty_run, "images").to_pylist()
    assert {row["uri"]: row["product_id"] for row in found} == images and len(found) == len(images)
    rejected = sorted(tables(empty_run, "rejects").to_pylist(), key=lambda row: row["detail"])
    assert {row["reason"] for row in rejected} <= {"invalid_row"} and len(rejected) == len(faults)
    assert all(row["detail"].startswith(fault) for row, fault in zip(rejected, faults, strict=True))
    assert summary.facts.input_rows == len(images) + len(faults)


def in_parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


WORDS = pa.array([b"p1", "Stühle".encode("cp1252"), b"q\0", b"p1", None], pa.binary())
# name of the file, what is in it: catalogues with what a night rejects
COUNTED: dict[str, tuple[str, bytes]] = {
    "repeats": ("m.csv", b"product_id,uri\np,a.jpg\np,a.jpg\nq,a.jpg\np,gone.jpg\np,gone.jpg\n,\n"),
    "a faulty row and a good one": ("m.csv", b"product_id,uri,t\np,a.jpg\np,a.jpg,x\np,a.jpg,y\n"),
    "lists in json": ("m.jsonl",
        b'{"product_id": 1, "uri": ["a.jpg", null, "a.jpg"]}\n{"Product_ID": 2, "URI": [null]}\n{"uri": []}\n'),
    "lists in parquet": (
        "m.parquet",
        in_parquet(product_id=["p", "q", "r", None], uri=[["a.jpg", None, "b.jpg"], [None], [], ["a.jpg", "a.jpg"]]),
    ),
    "lists in cells": ("m.parquet", in_parquet(product_id=["p", "NaN"], uri=['["a.jpg", null, "b.jpg"]', "a.jpg"])),
    "bytes": ("m.parquet", in_parquet(product_id=WORDS, uri=[b"a.jpg", b"b.jpg", b"a.jpg", b"a.jpg", b"b.jpg"], title=WORDS)),
    "google": ("m.tsv", b"id\timage_link\tadditional_image_link\n1\ta.jpg\tb.jpg, a.jpg\n2\t\tb.jpg\n3\t\t\n"),
    "shopify": ("m.csv", b"Handle,Title,Image Src\np,Chair,a.jpg\np,,b.jpg\np,,\nq,Table,\nr,Lamp,gone.jpg\n"),
    "shopify with variants": ("m.csv",
        b"Handle,Title,Vendor,Variant SKU,Image Src,Variant Image\n"
        b"p,Chair,V,S,a.jpg,b.jpg\np,,,M,,b.jpg\np,,,L,b.jpg,a.jpg\nq,Table,,,,\nr,,,S,,a.jpg\nr,Lamp,,M,,a.jpg\np,,,,a.jpg,\n"),
    "magento": ("m.csv",
        b"sku,store_view_code,name,base_image,additional_images\n"
        b'p,,Bag,a.jpg,"b.jpg,gone.jpg"\np,de,Tasche,,\nq,,Cup,no_selection,no_selection\nr,,Mug,no_selection,b.jpg\n,,,,\n'),
    "ids and objects": ("m.jsonl",
        b'{"product_id": [1, 2], "uri": "a.jpg"}\n{"product_id": [1, 3], "uri": "a.jpg"}\n'
        b'{"product_id": "\\ud800", "uri": "a.jpg"}\n{"product_id": "\\ud801", "uri": "a.jpg"}\n'
        b'{"product_id": 1, "uri": {"src": "a.jpg"}}\n{"product_id": 2, "uri": [{"src": "b.jpg", "alt": "x"}, "a.jpg"]}\n'),
    "letters that are none": ("m.csv", b"product_id,uri\nA\x81,a.jpg\nA\x8d,a.jpg\nA\xe9,a.jpg\n"),
    "woocommerce": ("m.csv", b"ID,SKU,Name,Images\n1,,Cup,a.jpg\n2,s,Cup,b.jpg\n,,Cup,b.jpg\n"),
    "no product": ("m.csv", b"uri\na.jpg\na.jpg\n\nb.jpg\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COUNTED)
def test_check_and_a_night_say_the_same(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg: Callable[..., bytes], make_config: Callable[..., Config],
    tables: Callable[[Run, str], pa.Table], kind: str,
) -> None:  # fmt: skip
    for number, photo in enumerate(("a.jpg", "b.jpg")):
        (tmp_path / photo).write_bytes(make_jpeg(colour=(40 * number, 90, 200)))
    name, data = COUNTED[kind]
    (tmp_path / name).write_bytes(data)
    settings = ("catalog.product_id_column=null",) if kind == "no product" else ()
    config = make_config(tmp_path / name, empty_run.root, *settings)

    checked = check_catalogue(config)
    ingest.run(Night.of(spark, config, empty_run))

    images, rejects = (tables(empty_run, table).to_pylist() for table in ("images", "rejects"))
    night = [(row["product_id"], row["uri"], "image", "") for row in images]
    night += [(row["product_id"], row["uri"], row["reason"], row["detail"]) for row in rejects]
    assert Counter((row.product_id, row.uri, row.outcome, row.detail) for row in checked.rows) == Counter(night)
    attributes = Counter(
        json.dumps([row.uri, *sorted(row.attributes.items())]) for row in checked.rows if row.outcome == "image"
    )
    assert attributes == Counter(json.dumps([row["uri"], *sorted(row["attributes"])]) for row in images)


@pytest.mark.parametrize("partitions", [1, 8])
def test_a_product_of_several_rows_has_each_photo_once_and_one_title(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config], partitions: int
) -> None:
    header = "Handle,Title,Vendor,Variant SKU,Image Src,Variant Image"
    lines = ["shirt,Shirt,V,S,1.jpg,7.jpg", "shirt,,,M,2.jpg,8.jpg", "shirt,,,L,,7.jpg", "shirt,,,XL,8.jpg,8.jpg"]
    lines += ["cup,Cup,V,,3.jpg,", "mug,Mug,V,,,", "hat,,,S,,9.jpg", "hat,Hat,W,M,,"]
    (tmp_path / "m.csv").write_text("\n".join([header, *lines]))
    suit_catalogue(spark, 10**6 if partitions == 8 else 1)
    config = make_config(tmp_path / "m.csv", tmp_path / "root")
    found = catalogue_rows(spark, open_catalogue(config.catalog), config.catalog)
    rows = {row["uri"]: row["attributes"] for row in found.rows.collect()}
    assert found.tallies.n_without_photo.value == 2
    assert sorted(rows) == [f"{n}.jpg" for n in (1, 2, 3, 7, 8, 9)] and found.rows.count() == 6
    titles = {uri: (told["title"], told["Title"], told["supplier"]) for uri, told in rows.items()}
    assert titles == {
        **dict.fromkeys(("1.jpg", "2.jpg", "7.jpg", "8.jpg"), ("Shirt", "Shirt", "V")),
        "3.jpg": ("Cup", "Cup", "V"), "9.jpg": ("Hat", "Hat", "W"),
    }  # fmt: skip
    assert rows["8.jpg"]["Variant SKU"] == "XL", "the row of the photo itself, not that of a variant"
    assert "among the first rows 2 rows have no photo: passed over" in check_catalogue(config).lines


def rows_of(spark: SparkSession, config: Config) -> DataFrame:
    return catalogue_rows(spark, open_catalogue(config.catalog), config.catalog).rows


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_ids_are_what_a_person_sees(spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]) -> None:
    floats = pa.array([123.0, 12345678901.0, None, 1.5, float("nan")])
    path = written(tmp_path / "m.parquet", product_id=floats, uri=list("abcde"), ean=floats, price=floats)
    rows = {row["uri"]: row for row in rows_of(spark, make_config(path, tmp_path / "root")).collect()}
    assert [rows[uri]["product_id"] for uri in "abcde"] == ["123", "12345678901", None, "1.5", None]
    assert rows["a"]["attributes"] == {"ean": "123", "price": "123.0"}
    assert rows["b"]["attributes"] == {"ean": "12345678901", "price": "12345678901"} and rows["c"]["attributes"] == {}
    beyond = pa.array([float("inf"), 1e19, 7.0])
    path = written(tmp_path / "beyond.parquet", product_id=beyond, uri=list("abc"), ean=beyond)
    rows = {row["uri"]: row for row in rows_of(spark, make_config(path, tmp_path / "root")).collect()}
    assert [rows[uri]["product_id"] for uri in "abc"] == ["Infinity", "10000000000000000000", "7"], (
        "no cell refuses the night"
    )
    cents = pd.DataFrame({"product_id": [10_000_000], "uri": ["a"]})
    cents.to_parquet(tmp_path / "ints.parquet")
    (row,) = rows_of(spark, make_config(tmp_path / "ints.parquet", tmp_path / "root")).collect()
    assert row["product_id"] == "10000000"


def test_values_are_written_as_spark_writes_them(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    """A catalogue in Parquet reads as it did when Spark read the files itself."""
    columns = {
        "flag": pa.array([True, None]), "small": pa.array([-1, 2], pa.int8()), "count": pa.array([1, 2], pa.uint32()),
        "price": pa.array([9.5, 0.0001]), "half": pa.array([0.1, 1e6], pa.float32()), "text": pa.array([" x ", ""]),
        "cents": pa.array([1, 200], pa.decimal128(12, 2)), "day": pa.array([0, 20000], pa.date32()),
        "at": pa.array([0, 1], pa.timestamp("us", "Europe/Berlin")), "local": pa.array([0, 1], pa.timestamp("ms")),
        "sizes": pa.array([["S", "M"], None]), "of": pa.array([{"a": 1, "b": "x"}, None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), "a.b": pa.array(["dot", None]),
        "Size": pa.array(["in", "other"]), "si`ze": pa.array(["tick", "tick"]),
    }  # fmt: skip
    path = written(tmp_path / "m.parquet", product_id=["p", "q"], uri=["a.jpg", "b.jpg"], **columns)
    rows = rows_of(spark, make_config(path, tmp_path / "root")).collect()
    plain = spark.read.parquet(str(path))
    texts = plain.selectExpr(
        "uri", *(f"trim(cast(`{c.replace('`', '``')}` as string)) as `{n}`" for n, c in enumerate(columns))
    )
    expected = {
        row["uri"]: {name: row[str(n)] for n, name in enumerate(columns) if row[str(n)]} for row in texts.collect()
    }
    assert {row["uri"]: row["attributes"] for row in rows} == expected


def test_parquet_as_pandas_and_hugging_face_write_it(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    frame = pd.DataFrame(
        {"product_id": ["p1", "p2"], "uri": ["a.jpg", "b.jpg"], "when": pd.to_datetime(["2026-01-01"] * 2)}
    )
    frame.set_index("product_id").to_parquet(tmp_path / "index.parquet", compression="brotli")
    frame.iloc[::-1].to_parquet(tmp_path / "numbered.parquet", engine="pyarrow", index=True)
    for name in ("index", "numbered"):
        rows = rows_of(spark, make_config(tmp_path / f"{name}.parquet", tmp_path / "root")).collect()
        assert {row["product_id"]: row["uri"] for row in rows} == {"p1": "a.jpg", "p2": "b.jpg"}
        assert all(row["attributes"] == {"when": "2026-01-01 00:00:00"} for row in rows)
    lists = written(
        tmp_path / "lists.parquet", product_id=["p", "q", "r"], uri=[["a.jpg", None, " b.jpg"], ["c.jpg"], []]
    )
    rows = rows_of(spark, make_config(lists, tmp_path / "root")).collect()
    assert sorted((row["product_id"], row["uri"] or "") for row in rows) == [
        ("p", "a.jpg"), ("p", "b.jpg"), ("q", "c.jpg"), ("r", ""),
    ]  # fmt: skip
    cells = written(tmp_path / "cells.parquet", product_id=["p", "q"], uri=['["a.jpg", "b.jpg"]', '["c.jpg'])
    rows = rows_of(spark, make_config(cells, tmp_path / "root")).collect()
    assert {row["uri"] for row in rows} == {"a.jpg", "b.jpg", '["c.jpg'}
    structs = written(
        tmp_path / "structs.parquet", id=[1], images=[[{"src": "a.jpg", "alt": "x"}, {"src": "b.jpg", "alt": ""}]]
    )
    settings = ("catalog.uri_column=images.src", "catalog.product_id_column=ID")
    rows = rows_of(spark, make_config(structs, tmp_path / "root", *settings)).collect()
    assert {row["uri"] for row in rows} == {"a.jpg", "b.jpg"} and {row["product_id"] for row in rows} == {"1"}


def test_what_is_wrong_with_a_manifest_says_what_was_read_and_what_to_set(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    (tmp_path / "m.csv").write_text("sku;Bild\n1;a.jpg\n")
    with pytest.raises(CatalogueError) as error:
        rows_of(spark, make_config(tmp_path / "m.csv", tmp_path / "root"))
    assert "read as semicolons, UTF-8, 2 columns, with the first line 'sku;Bild', has no column 'uri'" in str(
        error.value
    )
    assert "--set catalog.uri_column=..." in str(error.value)
    numbers = json.dumps(list(np.random.default_rng(0).random(400_000))).encode()
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(numbers)[:-400_000])
    with pytest.raises(CatalogueError, match=r"cut\.csv\.gz"):
        rows_of(spark, make_config(tmp_path / "cut.csv.gz", tmp_path / "root")).collect()


@pytest.mark.parametrize("partitions", [1, 8])
def test_the_same_rows_in_any_number_of_tasks(
    spark: SparkSession,
    tmp_path: Path,
    make_config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    partitions: int,
) -> None:
    """Rows, their faults with their numbers, and the fingerprint."""
    lines = [f'p{n},{n}.jpg,"{"two" + chr(10) + "lines" if n % 3 else "one"}"' for n in range(400)]
    lines[57] = 'p57,57.jpg,"open'
    lines[311] = "p311,311.jpg"
    (tmp_path / "m.csv").write_text("product_id,uri,title\n" + "\n".join(lines))
    suit_catalogue(spark, 10**6 if partitions == 8 else 1)
    size = (tmp_path / "m.csv").stat().st_size
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", size // 8 if partitions == 8 else 2 * size)
    config = make_config(tmp_path / "m.csv", tmp_path / "root")
    rows = rows_of(spark, config)
    assert rows.rdd.getNumPartitions() >= partitions
    found = rows.collect()
    assert Counter(row["product_id"] for row in found) == Counter(f"p{n}" for n in range(400))
    faults = {row["product_id"]: row["_fault"] for row in found if row["_fault"]}
    assert faults == {
        "p57": "row 58 does not close the quote of its value 3",
        "p311": "row 312 has 2 values, the header 3",
    }
    assert all(row["attributes"]["title"] == "two\nlines" for row in found if row["uri"] == "100.jpg")


def test_many_rows_come_in_as_pandas_reads_them(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against another reader, on a well-made file in many blocks."""
    random = np.random.default_rng(7)
    marks = np.array(list('ab ,"\nü;'))
    texts = ["".join(random.choice(marks, 12)) + "." for _ in range(3000)]
    frame = pd.DataFrame(
        {"product_id": [f"p{n}" for n in range(3000)], "uri": [f"{n}.jpg" for n in range(3000)], "text": texts}
    )
    frame.to_csv(tmp_path / "m.csv", index=False)
    monkeypatch.setattr(text_rows, "BLOCK_BYTES", 9000)
    rows = rows_of(spark, make_config(tmp_path / "m.csv", tmp_path / "root")).collect()
    expected = pd.read_csv(io.BytesIO((tmp_path / "m.csv").read_bytes()), dtype=str)
    assert {row["uri"]: row["attributes"]["text"] for row in rows} == {
        uri: text.strip() for uri, text in zip(expected["uri"], expected["text"], strict=True)
    }
    assert not any(row["_fault"] for row in rows)


def test_the_fingerprint_says_nothing_of_delimiters(
    spark: SparkSession, tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    from prodseek.catalogue.photo_source import PhotoSource

    def fingerprint(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        config = make_config(tmp_path / name, tmp_path / "root")
        photos = PhotoSource.of(config, str(tmp_path), config.store.root)
        return catalogue_fingerprint(rows_of(spark, config), photos, read_threads=2)

    expected = fingerprint("m.csv", TWO.encode())
    assert fingerprint("m.tsv", TWO.replace(",", "\t").encode("utf-16")) == expected
    assert fingerprint("m.csv.gz", zipped(TWO)) == expected


def test_a_photo_that_many_rows_name_is_decoded_once(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg: Callable[..., bytes], make_config: Callable[..., Config],
    tables: Callable[[Run, str], pa.Table],
) -> None:  # fmt: skip
    """All of its rows are in one task, which else would take as long as all others together."""
    (tmp_path / "placeholder.jpg").write_bytes(make_jpeg())
    lines = [f"p{n},{'gone' if n % 100 == 7 else 'placeholder'}.jpg,t{n}" for n in range(600)]
    (tmp_path / "m.csv").write_text("product_id,uri,title\n" + "\n".join(lines))
    summary = ingest.run(Night.of(spark, make_config(tmp_path / "m.csv", empty_run.root), empty_run))
    images = tables(empty_run, "images").to_pylist()
    assert summary.facts.decoded_photos == 1 and len(images) == 594 and tables(empty_run, "rejects").num_rows == 6
    assert {row["product_id"]: dict(row["attributes"])["title"] for row in images} == {
        f"p{n}": f"t{n}" for n in range(600) if n % 100 != 7
    }
    assert len({(row["image_id"], row["pixel_hash"], row["uri"]) for row in images}) == 1


@pytest.mark.parametrize("partitions", [1, 8])
def test_a_folder_that_spark_wrote_is_read_as_one_manifest(
    spark: SparkSession,
    tmp_path: Path,
    make_config: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
    partitions: int,
) -> None:
    """Large parts are cut into blocks, small ones are not."""
    rows = [(f"p{n}", f"{n}.jpg", "two\nlines" if n % 3 else "one") for n in range(300)]
    frame = spark.createDataFrame(rows, "product_id string, uri string, title string")
    folder = tmp_path / "products.csv"
    frame.repartitionByRange(3, "product_id").write.csv(str(folder), header=True, escape='"')
    suit_catalogue(spark, 10**6 if partitions == 8 else 1)
    if partitions == 8:
        monkeypatch.setattr(text_rows, "BLOCK_BYTES", 700)
    found = rows_of(spark, make_config(folder, tmp_path / "root")).collect()
    read = sorted((row["product_id"], row["uri"], row["attributes"]["title"], row["_fault"]) for row in found)
    assert read == sorted((*row, None) for row in rows)
