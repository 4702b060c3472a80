"""The command `prodseek plan`: what it prints."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich.console
from pyarrow import fs
from rich.markup import escape
from rich.table import Table

from prodseek.config import Config
from prodseek.planning.measure import Measured, list_catalogue, measure
from prodseek.planning.model import Cluster, Plan, forecast, gib, memory_bytes
from prodseek.runs.facts import STAGES
from prodseek.runs.store import Store
from prodseek.runs.time_left import about, stage_times_of_newest
from prodseek.storage import files

_LOG_WIDTH = 160


def plan_night(
    config: Config,
    executors: int | None,
    cores: int | None,
    memory: str | None,
    gpus: int,
    seconds: float,
    as_json: bool,
    with_costs: bool,
) -> None:
    """Measure some photos, forecast the night and print the plan. Raises ConfigError, CatalogueError and WeightsError."""
    cluster = this_cluster(executors, cores, memory, gpus)
    listing = list_catalogue(config)
    measured = measure(config, listing, seconds)
    store = Store.at(config.store.root)
    plan = forecast(
        config,
        measured,
        listing.n_rows,
        cluster,
        listing.source.kind == "folder",
        stage_times_of_newest(store),
        _free_bytes(store.root),
    )
    if as_json:
        print(json.dumps(as_values(plan, measured, cluster), indent=2))
    else:
        print_plan(plan, measured, cluster, config.report.currency, with_costs)


def this_cluster(executors: int | None, cores: int | None, memory: str | None, gpus: int) -> Cluster:
    """The cluster that the options describe; this machine if none is given. Raises ConfigError for a malformed memory size."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each_bytes = machine_bytes if memory is None else memory_bytes(memory)
    is_this_machine = executors is None and cores is None and memory is None and not gpus
    return Cluster(executors or 1, cores or os.cpu_count() or 1, each_bytes, gpus, is_this_machine)


def as_values(plan: Plan, measured: Measured, cluster: Cluster) -> dict[str, Any]:
    """The plan as plain values, ready for JSON."""
    totals = {"seconds": plan.seconds, "storage_bytes": plan.storage_bytes, "price": plan.price}
    return {**asdict(plan), "total": totals, "measured": asdict(measured), "cluster": asdict(cluster)}


def print_plan(plan: Plan, measured: Measured, cluster: Cluster, currency: str, with_costs: bool) -> None:
    """Print the stages with their totals, the costs behind them if with_costs, and warnings."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = _LOG_WIDTH
    where = "this machine" if cluster.is_this_machine else f"{cluster.executors} executors"
    console.print(
        f"{plan.n_rows:,} rows on {where}, {cluster.slots} task slots, {gib(cluster.memory_bytes)} each; measured on "
        f"{measured.n_photos} photos by {measured.n_processes} processes ({measured.device}); a first night",
        soft_wrap=True,
    )
    table = Table(box=None, header_style="bold", show_footer=True)
    table.add_column("stage", footer="all")
    table.add_column("time", justify="right", footer=_time(plan.seconds))
    table.add_column("memory", justify="right")
    table.add_column("of")
    table.add_column("storage", justify="right", footer=gib(plan.storage_bytes))
    table.add_column("price", justify="right", footer="" if plan.price is None else f"{plan.price:,.2f} {currency}")
    table.add_column("by")
    for stage in plan.stages:
        table.add_row(
            stage.stage,
            _time(stage.seconds),
            gib(stage.memory_bytes),
            stage.memory_of,
            gib(stage.storage_bytes) if stage.storage_bytes else "",
            "" if stage.price is None else f"{stage.price:,.2f}",
            stage.source,
        )
    console.print(table)
    console.print(f"index: {escape(plan.index)}", soft_wrap=True)
    if with_costs:
        _print_costs(console, plan)
    for warning in plan.warnings:
        console.print(f"[yellow]![/] {escape(warning)}", soft_wrap=True)


def _print_costs(console: rich.console.Console, plan: Plan) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("stage", "cost", "ms", "a", "number", "on", "source"):
        table.add_column(column, justify="right" if column in ("ms", "number") else "left")
    for cost in sorted(plan.costs, key=lambda cost: STAGES.index(cost.stage)):
        row = (cost.stage, cost.what, f"{1000 * cost.seconds:.3g}", cost.unit, f"{plan.units[cost.unit]:,.0f}")
        table.add_row(*row, f"the {cost.where}" if cost.where == "driver" else "slots", cost.source)
    console.print(table)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else about(seconds)


def _free_bytes(root: str) -> int | None:
    file_system, path = files.locate(root)
    if not isinstance(file_system, fs.LocalFileSystem):
        return None
    there = next((folder for folder in (Path(path), *Path(path).parents) if folder.exists()), None)
    return None if there is None else shutil.disk_usage(there).free
