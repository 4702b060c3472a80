"""Indexes in the folder of a run: `index/` for the facet `likeness`, `index/<facet>/` for the others."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from pyarrow import fs

from prodseek.errors import StoreError
from prodseek.index.search import Locate, ShardedIndex, check_digest, checked_bytes
from prodseek.index.shards import FileEntry, IndexManifest, index_to_bytes
from prodseek.runs.columns import LIKENESS
from prodseek.runs.store import Run, root_option
from prodseek.storage import files


def index_folder(facet: str = LIKENESS) -> str:
    """The folder of a facet's index within the folder of its run."""
    return "index" if facet == LIKENESS else f"index/{facet}"


def index_manifest(run: Run, facet: str = LIKENESS) -> IndexManifest:
    """The manifest of a run's index. Raises StoreError if there is none."""
    return IndexManifest.from_dict(run.read_json(f"{index_folder(facet)}/MANIFEST.json"))


def write_manifest(run: Run, manifest: IndexManifest) -> None:
    """Write the manifest, which makes the index exist. All its other files must be there."""
    run.write_json(f"{index_folder(manifest.facet)}/MANIFEST.json", manifest.to_dict())


def open_index(run: Run, facet: str = LIKENESS) -> ShardedIndex:
    """The index of a run, memory-mapped. Raises StoreError that names a missing, truncated or altered file."""
    manifest = index_manifest(run, facet)
    try:
        return ShardedIndex.open(locate_in(run.path(index_folder(facet))), manifest)
    except StoreError as error:
        raise StoreError(f"{error}; `prodseek verify {root_option(run.root)} --run {run.run_id}` says how") from error


def read_trained(run: Run, facet: str = LIKENESS) -> tuple[bytes, IndexManifest]:
    """The trained index of a run without vectors, as bytes, and the index's manifest."""
    manifest = index_manifest(run, facet)
    return checked_bytes(locate_in(run.path(index_folder(facet))), manifest.trained), manifest


def export_index(run: Run, path: Path, facet: str = LIKENESS) -> IndexManifest:
    """Write the whole index of a run, with its nprobe, into one file for `faiss.read_index`; return its manifest."""
    opened = open_index(run, facet)
    files.write_bytes(str(path), index_to_bytes(opened.merged()))
    return opened.manifest


def locate_in(folder_uri: str) -> Locate:
    """A function that finds the files of the index in this folder on this machine."""
    return partial(_locate, folder_uri)


def _locate(folder_uri: str, entry: FileEntry) -> Path:
    uri = files.join(folder_uri, entry.file)
    file_system, path = files.locate(uri)
    if isinstance(file_system, fs.LocalFileSystem):
        return Path(path)
    # A file must be on a local disk to be mapped into memory. It is fetched once, under a name that belongs to its content.
    fetched = files.user_cache_dir() / "index" / f"{entry.sha256}.faiss"
    if not fetched.exists():
        data = files.read_bytes(uri)
        check_digest(hashlib.sha256(data).hexdigest(), entry)
        files.write_bytes(str(fetched), data)
    return fetched
