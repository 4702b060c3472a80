"""What is told while a run goes on: a person sees one live line a stage on a terminal and plain lines elsewhere, its log gets
events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import rich.console
from pyspark.sql import SparkSession
from rich.markup import escape

from prodseek.runner.prometheus import Metrics
from prodseek.runs.facts import StageFacts
from prodseek.runs.logs import RunLog
from prodseek.runs.store import Run, Summary
from prodseek.runs.time_left import StageTimes, about, seconds_left

_LOOK_SECONDS = 0.5
_TELL_SECONDS = 15.0


class Console:
    """Progress and results for a person, on standard error, events for the run's log, and figures for Prometheus.

    A log that is itself shown on standard error has it alone.
    """

    def __init__(self, log: RunLog | None = None, metrics: Metrics | None = None) -> None:
        self._log = log or RunLog()
        self._metrics = metrics
        self._console = rich.console.Console(stderr=True, highlight=False, quiet=self._log.is_shown)

    def say(
        self, text: str, event: str = "note", figures: Mapping[str, Any] | None = None, level: str = "info"
    ) -> None:
        self._console.print(escape(text), soft_wrap=True)
        self._log.write(event, text, figures, level)

    def tell(self, event: str, message: str, figures: Mapping[str, Any], level: str = "info") -> None:
        """An event for the log alone."""
        self._log.write(event, message, figures, level)

    def result(self, text: str, event: str, message: str, figures: Mapping[str, Any]) -> None:
        """What a command brought: `text` on standard output for a person, one event for the log."""
        if not self._log.is_shown:
            print(text)
        self._log.write(event, message, figures)

    def name_run(self, run: Run) -> None:
        """Say which run everything from now on is of."""
        self._log.name_run(run.run_id)
        if self._metrics is not None:
            self._metrics.run = run
            self._metrics.write()

    @contextmanager
    def starting(self) -> Iterator[None]:
        with self._console.status("starting Spark"):
            yield

    @contextmanager
    def stage(
        self, spark: SparkSession, stage: str, earlier: StageTimes | None = None, n_rows: int | None = None
    ) -> Iterator[Work]:
        """Show how far Spark is with `stage`, and how long it has to go, until the block ends.

        earlier: of an earlier run; n_rows: of tonight's catalogue, where it is known.
        """
        ended = threading.Event()
        self._log.stage = stage
        self._log.write("stage_started", f"stage {stage} starts")
        work = Work(spark, stage, earlier, n_rows)
        follower = threading.Thread(target=self._follow, args=(work, ended), daemon=True)
        follower.start()
        try:
            yield work
        finally:
            ended.set()
            follower.join()

    def stage_done(self, summary: Summary[StageFacts]) -> None:
        """Say what a stage of a run did."""
        numbers = {name: value for name, value in summary.facts_json.items() if isinstance(value, int | float)}
        self.done(summary.stage, summary.seconds, summary.lines, {"rows": summary.rows, **numbers})

    def done(self, stage: str, seconds: float, lines: Sequence[str], figures: Mapping[str, Any] | None = None) -> None:
        """Say what was done. lines: for a person, the first beside the stage's name."""
        first, *rest = lines or ("",)
        self._console.print(f"[green]✓[/] {stage:<11}{seconds:>7.1f} s  {escape(first)}", soft_wrap=True)
        for line in rest:
            self._console.print(f"{'':<24}{escape(line)}", soft_wrap=True)
        self._log.write("stage_done", "; ".join(lines), {"seconds": seconds, **(figures or {})})
        self._log.keep()
        self._log.stage = None
        if self._metrics is not None:
            self._metrics.write()

    def _follow(self, work: Work, ended: threading.Event) -> None:
        is_live = self._console.is_terminal and not self._log.is_shown
        if not is_live:
            self._console.print(f"  {work.stage} ...")
        kept = time.monotonic()
        with self._console.status(work.stage) as status:
            while not ended.wait(_LOOK_SECONDS):
                at = work.look()
                status.update(f"{work.stage:<11}{at.elapsed_seconds:>5.0f} s  {at}")
                if time.monotonic() - kept < _TELL_SECONDS:
                    continue
                kept = time.monotonic()
                if not is_live:
                    self._console.print(f"  {work.stage} {at.elapsed_seconds:.0f} s  {at}", soft_wrap=True)
                self._log.write("progress", str(at), at.figures)


@dataclass(frozen=True)
class _Progress:
    """How far a stage is. tasks_done, tasks_total: of what Spark is at, both 0 where it is at nothing."""

    elapsed_seconds: float
    tasks_done: int
    tasks_total: int
    stage_left_seconds: float | None
    night_left_seconds: float | None

    def __str__(self) -> str:
        far = f"{self.tasks_done} of {self.tasks_total} tasks" if self.tasks_total else "on the driver"
        if self.stage_left_seconds is None:
            return far
        night = "" if self.night_left_seconds is None else f", {about(self.night_left_seconds)} of the night"
        return f"{far}, about {about(self.stage_left_seconds)} left{night}"

    @property
    def figures(self) -> dict[str, Any]:
        return {name: round(value, 1) for name, value in asdict(self).items() if value is not None}


class Work:
    """A stage at work, looked at from time to time."""

    def __init__(self, spark: SparkSession, stage: str, earlier: StageTimes | None, n_rows: int | None) -> None:
        self.stage = stage
        self._tracker = spark.sparkContext.statusTracker()
        self._started = time.monotonic()
        self._busy_since: dict[int, float] = {}  # when a stage of Spark's was first seen
        self._seen: set[int] = set()
        self._expected_seconds = earlier.expected_seconds(stage, n_rows) if earlier else None
        self._seconds_after = earlier.seconds_after(stage, n_rows) if earlier else None

    @property
    def failed_tasks(self) -> int:
        """Tasks that have failed so far, those that Spark tried again and that went well then too."""
        infos = (self._tracker.getStageInfo(stage_id) for stage_id in self._seen)
        return sum(info.numFailedTasks for info in infos if info)

    def look(self) -> _Progress:
        now = time.monotonic()
        infos = {stage_id: self._tracker.getStageInfo(stage_id) for stage_id in self._tracker.getActiveStageIds()}
        self._seen |= infos.keys()
        self._busy_since = {stage_id: self._busy_since.get(stage_id, now) for stage_id in infos}
        done = sum(info.numCompletedTasks for info in infos.values() if info)
        total = sum(info.numTasks for info in infos.values() if info)
        busy_seconds = now - min(self._busy_since.values(), default=now)
        elapsed_seconds = now - self._started
        left = seconds_left(elapsed_seconds, self._expected_seconds, busy_seconds, done, total)
        after = self._seconds_after
        return _Progress(elapsed_seconds, done, total, left, None if left is None or after is None else left + after)
