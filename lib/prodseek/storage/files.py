"""Bytes by URI: local paths, and what pyarrow's file systems read (file, s3, gs, abfs, hdfs)."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
import uuid
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
# Hadoop and Java write one slash.
_FILE = "file:/"
_SPARK_SCHEMES = {"s3": "s3a"}
# The S3 client itself retries requests that get no answer in this time, and those answered with 429 or 5xx.
S3_CONNECT_SECONDS = 10.0
S3_REQUEST_SECONDS = 15.0
S3_ATTEMPTS = 3


def join(base: str, *parts: str) -> str:
    """Append path parts to a local path or URI."""
    return posixpath.join(base.rstrip("/") or "/", *parts)


def absolute(uri: str) -> str:
    """Make a local path absolute (`file://` removed, `~` expanded); any other URI stays as it is."""
    if _scheme(uri) == "file":
        uri = _path_of_file_uri(uri)
    elif _scheme(uri):
        return uri.rstrip("/")
    return str(Path(uri).expanduser().resolve())


def local_path(uri: str) -> str:
    """The path of a `file://` URI; any other path or URI stays as it is."""
    return _path_of_file_uri(uri) if _scheme(uri) == "file" else uri


def decoded(uri: str, part: str) -> str:
    """A part of `uri` without percent-encoding, which only URIs of the scheme `file` have."""
    return unquote(part) if _scheme(uri) == "file" else part


def resolve(uri: str, base: str) -> str:
    """The location of `uri`: `uri` itself if it is absolute or has a scheme, else its path under the folder `base`."""
    if _scheme(uri) or uri.startswith("/"):
        return uri
    return join(base, uri)


def real(uri: str) -> str:
    """The place that an absolute path or URI leads to, with `..` resolved and local links followed.

    For comparing places, not for opening them. Raises ValueError for an unknown scheme, and for a path that no file system
    accepts.
    """
    scheme = _known_scheme(uri)
    if scheme in ("", "file"):
        try:
            return os.path.realpath(locate(uri)[1])
        except RecursionError:
            raise ValueError(f"{uri} leads through too many links") from None
    authority, _, path = uri[len(scheme) + 3 :].partition("/")
    return f"{scheme}://{authority}{posixpath.normpath('/' + path.lstrip('/'))}"


def is_within(place: str, folder: str) -> bool:
    """Whether `place` is `folder` or is inside it; both as returned by `real`."""
    folder = folder.rstrip("/")
    return place == folder or place.startswith(f"{folder}/")


def spark_uri(uri: str) -> str:
    """The same place as Hadoop's file systems name it: they take the path as it is, without percent-encoding."""
    scheme = _scheme(uri)
    if not scheme:
        return f"file://{Path(uri).absolute()}"
    if scheme == "file":
        return f"file://{uri[len(_FILE) - 1 :].removeprefix('//')}"
    return _SPARK_SCHEMES.get(scheme, scheme) + uri[len(scheme) :]


def spark_pattern(uri: str) -> str:
    """`spark_uri` for a path to read, with the characters of Hadoop's glob patterns escaped."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", spark_uri(uri))


def from_spark(path: str) -> str:
    """Convert a percent-encoded path from Spark's `_metadata.file_path` into a URI that `locate` takes."""
    path = unquote(path)
    if path.startswith("file:/"):
        return "/" + path.removeprefix("file:").lstrip("/")
    scheme = _scheme(path)
    return {spark: own for own, spark in _SPARK_SCHEMES.items()}.get(scheme, scheme) + path[len(scheme) :]


def locate(uri: str) -> tuple[fs.FileSystem, str]:
    """The pyarrow file system of `uri`, and the path in it. Raises ValueError for an unknown scheme."""
    scheme = _known_scheme(uri)
    if not scheme:
        return fs.LocalFileSystem(), uri
    if scheme == "file":
        return fs.LocalFileSystem(), _path_of_file_uri(uri)
    # Split by hand, because a URI parser would take spaces, '#' and '?' in object names for syntax.
    authority, _, path = uri[len(scheme) + 3 :].partition("/")
    file_system, prefix = _file_system(f"{scheme}://{authority}")
    return file_system, posixpath.join(prefix, path)


@cache
def _file_system(authority_uri: str) -> tuple[fs.FileSystem, str]:
    try:
        file_system, prefix = fs.FileSystem.from_uri(authority_uri)
    except pa.ArrowInvalid as error:
        raise ValueError(f"cannot read {authority_uri}: {error}") from error
    if isinstance(file_system, fs.S3FileSystem):
        # A URI cannot hold these options, and the constructor alone reads neither the endpoint nor the bucket's region.
        _, (options,) = file_system.__reduce__()
        file_system = fs.S3FileSystem(
            **{
                **options,
                "region": file_system.region,
                "connect_timeout": S3_CONNECT_SECONDS,
                "request_timeout": S3_REQUEST_SECONDS,
                "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=S3_ATTEMPTS),
            }
        )
    return file_system, prefix


def storage_of(uri: str) -> str:
    """The server or bucket of `uri`, with its scheme; empty for the machine's own file system."""
    scheme = _scheme(uri)
    if scheme in ("", "file"):
        return ""
    return f"{scheme}://{uri[len(scheme) + 3 :].partition('/')[0]}"


