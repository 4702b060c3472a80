"""The night: every stage in order, then the manifest that makes the run exist."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pyspark.sql import SparkSession

from prodseek import __version__
from prodseek.config import Config, changed_settings, deciding_settings
from prodseek.errors import DamagedError, GateError, ReconciliationError
from prodseek.jobs.gates import judge
from prodseek.runner.progress import Console
from prodseek.runner.stages import OpenedRun, open_run, run_stage
from prodseek.runs.gates import Breach
from prodseek.runs.store import MANIFEST, STAGES, WORK, Run, Store, Summary
from prodseek.runs.tables import TABLES, schema_versions
from prodseek.spark.shipped_detector import check_device
from prodseek.spark.tables import read_table
from prodseek.storage import files

_LIBRARIES = (
    "pyspark",
    "torch",
    "torchvision",
    "ultralytics-opencv-headless",
    "pyarrow",
    "numpy",
    "faiss-cpu",
    "faiss-gpu",
    "umap-learn",
    "hdbscan",
)


def run(
    spark: SparkSession, config: Config, console: Console, opened: OpenedRun | None = None, accept: bool = False
) -> Run:
    """Run or resume the night and publish it; a run that is finished is left as it is.

    opened: the run, where it was opened before. accept: publish it whatever the gates say. Raises GateError where they say no.
    """
    started = time.monotonic()
    opened = opened or open_run(spark, config)
    current = opened.run
    fault = publication_fault(current) if current.is_finished else None
    if fault is not None:
        console.say(f"run {current.run_id} has done all its stages, but {fault}: it is published again")
        if not current.is_sound:
            # Its tables are those of this version, whatever the manifest can no longer say.
            files.delete_file(current.path(MANIFEST))
    elif current.is_finished:
        console.say(
            f"run {current.run_id} exists and is finished: the catalogue and the configuration have not changed"
        )
        console.say(f"nothing to do; its report is {current.path('report', 'index.html')}")
        return current
    else:
        console.say(
            f"{'run' if opened.is_new else 'resuming run'} {current.run_id} of {config.catalog.uri} in {current.root}",
            "run_opened" if opened.is_new else "run_resumed",
        )
        for change in _changes(config, current):
            console.say(f"  {change}", "changed")
    check_device(spark, config.embed.device)  # now, not when ingest has taken hours
    summaries = [run_stage(spark, config, current, stage, console) for stage in STAGES]
    breaches = judge(config, current)
    # What is only published again has passed the gates, or was accepted.
    if breaches and not accept and fault is None:
        for breach in breaches:
            console.tell("gate_breached", breach.sentence, _of_breach(breach), "error")
        raise GateError(_refusal(config, current, breaches))
    for breach in breaches:
        why = "--accept was given" if accept else "it was before"
        console.say(
            f"published all the same, for {why}: {breach.sentence}", "gate_accepted", _of_breach(breach), "warning"
        )
    manifest = build_manifest(spark, config, current, opened.fingerprint, summaries)
    manifest["accepted_breaches"] = [breach.gate for breach in breaches]
    Store(current.root).publish(current, manifest)
    files.delete_dir(current.path(WORK))
    console.result(
        summary_text(current, manifest, time.monotonic() - started),
        "published",
        f"run {current.run_id} is published",
        {"rows": manifest["tables"], **manifest["reconciliation"]},
    )
    return current


def _changes(config: Config, run: Run) -> list[str]:
    """What is another version or setting than that of the run before: why stages may compute what they could have kept."""
    before = Store(run.root).before(run)
    if before is None:
        return []
    then = before.manifest()
    changes = changed_settings(
        deciding_settings(then.get("config", {})), deciding_settings(config.model_dump(mode="json"))
    )
    if then.get("prodseek_version") != __version__:
        changes.insert(0, f"prodseek was {then.get('prodseek_version')}, now {__version__}")
    return [f"since run {before.run_id} {change}" for change in changes]


def publication_fault(run: Run) -> str | None:
    """What a publication that was cut short, or a disk since, has left wrong; None when nothing is."""
    try:
        run.manifest()
    except DamagedError as error:
        return str(error)
    return "its publication was cut short" if files.exists(run.path(WORK)) else None


def build_manifest(
    spark: SparkSession, config: Config, run: Run, fingerprint: str, summaries: list[Summary]
) -> dict[str, Any]:
    """Everything a reader needs to trust a run. Raises ReconciliationError when rows were lost or made up."""
    tables = {name: rows for summary in summaries for name, rows in summary.rows.items()}
    facts = {summary.stage: summary.facts for summary in summaries}
    input_rows = facts["ingest"]["input_rows"]
    reconciliation = {"input_rows": input_rows, "images": tables["images"], "rejects": tables["rejects"]}
    counted = {name: read_table(spark, run, name).count() for name in ("images", "rejects")}
    if sum(counted.values()) != input_rows or any(counted[name] != tables[name] for name in counted):
        raise ReconciliationError(
            f"run {run.run_id}: {input_rows} rows came in, but {counted['images']} images and {counted['rejects']} "
            f"rejects lie in {run.uri} ({tables['images']} and {tables['rejects']} were written); nothing is published"
        )
    return {
        "run_id": run.run_id,
        "fingerprint": fingerprint,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "prodseek_version": __version__,
        "schema_versions": {name: version for name, version in schema_versions().items() if name in tables},
        "tables": {name: tables[name] for name in TABLES if name in tables},
        "reconciliation": reconciliation,
        "seconds": {summary.stage: summary.seconds for summary in summaries},
        "stages": facts,
        "weights_sha256": config.network.weights.sha256,
        "config": config.model_dump(mode="json"),
        "libraries": _library_versions(),
    }


def _refusal(config: Config, run: Run, breaches: tuple[Breach, ...]) -> str:
    gates = "1 gate" if len(breaches) == 1 else f"{len(breaches)} gates"
    lines = [f"run {run.run_id} is whole but not published, for it is beyond {gates}:"]
    for breach in breaches:
        lines += [f"  {breach.sentence}", *(f"    {_on_one_line(example)}" for example in breach.examples)]
    before = Store(run.root).before(run)
    lines += [
        f"Readers still see {f'run {before.run_id}' if before else 'no run'}. The report of this one: "
        f"{run.path('report', 'index.html')}",
        f"If it is wrong, correct the catalogue ({config.catalog.uri}) and start the night again. If it is right, start the same "
        f"command with --accept, which publishes this run, or with another limit, such as --set gates.{breaches[0].gate}=null.",
    ]
    return "\n".join(lines)


def _of_breach(breach: Breach) -> dict[str, Any]:
    return {"gate": breach.gate, "value": breach.value, "limit": breach.limit}


def _on_one_line(text: str) -> str:
    """Names come from the catalogue: what could steer a terminal is left out."""
    return "".join(character if character.isprintable() else "?" for character in text)


def summary_text(run: Run, manifest: dict[str, Any], seconds: float) -> str:
    """What the night brought, for a person."""
    tables, stages = manifest["tables"], manifest["stages"]
    reasons = stages["embed"]["rejected"]
    rejected = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    groups = stages["cluster"]
    lines = [
        ("rows in", str(manifest["reconciliation"]["input_rows"])),
        ("images", str(tables["images"])),
        ("rejected", f"{tables['rejects']}{rejected}"),
        ("regions", str(tables["detections"])),
        (
            "duplicate groups",
            f"{stages['duplicates']['groups']}, {tables['duplicate_groups']} photos in them",
        ),
        (
            "curation groups",
            f"{groups['groups']} in {groups['coarse_groups']} coarse ones, {groups['in_no_group']} of "
            f"{groups['grouped_regions']} regions in none",
        ),
        ("index", stages["index"]["description"]),
        ("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in manifest["seconds"].items())),
        ("in all", f"{seconds:.0f} s"),
        ("report", run.path("report", "index.html")),
        ("Parquet", run.uri),
    ]
    return "\n" + "\n".join(f"{name:<18}{value}" for name, value in lines)


def _library_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    from prodseek.runner.stages import main

    main("nightly")
