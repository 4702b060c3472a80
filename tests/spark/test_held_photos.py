"""Photos that a Parquet manifest holds itself: the tables are those of the same photos in a folder; no name is opened."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import prodseek
from nights import TINY_SETTINGS, tables_of, whole_night
from pyspark.sql import SparkSession

from prodseek.catalogue.photo_copies import copies_folder, copy_uri, list_copies
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.errors import CatalogueError
from prodseek.evaluation.pictures import _Photos
from prodseek.jobs import ingest
from prodseek.runs.facts import IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.search.searchable import SearchableRun
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue
from prodseek.spark.night import Night

HELD = "catalog.bytes_column=bytes"
KEY = [("product_id", "ascending"), ("uri", "ascending")]

Rows = list[tuple[str | None, str | None, bytes | None]]


def write_manifest(path: Path, rows: Rows, rows_per_group: int = 3) -> Path:
    """product_id, uri, bytes, and a column more; in row groups, as large manifests are."""
    products, uris, photos = (list(values) for values in zip(*rows, strict=True))
    columns = {"product_id": products, "uri": uris, "bytes": pa.array(photos, pa.binary()), "n": range(len(rows))}
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def contents(run: Run, tables) -> tuple[pa.Table, list[dict[str, Any]]]:  # type: ignore[no-untyped-def]
    """The two tables in order; of `rejects` all but what is said of the place."""
    rejects = tables(run, "rejects").to_pylist()
    of_places = ("missing", "invalid_row")
    told = [{**row, "detail": None if row["reason"] in of_places else row["detail"]} for row in rejects]
    return tables(run, "images").sort_by(KEY), sorted(told, key=repr)


def test_same_tables_from_a_folder_and_from_the_manifest_that_holds_the_photos(
    spark: SparkSession, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    good = make_jpeg((90, 48))
    photos = {f"shelf é/{n} #1?%41.jpg": make_jpeg((60 + n, 48)) for n in range(9)}
    photos |= {"cut.jpg": good[: len(good) // 2], "page.jpg": b"<html></html>", "empty.jpg": b"", "again.jpg": good}
    rows: Rows = [(f"p{n // 2}", name, photo) for n, (name, photo) in enumerate(photos.items())]
    rows += [("another", "again.jpg", good), ("absent", "absent.jpg", None), (None, "again.jpg", good)]
    folder = tmp_path / "folder"
    for name, photo in photos.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo)
    named = pq.read_table(write_manifest(folder / "m.parquet", rows)).drop_columns("bytes")
    pq.write_table(named, folder / "m.parquet")
    holding = tmp_path / "holding é%20 [1].parquet"
    holding.mkdir()
    for part in range(4):
        pq.write_table(
            pq.read_table(write_manifest(tmp_path / "all.parquet", rows)).slice(part * 4, 4),
            holding / f"{part} #.parquet",
        )

    def run_of(manifest: Path, root: str, n_partitions: int, *settings: str) -> tuple[Run, Summary[IngestFacts]]:
        spark.conf.set("spark.sql.shuffle.partitions", str(n_partitions))
        run = Store.at(str(tmp_path / root)).run("20260101T000000Z-00000000")
        per_partition = f"ingest.rows_per_partition={len(rows) // n_partitions + 1}"
        return run, ingest.run(Night.of(spark, make_config(manifest, run.root, per_partition, *settings), run))

    expected, summary = run_of(folder / "m.parquet", "named", 8)
    assert summary.rows == {"images": 11, "rejects": 5} and summary.facts.copied_photos == 0
    for n_partitions, is_first in ((8, True), (1, False)):
        run, summary = run_of(holding, "held", n_partitions, HELD)
        assert contents(run, tables) == contents(expected, tables)
        assert (summary.facts.copied_photos >= 12) if is_first else (summary.facts.copied_photos == 0)
        copies = list_copies(copies_folder(run.root))
        assert len(copies) == 12 and set(tables(run, "images")["image_id"].to_pylist()) < {n[3:] for n in copies}


def test_bad_rows_have_their_reasons_and_no_name_is_ever_opened(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "catalogue").mkdir()
    for outside in ("catalogue/beside.jpg", "secret.jpg"):
        (tmp_path / outside).write_bytes(make_jpeg((99, 99)))
    one, other = make_jpeg((70, 50)), make_jpeg((71, 50))
    rows: Rows = [
        ("a", "file:///etc/passwd", one), ("b", "http://169.254.169.254/x.jpg", make_jpeg((72, 50))),
        ("c", "../../x y é.jpg", make_jpeg((73, 50))), ("d", "shards/1.tar#x.jpg", make_jpeg((74, 50))),
        ("e", "same.jpg", other), ("e", "same.jpg", one), ("e", "same.jpg", None), ("f", "same.jpg", one),
        ("g", "beside.jpg", None), ("h", f"file://{tmp_path}/secret.jpg", b""), ("i", "large.jpg", b"x" * 5001),
        ("j", None, one), (None, "nobody.jpg", one),
    ]  # fmt: skip
    manifest = write_manifest(tmp_path / "catalogue" / "m.parquet", rows)
    summary = ingest.run(
        Night.of(spark, make_config(manifest, empty_run.root, HELD, "images.max_bytes=5000"), empty_run)
    )
    images, rejects = tables(empty_run, "images"), tables(empty_run, "rejects")
    assert images.num_rows + rejects.num_rows == summary.facts.input_rows == len(rows)
    found = dict(zip(images["product_id"].to_pylist(), images["uri"].to_pylist(), strict=True))
    assert found == {product: uri for product, uri, _ in rows if product in set("abcdef")}
    assert Counter(rejects["reason"].to_pylist()) == {
        "duplicate_row": 1, "missing": 2, "empty": 1, "too_many_bytes": 1, "invalid_row": 2,
    }  # fmt: skip
    assert 5001 not in list_copies(copies_folder(empty_run.root)).values()
    assert set(images["width_px"].to_pylist()) <= {70, 71, 72, 73, 74}


def test_photos_without_a_column_of_names_are_called_like_their_products(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config, tables
) -> None:  # type: ignore[no-untyped-def]
    """As Hugging Face lays out its data sets; the order of rows changes no name."""
    photos = [make_jpeg((60 + n, 48)) for n in range(3)]
    rows = [("chair é", photos[0]), ("sofa", photos[1]), ("sofa", photos[2]), ("sofa", None), ("chair é 2", photos[0])]
    settings = ("catalog.bytes_column=image.bytes", "catalog.uri_column=null", "catalog.product_id_column=id")
    names = []
    for ordered in (rows, rows[::-1]):
        table = {"id": [row[0] for row in ordered], "image": [{"bytes": row[1], "path": "/etc/x"} for row in ordered]}
        pq.write_table(pa.table(table), tmp_path / "m.parquet")
        ingest.run(Night.of(spark, make_config(tmp_path / "m.parquet", empty_run.root, *settings), empty_run))
        images = tables(empty_run, "images").sort_by(KEY)
        names.append(images.select(["product_id", "uri", "image_id"]))
    ids = dict(zip(images["width_px"].to_pylist(), images["image_id"].to_pylist(), strict=True))
    sofas = sorted(f"sofa#{ids[width][:16]}" for width in (61, 62))
    assert (
        images["uri"].to_pylist() == ["chair é", "chair é 2", *sofas] and images["attributes"].to_pylist() == [[]] * 4
    )
    assert names[0].equals(names[1]) and tables(empty_run, "rejects")["uri"].to_pylist() == ["sofa"]


@pytest.fixture
def night_of(
    spark: SparkSession, tmp_path: Path, make_config
) -> Iterator[Callable[..., tuple[Run, Summary[IngestFacts]]]]:  # type: ignore[no-untyped-def]
    """Ingest rows as the next night of a root, and publish it."""
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    n_nights = 0

    def run(rows: Rows) -> tuple[Run, Summary[IngestFacts]]:
        nonlocal n_nights
        n_nights += 1
        store = Store.at(str(tmp_path / "root"))
        tonight = store.run(f"202601{n_nights:02}T000000Z-00000000")
        config = make_config(write_manifest(tmp_path / "m.parquet", rows), store.root, HELD)
        summary = ingest.run(Night.of(spark, config, tonight))
        tonight.write_summary(summary)
        stages = {"ingest": summary.facts_json}
        store.publish(tonight, Manifest(run_id=tonight.run_id, schema_versions=schema_versions(), stages=stages))
        return tonight, summary

    yield run


def test_a_night_copies_and_decodes_what_changed(night_of, make_jpeg, tables) -> None:  # type: ignore[no-untyped-def]
    rows: Rows = [(f"p{n}", f"{n}.jpg", make_jpeg((60 + n, 48))) for n in range(8)]
    first, summary = night_of(rows)
    assert (summary.facts.copied_photos, summary.facts.decoded_photos) == (8, 8)
    rows[0] = ("p0", "0.jpg", make_jpeg((99, 48)))  # changed
    rows[1] = ("p1", "moved.jpg", rows[1][2])
    rows[2] = ("p2", "new.jpg", make_jpeg((98, 48)))  # and 2.jpg is gone
    # Half-written by a task that died, and by a machine that lost its power.
    copies = Path(copies_folder(first.root))
    torn = copies / sorted(list_copies(str(copies)))[0]
    torn.write_bytes(torn.read_bytes()[:100])
    (torn.parent / f".{torn.name}.{'0' * 32}.partial").write_bytes(b"half")
    tonight, summary = night_of(rows)
    assert summary.facts.changes == {"unchanged": 5, "new": 1, "changed": 1, "moved": 1, "gone": 2}
    is_mended = torn.name in tables(tonight, "images")["image_id"].to_pylist()
    assert (summary.facts.copied_photos, summary.facts.decoded_photos) == (2 + is_mended, 2)


def test_the_fingerprint_follows_the_file_and_faults_are_told(
    spark: SparkSession, empty_run: Run, tmp_path: Path, make_jpeg, make_config
) -> None:  # type: ignore[no-untyped-def]
    rows: Rows = [(f"p{n}", f"{n}.jpg", make_jpeg((60 + n, 48))) for n in range(4)]
    path = write_manifest(tmp_path / "m.parquet", rows)

    def fingerprint() -> str:
        config = make_config(path, empty_run.root, HELD)
        source = open_catalogue(config.catalog)
        photos = PhotoSource.of(config, source.base_uri, empty_run.root)
        return catalogue_fingerprint(catalogue_rows(spark, source, config.catalog).rows, photos, read_threads=2)

    before = fingerprint()
    assert fingerprint() == before
    write_manifest(path, [*rows[:3], ("p3", "3.jpg", make_jpeg((90, 48)))])
    assert fingerprint() != before

    (tmp_path / "c.csv").write_text("product_id,uri\np,0.jpg\n")
    cases = [
        (tmp_path / "c.csv", HELD, "is no Parquet manifest, and only that can hold photos"),
        (path, "catalog.bytes_column=uri", "the column 'uri' .* is string, not binary"),
        (path, "catalog.bytes_column=photo.bytes", r"no column 'photo.bytes' \(catalog.bytes_column\)"),
    ]
    for manifest, setting, message in cases:
        with pytest.raises(CatalogueError, match=message):
            ingest.run(Night.of(spark, make_config(manifest, empty_run.root, setting), empty_run))
    chunk = pq.read_metadata(path).row_group(0).column(2)
    with path.open("r+b") as handle:
        handle.seek(chunk.dictionary_page_offset)
        handle.write(b"\xff" * chunk.total_compressed_size)
    with pytest.raises(CatalogueError, match=r"m.parquet is damaged or gone; write it again: ."):
        ingest.run(Night.of(spark, make_config(path, empty_run.root, HELD), empty_run))


@pytest.mark.slow
def test_a_night_and_all_that_reads_it(
    spark: SparkSession, undisturbed_tiny_night: Run, tiny_catalogue: Path, tmp_path: Path, make_config
) -> None:  # type: ignore[no-untyped-def]
    with tiny_catalogue.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    photos = [path.read_bytes() if (path := tiny_catalogue.parent / row["uri"]).exists() else None for row in rows]
    columns = {name: [row[name] or None for row in rows] for name in rows[0]}
    manifest = tmp_path / "m.parquet"
    pq.write_table(pa.table({**columns, "bytes": pa.array(photos, pa.binary())}), manifest, row_group_size=4)
    root = tmp_path / "root"
    run = whole_night(spark, make_config(manifest, root, *TINY_SETTINGS, HELD))
    found, expected = tables_of(root), tables_of(Path(undisturbed_tiny_night.root))
    for row in (*found["rejects"], *expected["rejects"]):
        row.pop("detail")
    assert found == expected
    done = prodseek("plan", manifest, "--seconds", 1, "--set", HELD, "--root", tmp_path / "other", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["n_rows"] == len(rows), done.stderr
    manifest.rename(tmp_path / "gone.parquet")  # nothing needs it any more

    done = prodseek("verify", "--root", root, "--photos", 2, "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0 and {check["outcome"] for check in checks.values()} == {"good"}, (
        done.stdout + done.stderr
    )
    name = found["images"][0]["uri"]
    page = tmp_path / "found.html"
    done = prodseek("search", "--root", root, "--image", name, "--object", 1, "--html", page, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["photo"] == name and answer["photo_uri"].startswith(f"{root}/cache/photos/")
    assert page.read_text().count("data:image/") >= 1 + len(answer["hits"])
    done = prodseek("search", "--root", root, "--region", answer["hits"][0]["detection_id"], "--html", page)
    assert done.returncode == 0 and "data:image/" in page.read_text(), done.stderr
    names = {row["image_id"]: row["uri"] for row in found["images"]}
    labelled = [{**row, "uri": names[row["image_id"]], "label": "x"} for row in found["detections"]]
    shown = _Photos(
        pa.Table.from_pylist(labelled), SearchableRun.open(root).photos
    )  # as `prodseek evaluate` reads them
    assert all(shown.shown(row, 64).thumbnail for row in range(len(labelled)))
    prompts = tmp_path / "prompts.csv"
    prompts.write_text(f"uri,x1_px,y1_px,x2_px,y2_px\n{name},2,2,60,60\n/etc/passwd,2,2,60,60\n")
    done = prodseek("search-batch", prompts, "--root", root, "--out", tmp_path / "found")
    assert done.returncode == 0, done.stderr
    assert [row["reason"] for row in pq.read_table(tmp_path / "found" / "rejected_prompts").to_pylist()] == [
        "not_allowed"
    ]
    assert pq.read_table(tmp_path / "found" / "search_results").num_rows

    copy = Path(copy_uri(copies_folder(run.root), found["images"][0]["image_id"]))
    copy.write_bytes(copy.read_bytes()[:-1])
    done = prodseek("verify", "--root", root, "--photos", 0)
    assert done.returncode == 1 and f"are gone or damaged: {copy.parent.name}/{copy.name}" in done.stdout
