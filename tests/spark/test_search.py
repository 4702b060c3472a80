"""Stage search: prompts and similar products, the same at 1 and 8 partitions and twice; a prompt is never lost."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from synthetic_run import write_listing, write_run

from prodseek.config import load_config
from prodseek.errors import CatalogueError, PromptError
from prodseek.runner.search_batch import search_batch
from prodseek.runs.facts import ProjectFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions, table_schema
from prodseek.search.searchable import SearchableRun
from prodseek.spark.search import answers as search
from prodseek.spark.search import similar_products as similar
from prodseek.spark.search.answers import BatchQuestion
from prodseek.spark.search.similar_products import similar_products

N = 1500
N_IMAGES = 700
N_PRODUCTS = 300


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A published run with a graph and without an index, whose photos do not exist; some are copies of each other."""
    root = tmp_path_factory.mktemp("root")
    rng = np.random.default_rng(0)
    images = np.concatenate([np.arange(N_IMAGES), rng.integers(0, N_IMAGES, N - N_IMAGES)])
    is_primary = np.arange(N) < N_IMAGES
    others = {"colour": unit_rows(N, 6, 1), "texture": unit_rows(N, 5, 2), "shape": unit_rows(N, 4, 3)}
    ids = rng.permutation(10**6)[:N]
    run = write_run(root, ids, unit_rows(N, 12, 0), images=images, is_primary=is_primary, n_files=4, facets=others)
    products = [f"p{image % N_PRODUCTS:03d}" for image in range(N_IMAGES)]
    write_listing(run, np.arange(N_IMAGES), products, {image: f"g{image // 2}" for image in range(200)})
    write_graph(run, ids[is_primary], unit_rows(N, 12, 0)[is_primary])
    config = load_config(root=str(root))
    stages = {"ingest": {"input_rows": N_IMAGES, "base_uri": str(root)}}
    Store(run.root).publish(
        run,
        Manifest(
            run_id=run.run_id, schema_versions=schema_versions(), config=config.model_dump(mode="json"), stages=stages
        ),
    )
    return run


