"""Nights after the first: what the last run has decoded is taken over, and the tables are those of a full run."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from prodseek.jobs import ingest
from prodseek.runs.facts import IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.spark.catalogue import last_night
from prodseek.spark.night import Night

RunNight = Callable[..., tuple[Run, Summary[IngestFacts]]]


@pytest.fixture
def night(spark: SparkSession, tmp_path: Path, make_config) -> Iterator[RunNight]:  # type: ignore[no-untyped-def]
    """Ingest the catalogue as the next night of a root, and publish it."""
    n_nights = 0

    def run(root: str, *settings: str) -> tuple[Run, Summary[IngestFacts]]:
        nonlocal n_nights
        n_nights += 1
        store = Store.at(str(tmp_path / root))
        tonight = store.run(f"202601{n_nights:02}T000000Z-00000000")
        config = make_config(tmp_path / "catalogue" / "catalog.csv", store.root, *settings)
        summary = ingest.run(Night.of(spark, config, tonight))
        tonight.write_summary(summary)
        store.publish(
            tonight,
            Manifest(run_id=tonight.run_id, schema_versions=schema_versions(), stages={"ingest": summary.facts_json}),
        )
        return tonight, summary

    yield run


class Feed:
    """A catalogue that changes from night to night."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, str] = {}  # product -> uri
        folder.mkdir()

    def put(self, uri: str, data: bytes, *products: str) -> None:
        (self.folder / uri).parent.mkdir(exist_ok=True)
        (self.folder / uri).write_bytes(data)
        self.rows |= dict.fromkeys(products, uri)
        self.write()

    def write(self) -> None:
        with (self.folder / "catalog.csv").open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows([("product_id", "uri"), *self.rows.items()])


@pytest.fixture
def feed(tmp_path: Path, make_jpeg) -> Feed:  # type: ignore[no-untyped-def]
    feed = Feed(tmp_path / "catalogue")
    for number in range(8):
        feed.put(f"{number}.jpg", make_jpeg((60 + number, 48)), f"p{number}")
    feed.put("0.jpg", make_jpeg((60, 48)), "p0", "another product of the same photo")
    feed.put(
        "turned.jpg",
        make_jpeg((40, 90), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
        "t",
    )
    feed.put("bad.jpg", b"<html></html>", "b")
    feed.rows["m"] = "missing.jpg"
    feed.write()
    return feed


def assert_same_tables(one: Run, other: Run, tables) -> None:  # type: ignore[no-untyped-def]
    for name in ("images", "rejects"):
        key = [("product_id", "ascending"), ("uri", "ascending")]
        first, second = (tables(run, name).sort_by(key) for run in (one, other))
        assert isinstance(first, pa.Table) and first.equals(second), name


def test_only_new_content_is_decoded_and_tables_are_those_of_a_full_run(
    night: RunNight, feed: Feed, tables, make_jpeg
) -> None:  # type: ignore[no-untyped-def]
    first, summary = night("root")
    n_images = 10
    assert tables(first, "images").num_rows == n_images
    # A photo of two rows is decoded once, and the page that is no image is opened too.
    assert summary.facts.decoded_photos == n_images - 1 + 1
    assert summary.lines[1] == "every photo was decoded: there is no earlier run with tables of the same schemas"

    _, summary = night("root")
    assert summary.facts.decoded_photos == 1
    assert summary.facts.changes == {"unchanged": n_images, "new": 0, "changed": 0, "moved": 0, "gone": 0}

    feed.put("1.jpg", make_jpeg((99, 48)), "p1")  # changed
    feed.put("2.jpg", (feed.folder / "3.jpg").read_bytes(), "p2")  # changed, to what was known
    (feed.folder / "4.jpg").rename(feed.folder / "moved.jpg")
    feed.rows["p4"] = "moved.jpg"
    feed.put("bad.jpg", make_jpeg((77, 48)), "b")  # mended
    feed.put("6.jpg", b"GIF89a", "p6")  # broken
    del feed.rows["p5"]
    feed.put("new.jpg", make_jpeg((88, 48)), "n")
    tonight, summary = night("root")
    full, full_summary = night("full")
    assert summary.facts.changes == {"unchanged": 5, "new": 2, "changed": 2, "moved": 1, "gone": 3}
    assert summary.facts.decoded_photos == 4  # changed, mended, broken and new
    assert summary.lines[1] == "4 photos decoded"
    assert summary.lines[2].startswith(f"since run {summary.facts.compared_with}: 5 unchanged, 2 new, ")
    assert full_summary.facts.decoded_photos == tables(full, "images").num_rows - 1 + 1
    assert_same_tables(tonight, full, tables)


def test_limits_hold_for_what_was_decoded_before(night: RunNight, feed: Feed, tables) -> None:  # type: ignore[no-untyped-def]
    night("root")
    size = (feed.folder / "3.jpg").stat().st_size
    for number, settings in enumerate(
        (["images.max_pixels=3200"], ["images.min_side_px=45", f"images.max_bytes={size}"])
    ):
        tonight, _ = night("root", *settings)
        full, _ = night(f"full {number}", *settings)
        assert 2 < tables(full, "rejects").num_rows < 11
        assert_same_tables(tonight, full, tables)
    tonight, summary = night("root")
    # Those that were beyond the limit last night are not known.
    assert 1 < summary.facts.decoded_photos < 11
    assert tables(tonight, "images").num_rows == 10


def test_another_decoder_decodes_all_again_and_the_log_says_why(
    night: RunNight, feed: Feed, tables, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    first, _ = night("root")
    before = {**last_night.decoder(), "pillow": "1.0"}
    for module in (ingest, last_night):
        monkeypatch.setattr(module, "decoder", lambda: before)
    second, summary = night("root")
    assert summary.facts.decoded_photos == 10 and summary.facts.compared_with == first.run_id
    assert summary.facts.changes["unchanged"] == 10
    assert summary.lines[1].startswith(
        f"every photo was decoded: the decoder is another one than that of run {first.run_id}: pillow was "
    )
    assert summary.lines[1].endswith(" and is 1.0")
    assert_same_tables(first, second, tables)
    _, summary = night("root")
    assert summary.facts.decoded_photos == 1