def read_bytes(uri: str, max_bytes: int | None = None, within: str | None = None) -> bytes:
    """The content of a file, at most `max_bytes` + 1 bytes of it. Raises OSError, or ValueError for an unknown scheme.

    within: a folder as returned by `real`. A local file is then read only if it is a regular file inside this folder, even
    if somebody puts links in its path in the meantime.
    """
    file_system, path = locate(uri)
    if within is not None and isinstance(file_system, fs.LocalFileSystem):
        with _opened_within(real(uri), within) as handle:
            return handle.read(-1 if max_bytes is None else max_bytes + 1)
    with file_system.open_input_stream(path) as stream:
        return bytes(stream.read(None if max_bytes is None else max_bytes + 1))


@contextlib.contextmanager
def open_seekable(uri: str, within: str | None = None) -> Iterator[tuple[BinaryIO, int, int]]:
    """Open a file for reading parts of it: the handle, its size in bytes, and when it was changed, in nanoseconds.

    within: see `read_bytes`. Raises OSError, or ValueError for an unknown scheme.
    """
    file_system, path = locate(uri)
    if not isinstance(file_system, fs.LocalFileSystem):
        info = file_system.get_file_info(path)
        with file_system.open_input_file(path) as remote:
            yield cast(BinaryIO, remote), remote.size(), info.mtime_ns or 0
        return
    with open(path, "rb") if within is None else _opened_within(real(uri), within) as handle:
        found = os.fstat(handle.fileno())
        yield handle, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _opened_within(path: str, folder: str) -> Iterator[BinaryIO]:
    """Open `path` folder by folder from `folder` on, without following links: `real` has resolved them all."""
    if not is_within(path, folder):
        raise PermissionError(f"{path} does not lie in {folder}")
    if path == folder:
        folder = posixpath.dirname(folder)
    *parents, name = path[len(folder) :].strip("/").split("/")
    way = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
    with contextlib.ExitStack() as stack:

        def opened(part: str, flags: int, at: int | None) -> int:
            descriptor = os.open(part, flags, dir_fd=at)
            stack.callback(os.close, descriptor)
            return descriptor

        at = opened(folder, way, None)
        for parent in parents:
            at = opened(parent, way, at)
        # O_NONBLOCK, because opening a pipe would wait for a writer.
        descriptor = opened(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no file")
        with open(descriptor, "rb", closefd=False) as handle:
            yield handle


def write_bytes(uri: str, data: bytes, is_lasting: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new content, never a part of it.

    is_lasting: flush to the disk before returning, so that the file survives a power failure. What can be made again does
    not need that.
    """
    file_system, path = locate(uri)
    if not isinstance(file_system, fs.LocalFileSystem):
        # An object store shows an object only once it is complete.
        with file_system.open_output_stream(path) as stream:
            stream.write(data)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as handle:
            handle.write(data)
            handle.flush()
            if is_lasting:
                os.fsync(handle.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def exists(uri: str) -> bool:
    """Whether a file or folder exists."""
    file_system, path = locate(uri)
    return bool(file_system.get_file_info(path).type != fs.FileType.NotFound)


def mtime_seconds(uri: str) -> float | None:
    """When a file was last written, by its storage's clock, in seconds since 1970; None if it does not exist."""
    file_system, path = locate(uri)
    nanoseconds = file_system.get_file_info(path).mtime_ns
    return None if nanoseconds is None else nanoseconds / 1e9


def delete_file(uri: str) -> None:
    """Remove a file; nothing happens if it does not exist."""
    file_system, path = locate(uri)
    with contextlib.suppress(FileNotFoundError):
        file_system.delete_file(path)


def delete_dir(uri: str) -> None:
    """Remove a folder and everything in it; nothing happens if it does not exist."""
    file_system, path = locate(uri)
    if file_system.get_file_info(path).type == fs.FileType.Directory:
        file_system.delete_dir(path)


def names_in(uri: str, max_names: int) -> tuple[str, ...] | None:
    """Names in a folder; none where there is no folder, None where there are more than `max_names`."""
    file_system, path = locate(uri)
    if isinstance(file_system, fs.LocalFileSystem):
        try:
            with os.scandir(path) as entries:
                names = tuple(entry.name for entry in islice(entries, max_names + 1))
        except (FileNotFoundError, NotADirectoryError):
            return ()
    else:
        names = tuple(list_names(uri))
    return names if len(names) <= max_names else None


def list_names(uri: str) -> list[str]:
    """Names in a folder, sorted; empty if the folder does not exist."""
    file_system, path = locate(uri)
    infos = file_system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(info.base_name for info in infos)


def _scheme(uri: str) -> str:
    scheme, separator, _ = uri.partition("://")
    if separator and scheme.isalnum():
        return scheme.lower()
    return "file" if uri[: len(_FILE)].lower() == _FILE else ""


def _path_of_file_uri(uri: str) -> str:
    """The path in a URI of the scheme `file`, its host left out; `#` and `?` are part of a name, as people write them."""
    rest = uri[len(_FILE) - 1 :]
    if rest.startswith("//"):
        _, slash, path = rest[2:].partition("/")
        rest = slash + path
    return unquote(rest)


def _known_scheme(uri: str) -> str:
    scheme = _scheme(uri)
    if scheme and scheme not in SCHEMES:
        raise ValueError(f"{uri} cannot be read: {scheme} is none of {', '.join(SCHEMES)}")
    return scheme


def user_cache_dir() -> Path:
    """The user's folder for files that can be fetched or made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "prodseek"
