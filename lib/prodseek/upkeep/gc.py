"""Retention: which runs, cache folders and copies of photos can go, and removing those and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from prodseek.catalogue.photo_copies import COPIES, copy_name, is_copy
from prodseek.errors import StoreError
from prodseek.runs.facts import CACHE_KINDS
from prodseek.runs.logs import log_uri
from prodseek.runs.store import MANIFEST, RUN_ID, Store, read_columns
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead
from prodseek.upkeep.survey import CACHE_KEY, Survey, survey

_DELETE_THREADS = 8


@dataclass(frozen=True)
class Removal:
    """One folder that can go. path: relative to the root, `runs/<run id>` or `cache/<kind>/<key>`; why: for a person.

    copies: where path is `cache/photos`, the files in it that can go, and nothing else does.
    """

    path: str
    n_bytes: int
    why: str
    copies: tuple[str, ...] = ()


def find_removals(store: Store, keep: int) -> list[Removal]:
    """All that can go of a root when the `keep` newest finished runs stay. Raises as `survey` and `choose_removals`."""
    found = survey(store)
    removals = choose_removals(found, keep)
    return removals + choose_copies(store, found, removals)


def choose_removals(found: Survey, keep: int) -> list[Removal]:
    """What can go when the `keep` newest finished runs stay, oldest run first.

    LATEST's run stays, the run that holds the root, and the newest run in any state, because it may be resumed. A damaged
    run goes only when it is older than all that stay. A cache folder goes when no run that stays reads it; all caches
    stay while a run that stays is not finished, for then it is not known what it reads. Raises ValueError for keep < 1.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}; at least 1 run must stay")
    finished = [run.run_id for run in found.runs if run.state == "finished"]
    staying = set(finished[-keep:])
    staying |= {run.run_id for run in found.runs if run.is_latest} | {run.run_id for run in found.runs[-1:]}
    if found.holder is not None and found.holder.run_id is not None:
        staying.add(found.holder.run_id)
    oldest = min(staying, default="")
    staying |= {run.run_id for run in found.runs if run.state == "damaged" and run.run_id > oldest}
    why = {"finished": f"older than the newest {keep}", "unfinished": "never finished", "damaged": "damaged and old"}
    removals = [
        Removal(f"runs/{run.run_id}", run.n_bytes, why[run.state]) for run in found.runs if run.run_id not in staying
    ]
    kept = [run for run in found.runs if run.run_id in staying]
    if kept and all(run.state == "finished" for run in kept):
        read = {folder for run in kept for folder in run.caches}
        removals += [
            Removal(f"cache/{cache.kind}/{cache.key}", cache.n_bytes, "no run that stays reads it")
            for cache in found.caches
            if (cache.kind, cache.key) not in read and staying.isdisjoint(cache.run_ids)
        ]
    return removals


def choose_copies(store: Store, found: Survey, removals: Sequence[Removal]) -> list[Removal]:
    """The copies of photos that no run that stays names. removals: the runs among them go.

    All copies stay while a run that stays is not finished or its photos cannot be read, for then it is not known what it names.
    """
    going = {removal.path for removal in removals}
    kept = [run for run in found.runs if f"runs/{run.run_id}" not in going]
    if not found.copies or not kept or any(run.state != "finished" for run in kept):
        return []
    unnamed = set(found.copies)
    for run in kept:
        try:
            named = read_columns(store.run(run.run_id), "images", ["image_id"]).column("image_id")
        except StoreError:
            return []
        for chunk in named.chunks:
            unnamed.difference_update(map(copy_name, chunk.to_pylist()))
    if not unnamed:
        return []
    n_bytes = sum(found.copies[name] for name in unnamed)
    return [Removal(COPIES, n_bytes, f"{len(unnamed)} photos that no run that stays names", tuple(sorted(unnamed)))]


def remove(store: Store, removals: list[Removal]) -> None:
    """Remove folders, the logs of runs that go, and copies of photos; whoever calls this holds the root.

    Raises StoreError for one that is not as `Removal.path` says.
    """
    for removal in removals:
        check_removable(store.root, removal)
    for removal in removals:
        uri = files.join(store.root, removal.path)
        if removal.copies:
            copies = (files.join(uri, name) for name in removal.copies)
            list(map_ahead(files.delete_file, copies, _DELETE_THREADS))
            continue
        # First, so that a removal that is cut short leaves no run that looks finished.
        files.delete_file(files.join(uri, MANIFEST))
        if removal.path.startswith("runs/"):
            files.delete_file(log_uri(store.root, removal.path.removeprefix("runs/")))
        files.delete_dir(uri)


def check_removable(root: str, removal: Removal) -> None:
    """Raise StoreError unless this is a folder of a run or of a cache, or copies of photos, themselves and not by a link."""
    path = removal.path
    parts = path.split("/")
    is_run = len(parts) == 2 and parts[0] == "runs" and RUN_ID.fullmatch(parts[1])
    is_cache = len(parts) == 3 and parts[0] == "cache" and parts[1] in CACHE_KINDS and CACHE_KEY.fullmatch(parts[2])
    are_copies = path == COPIES and all(map(is_copy, removal.copies))
    if not (are_copies if removal.copies else is_run or is_cache):
        raise StoreError(f"{path!r} is neither a run nor a folder of a cache in {root}; it is not removed")
    file_system, target = files.locate(files.join(root, path))
    if isinstance(file_system, fs.LocalFileSystem) and Path(target).is_symlink():
        raise StoreError(f"{target} is a link to another place; remove the link by hand, nothing was removed")
