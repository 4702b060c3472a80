"""What runs leave behind, and the rule that decides whether a run exists: its MANIFEST.json, written last.

<root>/cache/detections/model=<model_id>/batch=<run_id>-<n>/
<root>/cache/local_features/recipe=<hash>/batch=<run_id>-<n>/
<root>/cache/pair_verdicts/recipe=<hash>,schema=<version>/batch=<run_id>-<n>/
<root>/cache/looks/version=<n>,pixels=<n>,side_px=<px>/batch=<run_id>-<n>/
<root>/cache/thumbnails/region_px=<px>,photo_px=<px>,pixels=<n>/batch=<run_id>-<n>/
<root>/cache/photos/<first two digits>/<image_id>
<root>/runs/<run_id>/<table>/  index/  report/  stages/<stage>.json  MANIFEST.json
<root>/logs/<run_id>.jsonl
<root>/LATEST  LOCK
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from prodseek.errors import DamagedError, StoreError
from prodseek.runs.facts import FACTS, CacheFolder, StageFacts
from prodseek.runs.manifest import Facts, Manifest, first_fault
from prodseek.runs.signals import postponed_signals
from prodseek.runs.tables import schema_versions
from prodseek.storage import files

MANIFEST = "MANIFEST.json"
LATEST = "LATEST"
# What stages hand on to one another, in the run's folder until it is published.
WORK = "_work"
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_RUN_TIME = "%Y%m%dT%H%M%SZ"

Facts_co = TypeVar("Facts_co", bound=StageFacts, covariant=True)


def root_option(root: str) -> str:
    """The option that names a root, as a shell takes it."""
    return f"--root {shlex.quote(root)}"


@dataclass(frozen=True)
class Summary(Generic[Facts_co]):
    """What a stage did. facts: what it leaves in the manifest; rows: table -> rows written; lines: for a person."""

    facts: Facts_co
    rows: dict[str, int] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    seconds: float = 0.0
    failed_tasks: int = 0

    @property
    def stage(self) -> str:
        return self.facts.stage

    @property
    def facts_json(self) -> dict[str, Any]:
        """What the manifest says of the stage."""
        return {**self.facts.to_json(), "failed_tasks": self.failed_tasks}


class _StoredSummary(TypedDict):
    """A stage's file under `stages/`."""

    facts: dict[str, Any]
    rows: dict[str, int]
    lines: tuple[str, ...]
    seconds: float


_SUMMARY = TypeAdapter(_StoredSummary)
_START_AGAIN = "start the command again that made the run"


