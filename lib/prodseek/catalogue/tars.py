"""Photos inside tars, such as WebDataset's shards: `shards/0001.tar#photo 1.jpg` is the member `photo 1.jpg` of a tar.

A member's name is a key and never a path: `..` or `/` in it finds a member of exactly that name, or none.
"""

from __future__ import annotations

import io
import re
import tarfile
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodseek.catalogue.near_names import MAX_NAMES, MAX_NAMES_BYTES, Names
from prodseek.catalogue.web import is_web
from prodseek.photos.decode import ImageRejected, RejectReason
from prodseek.storage import files
from prodseek.storage.remembered import Remembered

SUFFIX = ".tar"
_MARK = re.compile(rf"{re.escape(SUFFIX)}#", re.IGNORECASE)
# About as much as arrives in the time of one request, from a server that takes 20 ms to answer.
_REMOTE_READ_BYTES = 256 * 1024
# Maximum size of the headers of one member. A long name needs 2 KiB; much more is an attempt to fill the memory.
_MAX_HEADER_BYTES = 1024 * 1024
_MAX_GLOBAL_HEADERS = 1000
# Maximum size of one index, and of all that a process keeps: a million members with names of 28 characters.
_MAX_INDEX_BYTES = 128 * 1000 * 1000
_MEMBER_BYTES = 100
_NOT_REGULAR = -1
# Errors that tarfile raises on damaged headers.
_DAMAGED = (tarfile.TarError, ValueError, LookupError, ArithmeticError, TypeError, RecursionError, EOFError)


@dataclass(frozen=True)
class TarIndex:
    """Where the members of a tar are. Of several members with the same name the last counts, as when a tar is unpacked.

    names: sorted. offsets, sizes: (N,) int64, bytes; the size is -1 for a member that is not a regular file. damage: why
    reading ended early, None if it did not.
    """

    names: pa.StringArray
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    damage: str | None

    @property
    def n_bytes(self) -> int:
        """About how much memory the index takes."""
        return int(self.names.nbytes + self.offsets.nbytes + self.sizes.nbytes)

    def place(self, name: str) -> int | None:
        """The row of the member `name`; None if there is none."""
        found = bisect_left(range(len(self.names)), name, key=lambda number: str(self.names[number].as_py()))
        return found if found < len(self.names) and self.names[found].as_py() == name else None


_remembered: Remembered[tuple[str, int, int], TarIndex] = Remembered()
_remembered_names: Remembered[tuple[str, int, int], Names] = Remembered()


def split_member(uri: str) -> tuple[str, str | None]:
    """Split `uri` at the first `.tar#` into a tar and the name of a member; `uri` and None if it names a file.

    In a `file://` URI the member is percent-encoded, like the rest of the URI.
    """
    mark = _MARK.search(uri)
    if mark is None or is_web(uri):
        return uri, None
    return uri[: mark.end() - 1], files.decoded(uri, uri[mark.end() :])


def read_member(uri: str, member: str, max_bytes: int, within: str | None = None) -> bytes:
    """The content of a member of the tar at `uri`, at most `max_bytes` + 1 bytes of it. within: see `files.read_bytes`.

    Raises ImageRejected for a member that is missing or cannot be used, and OSError and ValueError as `files.read_bytes`.
    """
    with files.open_seekable(uri, within) as (handle, n_bytes, mtime_ns):
        index = _index(uri, handle, n_bytes, mtime_ns)
        place = index.place(_plain(member))
        if place is None and index.damage:
            raise ImageRejected(
                RejectReason.CORRUPT,
                f"{uri} cannot be read beyond {len(index.names)} of its members: {index.damage}",
            )
        if place is None:
            raise ImageRejected(RejectReason.MISSING, f"no member {member!r} in {uri}")
        offset, size = int(index.offsets[place]), int(index.sizes[place])
        if size == _NOT_REGULAR:
            raise ImageRejected(
                RejectReason.UNSUPPORTED_URI,
                f"the member {member!r} of {uri} is a link, a folder, a device or sparse; only plain files are read",
            )
        if offset + size > n_bytes:
            raise ImageRejected(RejectReason.TRUNCATED, f"{uri} ends inside its member {member!r}")
        handle.seek(offset)
        return bytes(handle.read(min(size, max_bytes + 1)))


def list_members(uri: str, within: str | None = None) -> tuple[list[str], str | None]:
    """Names of the members of the tar at `uri`, sorted, and the damage after which more may be lost, or None.

    within: see `files.read_bytes`. Raises OSError and ValueError.
    """
    with files.open_seekable(uri, within) as (handle, n_bytes, mtime_ns):
        index = _index(uri, handle, n_bytes, mtime_ns)
    return index.names.to_pylist(), index.damage


