"""Catalogues: a folder of photos or of tars of photos, or a manifest that names photos: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import os
import posixpath
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pyarrow import fs

from prodseek.catalogue.delta_log import DELTA_LOG
from prodseek.catalogue.dialect import CP_1252, UTF_8, find_encoding
from prodseek.catalogue.parquet_table import SUFFIXES as PARQUET_SUFFIXES
from prodseek.catalogue.parquet_table import is_parquet
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.tars import SUFFIX as TAR_SUFFIX
from prodseek.catalogue.tars import split_member
from prodseek.catalogue.text_rows import read_head
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import files

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif",
)  # fmt: skip

FAULT = "_fault"

CatalogueKind = Literal["folder", "csv", "json", "parquet"]

_PACKED = re.compile(r"\.(gz|gzip|zst|zstd)$")
_SUFFIXES: dict[CatalogueKind, tuple[str, ...]] = {
    "csv": (".csv", ".tsv", ".tab"),
    "json": (".jsonl", ".ndjson", ".json"),
    "parquet": PARQUET_SUFFIXES,
}


@dataclass(frozen=True)
class CatalogueSource:
    """A catalogue that exists. uri: absolute. base_uri: the folder that relative photo URIs start from."""

    kind: CatalogueKind
    uri: str
    base_uri: str


def find_catalogue(uri: str) -> CatalogueSource:
    """Find out what kind of catalogue is at `uri`, by its ending or else by what is in it. Raises CatalogueError."""
    location = files.absolute(uri)
    try:
        file_system, path = files.locate(location)
        info = file_system.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise CatalogueError(
                f"there is no catalogue at {location!r}; name a folder of photos, or a manifest: CSV, TSV, JSON lines or Parquet"
            )
        is_folder = info.type == fs.FileType.Directory
        kind = _kind_of_folder(location, path) if is_folder else _kind_of_file(location, path)
    except (OSError, ValueError) as error:
        raise CatalogueError(f"the catalogue {location!r} cannot be read: {error}") from error
    return CatalogueSource(kind, location, location if kind == "folder" else posixpath.dirname(location))


def _kind_of_file(location: str, path: str) -> CatalogueKind:
    name = _PACKED.sub("", path.lower())
    for kind, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            return kind
    head, _ = read_head(location)
    if head.startswith(b"PAR1"):
        return "parquet"
    encoding, n_mark = find_encoding(head, None)
    if name.endswith((*IMAGE_SUFFIXES, TAR_SUFFIX)) or (b"\0" in head and encoding in (UTF_8, CP_1252)):
        raise CatalogueError(
            f"the catalogue {location!r} is neither a folder nor a manifest: CSV, TSV, JSON lines or Parquet; it begins "
            f"{head[:40]!r}. Name the folder that it lies in, or give a manifest the ending .csv, .tsv, .jsonl or .parquet"
        )
    return "json" if head[n_mark:].lstrip().startswith(b"{") else "csv"


def _kind_of_folder(location: str, path: str) -> CatalogueKind:
    """Parquet for a folder that is called so, keeps Delta's log, or holds Parquet files and no photos."""
    if path.lower().endswith(PARQUET_SUFFIXES) or files.exists(files.join(location, DELTA_LOG)):
        return "parquet"
    has_parquet = False
    for name in _names_below(path, location):
        if name.lower().endswith((*IMAGE_SUFFIXES, TAR_SUFFIX)):
            return "folder"
        if not has_parquet:
            named_so = name.lower().endswith(PARQUET_SUFFIXES)
            has_parquet = named_so or ("." not in name and is_parquet(files.join(location, name)))
    return "parquet" if has_parquet else "folder"


