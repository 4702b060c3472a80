"""The night: every stage in order, then the manifest that makes the run exist."""

from __future__ import annotations

import time

from prodseek import __version__
from prodseek.config import changed_settings, deciding_settings
from prodseek.errors import GateError
from prodseek.runner.open_run import OpenedRun
from prodseek.runner.progress import Console
from prodseek.runner.publishing import build_manifest, publication_fault, refusal, summary_text
from prodseek.runner.stages import run_stage
from prodseek.runs.breaches import judge
from prodseek.runs.facts import STAGES
from prodseek.runs.gates import Breach
from prodseek.runs.store import MANIFEST, WORK, Run, Store
from prodseek.spark.night import Night
from prodseek.spark.shipped_detector import check_device
from prodseek.storage import files


def run_night(night: Night, opened: OpenedRun, console: Console, accept: bool = False) -> Run:
    """Run or resume the night and publish it; a run that is finished is left as it is.

    accept: publish it whatever the gates say. Raises GateError where they refuse it.
    """
    started = time.monotonic()
    run = night.run
    fault = publication_fault(run) if run.is_finished else None
    if run.is_finished and fault is None:
        console.say(f"run {run.run_id} exists and is finished: the catalogue and the configuration have not changed")
        console.say(f"nothing to do; its report is {run.path('report', 'index.html')}")
        return run
    if fault is not None:
        console.say(f"run {run.run_id} has done all its stages, but {fault}: it is published again")
        if not run.is_sound:
            # The manifest cannot be read, but its fingerprint was this version's, and so are its tables.
            files.delete_file(run.path(MANIFEST))
    else:
        _say_what_starts(night, opened, console)
    check_device(night.spark, night.config.embed.device)  # now, not when ingest has taken hours
    summaries = [run_stage(night, stage, console) for stage in STAGES]
    # What is only published again has passed the gates, or was accepted.
    breaches = _passed(night, console, "--accept was given" if accept else "it was before" if fault else None)
    manifest = build_manifest(night, opened.fingerprint, summaries, breaches)
    Store(run.root).publish(run, manifest)
    files.delete_dir(run.path(WORK))
    console.result(
        summary_text(run, manifest, time.monotonic() - started),
        "published",
        f"run {run.run_id} is published",
        {"rows": manifest.tables, **manifest.to_json()["reconciliation"]},
    )
    return run


def _say_what_starts(night: Night, opened: OpenedRun, console: Console) -> None:
    run = night.run
    console.say(
        f"{'run' if opened.is_new else 'resuming run'} {run.run_id} of {night.config.catalog.uri} in {run.root}",
        "run_opened" if opened.is_new else "run_resumed",
    )
    for change in _changes(night):
        console.say(f"  {change}", "changed")


def _changes(night: Night) -> list[str]:
    """Versions and settings that differ from the last night's: why stages may compute what they could have kept."""
    if night.last_run is None:
        return []
    then = night.last_run.manifest()
    changes = changed_settings(deciding_settings(then.config), deciding_settings(night.config.model_dump(mode="json")))
    if then.prodseek_version != __version__:
        changes.insert(0, f"prodseek was {then.prodseek_version}, now {__version__}")
    return [f"since run {night.last_run.run_id} {change}" for change in changes]


def _passed(night: Night, console: Console, why_accepted: str | None) -> tuple[Breach, ...]:
    """What the gates found; none of it keeps the night from being published. Raises GateError unless it is accepted."""
    breaches = judge(night.run, night.config.gates.model_dump())
    for breach in breaches:
        values = {"gate": breach.gate, "value": breach.value, "limit": breach.limit}
        if why_accepted is None:
            console.tell("gate_breached", breach.sentence, values, "error")
        else:
            said = f"published all the same, because {why_accepted}: {breach.sentence}"
            console.say(said, "gate_accepted", values, "warning")
    if breaches and why_accepted is None:
        raise GateError(refusal(night, breaches))
    return breaches
