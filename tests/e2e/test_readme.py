"""What the README shows is true: its examples run on a real night, its tables are the schemas' and the code's."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from prodseek.jobs.stages import STAGES

from prodseek.images import RejectReason
from prodseek.report.wording import REASON_MEANINGS
from prodseek.store import Run
from prodseek.tables import table_schema

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.parametrize("query", blocks("sql"))
def test_duckdb_examples_run(night: Run, query: str) -> None:
    answer = duckdb.sql(query.replace("RUN", night.uri)).fetchall()
    assert answer


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
    (example,) = (block for block in blocks("python") if "Catalog.open" in block)
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
