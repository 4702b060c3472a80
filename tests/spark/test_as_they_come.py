"""Photos and names as real machines leave them: read, found, or passed over with a word; the same at any number of partitions."""

from __future__ import annotations

import io
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from icc_profiles import cmyk_profile, rgb_profile
from made_photos import scene
from PIL import Image, PngImagePlugin
from pyspark.sql import SparkSession

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.errors import CatalogueError
from prodseek.jobs import ingest
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run, Summary
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue

Ingested = tuple[Summary[IngestFacts], list[dict[str, object]], list[dict[str, object]]]
Ingest = Callable[..., Ingested]


@pytest.fixture(params=[1, 8])
def ingested(spark: SparkSession, empty_run: Run, make_config, tables, tmp_path: Path, request) -> Ingest:  # type: ignore[no-untyped-def]
    """What `ingest` makes of a catalogue in tmp_path: its summary, and the rows of `images` and `rejects`."""
    suit_catalogue(spark, 10**6 if request.param == 8 else 1)
    spark.conf.set("spark.sql.shuffle.partitions", str(request.param))

    def run(catalogue: str, *settings: str) -> Ingested:
        rows_each = f"ingest.rows_per_partition={3 if request.param == 8 else 512}"
        config = make_config(tmp_path / catalogue, tmp_path / "root", rows_each, *settings)
        summary = ingest.run(Night.of(spark, config, empty_run))
        images, rejects = (tables(empty_run, name).to_pylist() for name in ("images", "rejects"))
        assert len(images) + len(rejects) == summary.facts.input_rows
        return summary, sorted(images, key=lambda row: row["uri"]), sorted(rejects, key=lambda row: row["uri"])

    return run


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def test_photos_of_any_metadata_end_and_profile(ingested: Ingest, tmp_path: Path) -> None:
    folder, picture = tmp_path / "photos", scene(1, 120, 90)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 1_100_000, zip=True)
    p3 = rgb_profile("display_p3")
    put(folder, "cut.jpg", encoded(picture)[:-2])
    put(folder, "xmp.png", encoded(picture, "PNG", pnginfo=text))
    put(folder, "p3.png", encoded(picture, "PNG", icc_profile=p3))
    put(folder, "srgb.png", encoded(picture, "PNG", icc_profile=rgb_profile("srgb")))
    put(folder, "inks.jpg", encoded(picture.convert("CMYK"), icc_profile=cmyk_profile()))
    put(folder, "broken.png", encoded(picture, "PNG", icc_profile=p3[:200]))
    put(folder, "half.jpg", encoded(picture)[:-900])
    _, images, rejects = ingested("photos")
    assert {row["uri"]: row["colour_profile"] for row in images} == {
        "cut.jpg": "none", "xmp.png": "none", "p3.png": "display_p3", "srgb.png": "srgb", "inks.jpg": "cmyk",
        "broken.png": "unusable",
    }  # fmt: skip
    by_name = {row["uri"]: row["pixel_hash"] for row in images}
    assert by_name["xmp.png"] == by_name["srgb.png"] == by_name["broken.png"] != by_name["p3.png"]
    assert [(row["uri"], row["reason"]) for row in rejects] == [("half.jpg", "truncated")]


