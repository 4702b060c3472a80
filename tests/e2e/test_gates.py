"""A night beyond a gate is not published: it says why, keeps its report, and goes on when a person has decided."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from nights import SAMPLE_SETTINGS, whole_night

from prodseek.errors import GateError, StoreError
from prodseek.jobs import report
from prodseek.runs.breaches import read_breaches
from prodseek.runs.facts import GatesFacts
from prodseek.runs.store import LATEST, MANIFEST, Run, Store
from prodseek.spark.night import Night


@pytest.fixture
def unpublished(night: Run, tmp_path: Path) -> Run:
    """The night over the sample as it was just before it was published."""
    root = tmp_path / "root"
    shutil.copytree(night.uri, root / "runs" / night.run_id)
    (root / "runs" / night.run_id / MANIFEST).unlink()
    return Store.at(str(root)).run(night.run_id)


def test_a_night_beyond_a_gate_is_not_published_until_it_is_accepted(
    spark, unpublished: Run, sample_folder: Path, make_config, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    run, store = unpublished, Store(unpublished.root)
    catalog = sample_folder / "catalog.csv"
    strict = make_config(catalog, run.root, *SAMPLE_SETTINGS, "gates.max_reject_share=0.02")
    with pytest.raises(GateError) as refused:
        whole_night(spark, strict)
    assert refused.value.exit_code == 4
    text = str(refused.value)
    for part in (
        f"run {run.run_id} is whole but not published, because it is beyond 1 gate:",
        "gates.max_reject_share: 2.4 %, at most 2.0 % is allowed; 6 of 246 rows were rejected: 2 truncated, 1 empty",
        "images/bad-html.jpg: not_an_image, ",
        "Readers still see no run.",
        run.path("report", "index.html"),
        f"correct the catalogue ({catalog})",
        "--accept",
        "--set gates.max_reject_share=null",
    ):
        assert part in text
    assert text.count("\n    ") == 5
    with pytest.raises(StoreError, match="no run has been published"):
        store.latest()
    assert [breach.gate for breach in read_breaches(run)] == ["max_reject_share"]

    report.run(Night.of(spark, strict, run))
    page = Path(run.path("report", "index.html")).read_text(encoding="utf-8")
    assert "Beyond a limit" in page and "gates.max_reject_share: 2.4 %" in page

    before = {path: path.stat().st_mtime_ns for path in Path(run.uri).rglob("*") if path.name != "breaches.json"}
    with pytest.raises(GateError) as again:
        whole_night(spark, strict)
    assert str(again.value) == text
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path.name for path in before if before[path] != after[path]} <= {run.run_id}, "something was computed again"

    accepted = whole_night(spark, strict, accept=True)
    assert accepted == store.latest() == run
    assert accepted.manifest().accepted_breaches == ("max_reject_share",)
    assert (
        "published all the same, because --accept was given: gates.max_reject_share: 2.4 %" in capsys.readouterr().err
    )

    Path(run.path(MANIFEST)).write_bytes(b"{")
    assert whole_night(spark, strict) == store.latest(), "what was published once is mended without --accept"
    assert "published all the same, because it was before: gates.max_reject_share" in capsys.readouterr().err

    for name in (f"runs/{run.run_id}/{MANIFEST}", LATEST):
        (Path(run.root) / name).unlink()
    loose = make_config(catalog, run.root, *SAMPLE_SETTINGS, "gates.max_reject_share=0.03")
    looser = whole_night(spark, loose)
    assert looser == run and looser.manifest().accepted_breaches == ()
    assert read_breaches(run) == ()


def test_the_sample_is_within_all_gates(night: Run) -> None:
    facts = night.manifest().facts(GatesFacts)
    assert night.read_json("breaches.json") == {"run_id": night.run_id, "breaches": []}
    assert {figure.gate for figure in facts.figures} == {
        "max_reject_share", "min_regions_per_image", "max_regions_per_image", "max_odd_norm_share"
    }  # fmt: skip
    assert facts.before is None and facts.not_compared == ()
