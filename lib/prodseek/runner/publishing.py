"""What publishing a night takes: the manifest, and words for a person about what it brought or why it is refused."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from prodseek import __version__
from prodseek.errors import DamagedError, ReconciliationError
from prodseek.runs.facts import ClusterFacts, DuplicatesFacts, EmbedFacts, IndexFacts, IngestFacts, StageFacts
from prodseek.runs.gates import Breach
from prodseek.runs.manifest import Manifest, Reconciliation
from prodseek.runs.store import WORK, Run, Summary
from prodseek.runs.tables import TABLES, schema_versions
from prodseek.spark.night import Night
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
    "graspologic-native",
)


def publication_fault(run: Run) -> str | None:
    """What a publication that was cut short, or a disk since, has left wrong; None when nothing is."""
    try:
        run.manifest()
    except DamagedError as error:
        return str(error)
    return "its publication was cut short" if files.exists(run.path(WORK)) else None


def build_manifest(
    night: Night, fingerprint: str, summaries: Sequence[Summary[StageFacts]], accepted: Sequence[Breach]
) -> Manifest:
    """Everything a reader needs to trust a run. Raises ReconciliationError when rows were lost or made up."""
    run, config = night.run, night.config
    tables = {name: rows for summary in summaries for name, rows in summary.rows.items()}
    input_rows = run.facts(IngestFacts).input_rows
    counted = {name: night.table(name).count() for name in ("images", "rejects")}
    if sum(counted.values()) != input_rows or any(counted[name] != tables[name] for name in counted):
        raise ReconciliationError(
            f"run {run.run_id}: {input_rows} rows came in, but {counted['images']} images and {counted['rejects']} "
            f"rejects lie in {run.uri} ({tables['images']} and {tables['rejects']} were written); nothing is published"
        )
    return Manifest(
        run_id=run.run_id,
        fingerprint=fingerprint,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        prodseek_version=__version__,
        schema_versions={name: version for name, version in schema_versions().items() if name in tables},
        tables={name: tables[name] for name in TABLES if name in tables},
        reconciliation=Reconciliation(input_rows=input_rows, images=tables["images"], rejects=tables["rejects"]),
        seconds={summary.stage: summary.seconds for summary in summaries},
        stages={summary.stage: summary.facts_json for summary in summaries},
        weights_sha256=config.network.weights.sha256,
        config=config.model_dump(mode="json"),
        libraries=_library_versions(),
        accepted_breaches=tuple(breach.gate for breach in accepted),
    )


def refusal(night: Night, breaches: Sequence[Breach]) -> str:
    """Why a night is not published, and what to do, for a person."""
    run, before = night.run, night.last_run
    gates = "1 gate" if len(breaches) == 1 else f"{len(breaches)} gates"
    lines = [f"run {run.run_id} is whole but not published, because it is beyond {gates}:"]
    for breach in breaches:
        lines += [f"  {breach.sentence}", *(f"    {_on_one_line(example)}" for example in breach.examples)]
    lines += [
        f"Readers still see {f'run {before.run_id}' if before else 'no run'}. The report of this one: "
        f"{run.path('report', 'index.html')}",
        f"If it is wrong, correct the catalogue ({night.config.catalog.uri}) and start the night again. If it is right, start "
        "the same command with --accept, which publishes this run, or with another limit, such as --set "
        f"gates.{breaches[0].gate}=null.",
    ]
    return "\n".join(lines)


def _on_one_line(text: str) -> str:
    """Names come from the catalogue: what could steer a terminal is left out."""
    return "".join(character if character.isprintable() else "?" for character in text)


def summary_text(run: Run, manifest: Manifest, seconds: float) -> str:
    """What the night brought, for a person."""
    tables, groups = manifest.tables, run.facts(ClusterFacts).visual
    reasons = run.facts(EmbedFacts).rejected
    rejected = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    lines = [
        ("rows in", str(run.facts(IngestFacts).input_rows)),
        ("images", str(tables["images"])),
        ("rejected", f"{tables['rejects']}{rejected}"),
        ("regions", str(tables["detections"])),
        (
            "duplicate groups",
            f"{run.facts(DuplicatesFacts).groups}, {tables['duplicate_groups']} photos in them",
        ),
        (
            "curation groups",
            f"{groups.groups} in {groups.coarse_groups} coarse ones, {groups.in_no_group} of "
            f"{groups.grouped_regions} regions in none",
        ),
        ("index", run.facts(IndexFacts).likeness.description),
        ("seconds", ", ".join(f"{stage} {spent:.1f}" for stage, spent in manifest.seconds.items())),
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
