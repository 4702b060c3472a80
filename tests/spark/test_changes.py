"""What is new since an earlier run: every kind of change planted once, and counted as a plain comparison counts it."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from prodseek.photos.decode import content_id
from prodseek.report.overview_model import (
    ChangedGroup,
    CountedExamples,
    NewCopy,
    NewDuplicateGroup,
    NewPair,
    RejectExample,
)
from prodseek.report.records import About
from prodseek.runs.facts import CacheFolder, ClusterFacts, EmbedFacts, IndexedFacet, IndexFacts, IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions, table_schema
from prodseek.spark.night import Night
from prodseek.spark.report import changes as compared
from prodseek.spark.report.changes import changes_since_last_night
from prodseek.spark.report.overview import PAGE, write_overview
from prodseek.spark.report.rows_in import count_rows_in

COUNTS = (
    *("n_objects", "n_images", "n_duplicate_groups", "n_all_duplicate_groups", "n_pairs", "n_all_pairs"),
    *("n_pairs_to_look_at", "n_all_pairs_to_look_at"),
)


def jpeg(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "JPEG")
    return buffer.getvalue()


# Photos that are looked at: only what has the content that its id says is shown.
KEPT, NEW = jpeg("grey"), jpeg("white")
C7, D8 = content_id(KEPT), content_id(NEW)
BEFORE, NOW = "20260101T000000Z-00000001", "20260102T000000Z-00000002"


def write(run: Run, table: str, rows: list[dict[str, Any]]) -> None:
    """Write a table; columns that are not named have some value of their type."""
    schema = table_schema(table).arrow
    filled = [{field.name: row.get(field.name, _filler(field)) for field in schema} for row in rows]
    Path(run.table_uri(table)).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(filled, schema), run.path(table, "part-0.parquet"))


def _filler(field: pa.Field) -> object:
    if field.nullable:
        return None
    if pa.types.is_nested(field.type):
        return {} if pa.types.is_struct(field.type) else []
    return {pa.string(): "", pa.binary(): b""}.get(field.type, 0)


def photo(product: str, uri: str, content: str, title: str | None = None) -> dict[str, Any]:
    attributes = {} if title is None else {"title": title}
    return {"product_id": product, "uri": uri, "image_id": content, "attributes": attributes}


def reject(product: str | None, uri: str | None, reason: str, detail: str = "so") -> dict[str, Any]:
    return {"product_id": product, "uri": uri, "reason": reason, "stage": "ingest", "detail": detail}


def in_group(group: str, size: int, *photos: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"group_id": group, "product_id": product, "uri": uri, "group_size": size, "is_representative": place == 0}
        for place, (product, uri) in enumerate(photos)
    ]


def pair(a: str, b: str, verdict: str, confidence: float, decision: str = "variant") -> dict[str, Any]:
    names = {f"{name}_{side}": one for side, one in (("a", a), ("b", b)) for name in ("image_id", "product_id", "uri")}
    return {**names, "verdict": verdict, "decision": decision, "confidence": confidence}


def group(name: str, level: str, title: str, n_regions: int) -> dict[str, Any]:
    return {"facet": "visual", "level": level, "group_id": name, "title": title, "n_regions": n_regions}


def event(what: str, level: str, now: str | None, before: str | None, facet: str = "visual") -> dict[str, Any]:
    return {"facet": facet, "level": level, "event": what, "group_id": now, "previous_group_id": before}


def write_run(root: Path, run_id: str, **tables: list[dict[str, Any]]) -> Run:
    run = Store.at(str(root)).run(run_id)
    for name in ("images", "rejects", "near_duplicates", "duplicate_groups", "curation_summary", "group_lineage"):
        write(run, name, tables.get(name, []))
    return run


@pytest.fixture
def night(spark: SparkSession, tmp_path: Path, make_config) -> Night:  # type: ignore[no-untyped-def]
    """A night and its last night, whose tables differ in every way."""
    before = write_run(
        tmp_path,
        BEFORE,
        images=[
            photo("p1", "same.jpg", "c1"),
            photo("p1", "replaced.jpg", "c2"),
            photo("p2", "old name.jpg", "c3", "Mug"),
            photo("p2", "gone.jpg", "c4"),
            photo("p3", "lost.jpg", "c5"),
            # Two copies of one file, of which one goes and one moves.
            photo("p4", "a.jpg", "c6"),
            photo("p4", "b.jpg", "c6"),
            photo("p5", "kept 1.jpg", C7),
            photo("p5", "kept 2.jpg", "c8"),
            photo("p6", "twice.jpg", "c9"),
        ],
        rejects=[
            reject("p7", "repaired.jpg", "truncated"),
            reject("p8", "still bad.jpg", "empty"),
            reject("p9", "other reason.jpg", "missing"),
            reject(None, None, "invalid_row", "row 3"),
            reject("p6", "twice.jpg", "duplicate_row"),
        ],
        duplicate_groups=[
            *in_group("g-moves", 2, ("p1", "same.jpg"), ("p2", "old name.jpg")),
            *in_group("g-grows", 2, ("p5", "kept 1.jpg"), ("p5", "kept 2.jpg")),
        ],
        near_duplicates=[
            pair("c1", C7, "recoloured", 0.7),
            pair("c1", "c8", "cropped", 0.9, "copy"),
            pair("c8", D8, "mirrored", 0.5, "look"),
            pair("c6", "c7", "mirrored", 0.6, "variant"),
        ],
        curation_summary=[
            group("f-one", "fine", "Red mugs", 5),
            group("f-lost", "fine", "Blue mugs", 4),
            group("f-gone", "fine", "Lamps", 3),
            group("c-one", "coarse", "Mugs", 9),
        ],
    )
    now = write_run(
        tmp_path,
        NOW,
        images=[
            photo("p1", "same.jpg", "c1"),
            photo("p1", "replaced.jpg", "d2", "New picture"),
            photo("p2", "new name #1?.jpg", "c3", "Mug"),
            photo("p4", "c.jpg", "c6"),
            photo("p5", "kept 1.jpg", C7),
            photo("p5", "kept 2.jpg", "c8"),
            photo("p6", "twice.jpg", "c9"),
            photo("p7", "repaired.jpg", "d7"),
            photo("p10", "new.jpg", D8, "<b>Cup"),
            photo("p11", "also new.jpg", "d9"),
            photo("p10", "copy of kept 1.jpg", C7),
        ],
        rejects=[
            reject("p3", "lost.jpg", "missing"),
            reject("p8", "still bad.jpg", "empty"),
            reject("p9", "other reason.jpg", "corrupt"),
            reject(None, None, "invalid_row", "row 3"),
            reject(None, None, "invalid_row", "row 9"),
            reject("p6", "twice.jpg", "duplicate_row"),
            reject("p6", "twice.jpg", "duplicate_row"),
        ],
        duplicate_groups=[
            # Another representative, hence another id, and one of the two moved: no new group.
            *in_group("g-moved", 2, ("p2", "new name #1?.jpg"), ("p1", "same.jpg")),
            *in_group("g-grows", 3, ("p5", "kept 1.jpg"), ("p5", "kept 2.jpg"), ("p10", "copy of kept 1.jpg")),
            *in_group("g-new", 2, ("p10", "new.jpg"), ("p4", "c.jpg")),
        ],
        near_duplicates=[
            pair("c1", C7, "recoloured", 0.7),
            pair("c1", "c8", "same_object", 0.6),
            pair("c1", D8, "embedded", 0.8),
            pair("c6", D8, "cropped", 0.99, "copy"),
            pair("c8", D8, "mirrored", 0.5, "look"),
            pair("c6", "c7", "mirrored", 0.6, "look"),
        ],
        curation_summary=[
            group("f-one", "fine", "Red mugs", 8),
            group("f-born", "fine", "Cups", 2),
            group("f-split", "fine", "Red mugs with a handle", 3),
            group("c-one", "coarse", "Mugs", 11),
            group("c-born", "coarse", "Cups and bowls", 4),
        ],
        group_lineage=[
            event("grown", "fine", "f-one", "f-one"),
            event("merged", "fine", "f-one", "f-lost"),
            event("split", "fine", "f-split", "f-one"),
            event("born", "fine", "f-born", None),
            event("retired", "fine", None, "f-gone"),
            event("continued", "coarse", "c-one", "c-one"),
            event("born", "coarse", "c-born", None),
            event("born", "fine", "other-facet", None, facet="colour"),
        ],
    )
    return Night(spark, make_config(tmp_path, tmp_path), now, before)


def test_every_change_is_found(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    found = changes_since_last_night(night)
    assert found is not None and found.run_id == BEFORE
    night.spark.conf.set("spark.sql.shuffle.partitions", 1)
    monkeypatch.setattr(compared, "EXAMPLES", 2)
    fewer = changes_since_last_night(night)
    assert fewer is not None and fewer.came == CountedExamples(3, found.came.examples[:2])
    assert fewer == replace(found, came=fewer.came)

    def names(changed: Any) -> set[tuple[str, ...]]:
        assert changed.n == len(changed.examples)
        return {(one.product_id, one.uri) for one in changed.examples}

    assert names(found.came) == {("p10", "new.jpg"), ("p11", "also new.jpg"), ("p10", "copy of kept 1.jpg")}
    assert names(found.went) == {("p2", "gone.jpg"), ("p4", "b.jpg")}
    assert names(found.replaced) == {("p1", "replaced.jpg")}
    assert found.replaced.examples[0].image_id == "d2" and found.replaced.examples[0].title == "New picture"
    moved = {(one.was_product_id, one.was_uri, one.product_id, one.uri) for one in found.moved.examples}
    assert moved == {("p2", "old name.jpg", "p2", "new name #1?.jpg"), ("p4", "a.jpg", "p4", "c.jpg")}
    assert names(found.repaired) == {("p7", "repaired.jpg")} and found.repaired.examples[0].reason == "truncated"
    assert {one.title for one in found.came.examples} == {"<b>Cup", ""}

    assert {one.reason: one.n_rows for one in found.rejects} == {
        "missing": 1,
        "corrupt": 1,
        "invalid_row": 1,
        "duplicate_row": 1,
    }
    (invalid,) = (one for one in found.rejects if one.reason == "invalid_row")
    assert invalid.examples == (RejectExample("", "row 9", ""),)
    assert found.n_new_rejects == 4 and found.n_lost == 1
    n_now, n_before = n_images(night), n_images(replace(night, run=night.last_run))
    assert n_now - n_before == found.came.n + found.repaired.n - found.went.n - found.n_lost

    assert found.duplicate_groups.examples == (NewDuplicateGroup("g-new", 2, "p10", "new.jpg", "<b>Cup"),)
    assert found.copies.examples == (NewCopy("g-grows", "p10", "copy of kept 1.jpg"),)
    assert [(one.verdict, one.uri_a, one.uri_b) for one in found.pairs_apart.examples] == [
        ("embedded", "c1", D8),
        ("same_object", "c1", "c8"),
    ]
    assert isinstance(found.pairs_apart.examples[0], NewPair)
    assert found.duplicate_groups.n == found.copies.n == 1 and found.pairs_apart.n == 2
    assert [(one.verdict, one.uri_a, one.uri_b) for one in found.pairs_to_look_at.examples] == [
        ("mirrored", "c6", "c7")
    ]

    groups = {one.event: one for one in found.groups}
    assert {name: (one.n_fine, one.n_coarse) for name, one in groups.items()} == {
        "born": (1, 1),
        "merged": (1, 0),
        "split": (1, 0),
        "retired": (1, 0),
    }
    assert groups["born"].examples == (
        ChangedGroup("f-born", "fine", "Cups", 2),
        ChangedGroup("c-born", "coarse", "Cups and bowls", 4),
    )
    assert groups["merged"].examples == (ChangedGroup("f-one", "fine", "Red mugs", 8, ("Blue mugs",)),)
    assert groups["split"].examples == (ChangedGroup("f-split", "fine", "Red mugs with a handle", 3, ("Red mugs",)),)
    assert groups["retired"].examples == (ChangedGroup("f-gone", "fine", "Lamps", 3),)


@pytest.mark.parametrize(
    ("title_column", "title"),
    [("Produktname", "Becher, neu"), ("title", "a note"), (None, "")],
    ids=["the column of the groups' titles", "a column called so", "a catalogue without titles"],
)
def test_titles_are_read_from_the_column_that_the_run_remembers(
    spark: SparkSession,
    tmp_path: Path,
    make_config,  # type: ignore[no-untyped-def]
    title_column: str | None,
    title: str,
) -> None:
    before = write_run(tmp_path, BEFORE)
    new = photo("p1", "new.jpg", "c1") | {"attributes": {"Produktname": "Becher, neu", "title": "a note"}}
    run = write_run(tmp_path, NOW, images=[new])
    facts = ClusterFacts(looks_cache=CacheFolder("looks", ""), title_column=title_column)
    run.write_summary(Summary(facts))
    found = changes_since_last_night(Night(spark, make_config(tmp_path, tmp_path), run, before))
    assert found is not None and [one.title for one in found.came.examples] == [title]


def n_images(night: Night) -> int:
    write(night.run, "detections", [])
    found = count_rows_in(night, IngestFacts(input_rows=0))
    assert sum(one.n_rows for one in found.rejects) == found.n_rejects
    return found.n_images


def test_a_run_that_lost_a_table_is_not_compared_with(night: Night) -> None:
    assert night.last_run is not None
    shutil.rmtree(night.last_run.table_uri("near_duplicates"))
    assert changes_since_last_night(night) is None


def test_a_first_night_has_nothing_to_compare_with(night: Night) -> None:
    assert changes_since_last_night(replace(night, last_run=None)) is None


def test_rows_in_are_counted_with_a_few_rejects_of_each_reason(night: Night) -> None:
    write(
        night.run,
        "rejects",
        [reject("p", f"{place}.jpg", "empty") for place in range(5)] + [reject(None, None, "invalid_row")],
    )
    write(night.run, "detections", [])
    found = count_rows_in(night, IngestFacts(input_rows=17))
    assert (found.n_rows, found.n_images, found.n_distinct_images, found.n_regions, found.n_rejects) == (
        17,
        11,
        10,
        0,
        6,
    )
    assert [(one.reason, one.n_rows) for one in found.rejects] == [("empty", 5), ("invalid_row", 1)]
    assert [one.uri for one in found.rejects[0].examples] == ["0.jpg", "1.jpg", "2.jpg"]
    assert found.rejects[1].examples == (RejectExample("", "so", ""),)


def test_the_first_page_of_a_second_run(night: Night, make_config) -> None:  # type: ignore[no-untyped-def]
    now, before = night.run, night.last_run
    assert before is not None
    for name, content in (("new.jpg", NEW), ("copy of kept 1.jpg", KEPT)):
        Path(now.root, name).write_bytes(content)
    box = {"x1_px": 0.0, "y1_px": 0.0, "x2_px": 64.0, "y2_px": 48.0, "is_primary": True}
    contents = {"c1": 1, "d2": 2, D8: 8, "d9": 9, C7: 7}
    write(now, "detections", [{"detection_id": number, "image_id": name, **box} for name, number in contents.items()])
    index = IndexedFacet(description="Flat", recall_k=10, recall=1.0, recall_target=0.95, recall_queries=5)
    for run in (now, before):
        ingested = IngestFacts(input_rows=18, base_uri=now.root, catalog=now.root)
        run.write_summary(Summary(ingested, {"images": 11, "rejects": 7}, seconds=3600.0))
        run.write_summary(Summary(EmbedFacts(model_id="tiny"), {"detections": 5}, seconds=0.5))
        run.write_summary(Summary(IndexFacts(facets={"visual": index})))
    manifest = Manifest(
        run_id=before.run_id,
        schema_versions=schema_versions(),
        finished="2026-01-01T01:00:00+00:00",
        tables={"images": 10},
        seconds={"ingest": 7.0},
        stages={"embed": {"model_id": "other"}},
    )
    Store(now.root).publish(before, manifest)

    about = About(
        run_id=NOW,
        finished="2026-01-02T01:00:00+00:00",
        catalogue=now.root,
        prodseek_version="0",
        **dict.fromkeys(COUNTS, 0),
    )  # type: ignore[typeddict-item]
    objects = night.spark.createDataFrame([(C7, 41)], "image_id string, number long")
    config = make_config(now.root, now.root, "report.price_per_core_hour=2")
    n_bytes = write_overview(replace(night, config=config), about, objects)

    page = Path(now.path(PAGE)).read_text(encoding="utf-8")
    assert len(page.encode()) == n_bytes and "4 are new since the last run" in page
    assert page.count("data:image/webp") == 2 and page.count("cannot be read any more") == 2
    assert page.count('href="object.html#41"') == 1 and "&lt;b&gt;Cup" in page
    assert "2.00 core hours, 4.00 EUR" in page and "another network" in page and "+1<" in page
