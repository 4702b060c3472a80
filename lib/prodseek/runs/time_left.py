"""How long is left of a stage and of the night: by what the stage has done so far, and by what the run before took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prodseek.errors import StoreError
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Run, Store


@dataclass(frozen=True)
class StageTimes:
    """What an earlier run took. n_rows: of its catalogue; seconds: stage -> wall time."""

    run_id: str
    n_rows: int
    seconds: Mapping[str, float]

    def expected_seconds(self, stage: str, n_rows: int | None) -> float | None:
        """What the stage takes for `n_rows` rows at the speed of that run; as long as then where n_rows is None."""
        seconds = self.seconds.get(stage)
        if seconds is None or n_rows is None or not self.n_rows:
            return seconds
        return seconds * n_rows / self.n_rows

    def seconds_after(self, stage: str, n_rows: int | None) -> float:
        """What all stages after this one take together."""
        later = (self.expected_seconds(name, n_rows) for name in STAGES[STAGES.index(stage) + 1 :])
        return sum(seconds for seconds in later if seconds is not None)


def stage_times_of_newest(store: Store) -> StageTimes | None:
    """The times of the run that readers see; None where they are not known."""
    try:
        return stage_times_of(store.latest())
    except StoreError:
        return None


def stage_times_of(run: Run) -> StageTimes | None:
    """The times of a finished run; None where its manifest does not say."""
    try:
        manifest = run.manifest()
    except StoreError:
        return None
    if manifest.reconciliation is None:
        return None
    return StageTimes(run.run_id, manifest.reconciliation.input_rows, manifest.seconds)


def seconds_left(
    elapsed_seconds: float, expected_seconds: float | None, busy_seconds: float, done: int, total: int
) -> float | None:
    """What is left of a stage; None when nothing tells.

    elapsed_seconds: since the stage started; expected_seconds: of all of it, by an earlier run. busy_seconds: since Spark started
    the tasks that it is at, `done` of `total`. A stage has many such batches of tasks, one after the other, and only the one at
    work is known: its rest is the least that is left. So the longer of the two counts.
    """
    known = []
    if 0 < done <= total:
        known.append(busy_seconds * (total - done) / done)
    if expected_seconds is not None and expected_seconds > elapsed_seconds:
        known.append(expected_seconds - elapsed_seconds)
    return max(known, default=None)


def about(seconds: float) -> str:
    """A time for a person, such as 40 s, 5 min or 2 h 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
