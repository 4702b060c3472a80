"""What `prodseek verify`, `status` and `gc` print."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import rich.console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:  # verify needs faiss, and the others are quick without
    from prodseek.upkeep.gc import Removal
    from prodseek.upkeep.survey import Survey, SurveyedRun
    from prodseek.upkeep.verify import Check


# A program reads it: a line is a row, however long.
_LOG_WIDTH = 4096
_MARKS = {"good": "[green]✓[/]", "bad": "[red]✗[/]", "skipped": "[yellow]-[/]"}


def show_checks(run_id: str, checks: Iterable[Check], as_json: bool) -> bool:
    """Print every check as soon as it is done, then what to do; True when nothing is wrong."""
    console = rich.console.Console(highlight=False)
    done: list[Check] = []
    for check in checks:
        done.append(check)
        if not as_json:
            console.print(f"{_MARKS[check.outcome]} {check.name:<26}{escape(check.detail)}", soft_wrap=True)
    bad = [check for check in done if check.outcome == "bad"]
    if as_json:
        print(json.dumps({"run_id": run_id, "is_good": not bad, "checks": [asdict(check) for check in done]}, indent=2))
        return not bad
    for repair in dict.fromkeys(check.repair for check in bad):
        names = ", ".join(check.name for check in bad if check.repair == repair)
        console.print(f"\n{escape(names)}: {escape(repair)}.", soft_wrap=True)
    return not bad


def show_status(found: Survey, as_json: bool) -> None:
    """Print what lies in a root, newest runs first."""
    holder = found.holder
    if as_json:
        values = {
            "root": found.root,
            "n_bytes": found.n_bytes,
            "latest": found.latest,
            "latest_fault": found.latest_fault,
            "lock": None if holder is None else {**asdict(holder), "is_dead": holder.is_dead},
            "runs": [_without_keys(run) for run in reversed(found.runs)],
            "caches": [asdict(cache) for cache in found.caches],
            "copies": {"n_photos": len(found.copies), "n_bytes": sum(found.copies.values())},
        }
        print(json.dumps(values, indent=2))
        return
    console = rich.console.Console(highlight=False)
    table = Table(box=None, header_style="bold")
    for column in ("run", "state"):
        table.add_column(column, overflow="fold")
    for column in ("rows in", "images", "rejects", "time", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in reversed(found.runs):
        counts = (run.catalogue_rows, run.images, run.rejects)
        table.add_row(
            run.run_id,
            _state(run, found),
            *("" if count is None else f"{count:,}" for count in counts),
            "" if run.seconds is None else f"{run.seconds:,.0f} s",
            _size(run.n_bytes),
        )
    if found.runs:
        if not console.is_terminal:
            console.width = _LOG_WIDTH
        console.print(table)
    else:
        console.print(f"no run is in {escape(found.root)}", soft_wrap=True)
    for run in found.runs:
        if run.fault:
            console.print(f"{run.run_id}: {escape(run.fault)}", soft_wrap=True)
    for cache in found.caches:
        console.print(f"cache {cache.kind}, {escape(cache.key)}: {_size(cache.n_bytes)}", soft_wrap=True)
    if found.copies:
        console.print(f"copies of photos, {len(found.copies)}: {_size(sum(found.copies.values()))}", soft_wrap=True)
    if found.latest_fault:
        console.print(escape(found.latest_fault), soft_wrap=True)
    if holder is None:
        console.print("nobody is at work here", soft_wrap=True)
    elif holder.is_dead:
        console.print(f"held by {escape(str(holder))}, which is dead; the next run takes over", soft_wrap=True)
    else:
        console.print(f"held by {escape(str(holder))}", soft_wrap=True)


def show_removals(root: str, removals: list[Removal], is_done: bool) -> None:
    """Print what goes, or went."""
    console = rich.console.Console(highlight=False)
    for removal in removals:
        console.print(f"{removal.path}  {_size(removal.n_bytes)}  {removal.why}", soft_wrap=True, markup=False)
    total = _size(sum(removal.n_bytes for removal in removals))
    if not removals:
        console.print(f"nothing in {root} can go", soft_wrap=True, markup=False)
    elif is_done:
        console.print(f"{total} removed", soft_wrap=True)
    else:
        console.print(f"{total} would go; nothing was removed, --delete removes it", soft_wrap=True)


def _without_keys(run: SurveyedRun) -> dict[str, object]:
    return {name: value for name, value in asdict(run).items() if name != "caches"}


def _state(run: SurveyedRun, found: Survey) -> str:
    state = run.state
    if state == "unfinished":
        is_at_work = found.holder is not None and found.holder.run_id == run.run_id and not found.holder.is_dead
        state = "at work" if is_at_work else "unfinished"
        state += f", next {run.next_stage or 'its publication'}"
    return f"{state}, LATEST" if run.is_latest else state


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
