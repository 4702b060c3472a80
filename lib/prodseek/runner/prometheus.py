"""Figures of the night for Prometheus, as a text file for node_exporter's textfile collector.

The file is replaced whole after each stage and when the command ends, however it ends; only a run that another one keeps from the
root leaves it alone, because it is the other's. Every series has the label `root`, so that several roots can share a folder.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from prodseek import __version__
from prodseek.config import Config
from prodseek.errors import GateError, RootLockedError, StoppedError, StoreError, exit_code_of
from prodseek.runs.facts import STAGES, DuplicatesFacts, EmbedFacts, GatesFacts, IngestFacts, StageFacts
from prodseek.runs.gates import find_breaches
from prodseek.runs.manifest import Facts
from prodseek.runs.store import Run, Store, Summary
from prodseek.storage import files

STATES = ("running", "succeeded", "stopped", "failed", "refused")
_SUCCESS = "prodseek_last_success_timestamp_seconds"

_logger = logging.getLogger(__name__)


@dataclass
class Metrics:
    """A command at work. run: the run that it works on, once that is known."""

    file: str | None
    store: Store
    limits: Mapping[str, float | None]
    is_night: bool
    run: Run | None = None
    started: float = field(default_factory=time.time)

    def write(self, state: str = "running", exit_code: int | None = None) -> None:
        """Write the file, if one was asked for. One that cannot be written ends nothing: it is a warning."""
        if self.file is None:
            return
        now = time.time()
        try:
            text = render(
                self.store.root,
                self.run,
                state,
                exit_code,
                self.started,
                now if self.is_night and exit_code == 0 else _last_success(self.file),
                _last_publication(self.store),
                self.limits,
            )
            files.write_bytes(self.file, text.encode())
        except (OSError, ValueError, StoreError) as error:
            _logger.warning("the figures for Prometheus cannot be written to %s: %s", self.file, error)

    def end(self, error: BaseException | None) -> None:
        """Write how the command ended; the file of the run that keeps this one from the root is left alone."""
        if isinstance(error, RootLockedError):
            return
        states = {type(None): "succeeded", GateError: "refused", StoppedError: "stopped"}
        self.write(states.get(type(error), "failed"), exit_code_of(error))


@contextmanager
def exported(config: Config, store: Store, is_night: bool) -> Iterator[Metrics]:
    """Keep the file up to date until the block ends. is_night: whether success of the block is success of the night."""
    metrics = Metrics(config.metrics.prometheus_file, store, config.gates.model_dump(), is_night)
    try:
        yield metrics
    except BaseException as error:
        metrics.end(error)
        raise
    metrics.end(None)


def render(
    root: str,
    run: Run | None,
    state: str,
    exit_code: int | None,
    started: float,
    last_success: float | None,
    last_publication: float | None,
    limits: Mapping[str, float | None],
) -> str:
    """The file's content. All times in seconds since 1970; what is None has no series."""
    page = _Page(root)
    page.add("run_state", "1 for the state that the last command is in or ended in.")
    for name in STATES:
        page.put(int(name == state), state=name)
    page.add("info", "Which version, and which run.")
    page.put(1, version=__version__, run_id="" if run is None else run.run_id)
    page.one("run_start_timestamp_seconds", "When the last command started.", started)
    page.one("last_success_timestamp_seconds", "When a night last ended well, with or without news.", last_success)
    page.one("last_publication_timestamp_seconds", "When the run that readers see was finished.", last_publication)
    page.one("exit_code", "What the last command ended with; absent while it runs.", exit_code)
    done = [] if run is None else [found for name in STAGES if (found := run.summary(name)) is not None]
    _add_stages(page, done)
    _add_facts(page, done)
    _add_gates(page, _facts(done, GatesFacts), limits)
    return page.text


def _facts(done: Iterable[Summary[StageFacts]], kind: type[Facts]) -> Facts | None:
    return next((summary.facts for summary in done if isinstance(summary.facts, kind)), None)


