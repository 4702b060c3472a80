"""Rows in = images + rejects, whatever the rows hold; manifests and folders of every kind."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import load_config
from prodseek.errors import CatalogueError, ConfigError, StoreError
from prodseek.jobs import ingest
from prodseek.runs.store import Run
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue


def ingested(spark: SparkSession, run: Run, config, tables):  # type: ignore[no-untyped-def]
    summary = ingest.run(Night.of(spark, config, run))
    images, rejects = tables(run, "images"), tables(run, "rejects")
    assert images.num_rows + rejects.num_rows == summary.facts.input_rows
    return images, rejects


def test_each_kind_of_bad_row_has_its_own_reason(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    good = make_jpeg()
    (tmp_path / "good é #1?.jpg").write_bytes(good)
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "page.jpg").write_bytes(b"<html>not found</html>")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "locked.jpg").write_bytes(good)
    (tmp_path / "passwd.jpg").symlink_to("/etc/passwd")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.jpg")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    rows = [
        "p1,good é #1?.jpg,\"one, \"\"quoted\"\"\nline\"",
        "p1,good é #1?.jpg,again",
        "p2,cut.jpg,", "p3,page.jpg,", "p4,empty.jpg,", "p5,dot.jpg,", "p6,bomb.png,", "p7,absent.jpg,",
        "p8,folder.jpg,", "p11,good é #1?.jpg,a,b", "p9,gopher://host/x.jpg,", ",good é #1?.jpg,", "p10,,", ",,",
        "p12,/etc/passwd,", "p13,passwd.jpg,", "p14,../x.jpg,", "p15,http://169.254.169.254/x.jpg,",
    ]  # fmt: skip
    catalog = tmp_path / "my [odd] catalog.csv"
    catalog.write_text("product_id,uri,title\n" + "\n".join(rows) + "\n", encoding="utf-8")
    images, rejects = ingested(spark, empty_run, make_config(catalog, tmp_path / "root"), tables)
    assert images.column("uri").to_pylist() == ["good é #1?.jpg"]
    attributes = dict(images.column("attributes")[0].as_py())
    assert attributes in ({"title": 'one, "quoted"\nline'}, {"title": "again"})
    assert Counter(rejects.column("reason").to_pylist()) == {
        "duplicate_row": 1, "truncated": 1, "not_an_image": 1, "empty": 1, "too_small": 1, "too_many_pixels": 1,
        "missing": 1, "unreadable": 1, "unsupported_uri": 2, "not_allowed": 3, "invalid_row": 4,
    }  # fmt: skip
    assert all(rejects.column("detail").to_pylist())


@pytest.mark.parametrize("partitions", [1, 8])
def test_same_tables_at_any_number_of_partitions(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables, partitions: int
) -> None:  # type: ignore[no-untyped-def]
    for number in range(12):
        (tmp_path / f"{number}.jpg").write_bytes(make_jpeg(colour=(20 * number, 9, 200)))
    suit_catalogue(spark, 10**6 if partitions == 8 else 1)
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    config = make_config(tmp_path, tmp_path.parent / "root", f"ingest.rows_per_partition={12 // partitions + 1}")
    first, _ = ingested(spark, empty_run, config, tables)
    again, _ = ingested(spark, empty_run, config, tables)
    key = [("uri", "ascending")]
    assert first.sort_by(key).equals(again.sort_by(key))
    expected = sorted((f"{n}.jpg", str(n)) for n in range(12))
    assert sorted(zip(first.column("uri").to_pylist(), first.column("product_id").to_pylist(), strict=True)) == expected


def test_parquet_manifest_keeps_columns_as_attributes(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(make_jpeg())
    manifest = pa.table(
        {"sku": [7], "image": ["photos/a.jpg"], "price in €": [9.5], "void": pa.array([None], pa.string())}
    )
    pq.write_table(manifest, tmp_path / "m.parquet")
    config = make_config(
        tmp_path / "m.parquet", tmp_path / "root", "catalog.uri_column=image", "catalog.product_id_column=sku"
    )
    images, _ = ingested(spark, empty_run, config, tables)
    assert images.column("product_id").to_pylist() == ["7"]
    assert dict(images.column("attributes")[0].as_py()) == {"price in €": "9.5"}


def test_folder_of_products(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    for name in ("chair/1.jpg", "chair/2.JPG", "sofa/x y.jpeg", ".hidden/z.jpg", "notes.txt"):
        (tmp_path / "cat" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cat" / name).write_bytes(make_jpeg())
    config = make_config(tmp_path / "cat", tmp_path / "root", "catalog.product_id_from=folder")
    images, _ = ingested(spark, empty_run, config, tables)
    assert Counter(images.column("product_id").to_pylist()) == {"chair": 2, "sofa": 1}


def test_photos_in_tars(spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "catalogue"
    for shard, products in {"0001": ["chair", "sofa"], "0002": ["lamp", "desk"]}.items():
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / "shards" / f"{shard}.tar", "w") as packed:
            for name in [f"{product}/{number} é.jpg" for product in products for number in range(3)]:
                photo = make_jpeg(colour=(len(name) * 9, 90, int(shard)))
                member = tarfile.TarInfo(name)
                member.size = len(photo)
                packed.addfile(member, io.BytesIO(photo))
    config = make_config(folder, tmp_path / "root", "catalog.product_id_from=folder", "gates.max_reject_share=0.5")
    source = open_catalogue(config.catalog)
    photos, whole = (
        PhotoSource.of(config, source.base_uri, config.store.root),
        catalogue_rows(spark, source, config.catalog).rows,
    )
    before = catalogue_fingerprint(whole, photos, read_threads=2)
    with tarfile.open(folder / "shards" / "0002.tar") as packed:
        ends = packed.getmembers()[2].offset_data + 10
    os.truncate(folder / "shards" / "0002.tar", ends)
    assert catalogue_fingerprint(whole, photos, read_threads=2) != before

    images, rejects = ingested(spark, empty_run, config, tables)
    assert Counter(images.column("product_id").to_pylist()) == {
        "shards/0001/chair": 3,
        "shards/0001/sofa": 3,
        "shards/0002/lamp": 2,
    }
    told = dict(zip(rejects.column("uri").to_pylist(), rejects.column("reason").to_pylist(), strict=True))
    assert told == {"shards/0002.tar#": "corrupt", "shards/0002.tar#lamp/2 é.jpg": "truncated"}
    names = [*(row["uri"] for row in whole.collect()), "shards/0001.tar#../../../etc/passwd"]
    (folder / "c.csv").write_text("\n".join(["product_id,uri", *(f"p,{name}" for name in names)]))
    images, rejects = ingested(spark, empty_run, make_config(folder / "c.csv", tmp_path / "root"), tables)
    assert images.num_rows == 8
    assert Counter(rejects.column("reason").to_pylist()) == {"truncated": 1, "corrupt": 3, "missing": 1}


def test_fingerprint_follows_rows_and_files_not_their_order(
    spark: SparkSession, tmp_path: Path, make_jpeg, make_config
) -> None:  # type: ignore[no-untyped-def]
    def fingerprint(lines: list[str]) -> str:
        (tmp_path / "c.csv").write_text("product_id,uri\n" + "\n".join(lines) + "\n")
        config = make_config(tmp_path / "c.csv", tmp_path / "root").catalog
        source = open_catalogue(config)
        photos = PhotoSource.of(load_config(), source.base_uri, "out")
        return catalogue_fingerprint(catalogue_rows(spark, source, config).rows, photos, read_threads=2)

    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    base = fingerprint(["p,a.jpg", "q,a.jpg"])
    assert fingerprint(["q,a.jpg", "p,a.jpg"]) == base
    assert fingerprint(["p,a.jpg", "q,a.jpg", "q,a.jpg"]) != base
    (tmp_path / "a.jpg").write_bytes(make_jpeg(size=(65, 48)))
    assert fingerprint(["p,a.jpg", "q,a.jpg"]) != base


def test_no_catalogue(spark: SparkSession, empty_run: Run, tmp_path: Path, make_config) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "empty").mkdir()
    (tmp_path / "no_rows.csv").write_text("product_id,uri\n")
    (tmp_path / "columns.csv").write_text("sku,image\n1,a.jpg\n")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "bad.csv").write_text("product_id,uri\np,absent.jpg\n")
    (tmp_path / "elsewhere.csv").write_text("product_id,uri\np,/else/a.jpg\n")
    cases = {
        "absent.csv": "there is no catalogue at",
        "empty": "has no photos",
        "no_rows.csv": "has no rows",
        "columns.csv": "has no column 'uri' .*and no column 'product_id' .*it has 'sku', 'image'",
        "notes.txt": "read as commas, UTF-8, 1 columns, with the first line 'hello', has no column 'uri'",
        "bad.csv": "none of the 1 rows .* 1 missing, such as: no file at",
        "elsewhere.csv": r"none of the 1 rows .* 1 not_allowed, such as: /else/a.jpg .* catalog\.allowed_roots",
    }
    for name, message in cases.items():
        with pytest.raises(CatalogueError, match=message) as error:
            ingest.run(Night.of(spark, make_config(tmp_path / name, tmp_path / "root"), empty_run))
        assert error.value.exit_code == 2
    with pytest.raises(ConfigError, match=r"catalog\.uri: missing"):
        open_catalogue(make_config("x", "y").catalog.model_copy(update={"uri": None}))


def test_storage_that_fails_ends_the_stage_with_an_error_and_not_with_rejects(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config
) -> None:  # type: ignore[no-untyped-def]
    """Reading address 0 of a process fails as a bad sector does; a server that never answers stalls as a dead mount does."""
    catalog = tmp_path / "catalog.csv"

    def run(names: list[str], *settings: str) -> dict[str, int]:
        rows = [f"p,{name.format(number=number)}" for name in names for number in range(12)]
        catalog.write_text("\n".join(["product_id,uri", *rows]) + "\n")
        places = ["catalog.allowed_roots=[/proc]", "catalog.http_hosts=[127.0.0.1]"]
        retry_settings = ["catalog.read_attempts=2", "catalog.read_timeout_seconds=0.2"]
        config = make_config(catalog, tmp_path / "root", *places, *retry_settings, *settings)
        return ingest.run(Night.of(spark, config, empty_run)).rows

    for number in range(12):
        (tmp_path / f"broken {number}.jpg").symlink_to("/proc/self/mem")
        (tmp_path / f"good {number}.jpg").write_bytes(make_jpeg())
    with pytest.raises(CatalogueError, match=r"none of the 12 rows .* 12 unreadable, such as: .*Input/output error"):
        run(["broken {number}.jpg"])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stalls = f"http://127.0.0.1:{silent.getsockname()[1]}/{{number}}.jpg"
        with pytest.raises(StoreError, match=r"12 of 24 photos cannot be read, .* such as: http.*: no"):
            run([stalls, "good {number}.jpg"])
    assert run(["good {number}.jpg", "broken {number}.jpg"], "gates.max_reject_share=0.5") == {
        "images": 12,
        "rejects": 12,
    }


def test_photos_of_a_web_server(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.jpg").write_bytes(make_jpeg())
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        web = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / "c.csv").write_text(
            f"product_id,uri\np,{web}/a.jpg\nq,{web}/absent.jpg\nr,http://localhost/a.jpg\n"
        )
        config = make_config(tmp_path / "c.csv", tmp_path / "root", "catalog.http_hosts=[127.0.0.1]")
        images, rejects = ingested(spark, empty_run, config, tables)
        assert images.column("uri").to_pylist() == [f"{web}/a.jpg"]
        assert sorted(rejects.column("reason").to_pylist()) == ["missing", "not_allowed"]
        source = open_catalogue(config.catalog)
        photos, rows = (
            PhotoSource.of(config, source.base_uri, config.store.root),
            catalogue_rows(spark, source, config.catalog).rows,
        )
        before = catalogue_fingerprint(rows, photos, read_threads=2)
        (tmp_path / "web" / "a.jpg").write_bytes(make_jpeg(size=(65, 48)))
        assert catalogue_fingerprint(rows, photos, read_threads=2) != before
        server.shutdown()
