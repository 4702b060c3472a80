"""What a catalogue is: a folder of photos, or a CSV or Parquet manifest that names them."""

from __future__ import annotations

import csv
import io
import posixpath
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from prodseek import files
from prodseek.errors import CatalogError

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif",
)  # fmt: skip

FAULT = "_fault"

CatalogKind = Literal["folder", "csv", "parquet"]


@dataclass(frozen=True)
class CatalogSource:
    """A catalogue that is there. uri: absolute; base_uri: the folder that relative photo URIs start from."""

    kind: CatalogKind
    uri: str
    base_uri: str


def find_catalog(uri: str) -> CatalogSource:
    """Tell what kind of catalogue lies at `uri`. Raises CatalogError when there is none."""
    location = files.absolute(uri)
    try:
        file_system, path = files.locate(location)
        info = file_system.get_file_info(path)
    except (OSError, ValueError) as error:
        raise CatalogError(f"the catalogue {location!r} cannot be read: {error}") from error
    if info.type == fs.FileType.NotFound:
        raise CatalogError(
            f"there is no catalogue at {location!r}; name a folder of photos, or a CSV or Parquet manifest"
        )
    name = path.lower()
    if name.endswith(".parquet"):
        return CatalogSource("parquet", location, posixpath.dirname(location))
    if info.type == fs.FileType.Directory:
        return CatalogSource("folder", location, location)
    if name.endswith(".csv"):
        return CatalogSource("csv", location, posixpath.dirname(location))
    raise CatalogError(
        f"the catalogue {location!r} is neither a folder nor a .csv nor a .parquet manifest; "
        "give the manifest one of these endings, or name a folder of photos"
    )


def list_photos(source: CatalogSource) -> list[str]:
    """URIs of the photos under a folder, relative to it, sorted; hidden files and folders are passed over."""
    file_system, path = files.locate(source.base_uri)
    infos = file_system.get_file_info(fs.FileSelector(path, recursive=True))
    relative = (posixpath.relpath(info.path, path) for info in infos if info.type == fs.FileType.File)
    return sorted(
        name
        for name in relative
        if name.lower().endswith(IMAGE_SUFFIXES) and not any(p.startswith(".") for p in name.split("/"))
    )


def read_csv_manifest(source: CatalogSource) -> pa.Table:
    """A CSV manifest's columns as text, null where a value is empty, and `_fault`: what is wrong with a row, else null.

    Comma-separated UTF-8 with a header; values may hold quoted commas and line breaks. Raises CatalogError when it cannot
    be read as that.
    """
    file_system, path = files.locate(source.uri)
    try:
        with file_system.open_input_stream(path) as stream:
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            rows = [row for row in csv.reader(lines, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogError(f"the manifest {source.uri!r} is no CSV in UTF-8: {error}") from error
    header = rows[0] if rows else []
    if len(set(header)) != len(header):
        raise CatalogError(f"the manifest {source.uri!r} names a column twice: {', '.join(header)}")
    body = rows[1:]
    faults = [
        None if len(row) == len(header) else f"row {n} has {len(row)} values, the header {len(header)}"
        for n, row in enumerate(body, start=1)
    ]
    columns = {
        name: pa.array([(row[i].strip() or None) if i < len(row) else None for row in body], pa.string())
        for i, name in enumerate(header)
    }
    return pa.table({**columns, FAULT: pa.array(faults, pa.string())})


def product_of(uri: str, product_id_from: Literal["file", "folder"]) -> str:
    """The product of a photo that no column names: its path without the ending, or the folder it lies in."""
    parent = posixpath.dirname(uri)
    if product_id_from == "folder" and parent:
        return parent
    return posixpath.splitext(uri)[0]
