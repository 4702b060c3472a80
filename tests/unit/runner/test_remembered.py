"""A root knows how its last finished run read its catalogue; what a person says now wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prodseek.config import Config, load_config
from prodseek.runner.commands import configured
from prodseek.runner.remembered import remembered
from prodseek.runs.facts import IngestFacts
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary

RUN_ID = "20260101T000000Z-00000000"


def published(root: Path, catalog: str, *settings: str) -> Run:
    config = load_config(settings=settings, catalog=catalog, root=str(root))
    run = Store.at(str(root)).run(RUN_ID)
    facts = {"input_rows": 1, "catalog": catalog, "base_uri": str(Path(catalog).parent)}
    manifest = Manifest(run_id=RUN_ID, config=config.model_dump(mode="json"), stages={"ingest": facts})
    (root / "runs" / RUN_ID).mkdir(parents=True)
    (root / "runs" / RUN_ID / "MANIFEST.json").write_text(json.dumps(manifest.to_json()))
    (root / "LATEST").write_text(RUN_ID)
    return run


def ingested(root: Path, catalog: str, *settings: str) -> str:
    """A run that has read its catalogue and is not published."""
    run_id = "20260202T000000Z-00000000"
    config = load_config(settings=settings, catalog=catalog, root=str(root))
    facts = IngestFacts(input_rows=1, catalog=catalog, settings=config.catalog.model_dump(mode="json"))
    Store.at(str(root)).run(run_id).write_summary(Summary(facts))
    return run_id


def catalog_of(config: Config) -> dict[str, Any]:
    own, default = config.catalog.model_dump(), load_config().catalog.model_dump()
    return {key: value for key, value in own.items() if value != default[key]}


def test_a_root_without_runs_knows_nothing(tmp_path: Path) -> None:
    assert remembered(str(tmp_path), None, load_config().catalog) is None
    assert remembered(str(tmp_path / "nowhere"), "/data/m.csv", load_config().catalog) is None
    (tmp_path / "file").write_text("")
    assert remembered(str(tmp_path / "file"), None, load_config().catalog) is None


def test_what_the_last_run_was_told_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ("catalog.uri_column=image", "catalog.columns.title=Name", "catalog.read_attempts=9")
    published(tmp_path, "/data/m.csv", *told, "catalog.http_hosts=[img.example.com]")
    known = {"uri_column": "image", "columns": {"title": "Name"}, "http_hosts": ("img.example.com",)}
    root = str(tmp_path)
    assert catalog_of(configured(root=root)) == {"uri": "/data/m.csv", **known}
    said = capsys.readouterr().err
    assert said.startswith(f"as in run {RUN_ID} of this root: catalog.uri=") and 'catalog.uri_column="image"' in said
    assert said.endswith("; options win\n") and "read_attempts" not in said
    assert catalog_of(configured(root=root, catalog="/data/m.csv")) == {"uri": "/data/m.csv", **known}
    assert catalog_of(configured(root=root, catalog="/data/tomorrow.csv")) == {"uri": "/data/tomorrow.csv", **known}


@pytest.mark.parametrize("catalog", ["/other/m.csv", "/data/m.parquet", "/data", "s3://bucket/m.csv"])
def test_of_another_catalogue_nothing_is_known(
    tmp_path: Path, catalog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    published(tmp_path, "/data/m.csv", "catalog.uri_column=image")
    assert catalog_of(configured(root=str(tmp_path), catalog=catalog)) == {"uri": catalog}
    assert not capsys.readouterr().err


def test_what_is_said_now_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published(tmp_path, "/data/m.csv", "catalog.uri_column=image", "catalog.product_id_column=sku")
    own = tmp_path / "own.yaml"
    own.write_text("catalog:\n  product_id_column: article\n")
    config = configured(
        root=str(tmp_path), catalog="/data/m.csv", settings=["catalog.uri_column=uri"], config_files=[own]
    )
    assert catalog_of(config) == {"uri": "/data/m.csv", "product_id_column": "article"}
    assert not capsys.readouterr().err, "nothing of what the run was told holds"
    assert catalog_of(configured(root=str(tmp_path), remembers=False)) == {}


def test_a_root_remembers_from_its_first_stage_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = ingested(tmp_path, "/data/m.csv", "catalog.uri_column=image", "catalog.columns.title=Name")
    known = {"uri": "/data/m.csv", "uri_column": "image", "columns": {"title": "Name"}}
    assert catalog_of(configured(root=str(tmp_path))) == known
    assert catalog_of(configured(root=str(tmp_path), catalog="/data/m.csv")) == known
    assert f"as in run {run_id} of this root" in capsys.readouterr().err
    assert catalog_of(configured(root=str(tmp_path), catalog="/other/m.csv")) == {"uri": "/other/m.csv"}


def test_of_another_catalogue_the_newest_run_that_read_it_is_asked(tmp_path: Path) -> None:
    published(tmp_path, "/data/m.csv", "catalog.uri_column=image")
    ingested(tmp_path, "/other/m.csv", "catalog.uri_column=photo")
    root = str(tmp_path)
    assert catalog_of(configured(root=root)) == {"uri": "/data/m.csv", "uri_column": "image"}, "of the published one"
    assert catalog_of(configured(root=root, catalog="/other/m.csv")) == {"uri": "/other/m.csv", "uri_column": "photo"}
