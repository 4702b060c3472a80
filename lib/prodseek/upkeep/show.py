"""What `prodseek verify`, `status` and `gc` print."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import rich.console
from rich.markup import escape

from prodseek.upkeep.verify import Check

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