def test_names_that_are_spelled_otherwise(ingested: Ingest, tmp_path: Path) -> None:
    composed = "Stühle.jpg"
    files = [unicodedata.normalize("NFD", composed), "IMG.JPG", "images/a.jpg", "q u.jpg", " b.jpg", "plain.jpg"]
    for number, name in enumerate([*files, "Two.jpg", "TWO.jpg"]):
        put(tmp_path, name, encoded(scene(number, 60, 48)))
    names = [composed, "img.jpg", "images\\a.jpg", "q%20u.jpg", "b.jpg", "plain.jpg", "two.jpg", "plian.jpg"]
    (tmp_path / "c.csv").write_text("\n".join(["product_id,uri", *(f"p{n},{name}" for n, name in enumerate(names))]))
    summary, images, rejects = ingested("c.csv")
    assert [row["uri"] for row in images] == sorted(names[:6])
    assert len({row["image_id"] for row in images}) == 6
    assert summary.facts.found_otherwise == {
        "Unicode form": 1, "percent-encoding": 1, "blanks at an end": 1, "capitals or slashes": 2,
    }  # fmt: skip
    says = "5 photos found though their names are spelled otherwise: 1 by Unicode form"
    assert any(line.startswith(says) for line in summary.lines)
    details = {row["uri"]: row["detail"] for row in rejects}
    assert details.keys() == {"two.jpg", "plian.jpg"} and {row["reason"] for row in rejects} == {"missing"}
    assert "2 files differ from it in capitals or slashes alone: " in details["two.jpg"]
    assert details["plian.jpg"].endswith("; the nearest name is 'plain.jpg'")


def test_a_photo_that_is_found_by_another_spelling_changes_the_fingerprint(
    spark: SparkSession, tmp_path: Path, make_config
) -> None:  # type: ignore[no-untyped-def]
    def fingerprint() -> str:
        config = make_config(tmp_path / "c.csv", tmp_path / "root")
        source = open_catalogue(config.catalog)
        rows = catalogue_rows(spark, source, config.catalog).rows
        return catalogue_fingerprint(rows, PhotoSource.of(config, source.base_uri, "out"), read_threads=2)

    put(tmp_path, "IMG.JPG", encoded(scene(1, 60, 48)))
    (tmp_path / "c.csv").write_text("product_id,uri\np,img.jpg\n")
    before = fingerprint()
    assert fingerprint() == before
    put(tmp_path, "IMG.JPG", encoded(scene(2, 60, 48)))
    assert fingerprint() != before


def test_what_a_folder_holds_beside_photos(ingested: Ingest, tmp_path: Path) -> None:
    folder, photo = tmp_path / "photos", encoded(scene(1, 60, 48))
    for name in (
        "a.jpg",
        "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg",
        "#recycle/a.jpg",
        "__MACOSX/._a.jpg",
        "0a4d55a8d778",
        "drafts/d.jpg",
    ):
        put(folder, name, photo)
    put(folder, "notes.txt", b"text")
    put(folder, "Thumbs.db", b"text")
    summary, images, rejects = ingested("photos", "catalog.exclude=[drafts]")
    assert [row["uri"] for row in images] == ["a.jpg"] and not rejects
    assert summary.facts.passed_over == {"excluded": 5, "no_ending": 1, "other_ending": 1}
    assert (
        "passed over in the folder: 5 that systems make or catalog.exclude names, 1 without an ending (catalog.any_ending=true "
        "takes those that are images), 1 with the ending of no image"
    ) in summary.lines
    summary, images, rejects = ingested("photos", "catalog.any_ending=true", "catalog.exclude=[]")
    assert [row["uri"] for row in images] == ["0a4d55a8d778", "a.jpg", "drafts/d.jpg"] and not rejects
    assert summary.facts.passed_over == {"excluded": 4, "other_ending": 1}


def test_a_folder_of_nothing_but_what_is_passed_over_says_so(ingested: Ingest, tmp_path: Path) -> None:
    put(tmp_path / "photos", "0a4d55a8d778", encoded(scene(1, 60, 48)))
    with pytest.raises(
        CatalogueError, match=r"no photos .*, but files and folders 1 without an ending \(catalog.any_ending=true"
    ):
        ingested("photos")


def test_samples_of_webdataset_are_products(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "00000.tar", "w") as packed:
        for number, name in enumerate(
            ["0001.front.jpg", "0001.back.jpg", "0001.json", "0002.front.jpg", "__MACOSX/._x.jpg"]
        ):
            data = encoded(scene(number, 60, 48))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    summary, images, _ = ingested("shards")
    assert Counter(row["product_id"] for row in images) == {"00000/0001": 2, "00000/0002": 1}
    assert summary.facts.passed_over == {"excluded": 1, "other_ending": 1}