@dataclass(frozen=True)
class Run:
    """One run's folder, finished or not."""

    root: str
    run_id: str

    @property
    def uri(self) -> str:
        return files.join(self.root, "runs", self.run_id)

    def path(self, *parts: str) -> str:
        """The URI of a file or folder of this run."""
        return files.join(self.uri, *parts)

    def table_uri(self, table: str) -> str:
        return self.path(table)

    def cache_uri(self, folder: CacheFolder) -> str:
        """A folder of what this run and all before it have kept for those to come."""
        return files.join(self.root, "cache", folder.kind, folder.key)

    @property
    def is_finished(self) -> bool:
        return files.exists(self.path(MANIFEST))

    @property
    def is_sound(self) -> bool:
        """Whether the run has finished and its manifest can be read."""
        try:
            self.manifest()
        except StoreError:
            return False
        return True

    @property
    def has_these_schemas(self) -> bool:
        try:
            self.require_schemas()
        except StoreError:
            return False
        return True

    def require_schemas(self, *tables: str) -> None:
        """Raise StoreError where this finished run's tables (all of them where none is named) were written with other schemas.

        Columns that a schema got since would be read as null, and others might mean something else. A manifest that says
        nothing of schemas is of their first versions.
        """
        manifest = self.manifest()
        stored, now = manifest.schema_versions, schema_versions()
        others = [
            f"{table} has version {stored.get(table, 1)}, this prodseek reads {now[table]}"
            for table in (tables or manifest.tables)
            if table in now and stored.get(table, 1) != now[table]
        ]
        if others:
            raise StoreError(
                f"run {self.run_id} was written by prodseek {manifest.prodseek_version} with other schemas: "
                f"{'; '.join(others)}. `prodseek run nightly {root_option(self.root)} --catalog ...`, as it was started then, "
                "writes a run that can be read; no photo goes through the network again"
            )

    @property
    def how_to_make_again(self) -> str:
        """What a person does about a table that is damaged."""
        return (
            f"remove the folder {self.uri} and start the command again that made the run: no photo goes through the network "
            "again. An older run that nobody asks for can simply be removed"
        )

    def manifest(self) -> Manifest:
        """The run's manifest. Raises StoreError when the run is gone, has not finished or the manifest is damaged."""
        if not files.exists(self.uri):
            raise StoreError(
                f"there is no run {self.run_id} in {self.root}; "
                f"`prodseek status {root_option(self.root)}` lists those that are there"
            )
        if not self.is_finished:
            raise StoreError(
                f"run {self.run_id} in {self.root} has no {MANIFEST}: it has not finished. "
                "Start the same command again to resume it."
            )
        again = "the command that made the run writes it again"
        try:
            values = self._read_json(MANIFEST)
        except DamagedError as error:
            raise DamagedError(f"{error}; {again}") from error
        if values.get("run_id") != self.run_id:
            raise DamagedError(f"{self.path(MANIFEST)} belongs to run {values.get('run_id')!r:.100}; {again}")
        try:
            return Manifest.from_json(values)
        except ValidationError as error:
            raise DamagedError(f"{self.path(MANIFEST)} is damaged: {first_fault(error)}; {again}") from error

    def summary(self, stage: str) -> Summary[StageFacts] | None:
        """What a stage of this run did; None when it has not finished."""
        name = f"stages/{stage}.json"
        if not files.exists(self.path(name)):
            return None
        try:
            stored = _SUMMARY.validate_python(self._read_json(name))
            facts = FACTS[stage].from_json(stored["facts"])
        except ValidationError as error:
            raise DamagedError(
                f"{self.path(name)} is damaged: {first_fault(error)}; remove it and {_START_AGAIN}"
            ) from error
        failed_tasks = int(stored["facts"].get("failed_tasks", 0))
        return Summary(facts, stored["rows"], stored["lines"], stored["seconds"], failed_tasks)

    def facts(self, kind: type[Facts]) -> Facts:
        """What a stage of this run left. Raises StoreError when it is not done."""
        found = self.facts_if_done(kind)
        if found is None:
            raise StoreError(
                f"stage {kind.stage} of run {self.run_id} has not run; start it with "
                f"`prodseek run {kind.stage} {root_option(self.root)}`, or with nightly in its place for all of them"
            )
        return found

    def facts_if_done(self, kind: type[Facts]) -> Facts | None:
        """What a stage of this run left; None when it is not done."""
        summary = self.summary(kind.stage)
        return summary.facts if summary is not None and isinstance(summary.facts, kind) else None

    def write_summary(self, summary: Summary[StageFacts]) -> None:
        """Mark a stage as done."""
        values = {"stage": summary.stage, "rows": summary.rows, "facts": summary.facts_json}
        self.write_json(f"stages/{summary.stage}.json", {**values, "lines": summary.lines, "seconds": summary.seconds})

    def require(self, stage: str, *earlier: str) -> None:
        """Raise StoreError unless all `earlier` stages of this run are done."""
        undone = [name for name in earlier if self.summary(name) is None]
        if undone:
            raise StoreError(
                f"stage {stage} of run {self.run_id} needs {', '.join(undone)} first; "
                f"run `prodseek run {undone[0]} {root_option(self.root)}`, or nightly in its place for all of them"
            )

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        text = json.dumps(values, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
        files.write_bytes(self.path(name), text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        return self._read_json(name)

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            values = from_json(files.read_bytes(self.path(name)))
        except (ValueError, FileNotFoundError) as error:
            raise DamagedError(f"{self.path(name)} is damaged or missing: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.path(name)} cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise DamagedError(f"{self.path(name)} is damaged: it holds no JSON object")
        return values


@dataclass(frozen=True)
class Store:
    """All runs under one root."""

    root: str

    @classmethod
    def at(cls, root: str) -> Store:
        return cls(files.absolute(root))

    def check(self) -> None:
        """Raise StoreError where a file stands in place of the folder of runs."""
        file_system, path = files.locate(self.root)
        if file_system.get_file_info(path).type == fs.FileType.File:
            raise StoreError(
                f"{self.root} is a file, not a folder of runs; name the folder that `prodseek run --root` was given"
            )

    def run(self, run_id: str) -> Run:
        return Run(self.root, run_id)

    def run_ids(self) -> list[str]:
        """Ids of all runs, finished or not, oldest first."""
        return [name for name in files.list_names(files.join(self.root, "runs")) if _started(name) is not None]

    def current(self, fingerprint: str) -> Run | None:
        """The newest run, when it is of this very catalogue and configuration: finished or to be resumed."""
        ids = self.run_ids()
        return self.run(ids[-1]) if ids and ids[-1].endswith(f"-{fingerprint[:8]}") else None

    def new_run(self, fingerprint: str, now: datetime.datetime) -> Run:
        """A run that is younger than all others by its id, whatever the clock says. now: with a time zone, any.

        Raises StoreError where no later id can be had.
        """
        now = now.astimezone(datetime.UTC)
        ids = self.run_ids()
        newest = _started(ids[-1]) if ids else None
        if newest is not None:
            try:
                now = max(now, newest + datetime.timedelta(seconds=1))
            except OverflowError as error:
                raise StoreError(f"run {ids[-1]} in {self.root} is dated at the end of time; remove it") from error
        return self.run(f"{now.strftime(_RUN_TIME)}-{fingerprint[:8]}")

    def latest(self) -> Run:
        """The run that was published last. Raises StoreError when there is none, or LATEST does not lead to it."""
        run = self.named_by_latest()
        run.manifest()
        return run

    def named_by_latest(self) -> Run:
        """`latest`, its manifest not looked at."""
        self.check()
        uri = files.join(self.root, LATEST)
        if not files.exists(uri):
            raise DamagedError(
                f"no run has been published in {self.root}; start one with "
                f"`prodseek run nightly {root_option(self.root)} --catalog ...`"
            )
        name = files.read_bytes(uri).decode(errors="replace").strip()
        if not RUN_ID.fullmatch(name):
            raise DamagedError(
                f"{uri} names {name!r}, which is no run; the next `prodseek run nightly {root_option(self.root)}` mends it"
            )
        run = self.run(name)
        if not run.is_finished:
            raise DamagedError(
                f"{uri} names {name!r}, which is not there or has not finished; "
                f"the next `prodseek run nightly {root_option(self.root)}` mends it"
            )
        return run

    def mend_latest(self) -> str | None:
        """Let LATEST name the newest sound run where it leads to none; what was done, for a person, or None."""
        try:
            self.latest()
            return None
        except DamagedError as error:
            fault = str(error)
        newest = next((run for run in map(self.run, reversed(self.run_ids())) if run.is_sound), None)
        if newest is None:
            return None
        self._name_latest(newest)
        return f"{LATEST} names {newest.run_id} again, the newest run that can be read: {fault}"

    def before(self, run: Run) -> Run | None:
        """The newest finished run with a readable manifest that is older than `run`, if its tables are of these schemas."""
        for run_id in reversed(self.run_ids()):
            earlier = self.run(run_id)
            if run_id < run.run_id and earlier.is_sound:
                return earlier if earlier.has_these_schemas else None
        return None

    def publish(self, run: Run, manifest: Manifest) -> None:
        """Make a run exist: its manifest, then LATEST. A signal does not come between the two."""
        with postponed_signals():
            run.write_json(MANIFEST, manifest.to_json())
            self._name_latest(run)

    def _name_latest(self, run: Run) -> None:
        files.write_bytes(files.join(self.root, LATEST), f"{run.run_id}\n".encode())


def _started(run_id: str) -> datetime.datetime | None:
    """When a run was started, by its id; None for a name that is none."""
    if not RUN_ID.fullmatch(run_id):
        return None
    try:
        return datetime.datetime.strptime(run_id[:16], _RUN_TIME).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def read_columns(run: Run, table: str, columns: list[str], where: pc.Expression | None = None) -> pa.Table:
    """Some columns of a run's table, of the rows for which `where` holds, without Spark. Raises StoreError that names what
    is missing when another version of prodseek wrote the table without one of them, and names a file that is damaged."""
    # Imported here, because it brings pandas, and every Python worker would wait for that.
    import pyarrow.dataset as ds

    if run.is_finished:
        run.require_schemas(table)
    file_system, path = files.locate(run.table_uri(table))
    with naming_damage(run, table):
        stored = ds.dataset(path, filesystem=file_system, format="parquet", partitioning=None)
        missing = [name for name in columns if name not in stored.schema.names]
        if missing:
            raise StoreError(
                f"table {table} of run {run.run_id} has no column {', '.join(missing)}: another version of prodseek wrote "
                "it; run the night again with this one"
            )
        return stored.to_table(columns=columns, filter=where)


@contextmanager
def naming_damage(run: Run, table: str) -> Iterator[None]:
    """Turn what pyarrow says of a table's missing or damaged files into a StoreError with the repair."""
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(
            f"table {table} of run {run.run_id} cannot be read: {error}. `prodseek verify` says what else is damaged; "
            f"{run.how_to_make_again}"
        ) from error