def member_names(uri: str, within: str | None = None) -> Names:
    """Names of the members of the tar at `uri`, to look for one that is spelled otherwise. Raises as `list_members`."""
    with files.open_seekable(uri, within) as (handle, n_bytes, mtime_ns):
        index = _index(uri, handle, n_bytes, mtime_ns)

    def read() -> Names:
        if len(index.names) > MAX_NAMES:
            return Names((), is_whole=False)
        return Names(tuple(index.names.to_pylist()))

    return _remembered_names.get((uri, n_bytes, mtime_ns), read, MAX_NAMES_BYTES)


def sample_key(member: str) -> str:
    """The sample that a member belongs to, as WebDataset groups them: its path up to the first dot of its name."""
    folder, slash, name = member.rpartition("/")
    return folder + slash + (name.partition(".")[0] or name)


def _plain(name: str) -> str:
    """A member's name without leading `./`, which it has if a whole folder was packed."""
    while name.startswith("./"):
        name = name[2:]
    return name


def _index(uri: str, handle: BinaryIO, n_bytes: int, mtime_ns: int) -> TarIndex:
    def read() -> TarIndex:
        if not files.storage_of(uri):
            return _read_index(handle, n_bytes)
        ahead = io.BufferedReader(cast(io.RawIOBase, handle), _REMOTE_READ_BYTES)
        try:
            return _read_index(ahead, n_bytes)
        finally:
            ahead.detach()  # else the reader would close the handle when it is deleted

    return _remembered.get((uri, n_bytes, mtime_ns), read, _MAX_INDEX_BYTES)


class _Headers:
    """A file for tarfile to read headers from: not beyond its end, and not more for one member than headers may take."""

    def __init__(self, handle: BinaryIO, n_bytes: int) -> None:
        self._handle, self._n_bytes = handle, n_bytes
        self.bytes_left = _MAX_HEADER_BYTES

    def tell(self) -> int:
        return self._handle.tell()

    def seek(self, place: int) -> None:
        if place < 0:
            raise tarfile.ReadError("a header leads to before its beginning")
        self._handle.seek(min(place, self._n_bytes))

    def read(self, wanted: int) -> bytes:
        self.bytes_left -= wanted
        if wanted < 0 or self.bytes_left < 0:
            raise tarfile.ReadError(f"a header of more than {_MAX_HEADER_BYTES} bytes")
        return bytes(self._handle.read(wanted))


def _read_index(handle: BinaryIO, n_bytes: int) -> TarIndex:
    """Read header after header, up to the end or the first damage. Raises OSError."""
    headers = _Headers(handle, n_bytes)
    found: dict[str, tuple[int, int]] = {}
    damage, offset, index_bytes = None, -1, 0
    try:
        # A name that is not UTF-8 gets replacement characters, and is found by that name.
        tar = tarfile.TarFile(fileobj=cast(Any, headers), encoding="utf-8", errors="replace")
        while (member := tar.next()) is not None:
            if tar.offset <= offset or member.size < 0:
                raise tarfile.ReadError("a header leads back to before itself")
            name = _plain(member.name)
            is_regular = member.isreg() and not member.issparse()
            found[name] = member.offset_data, min(member.size, n_bytes + 1) if is_regular else _NOT_REGULAR
            index_bytes += len(name) + _MEMBER_BYTES
            if index_bytes > _MAX_INDEX_BYTES or len(tar.pax_headers) > _MAX_GLOBAL_HEADERS:
                raise tarfile.ReadError("more members or headers than one tar may have; divide it")
            offset, headers.bytes_left = tar.offset, _MAX_HEADER_BYTES
            tar.members = []  # type: ignore[attr-defined]  # else tarfile would keep them all in memory
        # tarfile takes an unreadable header for the end of the tar, so look what is there.
        headers.seek(tar.offset)
        block = headers.read(tarfile.BLOCKSIZE)
        if any(block) or len(block) not in (0, tarfile.BLOCKSIZE):
            damage = f"no header at byte {tar.offset}"
    except _DAMAGED as error:
        damage = str(error) or type(error).__name__
    names = sorted(name for name in found if name)  # no member is found by `x.tar#`
    places = np.array([found[name] for name in names], np.int64).reshape(-1, 2)
    return TarIndex(pa.array(names, pa.string()), places[:, 0], places[:, 1], damage)
