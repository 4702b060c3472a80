"""What lies in a root: runs, caches, their sizes, and who is at work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyarrow import fs

from prodseek.catalogue.photo_copies import copies_folder, list_copies
from prodseek.errors import DamagedError, StoreError
from prodseek.runs.facts import CACHE_KINDS, FACTS, STAGES, CacheFolder, IngestFacts, StageFacts, thumbnails_cache
from prodseek.runs.lock import Holder, read_holder
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import LATEST, Run, Store, Summary
from prodseek.storage import files

CACHE_KEY = re.compile(r"\w+=[\w=,.-]+")


@dataclass(frozen=True)
class SurveyedRun:
    """One run. state: finished, unfinished or damaged; next_stage: of one that is unfinished, None where only the publication
    is missing; fault: of one that is damaged. Counts and seconds are None where no stage or manifest tells them yet.

    caches: the folders that it reads, of one that is finished.
    """

    run_id: str
    state: str
    n_bytes: int
    next_stage: str | None = None
    fault: str | None = None
    catalogue_rows: int | None = None
    images: int | None = None
    rejects: int | None = None
    seconds: float | None = None
    finished: str | None = None
    is_latest: bool = False
    caches: tuple[CacheFolder, ...] = ()


@dataclass(frozen=True)
class SurveyedCache:
    """One folder of a cache. kind, key: cache/<kind>/<key>; run_ids: of the runs that added to it."""

    kind: str
    key: str
    n_bytes: int
    run_ids: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """A whole root; runs and caches by name. holder: who holds the root, perhaps dead.

    copies: path in cache/photos -> bytes, of the photos that manifests held.
    """

    root: str
    runs: tuple[SurveyedRun, ...]
    caches: tuple[SurveyedCache, ...]
    latest: str | None
    latest_fault: str | None
    holder: Holder | None
    copies: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        kept = sum(cache.n_bytes for cache in self.caches) + sum(self.copies.values())
        return sum(run.n_bytes for run in self.runs) + kept


def survey(store: Store) -> Survey:
    """Look at everything in a root; nothing is changed. Raises StoreError where there is no such place."""
    store.check()
    if not files.exists(store.root):
        raise StoreError(f"there is no {store.root}; name the folder that `prodseek run --root` was given")
    latest, fault = None, None
    try:
        latest = store.named_by_latest().run_id
    except StoreError as error:
        fault = str(error)
    runs = tuple(_run(store.run(run_id), run_id == latest) for run_id in store.run_ids())
    if not runs and not files.exists(files.join(store.root, LATEST)):
        fault = None
    caches = tuple(
        _cache(store.root, kind, key)
        for kind in CACHE_KINDS
        for key in files.list_names(files.join(store.root, "cache", kind))
        if CACHE_KEY.fullmatch(key)
    )
    copies = list_copies(copies_folder(store.root))
    return Survey(store.root, runs, caches, latest, fault, read_holder(store.root), copies)


def size_bytes(uri: str) -> int:
    """Bytes of all files in a folder."""
    file_system, path = files.locate(uri)
    infos = file_system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    return sum(info.size for info in infos if info.type == fs.FileType.File)


def _run(run: Run, is_latest: bool) -> SurveyedRun:
    n_bytes = size_bytes(run.uri)
    try:
        if run.is_finished:
            return _finished(run, run.manifest(), n_bytes, is_latest)
        return _unfinished(run, n_bytes)
    except StoreError as error:
        return SurveyedRun(run.run_id, "damaged", n_bytes, fault=str(error), is_latest=is_latest)


def _finished(run: Run, manifest: Manifest, n_bytes: int, is_latest: bool) -> SurveyedRun:
    rows = manifest.reconciliation
    if rows is None or manifest.finished is None:
        raise DamagedError("its manifest is of another version: it lacks finished or reconciliation")
    return SurveyedRun(
        run.run_id,
        "finished",
        n_bytes,
        catalogue_rows=rows.input_rows,
        images=rows.images,
        rejects=rows.rejects,
        seconds=sum(manifest.seconds.values()),
        finished=manifest.finished,
        is_latest=is_latest,
        caches=caches_of(manifest),
    )


def caches_of(manifest: Manifest) -> tuple[CacheFolder, ...]:
    """Every folder of a cache that a run reads. Raises DamagedError where a stage's facts cannot be read."""
    facts = [found for kind in FACTS.values() if (found := manifest.facts_if_there(kind)) is not None]
    named = [folder for one in facts for folder in one.caches]
    sizes = manifest.config.get("report", {})
    # An older version did not list its thumbnails, and an even older one kept none.
    if {"region_px", "photo_px"} <= sizes.keys():
        named.append(thumbnails_cache(sizes["region_px"], sizes["photo_px"]))
    return tuple(dict.fromkeys(named))


def _unfinished(run: Run, n_bytes: int) -> SurveyedRun:
    summaries: dict[str, Summary[StageFacts]] = {}
    for stage in STAGES:
        summary = run.summary(stage)
        if summary is not None:
            summaries[stage] = summary
    counts = {name: count for summary in summaries.values() for name, count in summary.rows.items()}
    ingested = run.facts_if_done(IngestFacts)
    return SurveyedRun(
        run.run_id,
        "unfinished",
        n_bytes,
        next_stage=next((stage for stage in STAGES if stage not in summaries), None),
        catalogue_rows=None if ingested is None else ingested.input_rows,
        images=counts.get("images"),
        rejects=counts.get("rejects"),
        seconds=sum(summary.seconds for summary in summaries.values()) if summaries else None,
    )


def _cache(root: str, kind: str, key: str) -> SurveyedCache:
    uri = files.join(root, "cache", kind, key)
    batches = (name.removeprefix("batch=").rpartition("-")[0] for name in files.list_names(uri))
    return SurveyedCache(kind, key, size_bytes(uri), tuple(sorted(set(batches))))
