"""What the gates measure, on runs that are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from synthetic_run import write_listing, write_run

from prodseek.jobs import gates, ingest
from prodseek.runs.breaches import judge, read_breaches
from prodseek.runs.facts import CacheFolder, ClusterFacts, GatesFacts, GroupedFacet, IngestFacts
from prodseek.runs.gates import embedding_drift
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.spark.night import Night

FIRST, SECOND = "20260101T000000Z-00000001", "20260102T000000Z-00000002"


def vectors_of(images: np.ndarray) -> np.ndarray:
    towards = np.where((images < 100)[:, None], [1.0, 0, 0], [0, 1.0, 0])
    rows = towards + np.random.default_rng(0).normal(size=(200, 3))[images] * 0.3
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write_night(
    root: Path, run_id: str, images: range, groups: list[str], rejects: int = 0, n_rows: int = 0, **facts: Any
) -> Run:
    """A run of `images`, all near (1, 0, 0) below 100 and near (0, 1, 0) from there on, each with two regions.

    n_rows: rows of the catalogue that show the last image, beside its own.
    """
    numbers = np.arange(images.start, images.stop)
    rows = vectors_of(numbers)
    run = write_run(
        root,
        np.concatenate([numbers, numbers + 1000]),
        np.concatenate([rows, -rows]),
        run_id,
        images=np.tile(numbers, 2),
        is_primary=np.repeat([True, False], len(numbers)),
        projection_id=facts.get("projection_id", "one"),
    )
    shown = np.concatenate([numbers, np.repeat(numbers[-1:], n_rows)])
    write_listing(run, shown, [f"p{row}" for row in range(len(shown))])
    names = [f"bad-{row}.jpg" for row in range(rejects)]
    columns = {"uri": names, "product_id": names, "stage": ["ingest"] * rejects}
    columns |= {
        "reason": ["missing" if row % 3 else "empty" for row in range(rejects)],
        "detail": ["no\nfile"] * rejects,
    }
    summary = {"facet": ["visual"] * len(groups), "level": ["fine"] * len(groups), "group_id": groups, "title": groups}
    for table, values in (("rejects", columns), ("curation_summary", summary)):
        content = pa.table({name: pa.array(column, pa.string()) for name, column in values.items()})
        Path(run.table_uri(table)).mkdir()
        pq.write_table(content, run.path(table, "part-0.parquet"))
    groups_of_visual = GroupedFacet(carried_on=facts.get("carried_on", True))
    run.write_summary(Summary(IngestFacts(input_rows=0, base_uri=facts.get("base_uri", "/photos"))))
    run.write_summary(Summary(ClusterFacts(facets={"visual": groups_of_visual}, looks_cache=CacheFolder("looks", ""))))
    return run


def measured(summary: Summary[GatesFacts]) -> dict[str, float]:
    return {figure.gate: figure.value for figure in summary.facts.figures}


def publish(run: Run) -> None:
    Store(run.root).publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))


def test_figures_against_the_run_before(spark: SparkSession, tmp_path: Path, make_config) -> None:  # type: ignore[no-untyped-def]
    config = make_config("/photos", tmp_path)
    before = write_night(tmp_path, FIRST, range(60), ["a", "b", "c"])
    publish(before)
    # 15 photos went, one of another kind came and stands in 30 rows; 10 rows are rejected.
    run = write_night(tmp_path, SECOND, range(15, 60), ["b", "c", "d"], rejects=10)
    add_rows_of_one_photo(tmp_path, run, 150, 30)
    summary = gates.run(Night.of(spark, config, run))
    shown = np.concatenate([np.arange(15, 60), np.full(30, 150)])
    drift = embedding_drift(*(vectors_of(images).astype(float).mean(axis=0) for images in (np.arange(60), shown)))
    assert measured(summary) == {
        "max_reject_share": 10 / 85,
        "min_regions_per_image": 2.0,
        "max_regions_per_image": 2.0,
        "max_odd_norm_share": 0.0,
        "max_missing_share": 0.25,
        "max_embedding_drift": pytest.approx(drift, abs=1e-5),
        "max_group_churn": 0.5,
    }
    by_gate = {figure.gate: figure for figure in summary.facts.figures}
    assert by_gate["max_embedding_drift"].examples == ("images/150.jpg: new, in 30 rows",)
    assert by_gate["max_group_churn"].examples == ("gone: a", "new: d")
    run.write_summary(summary)
    strict = make_config("/photos", tmp_path, "gates.max_reject_share=0.1", "gates.max_embedding_drift=null")
    (missing, rejects) = sorted(judge(run, strict.gates.model_dump()), key=lambda breach: breach.gate)
    assert (missing.gate, missing.examples) == (
        "max_missing_share",
        tuple(f"images/{n}.jpg" for n in (0, 1, 10, 11, 12)),
    )
    assert "15 of the 60 photos of run" in missing.sentence
    assert [example.split(",")[0] for example in rejects.examples[:2]] == ["bad-0.jpg: empty", "bad-1.jpg: missing"]
    assert "11.8 %, at most 10.0 % is allowed; 10 of 85 rows were rejected: 6 missing, 4 empty" in rejects.sentence
    assert [breach.gate for breach in read_breaches(run)] == [rejects.gate, missing.gate]


def test_embeddings_that_are_zero_or_no_number_are_beyond_a_limit(
    spark: SparkSession, tmp_path: Path, make_config
) -> None:  # type: ignore[no-untyped-def]
    run = write_night(tmp_path, FIRST, range(60), [])
    (path,) = Path(run.table_uri("embeddings")).glob("*.parquet")
    table = pq.read_table(path)
    vectors = table.column("visual").to_pylist()
    vectors[7], vectors[67] = [0.0] * len(vectors[7]), [float("nan")] * len(vectors[7])
    place, field = table.schema.get_field_index("visual"), table.schema.field("visual")
    pq.write_table(table.set_column(place, field, pa.array(vectors, field.type)), path)
    config = make_config("/photos", tmp_path)
    run.write_summary(gates.run(Night.of(spark, config, run)))
    (breach,) = judge(run, config.gates.model_dump())
    assert (breach.gate, breach.value) == ("max_odd_norm_share", 2 / 120)
    assert [example.partition(": ")[0] for example in breach.examples] == ["images/7.jpg", "images/7.jpg"]
    assert [example.rpartition(" ")[2] for example in breach.examples] == ["0", "nan"]
    assert "1.7 %, at most 1.0 % is allowed; the visual embeddings of 2 of 120 regions" in breach.sentence
    assert judge(run, {**config.gates.model_dump(), "max_odd_norm_share": 0.1}) == ()


def add_rows_of_one_photo(root: Path, run: Run, image: int, n_rows: int) -> None:
    other = write_night(root, "20260103T000000Z-00000003", range(image, image + 1), [], n_rows=n_rows - 1)
    for table in ("images", "detections", "embeddings"):
        for file in Path(other.table_uri(table)).glob("*.parquet"):
            file.rename(Path(run.table_uri(table)) / f"more-{file.name}")


def test_only_what_can_be_compared_is(spark: SparkSession, tmp_path: Path, make_config) -> None:  # type: ignore[no-untyped-def]
    config = make_config("/photos", tmp_path)
    in_itself = {"max_reject_share", "min_regions_per_image", "max_regions_per_image", "max_odd_norm_share"}
    before = write_night(tmp_path, FIRST, range(4), ["a"])
    publish(before)

    other = write_night(tmp_path, SECOND, range(4), ["a"], projection_id="two", carried_on=False)
    summary = gates.run(Night.of(spark, config, other))
    assert set(measured(summary)) == in_itself | {"max_missing_share"}
    assert "not compared: embeddings, because the projection is another one" in summary.lines
    assert "not compared: groups, because they were fitted anew" in summary.lines

    elsewhere = write_night(tmp_path, "20260103T000000Z-00000003", range(4), ["a"], base_uri="/other")
    summary = gates.run(Night.of(spark, config, elsewhere))
    assert set(measured(summary)) == in_itself
    assert (
        f"not compared: anything, because the catalogue of run {FIRST} lay in another folder, /photos" in summary.lines
    )


def test_a_feed_of_which_half_was_not_delivered_is_beyond_the_default(
    spark: SparkSession, tmp_path: Path, make_jpeg, make_config
) -> None:  # type: ignore[no-untyped-def]
    names = [f"{number}.jpg" for number in range(12)]
    for number, name in enumerate(names[::2]):
        (tmp_path / name).write_bytes(make_jpeg(colour=(40 * number, 9, 200)))
    (tmp_path / "feed.csv").write_text("\n".join(["product_id,uri", *(f"p,{name}" for name in names)]) + "\n")
    config = make_config(tmp_path / "feed.csv", tmp_path / "root")
    run = write_night(tmp_path / "root", FIRST, range(6), ["a"])
    run.write_summary(ingest.run(Night.of(spark, config, run)))
    run.write_summary(gates.run(Night.of(spark, config, run)))
    (breach,) = judge(run, config.gates.model_dump())
    assert (breach.gate, breach.value, breach.limit) == ("max_reject_share", 0.5, 0.3)
    assert "6 of 12 rows were rejected: 6 missing" in breach.sentence
    assert breach.examples[0].startswith("1.jpg: missing, no file at ") and len(breach.examples) == 5
