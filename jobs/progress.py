"""What a person sees while a run goes on: one live line a stage on a terminal, plain lines in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import rich.console
from pyspark.sql import SparkSession
from rich.markup import escape

from prodseek.store import Summary

_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 15.0


class Console:
    """Progress and results for a person, on standard error."""

    def __init__(self) -> None:
        self._console = rich.console.Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    @contextmanager
    def starting(self) -> Iterator[None]:
        with self._console.status("starting Spark"):
            yield

    @contextmanager
    def stage(self, spark: SparkSession, stage: str) -> Iterator[None]:
        """Show how far Spark is with `stage` until the block ends."""
        ended = threading.Event()
        follow = self._follow_on_terminal if self._console.is_terminal else self._follow_in_log
        follower = threading.Thread(target=follow, args=(spark, stage, ended), daemon=True)
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

    def _follow_on_terminal(self, spark: SparkSession, stage: str, ended: threading.Event) -> None:
        started = time.monotonic()
        with self._console.status(stage) as status:
            while not ended.wait(_TERMINAL_SECONDS):
                status.update(f"{stage:<11}{time.monotonic() - started:>5.0f} s  {_tasks(spark)}")

    def _follow_in_log(self, spark: SparkSession, stage: str, ended: threading.Event) -> None:
        started = time.monotonic()
        self.say(f"  {stage} ...")
        while not ended.wait(_LOG_SECONDS):
            self.say(f"  {stage} {time.monotonic() - started:.0f} s  {_tasks(spark)}")


def _tasks(spark: SparkSession) -> str:
    tracker = spark.sparkContext.statusTracker()
    infos = [tracker.getStageInfo(stage_id) for stage_id in tracker.getActiveStageIds()]
    done = sum(info.numCompletedTasks for info in infos if info)
    total = sum(info.numTasks for info in infos if info)
    return f"{done} of {total} tasks" if total else "on the driver"
