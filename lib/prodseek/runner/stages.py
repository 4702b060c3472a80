"""The stages, their order, and running one of them, alone or as part of the night."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import SparkSession

from prodseek import __version__
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config, load_config
from prodseek.errors import StoreError, explain_errors
from prodseek.runner.progress import Console
from prodseek.runner.prometheus import exported
from prodseek.runs.lock import hold_root
from prodseek.runs.logs import kept_log
from prodseek.runs.store import STAGES, Run, Store, Summary
from prodseek.runs.tables import schema_versions
from prodseek.runs.time_left import pace_before
from prodseek.spark.catalogue.rows import catalogue_fingerprint, catalogue_rows, open_catalogue
from prodseek.spark.failures import explaining_failures
from prodseek.spark.session import start_session, suit_catalogue


@dataclass(frozen=True)
class OpenedRun:
    """The run that a command works on. is_new: nothing of it existed before."""

    run: Run
    fingerprint: str
    is_new: bool


def open_run(spark: SparkSession, config: Config) -> OpenedRun:
    """The run of this catalogue, configuration and version: the newest when it is of the same, else a new one."""
    source = open_catalogue(config.catalog)
    store = Store.at(config.store.root)
    rows = catalogue_rows(spark, source, config.catalog)
    catalog = catalogue_fingerprint(
        rows, PhotoSource.of(config, source.base_uri, store.root), config.ingest.read_threads
    )
    fingerprint = hashlib.sha256(
        f"{catalog}|{config.fingerprint}|{__version__}|{schema_versions()}".encode()
    ).hexdigest()
    current = store.current(fingerprint)
    if current is not None:
        return OpenedRun(current, fingerprint, is_new=False)
    return OpenedRun(store.new_run(fingerprint, datetime.now(UTC)), fingerprint, is_new=True)


def run_stage(spark: SparkSession, config: Config, run: Run, stage: str, console: Console) -> Summary:
    """Run one stage of a run, or tell that it is done; its summary marks it as done."""
    done = run.summary(stage)
    if done is not None:
        console.say(
            f"{stage}: done in {done.seconds:.1f} s by an earlier attempt", "stage_kept", {"seconds": done.seconds}
        )
        return done
    run.require(stage, *STAGES[: STAGES.index(stage)])
    module = import_module(f"prodseek.jobs.{stage}")
    started = time.monotonic()
    spark.sparkContext.setJobDescription(stage)
    pace, n_rows = pace_before(run), _catalogue_rows(run)
    if n_rows is not None or pace is not None:
        suit_catalogue(spark, pace.n_rows if n_rows is None else n_rows)
    with console.stage(spark, stage, pace, n_rows) as work:
        summary: Summary = module.run(spark, config, run)
    summary = replace(
        summary,
        seconds=round(time.monotonic() - started, 2),
        facts={**summary.facts, "failed_tasks": work.failed_tasks},
    )
    run.write_summary(summary)
    console.stage_done(summary)
    return summary


def _say_schemas(store: Store, console: Console) -> None:
    """Say why nothing is taken over from the run that readers see, where that is so for its schemas."""
    try:
        latest = store.latest()
    except StoreError:
        return
    try:
        latest.require_schemas()
    except StoreError as error:
        console.say(f"nothing is taken over: {error}", level="warning")


def _catalogue_rows(run: Run) -> int | None:
    ingested = run.summary("ingest")
    return None if ingested is None else int(ingested.facts["input_rows"])


def run_named(stage: str, config: Config, accept: bool = False) -> None:
    """Hold the root, start Spark and run `stage`, or the whole night for "nightly".

    accept: publish the night whatever its gates say.
    """
    store = Store.at(config.store.root)
    local_dirs = config.spark.conf.get("spark.local.dir")
    with (
        kept_log(store.root, as_json=config.logs.format == "json") as log,
        exported(config, store, is_night=stage == "nightly") as metrics,
        hold_root(store.root) as lock,
        explaining_failures(store.root, local_dirs),
    ):
        console = Console(log, metrics)
        if lock.taken_from is not None:
            console.say(
                f"{store.root} was held by {lock.taken_from}, which is no longer at work: taken over", level="warning"
            )
        mended = store.mend_latest()
        if mended is not None:
            console.say(mended, level="warning")
        open_catalogue(config.catalog)  # one that is not there is said before Spark has started
        with console.starting():
            spark = start_session(config.spark, f"prodseek {stage}")
        try:
            opened = open_run(spark, config)
            lock.name_run(opened.run.run_id)
            console.name_run(opened.run)
            _say_schemas(store, console)
            if stage == "nightly":
                from prodseek.jobs import nightly

                nightly.run(spark, config, console, opened, accept)
            elif opened.run.is_finished:
                console.say(f"run {opened.run.run_id} exists and is finished: nothing to do")
            else:
                console.tell("run_opened", f"{stage} alone, of {config.catalog.uri}", {})
                run_stage(spark, config, opened.run, stage, console)
        finally:
            spark.stop()


def main(stage: str) -> None:
    """The command line of `spark-submit jobs/STAGE.py`."""

    def command(
        catalog: Annotated[str | None, typer.Argument(help="folder of photos, or CSV or Parquet manifest")] = None,
        root: Annotated[str | None, typer.Option(help="where runs are kept")] = None,
        environment: Annotated[str, typer.Option("--env", help="local or cluster")] = "cluster",
        config: Annotated[list[Path] | None, typer.Option(help="YAML file laid over the defaults")] = None,
        settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value")] = None,
        accept: Annotated[bool, typer.Option("--accept", help="publish the night though it is beyond a gate")] = False,
    ) -> None:
        run_named(stage, load_config(environment, config or (), settings or (), catalog, root), accept)

    explain_errors(lambda: typer.run(command))
