"""What is told while a run goes on: a person sees one live line a stage on a terminal and plain lines elsewhere, its log gets
events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import rich.console
from pyspark.sql import SparkSession
from rich.markup import escape

from prodseek.logs import RunLog
from prodseek.store import Summary

_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 15.0


class Console:
    """Progress and results for a person, on standard error, and events for the run's log.

    A log that is itself shown on standard error has it alone.
    """

    def __init__(self, log: RunLog | None = None) -> None:
        self._log = log or RunLog()
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

    def name_run(self, run_id: str) -> None:
        """Say which run everything from now on is of."""
        self._log.name_run(run_id)

    @contextmanager
    def starting(self) -> Iterator[None]:
        with self._console.status("starting Spark"):
            yield

    @contextmanager
    def stage(self, spark: SparkSession, stage: str) -> Iterator[None]:
        """Show how far Spark is with `stage` until the block ends."""
        ended = threading.Event()
        self._log.stage = stage
        self._log.write("stage_started", f"stage {stage} starts")
        follower = threading.Thread(target=self._follow, args=(spark, stage, ended), daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()

    def stage_done(self, summary: Summary) -> None:
        first, *rest = summary.lines or ("",)
        self._console.print(
            f"[green]✓[/] {summary.stage:<11}{summary.seconds:>7.1f} s  {escape(first)}", soft_wrap=True
        )
        for line in rest:
            self._console.print(f"{'':<24}{escape(line)}", soft_wrap=True)
        numbers = {name: value for name, value in summary.facts.items() if isinstance(value, int | float)}
        figures = {"seconds": summary.seconds, "rows": summary.rows, **numbers}
        self._log.write("stage_done", "; ".join(summary.lines), figures)
        self._log.keep()
        self._log.stage = None

    def _follow(self, spark: SparkSession, stage: str, ended: threading.Event) -> None:
        started = told = time.monotonic()
        is_live = self._console.is_terminal and not self._log.is_shown
        if not is_live:
            self._console.print(f"  {stage} ...")
        with self._console.status(stage) as status:
            while not ended.wait(_TERMINAL_SECONDS if is_live else _LOG_SECONDS):
                now = time.monotonic()
                done, total = _tasks(spark)
                far = f"{done} of {total} tasks" if total else "on the driver"
                if is_live:
                    status.update(f"{stage:<11}{now - started:>5.0f} s  {far}")
                else:
                    self._console.print(f"  {stage} {now - started:.0f} s  {far}")
                if now - told >= _LOG_SECONDS - _TERMINAL_SECONDS:
                    told = now
                    figures = {"elapsed_seconds": round(now - started, 1), "tasks_done": done, "tasks_total": total}
                    self._log.write("progress", far, figures)


def _tasks(spark: SparkSession) -> tuple[int, int]:
    """Tasks done and tasks in all of what Spark is at now; no task where it is at nothing."""
    tracker = spark.sparkContext.statusTracker()
    infos = [tracker.getStageInfo(stage_id) for stage_id in tracker.getActiveStageIds()]
    return sum(info.numCompletedTasks for info in infos if info), sum(info.numTasks for info in infos if info)
