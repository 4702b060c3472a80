"""A real run that is damaged: `prodseek verify` names what, and what it says to do mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import prodseek
from nights import SAMPLE_SETTINGS, whole_night
from pyspark.sql import SparkSession

from prodseek.errors import StoreError
from prodseek.index.stored import open_index
from prodseek.runs.store import Run, Store
from prodseek.upkeep.verify import Check, verify


@pytest.fixture(scope="module")
def copied(night: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Run]:
    """A copy of the night's whole root, which may be damaged."""

    def copy() -> Run:
        root = tmp_path_factory.mktemp("copied") / "root"
        shutil.copytree(night.root, root)
        return Store.at(str(root)).run(night.run_id)

    return copy


def bad(run: Run) -> dict[str, Check]:
    checks = verify(Store(run.root), run, n_photos=0)
    return {check.name: check for check in checks if check.outcome == "bad"}


def first(folder: str, pattern: str) -> Path:
    return sorted(Path(folder).glob(pattern))[0]


def test_a_sound_run_is_found_sound_its_photos_too(night: Run) -> None:
    done = prodseek("verify", "--root", night.root, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert {check["outcome"] for check in checks.values()} == {"good"}
    assert "regions of 8 photos found again" in checks["photos embedded again"]["detail"]
    assert len([name for name in checks if name.startswith("table ")]) == len(night.manifest().tables)


def test_every_damage_is_named_with_its_repair(copied: Callable[[], Run]) -> None:
    run = copied()
    assert bad(run) == {}
    first(run.path("embeddings"), "*.parquet").unlink()
    images = first(run.path("images"), "*.parquet")
    images.write_bytes(images.read_bytes()[:-100])
    shutil.rmtree(run.path("group_lineage"))
    first(run.path("index"), "shard-*").unlink()
    trained = Path(run.path("index", "trained.faiss"))
    trained.write_bytes(trained.read_bytes()[:-1])
    Path(run.path("projection.npz")).write_bytes(b"")
    shutil.rmtree(run.path("report"))
    cached = first(str(Path(run.root) / "cache" / "detections"), "*/*/*.parquet")
    cached.write_bytes(cached.read_bytes()[:-100])
    Path(run.root, "LATEST").write_text("20200101T000000Z-00000000\n")
    found = bad(run)
    assert set(found) == {
        "table embeddings",
        "table images",
        "table group_lineage",
        "rows of the catalogue",
        "index of likeness",
        "projection",
        "report",
        "cache of regions",
        "LATEST",
    }
    assert all(check.repair for check in found.values())
    assert "shard-00000.faiss is missing" in found["index of likeness"].detail
    assert images.name in found["table images"].detail

    done = prodseek("verify", "--root", run.root, "--run", run.run_id, "--photos", 0)
    assert done.returncode == 1 and "✗ table images" in done.stdout and "remove the folder" in done.stdout


def test_a_row_that_is_missing_or_another_photo_is_noticed(copied: Callable[[], Run]) -> None:
    run = copied()
    extra = first(run.path("rejects"), "*.parquet")
    shutil.copy(extra, extra.with_name("copy.parquet"))
    assert set(bad(run)) == {"table rejects", "rows of the catalogue"}
    manifest = run.read_json("MANIFEST.json")
    manifest["stages"]["ingest"]["base_uri"] = "/nowhere"
    run.write_json("MANIFEST.json", manifest)
    (photos,) = (c for c in verify(Store(run.root), run, n_photos=3) if c.name == "photos embedded again")
    assert photos.outcome == "skipped" and "3 more are no longer there" in photos.detail


def test_the_repair_of_an_index_and_of_a_publication_cut_short(
    spark: SparkSession, copied: Callable[[], Run], make_config, sample_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    run = copied()
    shard = first(run.path("index"), "shard-*")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"?")
    with pytest.raises(
        StoreError, match=r"shard-00000.faiss is altered .* `prodseek verify --root \S+ --run \S+` says how"
    ):
        open_index(run)
    repair = bad(run)["index of likeness"].repair
    for name in ("stages/index.json", "MANIFEST.json"):
        assert run.path(name) in repair
        Path(run.path(name)).unlink()
    config = make_config(sample_folder / "catalog.csv", run.root, *SAMPLE_SETTINGS)
    assert whole_night(spark, config) == run
    assert shard.read_bytes() == content and bad(run) == {}

    Path(run.path("MANIFEST.json")).write_bytes(b"{")
    Path(run.root, "LATEST").unlink()
    whole_night(spark, config)
    assert "MANIFEST.json is damaged" in capsys.readouterr().err and bad(run) == {}
    Path(run.path("_work")).mkdir()
    assert set(bad(run)) == {"MANIFEST.json"}
    whole_night(spark, config)
    assert "its publication was cut short: it is published again" in capsys.readouterr().err and bad(run) == {}
