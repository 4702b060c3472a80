"""Stage project: the same at any number of partitions, taken over by the next night, fitted again when it must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.embedding.facets import prepare
from prodseek.embedding.projection import Projection
from prodseek.jobs import project
from prodseek.photos.profiles import ColourProfile
from prodseek.runs.facts import EmbedFacts, IngestFacts, ProjectFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.slice_layout import layout_to_dict, slice_layout, slice_length
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.spark.night import Night
from prodseek.spark.tables import read_table, spark_schema, write_table

LAYOUT = slice_layout({"stride8": 6, "stride16": 8, "stride32": 10})


def region(index: int) -> dict[str, object]:
    rng = np.random.default_rng(index)
    values = np.random.default_rng(index % 9).gamma(1.0, 1.0, slice_length(LAYOUT)) + rng.gamma(
        1.0, 0.2, slice_length(LAYOUT)
    )
    return {
        "detection_id": int(rng.integers(2**62)),
        "image_id": f"{index:064x}",
        "kind": "frame",
        "class_name": None,
        "score": None,
        "x1_px": 0.0,
        "y1_px": 0.0,
        "x2_px": 50.0,
        "y2_px": 40.0,
        "area_fraction": 1.0,
        "is_primary": index % 5 != 0,
        "model_id": "model",
        "slice": values.astype("<f2").tobytes(),
    }


def image(index: int) -> dict[str, object]:
    sizes = {"width_px": 50, "height_px": 40, "n_bytes": 1000}
    looks = {"format": "JPEG", "pdq_hash": f"{index:064x}", "pixel_hash": f"{index:064x}"}
    looks["colour_profile"] = next(iter(ColourProfile)).value
    named = {"image_id": f"{index:064x}", "product_id": f"p{index // 2}", "uri": f"{index}.jpg"}
    return {**named, **sizes, **looks, "taken_at": None, "attributes": {}}


@pytest.fixture
def night_of(spark: SparkSession, tmp_path: Path, make_config):  # type: ignore[no-untyped-def]
    """Embed regions in a run of a store under tmp_path, after its stages before `project`."""

    def run_night(
        day: int, n_regions: int, *settings: str, model: str = "model", root: str = "root", n_partitions: int = 3
    ) -> tuple[Run, Summary[ProjectFacts]]:
        store = Store.at(str(tmp_path / root))
        run = store.run(f"202601{day:02d}T000000Z-{day:08d}")
        config: Config = make_config(tmp_path, tmp_path / root, "project.nuisance_images=0", *settings)
        frame = spark.createDataFrame([region(i) for i in range(n_regions)], spark_schema("detections"))
        write_table(frame.repartition(n_partitions), run, "detections")
        images = spark.createDataFrame([image(i) for i in range(n_regions)], spark_schema("images"))
        write_table(images.repartition(n_partitions), run, "images")
        run.write_summary(Summary(IngestFacts(input_rows=n_regions, base_uri=str(tmp_path))))
        run.write_summary(Summary(EmbedFacts(model_id=model, slice_layout=layout_to_dict(LAYOUT))))
        summary = project.run(Night.of(spark, config, run))
        run.write_summary(summary)
        store.publish(run, Manifest(run_id=run.run_id, schema_versions=schema_versions()))
        return run, summary

    return run_night


def vectors(spark: SparkSession, run: Run) -> list[object]:
    return [tuple(row) for row in read_table(spark, run, "embeddings").orderBy("detection_id").collect()]


def test_same_embeddings_at_any_number_of_partitions_and_twice(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    one, first = night_of(1, 120, root="one", n_partitions=1)
    eight, second = night_of(1, 120, root="eight", n_partitions=8)
    again, third = night_of(1, 120, root="again", n_partitions=8)

    assert first.facts.projection_id == second.facts.projection_id == third.facts.projection_id
    assert first.rows == {"embeddings": 120} and first.facts.fit_regions == 96
    assert vectors(spark, one) == vectors(spark, eight) == vectors(spark, again)


def test_the_next_night_takes_the_projection_over(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    first_run, first = night_of(1, 100)
    second_run, second = night_of(2, 110)

    assert second.facts.projection_id == first.facts.projection_id
    assert (second.facts.fitted_in, second.facts.fitted_for) == (first_run.run_id, 80)
    assert second.facts.new_since == 8
    assert f"of run {first_run.run_id}, 8 of its 80 regions new since" in second.lines[0]
    known = {row[0]: row for row in vectors(spark, first_run)}
    found = {row[0]: row for row in vectors(spark, second_run)}
    assert len(found) == 110 and {i: found[i] for i in known} == known


def test_a_catalogue_that_has_outgrown_it_is_fitted_again_however_slowly(night_of) -> None:  # type: ignore[no-untyped-def]
    _, first = night_of(1, 100)
    _, second = night_of(2, 115)
    third_run, third = night_of(3, 130)

    assert second.facts.projection_id == first.facts.projection_id
    assert third.facts.projection_id != first.facts.projection_id
    assert (third.facts.fitted_in, third.facts.fitted_for, third.facts.new_since) == (third_run.run_id, 104, 0)


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"settings": ("project.sample_rows=32",)}], ids=["model", "fit"]
)
def test_another_model_or_another_fit_is_fitted_again(night_of, change: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    _, first = night_of(1, 100)
    settings = change.pop("settings", ())
    second_run, second = night_of(2, 100, *settings, **change)  # type: ignore[misc]

    assert second.facts.fitted_in == second_run.run_id
    assert second.facts.recipe != first.facts.recipe


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_damaged_projection_is_not_taken_over(night_of, damage: str, caplog: pytest.LogCaptureFixture) -> None:  # type: ignore[no-untyped-def]
    first_run, _ = night_of(1, 100)
    stored = Path(first_run.path(project.PROJECTION))
    stored.write_bytes(stored.read_bytes()[:-200]) if damage == "altered" else stored.unlink()

    second_run, second = night_of(2, 100)

    assert second.facts.fitted_in == second_run.run_id
    assert f"projection of run {first_run.run_id} cannot be taken over" in caplog.text


def test_how_often_it_is_fitted_is_no_other_fit(night_of) -> None:  # type: ignore[no-untyped-def]
    first_run, _ = night_of(1, 100)
    _, second = night_of(2, 150, "project.refit_growth=2")

    assert second.facts.fitted_in == first_run.run_id


def test_a_bounded_sample_is_fitted(spark: SparkSession, night_of) -> None:  # type: ignore[no-untyped-def]
    run, summary = night_of(1, 100, "project.fit_rows=40")

    assert summary.facts.fit_regions == 40
    lowest = read_table(spark, run, "detections").where("is_primary").orderBy("detection_id").limit(40)
    slices = [np.frombuffer(row["slice"], "<f2") for row in lowest.select("slice").collect()]
    stored = Projection.from_bytes(Path(run.path(project.PROJECTION)).read_bytes())
    assert stored.projection_id == summary.facts.projection_id
    mean = prepare("colour", np.stack(slices), LAYOUT).mean(axis=0)
    np.testing.assert_allclose(stored.palette, mean, atol=2e-5)
    assert read_table(spark, run, "embeddings").where(F.col("projection_id") == stored.projection_id).count() == 100