def _names_below(path: str, location: str) -> Iterator[str]:
    """Files of a folder, one after another, so that the first photo ends the search; hidden ones are left out."""
    file_system, _ = files.locate(location)
    is_local = isinstance(file_system, fs.LocalFileSystem)
    entries = partial(_local_entries, set()) if is_local else partial(_remote_entries, file_system)
    pending = deque([""])
    while pending:
        below = pending.popleft()
        for name, is_folder in entries(posixpath.join(path, below)):
            if name.startswith((".", "_")):
                continue
            if is_folder:
                pending.append(posixpath.join(below, name))
            else:
                yield posixpath.join(below, name)


def _local_entries(entered: set[str], folder: str) -> Iterator[tuple[str, bool]]:
    """Links are followed, but no folder is entered twice."""
    real = os.path.realpath(folder)
    if real in entered:
        return
    entered.add(real)
    with os.scandir(real) as entries:
        for entry in entries:
            yield os.fsencode(entry.name).decode(errors="replace"), entry.is_dir()


def _remote_entries(file_system: fs.FileSystem, folder: str) -> Iterator[tuple[str, bool]]:
    for info in file_system.get_file_info(fs.FileSelector(folder)):
        yield info.base_name, info.type == fs.FileType.Directory


def list_photos(source: CatalogueSource, allowed_roots: Sequence[str] = ()) -> list[str]:
    """List the photos of a folder, also those in tars: URIs relative to the folder, sorted. Hidden files and folders are skipped.

    A tar that cannot be read to its end also gets the entry `NAME.tar#`, and a name that is not UTF-8 is listed with
    replacement characters. No photo will be found under either, so both become rejects. Links are followed, but no folder
    is listed twice, so that links in a circle do no harm. allowed_roots: folders beside this one that links to tars may
    lead to. Raises CatalogueError.
    """
    try:
        file_system, path = files.locate(source.base_uri)
        if isinstance(file_system, fs.LocalFileSystem):
            names = _local_names(path)
        else:
            infos = file_system.get_file_info(fs.FileSelector(path, recursive=True))
            names = [posixpath.relpath(info.path, path) for info in infos if info.type == fs.FileType.File]
    except OSError as error:
        raise CatalogueError(f"the catalogue {source.uri!r} cannot be listed: {error}") from error
    photos = PhotoSource(source.base_uri, tuple(allowed_roots), ImageLimits())
    tars = (name for name in names if name.lower().endswith(TAR_SUFFIX) and not _is_hidden(name))
    members = (member for tar in tars for member in _in_tar(tar, photos))
    return sorted([*filter(_is_photo, names), *members])


def _in_tar(name: str, photos: PhotoSource) -> list[str]:
    try:
        members, damage = photos.members(name)
    except ImageRejected:
        return [f"{name}#"]
    return [f"{name}#{member}" for member in [*filter(_is_photo, members), *([""] if damage else [])]]


def _is_photo(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in name.split("/"))


def _local_names(folder: str) -> list[str]:
    """Everything below a local folder except folders, relative to it; hidden names are skipped."""
    names: list[str] = []
    entered: set[str] = set()
    pending = deque([""])
    while pending:
        below = pending.popleft()
        real = os.path.realpath(os.path.join(folder, below))
        if real in entered:
            continue
        entered.add(real)
        with os.scandir(real) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                name = posixpath.join(below, entry.name)
                if not os.path.isdir(entry.path):
                    names.append(os.fsencode(name).decode(errors="replace"))
                elif entry.is_symlink():
                    pending.append(name)  # last, so that a folder that is also inside is listed by its own name
                else:
                    pending.appendleft(name)
    return names


def product_of(uri: str, product_id_from: Literal["file", "folder"]) -> str:
    """The product of a photo when no column names it: the photo's path without its ending, or its folder.

    A tar counts as the folder that it would be unpacked into, so without its ending.
    """
    tar, member = split_member(uri)
    if member is not None:
        uri = f"{tar[: -len(TAR_SUFFIX)]}/{member}"
    parent = posixpath.dirname(uri)
    if product_id_from == "folder" and parent:
        return parent
    return posixpath.splitext(uri)[0]
