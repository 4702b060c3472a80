"""The stages of a night: what one is, and running one."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from typing import Protocol, cast

from prodseek.runner.progress import Console
from prodseek.runs.facts import STAGES, IngestFacts, StageFacts
from prodseek.runs.store import Summary
from prodseek.runs.time_left import stage_times_of
from prodseek.spark.night import Night
from prodseek.spark.session import suit_catalogue


class Stage(Protocol):
    """A module of `prodseek.jobs` that is one stage; `prodseek.jobs` holds each of them against this for the type checker."""

    def run(self, night: Night) -> Summary[StageFacts]:
        """Read tables of `night.run`, compute, write tables, and say what was done."""


def stage_named(name: str) -> Stage:
    """A stage by its name, one of STAGES. It is imported here, because each brings libraries that the others do without."""
    return cast(Stage, import_module(f"prodseek.jobs.{name}"))


def run_stage(night: Night, name: str, console: Console) -> Summary[StageFacts]:
    """Run one stage, or say that it is done; its summary marks it as done. Raises StoreError when an earlier one is not."""
    run, spark = night.run, night.spark
    done = run.summary(name)
    if done is not None:
        console.say(
            f"{name}: done in {done.seconds:.1f} s by an earlier attempt", "stage_kept", {"seconds": done.seconds}
        )
        return done
    run.require(name, *STAGES[: STAGES.index(name)])
    stage = stage_named(name)
    started = time.monotonic()
    spark.sparkContext.setJobDescription(name)
    earlier = None if night.last_run is None else stage_times_of(night.last_run)
    ingested = run.facts_if_done(IngestFacts)
    n_rows = None if ingested is None else ingested.input_rows
    expected_rows = n_rows if n_rows is not None or earlier is None else earlier.n_rows
    if expected_rows is not None:
        suit_catalogue(spark, expected_rows)
    with console.stage(spark, name, earlier, n_rows) as work:
        summary = stage.run(night)
    summary = replace(summary, seconds=round(time.monotonic() - started, 2), failed_tasks=work.failed_tasks)
    run.write_summary(summary)
    console.stage_done(summary)
    return summary
