"""What is left, by both measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.runs.facts import STAGES
from prodseek.runs.manifest import Manifest, Reconciliation
from prodseek.runs.store import Store
from prodseek.runs.time_left import StageTimes, about, seconds_left, stage_times_of

EARLIER = StageTimes("r", 100, {stage: 10.0 for stage in STAGES if stage != "gates"})


@pytest.mark.parametrize(
    ("elapsed", "expected", "busy", "done", "total", "left"),
    [
        (10, None, 8, 2, 10, 32),  # by its own rate
        (10, 60, 0, 0, 0, 50),  # by the run before
        (10, 60, 8, 9, 10, 50),  # more steps are to come
        (10, 12, 8, 2, 10, 32),  # slower than the run before
        (70, 60, 0, 0, 0, None),  # overdue, and nothing tells
        (5, None, 5, 0, 10, None),
        (5, None, 5, 10, 10, 0),
    ],
)
def test_what_is_left(
    elapsed: float, expected: float | None, busy: float, done: int, total: int, left: float | None
) -> None:
    assert seconds_left(elapsed, expected, busy, done, total) == left


seconds = st.floats(0, 1e6)


@given(seconds, st.none() | seconds, seconds, st.integers(0, 1000), st.integers(0, 1000))
def test_never_negative(elapsed: float, expected: float | None, busy: float, done: int, total: int) -> None:
    left = seconds_left(elapsed, expected, busy, done, total)
    assert left is None or left >= 0


def test_a_larger_catalogue_takes_longer() -> None:
    assert EARLIER.expected_seconds("embed", 300) == 30
    assert EARLIER.expected_seconds("embed", None) == 10
    assert EARLIER.expected_seconds("gates", 300) is None
    assert EARLIER.seconds_after("duplicates", 200) == 40  # cluster and report; what gates took is not known
    assert EARLIER.seconds_after("report", 200) == 0
    assert StageTimes("r", 0, {"embed": 3.0}).expected_seconds("embed", 5) == 3


def test_the_pace_is_that_of_a_finished_run(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    runs = [store.run(f"2026010{day}T000000Z-0000000{day}") for day in (1, 2)]
    assert stage_times_of(runs[0]) is None
    rows = Reconciliation(input_rows=5, images=5, rejects=0)
    store.publish(runs[0], Manifest(run_id=runs[0].run_id, seconds={"embed": 7.0}, reconciliation=rows))
    assert stage_times_of(runs[0]) == StageTimes(runs[0].run_id, 5, {"embed": 7.0})
    store.publish(runs[1], Manifest(run_id=runs[1].run_id))
    assert stage_times_of(runs[1]) is None, "another version's manifest"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5300, "88 min"), (7800, "2 h 10 min")]
)
def test_times_in_words(value: float, text: str) -> None:
    assert about(value) == text