def _add_stages(page: _Page, done: Sequence[Summary[StageFacts]]) -> None:
    page.add("stage_duration_seconds", "Wall time of each stage of the run that is done.")
    for summary in done:
        page.put(summary.seconds, stage=summary.stage)
    page.add("stage_failed_tasks", "Tasks of Spark that failed in a stage; each was tried again, or ended the run.")
    for summary in done:
        page.put(summary.failed_tasks, stage=summary.stage)
    page.add("table_rows", "Rows of each table of the run.")
    for table, rows in {table: rows for summary in done for table, rows in summary.rows.items()}.items():
        page.put(rows, table=table)


def _add_facts(page: _Page, done: Sequence[Summary[StageFacts]]) -> None:
    ingest, embed, duplicates = (_facts(done, IngestFacts), _facts(done, EmbedFacts), _facts(done, DuplicatesFacts))
    caches: dict[str, tuple[int | None, int | None]] = {}
    if ingest is not None:
        page.one("catalogue_rows", "Rows of the catalogue.", ingest.input_rows)
    if embed is not None:
        page.add("rejected_rows", "Rows of the catalogue that were rejected, by reason.")
        for reason, rows in embed.rejected.items():
            page.put(rows, reason=reason)
        caches["detections"] = (embed.cached_images, embed.embedded_images)
    if ingest is not None:
        page.one("read_retries", "Reads of photos that were tried again.", ingest.retried_reads)
    if embed is not None:
        page.one("embed_images_per_second", "Photos through the network in a second.", embed.images_per_second)
        page.one("embed_decode_seconds", "Reading and decoding in embed, all threads.", embed.decode_seconds)
        page.one("embed_device_seconds", "The network in embed, all tasks.", embed.device_seconds)
        page.one("embed_wait_seconds", "The network waiting for photos, all tasks.", embed.wait_seconds)
    if duplicates is not None:
        n_images = None if embed is None else _sum(embed.cached_images, embed.embedded_images)
        caches["local_features"] = _hits(n_images, duplicates.photos_looked_at)
        caches["pair_verdicts"] = _hits(duplicates.candidates, duplicates.pairs_looked_at)
    for at, name, text in ((0, "cache_hits", "Things found in"), (1, "cache_misses", "Things made anew for")):
        page.add(name, f"{text} a cache by the run.")
        for cache, counts in caches.items():
            page.put(counts[at], cache=cache)


def _add_gates(page: _Page, measured: GatesFacts | None, limits: Mapping[str, float | None]) -> None:
    figures = () if measured is None else measured.figures
    breached = {breach.gate for breach in find_breaches(figures, limits)}
    page.add("gate_value", "What was measured for each gate.")
    for figure in figures:
        page.put(figure.value, gate=figure.gate)
    page.add("gate_breached", "1 where it is beyond the limit that is set.")
    for figure in figures:
        page.put(int(figure.gate in breached), gate=figure.gate)


def _hits(n_wanted: int | None, n_made: int | None) -> tuple[int | None, int | None]:
    return (None if n_wanted is None or n_made is None else max(0, n_wanted - n_made)), n_made


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


class _Page:
    """Text in the exposition format, version 0.0.4: HELP and TYPE, then the series of each figure."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lines: list[str] = []
        self._head: list[str] = []
        self._name = ""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)

    def add(self, name: str, help_text: str) -> None:
        """Begin a figure; it is left out where it gets no value."""
        self._name = f"prodseek_{name}"
        self._head = [f"# HELP {self._name} {help_text}", f"# TYPE {self._name} gauge"]

    def put(self, value: float | None, **labels: str) -> None:
        if value is None:
            return
        self._lines += self._head
        self._head = []
        pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in {"root": self._root, **labels}.items())
        self._lines.append(f"{self._name}{{{pairs}}} {_number(value)}")

    def one(self, name: str, help_text: str, value: float | None) -> None:
        self.add(name, help_text)
        self.put(value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value)).replace("inf", "Inf").replace("nan", "NaN")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _last_success(file: str) -> float | None:
    """The time that the file of the last command has. Nothing else remembers a night that had nothing to do."""
    if not files.exists(file):
        return None
    found = re.search(rf"^{_SUCCESS}{{.*}} (\S+)$", files.read_bytes(file).decode(errors="replace"), re.MULTILINE)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _last_publication(store: Store) -> float | None:
    try:
        return datetime.fromisoformat(store.latest().manifest().finished or "").timestamp()
    except (StoreError, ValueError):
        return None
