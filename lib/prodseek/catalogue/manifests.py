"""Catalogues: a folder of photos or of tars of photos, or a manifest that names photos: CSV, TSV, JSON lines or Parquet."""

from __future__ import annotations

import os
import posixpath
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pyarrow import fs

from prodseek.catalogue.delta_log import DELTA_LOG
from prodseek.catalogue.encodings import CP_1252, UTF_8, find_encoding
from prodseek.catalogue.foreign_formats import refuse_no_text
from prodseek.catalogue.parquet_parts import SUFFIXES as PARQUET_SUFFIXES
from prodseek.catalogue.parquet_parts import is_parquet
from prodseek.catalogue.tars import SUFFIX as TAR_SUFFIX
from prodseek.catalogue.tars import sample_key, split_member
from prodseek.catalogue.text_file import read_head
from prodseek.errors import CatalogueError
from prodseek.storage import files

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif",
)  # fmt: skip

FAULT = "_fault"

CatalogueKind = Literal["folder", "csv", "json", "parquet"]

_PACKED = re.compile(r"(\.(gz|gzip|zst|zstd|bz2))+$")
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
        is_regular = info.type == fs.FileType.File
        kind = _kind_of_folder(location, path) if is_folder else _kind_of_file(location, path, is_regular)
    except (OSError, ValueError) as error:
        raise CatalogueError(f"the catalogue {location!r} cannot be read: {error}") from error
    return CatalogueSource(kind, location, location if kind == "folder" else posixpath.dirname(location))


def _kind_of_file(location: str, path: str, is_regular: bool) -> CatalogueKind:
    name = _PACKED.sub("", path.lower())
    for kind, suffixes in _SUFFIXES.items():
        if name.endswith(suffixes):
            if kind == "parquet" and name != path.lower():
                raise CatalogueError(f"the catalogue {location!r} is Parquet and compressed as a whole; unpack it")
            return kind
    # A pipe is not opened, because it may be waited for without end.
    head, _ = read_head(location) if is_regular else (b"", None)
    if head.startswith(b"PAR1"):
        return "parquet"
    try:
        refuse_no_text(head, location)
    except CatalogueError as error:
        raise CatalogueError(f"the catalogue {location!r} {error}") from error
    encoding, n_mark, _ = find_encoding(head, None)
    is_named_otherwise = name.endswith((*IMAGE_SUFFIXES, TAR_SUFFIX))
    if not is_regular or is_named_otherwise or (b"\0" in head and encoding in (UTF_8, CP_1252)):
        raise CatalogueError(
            f"the catalogue {location!r} is neither a folder nor a manifest: CSV, TSV, JSON lines or Parquet; it begins "
            f"{head[:40]!r}. Name the folder that it lies in, or give a manifest the ending .csv, .tsv, .jsonl or .parquet"
        )
    return "json" if head[n_mark:].lstrip().startswith((b"{", b"[{", b"[\n", b"[\r")) else "csv"


def text_kind(name: str) -> Literal["csv", "json"] | None:
    """What the ending of a text manifest says of it, whether it is compressed or not; None for other files."""
    name = _PACKED.sub("", name.lower())
    return "csv" if name.endswith(_SUFFIXES["csv"]) else "json" if name.endswith(_SUFFIXES["json"]) else None


def _kind_of_folder(location: str, path: str) -> CatalogueKind:
    """Parquet for a folder that is called so, keeps Delta's log, or holds Parquet files and no photos; that of its files if all
    are text manifests of one kind."""
    if path.lower().endswith(PARQUET_SUFFIXES) or files.exists(files.join(location, DELTA_LOG)):
        return "parquet"
    has_parquet = False
    kinds: set[Literal["csv", "json"] | None] = set()
    for name in _names_below(path, location):
        if name.lower().endswith((*IMAGE_SUFFIXES, TAR_SUFFIX)):
            return "folder"
        if not has_parquet:
            named_so = name.lower().endswith(PARQUET_SUFFIXES)
            has_parquet = named_so or ("." not in name and is_parquet(files.join(location, name)))
        kinds.add(text_kind(name))
    if has_parquet:
        return "parquet"
    return (kinds.pop() if len(kinds) == 1 else None) or "folder"


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


def product_of(uri: str, product_id_from: Literal["file", "folder"]) -> str:
    """The product of a photo when no column names it: the photo's path without its ending, or its folder.

    A tar counts as the folder that it would be unpacked into, so without its ending. Members of one sample of WebDataset,
    such as `0001.front.jpg` and `0001.back.jpg`, are one product.
    """
    tar, member = split_member(uri)
    if member is not None:
        uri = f"{tar[: -len(TAR_SUFFIX)]}/{member}"
    parent = posixpath.dirname(uri)
    if product_id_from == "folder" and parent:
        return parent
    return posixpath.splitext(uri)[0] if member is None else sample_key(uri)
