"""Starting a command that works on a root: its log, its lock, Spark, and the run that it works on."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Annotated

import typer

from prodseek.catalogue.manifest_reading import read_manifest
from prodseek.config import CatalogConfig, Config
from prodseek.errors import CatalogueError, ConfigError, ProdseekError, StoppedError, StoreError, explain_errors
from prodseek.runner.commands import NIGHTLY, Accept, Catalog, ConfigFiles, Environment, Root, Settings, configured
from prodseek.runner.night import run_night
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console
from prodseek.runner.prometheus import Metrics, exported
from prodseek.runner.stages import run_stage
from prodseek.runner.stopping import StopCause, say_last, stoppable
from prodseek.runs.lock import RootLock, hold_root
from prodseek.runs.logs import RunLog, kept_log
from prodseek.runs.store import Store
from prodseek.spark.catalogue.rows import open_catalogue
from prodseek.spark.failures import explaining_failures
from prodseek.spark.night import Night
from prodseek.spark.session import start_session


def run_named(name: str, config: Config, accept: bool = False) -> None:
    """Hold the root, start Spark and run one stage, or the whole night for NIGHTLY.

    accept: publish the night whatever its gates say.
    """
    store = Store.at(config.store.root)
    store.check()
    local_dirs = config.spark.conf.get("spark.local.dir")
    with (
        kept_log(store.root, as_json=config.logs.format == "json") as log,
        exported(config, store, is_night=name == NIGHTLY) as metrics,
        hold_root(store.root) as lock,
        stoppable(partial(_explained, lock, log), partial(_give_back, lock, log, metrics)) as stopping,
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
        _say_what_is_read(config.catalog, store.root, console)  # and what cannot be read, before Spark has started
        with console.starting():
            spark = stopping.start_spark(lambda: start_session(config.spark, f"prodseek {name}"))
        opened = open_run(spark, config)
        lock.name_run(opened.run.run_id)
        console.name_run(opened.run)
        _say_schemas(store, console)
        night = Night.of(spark, config, opened.run)
        if name == NIGHTLY:
            run_night(night, opened, console, accept)
        elif opened.run.is_finished:
            console.say(f"run {opened.run.run_id} exists and is finished: nothing to do")
        else:
            console.tell("run_opened", f"{name} alone, of {config.catalog.uri}", {})
            run_stage(night, name, console)


def _say_what_is_read(config: CatalogConfig, root: str, console: Console) -> None:
    """How the manifest was written, and which of its columns hold what. Raises CatalogueError where it cannot be used."""
    source = open_catalogue(config)
    if source.kind != "folder" or config.bytes_column:
        try:
            lines = read_manifest(source, config).lines()
        except CatalogueError as error:
            look = shlex.join(["prodseek", "check", source.uri, "--root", root])
            raise CatalogueError(f"{error}\nwhat is in it, and what to set: {look}") from error
        for line in lines:
            console.say(line, "manifest_found")


def _explained(lock: RootLock, log: RunLog, cause: StopCause) -> ProdseekError:
    """The last line for a person: what stopped the command, or that another run has taken the root over."""
    if lock.lost is not None:
        return lock.lost
    where = "" if log.stage is None else f" with stage {log.stage}"
    goes_on = "starts again" if log.run_id is None else f"goes on{where}"
    return StoppedError(f"stopped by {cause.name}; the root is free, and the same command {goes_on}", cause.exit_code)


def _give_back(lock: RootLock, log: RunLog, metrics: Metrics, error: ProdseekError) -> None:
    """What the ends of the blocks do, where the main thread does not come to them."""
    lock.release()
    if not log.is_shown:
        say_last(error)
    log.end(error)
    metrics.end(error)


def _say_schemas(store: Store, console: Console) -> None:
    """Say so where nothing is taken over from the latest run because its tables have other schemas."""
    try:
        latest = store.latest()
    except StoreError:
        return
    try:
        latest.require_schemas()
    except StoreError as error:
        console.say(f"nothing is taken over: {error}", level="warning")


def main(name: str) -> None:
    """The command line of `spark-submit jobs/NAME.py`."""

    def command(
        catalogue: Annotated[str | None, typer.Argument(metavar="CATALOG", help="As --catalog.")] = None,
        catalog: Catalog = None,
        root: Root = None,
        environment: Environment = None,
        config_files: ConfigFiles = None,
        settings: Settings = None,
        accept: Accept = False,
    ) -> None:
        if catalog is not None and catalogue is not None and catalog != catalogue:
            raise ConfigError(f"two catalogues are named, {catalogue!r} and --catalog {catalog!r}; name one")
        run_named(name, configured(environment, config_files, settings, catalog or catalogue, root), accept)

    explain_errors(lambda: typer.run(command))