def write_graph(run: Run, ids: np.ndarray, vectors: np.ndarray, k: int = 16) -> None:
    """The k nearest of every region among these."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -2)
    nearest = np.argsort(-cosine, axis=1)[:, :k]
    edges = pa.table(
        {
            "detection_id": np.repeat(ids, k),
            "neighbour_id": ids[nearest].ravel(),
            "rank": np.tile(np.arange(1, k + 1, dtype=np.int32), len(ids)),
            "cosine_similarity": np.take_along_axis(cosine, nearest, axis=1).ravel(),
        }
    )
    Path(run.table_uri("neighbours")).mkdir()
    pq.write_table(edges, run.path("neighbours", "part-0.parquet"))


def ids_of(run: Run) -> list[int]:
    return sorted(pq.read_table(run.table_uri("detections")).column("detection_id").to_pylist())


def table_of(out: Path, name: str) -> list[dict[str, object]]:
    table = pq.read_table(out / name)
    assert table.schema.names == list(table_schema(name).column_names)
    return sorted(table.to_pylist(), key=repr)


def test_prompts_are_answered_alike_however_they_are_cut(
    spark: SparkSession, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ids_of(run)
    asked = [str(region) for region in ids[:40]]
    bad = ["7", "seven", "9" * 30]
    answers = {}
    for name, n_files, per_partition in (("1", 1, 1000), ("8", 8, 5), ("again", 8, 5)):
        monkeypatch.setattr(search, "_PROMPTS_PER_PARTITION", per_partition)
        spark.conf.set("spark.sql.shuffle.partitions", str(n_files))
        folder = tmp_path / f"prompts-{name}.parquet"
        folder.mkdir()
        rows = np.array([*asked, *bad])[np.random.default_rng(n_files).permutation(len(asked) + len(bad))].tolist()
        for part in range(n_files):
            pq.write_table(pa.table({"detection_id": rows[part::n_files]}), folder / f"{part}.parquet")
        out = tmp_path / name
        summary = search.answer_prompts(
            spark, run, str(folder), str(out), BatchQuestion(6, "mix=likeness:1,colour:2", True)
        )
        answers[name] = {table: table_of(out, table) for table in summary.rows}
        assert summary.facts["answered"] == len(asked) and sum(summary.facts["rejected"].values()) == len(bad)
        assert json.loads((out / "MANIFEST.json").read_text())["prompts"] == len(asked) + len(bad)
        assert not (out / "_work").exists()
    assert answers["1"] == answers["8"] == answers["again"]
    searchable = SearchableRun.open(run.root)
    for region in ids[:40:8]:
        hits = searchable.search_region(region, 6, "mix=likeness:1,colour:2", True)
        found = sorted(
            (row["rank"], row["detection_id"], row["product_id"], row["cosine_similarity"])
            for row in answers["1"]["search_results"]
            if row["query_id"] == str(region)
        )
        assert found == [(hit.rank, hit.detection_id, hit.product_id, hit.cosine_similarity) for hit in hits]
    assert {row["reason"] for row in answers["1"]["rejected_prompts"]} == {"unknown_region", "invalid_prompt"}


def test_every_bad_row_of_a_csv_says_what_is_wrong(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    good, other = ids_of(run)[:2]
    prompts = tmp_path / "prompts.csv"
    prompts.write_text(
        "query_id,detection_id,uri,x1_px,y1_px,x2_px,y2_px\n"
        f"q1,{good},,,,,\n"
        f"q1,{other},,,,,\n"
        "q3,,,1,2,3,4\n"
        "q4,,,,,,\n"
        "q5,1.5,,,,,\n"
        "q6,1\n"
        ",,,,,,\n"
    )
    search.answer_prompts(spark, run, str(prompts), str(tmp_path / "out"), BatchQuestion(3))
    reasons = {row["query_id"]: row["reason"] for row in table_of(tmp_path / "out", "rejected_prompts")}
    assert reasons == {
        "q1": "duplicate_query",
        "q3": "invalid_prompt",
        "q4": "invalid_prompt",
        "q5": "invalid_prompt",
        "q6": "invalid_prompt",
        "": "invalid_prompt",
    }
    assert {row["query_id"] for row in table_of(tmp_path / "out", "search_results")} == {"q1"}


def test_similar_products_are_those_of_the_graph(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    found = {}
    for name, partitions in (("1", 1), ("8", 8), ("again", 8)):
        spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
        similar_products(spark, run, str(tmp_path / name), BatchQuestion(5, min_confidence=0.0), 0.01)
        found[name] = table_of(tmp_path / name, "search_results")
    assert found["1"] == found["8"] == found["again"]
    assert {row["query_id"] for row in found["1"]} == {f"p{number:03d}" for number in range(N_PRODUCTS)}

    detections = pq.read_table(run.table_uri("detections"), columns=["detection_id", "image_id", "is_primary"])
    primary = {row["detection_id"]: int(row["image_id"], 16) for row in detections.to_pylist() if row["is_primary"]}
    edges: dict[str, list[tuple[float, int, int]]] = {}
    for edge in pq.read_table(run.table_uri("neighbours")).to_pylist():
        if edge["detection_id"] in primary and edge["neighbour_id"] in primary:
            asking, other = primary[edge["detection_id"]], primary[edge["neighbour_id"]]
            edges.setdefault(f"p{asking % N_PRODUCTS:03d}", []).append(
                (-edge["cosine_similarity"], edge["neighbour_id"], other)
            )

    def original(image: int) -> object:
        return f"g{image // 2}" if image < 200 else image

    for product in ("p000", "p007", "p123", "p299"):
        own = {original(image) for image in range(N_IMAGES) if f"p{image % N_PRODUCTS:03d}" == product}
        products, originals, expected = {product}, set(own), []
        for negative_cosine, region, image in sorted(edges[product]):
            other = f"p{image % N_PRODUCTS:03d}"
            if other not in products and original(image) not in originals and len(expected) < 5:
                expected.append((len(expected) + 1, region, other, -negative_cosine))
                products.add(other)
                originals.add(original(image))
        rows = [row for row in found["1"] if row["query_id"] == product]
        assert sorted((r["rank"], r["detection_id"], r["product_id"], r["cosine_similarity"]) for r in rows) == expected
        assert all(r["likeness_similarity"] == r["cosine_similarity"] and r["colour_similarity"] is None for r in rows)


@pytest.fixture
def calibrated(run: Run, tmp_path: Path) -> Run:
    """The run with a fitted confidence, in which every third product is a room."""
    shutil.copytree(run.root, tmp_path / "root")
    copied = Store.at(str(tmp_path / "root")).run(run.run_id)
    fitted = {"slope": 12.0, "none": 6.0, "standing_out": 9.0, "alike": 3.0}
    copied.write_summary(Summary(ProjectFacts(projection_id="synthetic", likeness_calibration=fitted)))
    manifest = copied.manifest()
    facts = {"project": {"likeness_calibration": fitted}}
    Store(copied.root).publish(copied, replace(manifest, stages=manifest.stages | facts))
    rooms = room_ids(copied)
    for part in sorted(Path(copied.table_uri("embeddings")).iterdir()):
        read = pq.read_table(part)
        is_room = pa.array([region in rooms for region in read["detection_id"].to_pylist()])
        for name in ("is_scene", "is_room"):
            read = read.set_column(read.schema.get_field_index(name), name, is_room)
        pq.write_table(read, part)
    return copied


def room_ids(run: Run) -> set[int]:
    detections = pq.read_table(run.table_uri("detections"), columns=["detection_id", "image_id"]).to_pylist()
    return {row["detection_id"] for row in detections if int(row["image_id"], 16) % N_PRODUCTS % 3 == 0}


def test_similar_products_are_sure_enough_and_rooms_are_like_rooms(
    spark: SparkSession, calibrated: Run, tmp_path: Path
) -> None:
    similar_products(spark, calibrated, str(tmp_path / "all"), BatchQuestion(16, min_confidence=0.0), 0.01)
    summary = similar_products(spark, calibrated, str(tmp_path / "sure"), BatchQuestion(16, min_confidence=0.05), 0.01)
    every, sure = (table_of(tmp_path / name, "search_results") for name in ("all", "sure"))
    assert 0 < len(sure) < len(every) and summary.facts["min_confidence"] == 0.05
    # What is left are the first of each, as sure as they were.
    first = {(row["query_id"], row["rank"]): row for row in every}
    assert all(row == first[row["query_id"], row["rank"]] for row in sure)
    assert min(row["confidence"] for row in sure) > min(row["confidence"] for row in every)
    rooms = room_ids(calibrated)
    for row in every:
        assert row["detection_id"] not in rooms or int(row["query_id"][1:]) % 3 == 0
    assert any(row["detection_id"] in rooms for row in every)


def test_the_first_ten_products_are_similar_however_unsure(
    spark: SparkSession, calibrated: Run, tmp_path: Path
) -> None:
    for name, question, floor in (
        ("all", BatchQuestion(16, min_confidence=0.0), 0.01),
        ("usual", BatchQuestion(16), 1.0),
    ):
        similar_products(spark, calibrated, str(tmp_path / name), question, floor)
    every, usual = (table_of(tmp_path / name, "search_results") for name in ("all", "usual"))
    assert sorted(map(str, usual)) == sorted(str(row) for row in every if row["rank"] <= 10)


@pytest.mark.parametrize("facet", ["visual", "mix=visual:1,shape:1"], ids=["one facet", "a mix"])
def test_similar_products_by_a_facet_are_the_best_that_any_photo_finds(
    spark: SparkSession, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facet: str
) -> None:
    found = {}
    for name, products_per_partition in (("1", N_PRODUCTS), ("8", N_PRODUCTS // 8)):
        monkeypatch.setattr(similar, "_SEARCHED_PER_PARTITION", products_per_partition)
        summary = similar_products(spark, run, str(tmp_path / name), BatchQuestion(5, facet), 0.01)
        found[name] = table_of(tmp_path / name, "search_results")
    assert found["1"] == found["8"] and summary.facts["with_similar"] == summary.facts["products"] == N_PRODUCTS
    searchable = SearchableRun.open(run.root)
    photos = pq.read_table(run.table_uri("detections"), columns=["detection_id", "image_id", "is_primary"]).to_pylist()
    for product in (0, 123):
        own = [row for row in found["1"] if row["query_id"] == f"p{product:03d}"]
        assert sorted(row["rank"] for row in own) == [1, 2, 3, 4, 5]
        hits = {
            hit.product_id: hit.cosine_similarity
            for photo in photos
            if photo["is_primary"] and int(photo["image_id"], 16) % N_PRODUCTS == product
            for hit in searchable.search_region(photo["detection_id"], 5, facet, exclude_same_product=True)
        }
        first = min(own, key=lambda row: row["rank"])
        assert first["cosine_similarity"] == pytest.approx(max(hits.values())) and first["confidence"] is None
        assert {row["product_id"] for row in own} <= hits.keys() - {f"p{product:03d}"}


def test_a_prompt_that_nothing_is_like_says_what_is_nearest(
    spark: SparkSession, calibrated: Run, tmp_path: Path
) -> None:
    things = [region for region in ids_of(calibrated) if region not in room_ids(calibrated)][:5]
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("detection_id\n" + "".join(f"{region}\n" for region in things))
    question = BatchQuestion(3, exclude_same_product=True, min_confidence=0.999)
    summary = search.answer_prompts(spark, calibrated, str(prompts), str(tmp_path / "out"), question)
    assert summary.facts["rejected"] == {"nothing_found": 5}
    said = [row["detail"] for row in table_of(tmp_path / "out", "rejected_prompts")]
    assert all(
        re.fullmatch(r"nothing in the catalogue is like it; the nearest, at \d\d? %, is 'p\d+'", one) for one in said
    )


def test_files_that_are_no_prompts(spark: SparkSession, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("photo,box\nx.jpg,1\n")
    (tmp_path / "b.txt").write_text("")
    for name, error, says in (
        ("a.csv", PromptError, "has the columns photo, box; prompts need uri and x1_px, y1_px, x2_px, y2_px, or detec"),
        ("b.txt", CatalogueError, "is empty; there is nothing to do"),
        ("none.csv", PromptError, "there is no file of prompts at"),
        ("", PromptError, "is a folder; name a CSV or Parquet file of prompts"),
    ):
        with pytest.raises(error, match=says):
            search.answer_prompts(spark, run, str(tmp_path / name), str(tmp_path / "out"), BatchQuestion(3))
    assert not (tmp_path / "out").exists()


def test_a_batch_asks_for_one_thing(run: Run, tmp_path: Path) -> None:
    config, out = load_config(root=run.root), str(tmp_path / "out")
    for options, says in (
        (
            (None, False, out, BatchQuestion()),
            "name a CSV or Parquet file of prompts, or --all-products: one of the two",
        ),
        (("prompts.csv", True, out, BatchQuestion()), "one of the two"),
        (("prompts.csv", False, out, BatchQuestion(0)), "k is 0; ask for 1 result or more"),
    ):
        with pytest.raises(PromptError, match=says):
            search_batch(config, *options)
