"""Catalogues: a folder of photos or of tars of photos, or a CSV or Parquet manifest that names photos."""

from __future__ import annotations

import csv
import io
import posixpath
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from prodseek.catalogue.tars import SUFFIX as TAR_SUFFIX
from prodseek.catalogue.tars import sample_key, split_member
from prodseek.errors import CatalogueError
from prodseek.storage import files

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif",
)  # fmt: skip

FAULT = "_fault"

CatalogueKind = Literal["folder", "csv", "parquet"]


@dataclass(frozen=True)
class CatalogueSource:
    """A catalogue that exists. uri: absolute. base_uri: the folder that relative photo URIs start from."""

    kind: CatalogueKind
    uri: str
    base_uri: str


def find_catalogue(uri: str) -> CatalogueSource:
    """Find out what kind of catalogue is at `uri`. Raises CatalogueError if there is none."""
    location = files.absolute(uri)
    try:
        file_system, path = files.locate(location)
        info = file_system.get_file_info(path)
    except (OSError, ValueError) as error:
        raise CatalogueError(f"the catalogue {location!r} cannot be read: {error}") from error
    if info.type == fs.FileType.NotFound:
        raise CatalogueError(
            f"there is no catalogue at {location!r}; name a folder of photos, or a CSV or Parquet manifest"
        )
    name = path.lower()
    if name.endswith(".parquet"):
        return CatalogueSource("parquet", location, posixpath.dirname(location))
    if info.type == fs.FileType.Directory:
        return CatalogueSource("folder", location, location)
    if name.endswith(".csv"):
        return CatalogueSource("csv", location, posixpath.dirname(location))
    raise CatalogueError(
        f"the catalogue {location!r} is neither a folder nor a .csv nor a .parquet manifest; "
        "give the manifest one of these endings, or name a folder of photos"
    )


def read_csv_manifest(source: CatalogueSource) -> pa.Table:
    """Read a CSV manifest: its columns as text, null for empty values, and `_fault`: what is wrong with a row, or null.

    The file is comma-separated UTF-8 with a header; values may contain quoted commas and line breaks. Raises CatalogueError
    if it cannot be read as that.
    """
    file_system, path = files.locate(source.uri)
    try:
        with file_system.open_input_stream(path) as stream:
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            rows = [row for row in csv.reader(lines, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogueError(f"the manifest {source.uri!r} is not a CSV file in UTF-8: {error}") from error
    header = rows[0] if rows else []
    if len({name.lower() for name in header}) != len(header):  # Spark ignores the case of column names
        raise CatalogueError(f"the manifest {source.uri!r} has the same column twice: {', '.join(header)}")
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
