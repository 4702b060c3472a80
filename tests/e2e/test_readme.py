"""What the README shows is true: its examples run on a real night, its tables are the schemas' and the code's."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.photos.decode import RejectReason
from prodseek.report.wording import REASON_MEANINGS
from prodseek.runs.store import STAGES, Run, Store
from prodseek.runs.tables import table_schema

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def ask(run: Run, about: str) -> list[tuple[object, ...]]:
    """The answer to the one DuckDB example that mentions `about`."""
    (query,) = (block for block in blocks("sql") if about in block)
    return duckdb.sql(query.replace("RUN", run.uri)).fetchall()


@pytest.fixture(scope="module")
def sold(sample_folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The sample's catalogue: product and photo -> its row."""
    with (sample_folder / "catalog.csv").open(encoding="utf-8", newline="") as handle:
        return {(row["product_id"], row["uri"]): row for row in csv.DictReader(handle)}


@pytest.fixture(scope="module")
def grouped(night: Run, tables) -> list[tuple[str, dict[str, Any]]]:  # type: ignore[no-untyped-def]
    """Each photo's group of look-alikes, as a row of the summary: (product_id, uri) and the group; none twice."""
    groups = {row["group_id"]: row for row in tables(night, "curation_summary").to_pylist()}
    in_group = {row["detection_id"]: row["group_id"] for row in tables(night, "curation_groups").to_pylist()}
    regions = tables(night, "detections").select(["detection_id", "image_id"]).to_pylist()
    shown = [(row["image_id"], groups[group]) for row in regions if (group := in_group.get(row["detection_id"]))]
    photos = defaultdict(list)
    for row in tables(night, "images").to_pylist():
        photos[row["image_id"]].append((row["product_id"], row["uri"]))
    return [(photo, group) for image_id, group in shown for photo in photos[image_id]]


def test_every_duckdb_example_is_checked_below() -> None:
    assert len(blocks("sql")) == 3


def test_copies_per_supplier(night: Run, tables, sold) -> None:  # type: ignore[no-untyped-def]
    copies = defaultdict(list)
    for row in tables(night, "duplicate_groups").to_pylist():
        if not row["is_representative"]:
            copies[sold[row["product_id"], row["uri"]]["supplier"]].append(row["product_id"])
    counted = [(supplier, len(ids), len(set(ids))) for supplier, ids in copies.items()]
    assert ask(night, "supplier") == sorted(counted, key=lambda row: (-row[1], row[0]))
    assert {"nordhus", "casabella", "lagerhaus"} <= set(copies)


def test_groups_without_a_best_seller(night: Run, tables, sold, grouped) -> None:  # type: ignore[no-untyped-def]
    with_one = {group["group_id"] for photo, group in grouped if sold[photo]["best_seller"] == "yes"}
    fine = [row for row in tables(night, "curation_summary").to_pylist() if row["level"] == "fine"]
    without = [(row["title"], row["n_products"]) for row in fine if row["group_id"] not in with_one]
    assert ask(night, "best_seller") == sorted(without, key=lambda row: (-row[1], row[0]))
    assert 0 < len(without) < len(fine)


def test_colours_per_category(night: Run, sold, grouped) -> None:  # type: ignore[no-untyped-def]
    counts = Counter((sold[photo]["category"], group["dominant_colour"]) for photo, group in grouped)
    answer = ask(night, "dominant_colour")
    assert {row[:2]: row[2] for row in answer} == counts and len(answer) == len(counts) > 10
    of_category = Counter(sold[photo]["category"] for photo, _ in grouped)
    assert all(share == pytest.approx(n_photos / of_category[category]) for category, _, n_photos, share in answer)


def test_what_changed_since_yesterday(night: Run, tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    images = tables(night, "images")
    rows = images.to_pylist()
    gone, replaced = ({**rows[0], "uri": "images/of yesterday.jpg"}, {**rows[1], "image_id": "0" * 64})
    yesterday = [gone, rows[0], replaced, *rows[2:-3]]  # three are new
    store = Store.at(str(tmp_path))
    for run_id, content in (("20260101T010000Z-00000000", yesterday), ("20260102T010000Z-00000000", rows)):
        run = store.run(run_id)
        Path(run.table_uri("images")).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content, images.schema), f"{run.table_uri('images')}/part-0.parquet")
        run.write_json("MANIFEST.json", {"run_id": run_id})
    store.run("20260103T010000Z-00000000").write_json("stages/ingest.json", {})  # one that has not finished
    (example,) = (block for block in blocks("python") if "pandas" in block)
    names: dict[str, Any] = {}
    exec(example.replace('"out"', repr(store.root)), names)
    found = {(row.product_id, row.uri, str(row.change)) for row in names["changed"].itertuples()}
    assert found == {
        (gone["product_id"], gone["uri"], "left_only"),
        (replaced["product_id"], replaced["uri"], "both"),
        *((row["product_id"], row["uri"], "right_only") for row in rows[-3:]),
    }
    assert re.search(r"new +3\n(?s:.)*Name: count", capsys.readouterr().out)


def test_spark_example_runs(spark, night: Run) -> None:  # type: ignore[no-untyped-def]
    (example,) = (block for block in blocks("python") if "spark.sql" in block)
    names = {"spark": spark}
    exec(example.replace('"out"', repr(night.root)), names)
    answer = names["answer"].collect()
    assert len(answer) == 10 and answer[0]["cosine_similarity"] > 0.5


def test_index_example_runs(night: Run) -> None:
    (example,) = (block for block in blocks("python") if "open_index" in block)
    names: dict[str, object] = {}
    exec(example.replace('"out"', repr(night.root)), names)
    assert names["ids"][:, 0].tolist() == names["some"]["detection_id"].to_pylist()
    assert names["ids"].shape == names["cosine"].shape == (5, 10)


def test_search_example_runs(night: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = (block for block in blocks("python") if "SearchableRun.open" in block)
    monkeypatch.chdir(Path(__file__).parents[2])
    names: dict[str, object] = {}
    exec(example.replace('"out"', repr(night.root)), names)
    assert names["hits"][0].product_id == "sofa-retro" and len(names["more"]) == 20
    assert "suitcase" in capsys.readouterr().out


def test_every_reason_and_stage_is_explained() -> None:
    for reason in RejectReason:
        assert f"| `{reason}` |" in README
        assert REASON_MEANINGS[reason]
    for stage in STAGES:
        assert f"| `{stage}` |" in README


def test_closed_lists_are_the_schemas() -> None:
    allowed = {c.name: set(c.allowed) for c in table_schema("rejects").columns}
    assert allowed["reason"] == set(RejectReason)


def test_files_that_it_names_exist() -> None:
    for path in re.findall(r"(?:tests|conf|jobs|schemas)/[\w./-]+\w", README):
        assert (Path(__file__).parents[2] / path).exists(), path
