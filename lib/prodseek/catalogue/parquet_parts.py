"""The files of a Parquet manifest: one, or a folder of files whatever their names are, perhaps with a log as Delta keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from pyarrow import fs

from prodseek.catalogue.delta_log import DELTA_LOG, logged_files
from prodseek.errors import CatalogueError
from prodseek.storage import files

SUFFIXES = (".parquet", ".parq", ".pqt")
_MAGIC = b"PAR1"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ParquetPart:
    """A file of a manifest. values: what the names of its folders say, as `country=DE` does: column -> text, or None."""

    uri: str
    n_bytes: int
    mtime_ns: int
    values: tuple[tuple[str, str | None], ...] = ()


def is_parquet(uri: str) -> bool:
    """Whether a file begins as Parquet does; False for what is no file, such as a pipe, which would be waited for."""
    try:
        file_system, path = files.locate(uri)
        if file_system.get_file_info(path).type != fs.FileType.File:
            return False
        with files.open_seekable(uri) as (handle, _, _):
            return handle.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def parts_of(uri: str) -> list[ParquetPart]:
    """The files of a Parquet manifest, in order of their names. Raises CatalogueError if it cannot be listed or has none."""
    try:
        file_system, path = files.locate(uri)
        info = file_system.get_file_info(path)
        if info.type == fs.FileType.File:
            return [ParquetPart(uri, info.size, info.mtime_ns or 0)]
        found = {
            one.path[len(path) :].strip("/"): one
            for one in file_system.get_file_info(fs.FileSelector(path, recursive=True))
            if one.type == fs.FileType.File and one.size
        }
    except OSError as error:
        raise CatalogueError(f"the manifest {uri!r} cannot be listed: {error}") from error
    logged = [name for name in found if name.startswith(f"{DELTA_LOG}/")]
    if logged:
        named = logged_files(uri, [name.partition("/")[2] for name in sorted(logged)])
        gone = [name for name in named if name not in found]
        if gone:
            raise CatalogueError(
                f"the manifest {uri!r} is incomplete: its log names {gone[0]!r}, and there is no such file"
            )
    else:
        named = {name: _folder_values(name) for name in found if not is_hidden(name) and _is_part(uri, name)}
    parts = [
        ParquetPart(files.join(uri, name), found[name].size, found[name].mtime_ns or 0, named[name])
        for name in sorted(named)
    ]
    if not parts:
        raise CatalogueError(f"the manifest {uri!r} holds no Parquet files; there is nothing to read")
    return parts


def is_hidden(name: str) -> bool:
    """Whether a path in a folder is no part of a manifest, such as `_SUCCESS` and checksums."""
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in name.split("/"))


def _is_part(uri: str, name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.lower().endswith(SUFFIXES) or ("." not in last and is_parquet(files.join(uri, name)))


def _folder_values(name: str) -> tuple[tuple[str, str | None], ...]:
    """What folders called `column=value` say of a file in them."""
    pairs = (folder.partition("=") for folder in name.split("/")[:-1] if "=" in folder)
    return tuple((unquote(column), None if value == _NO_VALUE else unquote(value)) for column, _, value in pairs)
