"""A run's figures held against the limits of the gates, and what is beyond them, in the run's breaches.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from prodseek.errors import DamagedError
from prodseek.runs.facts import GatesFacts
from prodseek.runs.gates import Breach, Figure, find_breaches
from prodseek.runs.manifest import first_fault
from prodseek.runs.store import Run
from prodseek.storage import files

BREACHES = "breaches.json"

_STORED = TypeAdapter(tuple[Breach, ...])


def judge(run: Run, limits: Mapping[str, float | None]) -> tuple[Breach, ...]:
    """Hold the figures that stage gates has measured against the limits that are set now. Raises as `Run.facts`."""
    return write_breaches(run, run.facts(GatesFacts).figures, limits)


def write_breaches(run: Run, figures: Iterable[Figure], limits: Mapping[str, float | None]) -> tuple[Breach, ...]:
    """Find and keep the figures that are beyond their limits."""
    found = find_breaches(figures, limits)
    run.write_json(BREACHES, {"run_id": run.run_id, "breaches": [asdict(breach) for breach in found]})
    return found


def read_breaches(run: Run) -> tuple[Breach, ...]:
    """What was found last; nothing where stage gates has not run. Raises DamagedError."""
    if not files.exists(run.path(BREACHES)):
        return ()
    try:
        return _STORED.validate_python(run.read_json(BREACHES).get("breaches"))
    except ValidationError as error:
        raise DamagedError(f"{run.path(BREACHES)} is damaged: {first_fault(error)}; run stage gates again") from error
