"""The file for Prometheus is in its format, whatever happened; written whole, and by no run that was turned away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.config import Config, load_config
from prodseek.errors import GateError, RootLockedError, StoppedError, StoreError
from prodseek.runner.prometheus import exported, render
from prodseek.runs.facts import EmbedFacts, GatesFacts, IngestFacts
from prodseek.runs.gates import Figure
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store, Summary

# The grammar of the text format 0.0.4, as strict as promtool: no blank around braces, every value a Go float.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(rf"({NAME})\{{({LABEL}(?:,{LABEL})*)\}} ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)", re.ASCII)
Series = dict[tuple[str, str], float]


def parse(text: str) -> Series:
    """Series by name and labels without `root`. Fails where the text is not in the format."""
    assert text.endswith("\n")
    found: Series = {}
    described: list[str] = []
    lines = iter(text.removesuffix("\n").split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            name = re.fullmatch(rf"# HELP ({NAME}) [^\\\n]+", line)
            assert name, line
            assert next(lines) == f"# TYPE {name[1]} gauge"
            assert name[1] not in described
            described.append(name[1])
            continue
        series = SERIES.fullmatch(line)
        assert series, line
        assert series[1] == described[-1], "each figure's series stand together, below its type"
        labels = re.findall(LABEL, series[2])
        assert labels[0].startswith("root=")
        key = (series[1].removeprefix("prodseek_"), ",".join(labels[1:]))
        assert key not in found
        found[key] = float(series[3].replace("Inf", "inf"))
    assert not [name for name in described if name.endswith(("_total", "_ms", "_minutes"))], "gauges, in base units"
    return found


def a_night(root: Path) -> Run:
    store = Store.at(str(root))
    run = store.run("20260101T000000Z-00000001")
    run.write_summary(
        Summary(IngestFacts(input_rows=10, retried_reads=4), {"images": 7, "rejects": 3}, (), 1.5, failed_tasks=1)
    )
    embedded = EmbedFacts(
        model_id="tiny",
        rejected={"missing": 2, "empty": 1},
        images_per_second=12.5,
        decode_seconds=3.0,
        cached_images=5,
        embedded_images=2,
    )
    run.write_summary(Summary(embedded, {}, (), 2.0))
    figures = (Figure("max_reject_share", 0.3, "3 of 10"), Figure("max_regions_per_image", 2.0, "14 in 7"))
    run.write_summary(Summary(GatesFacts(figures=figures), {}, (), 0.5))
    return run


def configured(tmp_path: Path, *settings: str) -> Config:
    return load_config(settings=[f"metrics.prometheus_file={tmp_path / 'prom' / 'prodseek.prom'}", *settings])


def written(tmp_path: Path) -> Series:
    return parse((tmp_path / "prom" / "prodseek.prom").read_text(encoding="utf-8"))


def test_what_is_told_of_a_run(tmp_path: Path) -> None:
    run = a_night(tmp_path / "root")
    text = render(run.root, run, "refused", 4, 1e9 + 0.25, 1.5e9, None, {"max_reject_share": 0.2})
    found = parse(text)
    assert found["run_state", 'state="refused"'] == 1 and found["run_state", 'state="running"'] == 0
    assert found["exit_code", ""] == 4 and found["last_success_timestamp_seconds", ""] == 1.5e9
    assert found["run_start_timestamp_seconds", ""] == 1e9 + 0.25
    assert ("last_publication_timestamp_seconds", "") not in found
    assert found["stage_duration_seconds", 'stage="embed"'] == 2
    assert found["stage_failed_tasks", 'stage="ingest"'] == 1
    assert found["table_rows", 'table="images"'] == 7 and found["catalogue_rows", ""] == 10
    assert found["rejected_rows", 'reason="missing"'] == 2 and found["read_retries", ""] == 4
    assert found["embed_images_per_second", ""] == 12.5
    assert found["cache_hits", 'cache="detections"'] == 5 and found["cache_misses", 'cache="detections"'] == 2
    assert found["gate_value", 'gate="max_reject_share"'] == 0.3
    assert [found["gate_breached", f'gate="{gate}"'] for gate in ("max_reject_share", "max_regions_per_image")] == [
        1,
        0,
    ]


anything = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.none() | st.integers(-(2**40), 2**40) | st.floats()


@given(anything, anything, numbers, numbers)
def test_any_root_reason_and_number_keeps_the_format(
    tmp_path_factory: pytest.TempPathFactory, root: str, reason: str, rate: float | None, success: float | None
) -> None:
    run = Run(str(tmp_path_factory.mktemp("root")), "20260101T000000Z-00000001")
    run.write_summary(Summary(EmbedFacts(model_id="tiny", rejected={reason: 1}, images_per_second=rate)))
    parse(render(root, run, "running", None, 1.0, success, None, {}))


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (None, "succeeded", 0),
        (GateError("beyond"), "refused", 4),
        (StoreError("gone"), "failed", 1),
        (StoppedError("stopped by SIGTERM", 143), "stopped", 143),
        (KeyboardInterrupt(), "failed", 130),
        (SystemExit(143), "failed", 143),
        (MemoryError(), "failed", 1),
    ],
)
def test_how_it_ended_is_written_however_it_ended(
    tmp_path: Path, error: BaseException | None, state: str, code: int
) -> None:
    run = a_night(tmp_path / "root")
    store = Store(run.root)
    with exported(configured(tmp_path), store, is_night=True):
        pass
    success = written(tmp_path)["last_success_timestamp_seconds", ""]
    store.publish(run, Manifest(run_id=run.run_id, finished="2026-01-01T00:00:00+00:00"))
    try:
        with exported(configured(tmp_path), store, is_night=True) as metrics:
            metrics.run = run
            metrics.write()
            assert written(tmp_path)["run_state", 'state="running"'] == 1
            assert ("exit_code", "") not in written(tmp_path)
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    found = written(tmp_path)
    assert found["run_state", f'state="{state}"'] == 1 and found["exit_code", ""] == code
    assert found["last_publication_timestamp_seconds", ""] == 1767225600
    assert (found["last_success_timestamp_seconds", ""] > success) == (error is None), (
        "a failure keeps the last success"
    )
    assert [path.name for path in (tmp_path / "prom").iterdir()] == ["prodseek.prom"]


def test_success_of_one_stage_is_not_success_of_the_night(tmp_path: Path) -> None:
    with exported(configured(tmp_path), Store.at(str(tmp_path / "root")), is_night=False):
        pass
    assert ("last_success_timestamp_seconds", "") not in written(tmp_path)


def test_who_is_turned_away_leaves_the_others_figures_alone(tmp_path: Path) -> None:
    config, store = configured(tmp_path), Store.at(str(tmp_path / "root"))
    with exported(config, store, is_night=True) as metrics:
        metrics.write()
        with pytest.raises(RootLockedError), exported(config, store, is_night=True):
            raise RootLockedError("in use")
        assert written(tmp_path)["run_state", 'state="running"'] == 1


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "prom").write_bytes(b"a file, not a folder")
    with exported(configured(tmp_path), Store.at(str(tmp_path / "root")), is_night=True):
        pass
    assert "cannot be written to" in caplog.text


def test_nothing_is_written_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with exported(load_config(), Store.at(str(tmp_path / "root")), is_night=True):
        pass
    assert list(tmp_path.iterdir()) == []
