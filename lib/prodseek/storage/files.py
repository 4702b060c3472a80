"""Bytes by URI: local paths and whatever pyarrow's file systems read (file, s3, gs, abfs, hdfs)."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_SPARK_SCHEMES = {"s3": "s3a"}
# An S3 server that sends nothing for this long is asked again, by the client itself; what it answers with 429 or 5xx too.
S3_CONNECT_SECONDS = 10.0
S3_REQUEST_SECONDS = 15.0
S3_ATTEMPTS = 3


def join(base: str, *parts: str) -> str:
    """Append path parts to a local path or URI."""
    return posixpath.join(base.rstrip("/") or "/", *parts)


def absolute(uri: str) -> str:
    """A local path made absolute (`file://` taken off, `~` expanded); any other URI as it is."""
    if _scheme(uri) == "file":
        uri = unquote(urlsplit(uri).path)
    elif _scheme(uri):
        return uri.rstrip("/")
    return str(Path(uri).expanduser().resolve())


def decoded(uri: str, part: str) -> str:
    """What a part of `uri` says: percent-encoding is taken off where it has the scheme `file`, which alone has any."""
    return unquote(part) if _scheme(uri) == "file" else part


def resolve(uri: str, base: str) -> str:
    """The location of `uri`: itself where it is absolute or has a scheme, else under the folder `base`."""
    if _scheme(uri) or uri.startswith("/"):
        return uri
    return join(base, uri)


def real(uri: str) -> str:
    """The place that an absolute path or URI leads to: `..` taken out, local links followed. To compare places by, not to open.

    Raises ValueError for an unknown scheme, and for a path that no file system takes.
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
    """Whether `place` is `folder` or lies below it; both as `real` gives them."""
    folder = folder.rstrip("/")
    return place == folder or place.startswith(f"{folder}/")


def spark_uri(uri: str) -> str:
    """The same place as Hadoop's file systems name it, which take a path as it is, without percent-encoding."""
    scheme = _scheme(uri)
    if not scheme:
        return f"file://{Path(uri).absolute()}"
    return _SPARK_SCHEMES.get(scheme, scheme) + uri[len(scheme) :]


def spark_pattern(uri: str) -> str:
    """`spark_uri` for reading a path that may hold the characters of Hadoop's glob patterns."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", spark_uri(uri))


def from_spark(path: str) -> str:
    """What `locate` takes for a file as Spark writes it in `_metadata.file_path`, where all is percent-encoded."""
    path = unquote(path)
    if path.startswith("file:/"):
        return "/" + path.removeprefix("file:").lstrip("/")
    scheme = _scheme(path)
    return {spark: own for own, spark in _SPARK_SCHEMES.items()}.get(scheme, scheme) + path[len(scheme) :]


def locate(uri: str) -> tuple[fs.FileSystem, str]:
    """The pyarrow file system that holds `uri` and the path in it. Raises ValueError for an unknown scheme."""
    scheme = _known_scheme(uri)
    if not scheme:
        return fs.LocalFileSystem(), uri
    if scheme == "file":
        return fs.LocalFileSystem(), unquote(urlsplit(uri).path)
    # Split by hand: object names hold spaces, '#' and '?', which a URI parser would take for syntax.
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
        # A URI has no place for these, and the constructor alone reads neither the endpoint nor the bucket's region.
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
    """The server or bucket behind a network protocol that `uri` lies on; empty for the machine's own file system."""
    scheme = _scheme(uri)
    if scheme in ("", "file"):
        return ""
    return f"{scheme}://{uri[len(scheme) + 3 :].partition('/')[0]}"


def read_bytes(uri: str, max_bytes: int | None = None, within: str | None = None) -> bytes:
    """The content of a file; at most `max_bytes` + 1 bytes of it. Raises OSError, or ValueError for the scheme.

    within: a folder as `real` gives it. What the local file system holds is then read from there alone, whatever links are
    put in the way meanwhile, and only if it is a regular file.
    """
    file_system, path = locate(uri)
    if within is not None and isinstance(file_system, fs.LocalFileSystem):
        with _opened_within(real(uri), within) as handle:
            return handle.read(-1 if max_bytes is None else max_bytes + 1)
    with file_system.open_input_stream(path) as stream:
        return bytes(stream.read(None if max_bytes is None else max_bytes + 1))


@contextlib.contextmanager
def open_seekable(uri: str, within: str | None = None) -> Iterator[tuple[BinaryIO, int, int]]:
    """A file to read parts of, its size in bytes, and when it was changed, in nanoseconds. within: see `read_bytes`.

    Raises OSError, or ValueError for the scheme.
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
    """Open `path` by way of its folders, from `folder` on without following a link: since `real` looked, there are none."""
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
        # Not to wait for whoever writes into a pipe.
        descriptor = opened(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no file")
        with open(descriptor, "rb", closefd=False) as handle:
            yield handle


def write_bytes(uri: str, data: bytes, is_lasting: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    is_lasting: on the disk when this returns, even if the power fails; what can be made again need not wait for that.
    """
    file_system, path = locate(uri)
    if not isinstance(file_system, fs.LocalFileSystem):
        # An object store shows an object only when it is complete.
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
    """Whether a file or folder is there."""
    file_system, path = locate(uri)
    return bool(file_system.get_file_info(path).type != fs.FileType.NotFound)


def mtime_seconds(uri: str) -> float | None:
    """When a file was written last, by its storage's clock, in seconds since 1970; None when it is not there."""
    file_system, path = locate(uri)
    nanoseconds = file_system.get_file_info(path).mtime_ns
    return None if nanoseconds is None else nanoseconds / 1e9


def delete_file(uri: str) -> None:
    """Remove a file; nothing happens when it is not there."""
    file_system, path = locate(uri)
    with contextlib.suppress(FileNotFoundError):
        file_system.delete_file(path)


def delete_dir(uri: str) -> None:
    """Remove a folder and all in it; nothing happens when it is not there."""
    file_system, path = locate(uri)
    if file_system.get_file_info(path).type == fs.FileType.Directory:
        file_system.delete_dir(path)


def list_names(uri: str) -> list[str]:
    """Names in a folder, sorted; empty when it is not there."""
    file_system, path = locate(uri)
    infos = file_system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return sorted(info.base_name for info in infos)


def _scheme(uri: str) -> str:
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator and scheme.isalnum() else ""


def _known_scheme(uri: str) -> str:
    scheme = _scheme(uri)
    if scheme and scheme not in SCHEMES:
        raise ValueError(f"{uri} cannot be read: {scheme} is none of {', '.join(SCHEMES)}")
    return scheme


def user_cache_dir() -> Path:
    """The user's folder for what can be fetched or made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "prodseek"
