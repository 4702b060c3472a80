"""The text of a manifest without compression, from the file's beginning or its middle, as text."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast

import pyarrow as pa

from prodseek.catalogue.delimited import MAX_ROW_CHARS
from prodseek.catalogue.dialect import HEAD_BYTES, Compression, compression_of
from prodseek.catalogue.encodings import CP_1252, UTF_8
from prodseek.errors import NOTHING_USED, CatalogueError
from prodseek.storage import files

# What is taken for a bomb: text is compressed to a fourth or a tenth.
_BOMB_BYTES = 1 << 30
_BOMB_RATIO = 400
# What can be read of a damaged file is told to so many bytes.
_STEP_BYTES = 1 << 16
# Programs that compress what they are given have been given what was compressed.
_MOST_LAYERS = 3


def read_head(uri: str) -> tuple[bytes, tuple[Compression, ...]]:
    """The first bytes of a text manifest, without compression, and what they were compressed with, from the outside to the
    inside. Raises CatalogueError."""
    compression: tuple[Compression, ...] = ()
    with reading(uri):
        while True:
            with opened(uri, compression, 0) as stream:
                head = b""
                while len(head) < HEAD_BYTES and (piece := stream.read(HEAD_BYTES - len(head))):
                    head += piece
            inner = compression_of(head)
            if inner is None:
                return bytes(head), compression
            if len(compression) == _MOST_LAYERS:
                raise CatalogueError(
                    f"the manifest {uri!r} is compressed more than {_MOST_LAYERS} times over; unpack it"
                )
            compression = (*compression, inner)


class _Utf8:
    """Decodes UTF-8; a line that is none is taken for Windows-1252, as where somebody has pasted two files together."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, piece: bytes, is_last: bool) -> str:
        data = self._rest + piece
        end = len(data) if is_last or len(data) > MAX_ROW_CHARS else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        data, self._rest = data[:end], data[end:]
        try:
            return data.decode(UTF_8)
        except UnicodeDecodeError:
            return "".join(_line(line) for line in data.splitlines(keepends=True))


def _line(data: bytes) -> str:
    try:
        return data.decode(UTF_8)
    except UnicodeDecodeError:
        return data.decode(CP_1252, "replace")


def decoder(encoding: str) -> Any:
    """Takes bytes, and whether they are the last; returns their text."""
    return _Utf8() if encoding == UTF_8 else codecs.getincrementaldecoder(encoding)("replace").decode


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn what a file system says of a file into a CatalogueError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise CatalogueError(f"there is no file {uri!r}; name one that is there") from error
    except (OSError, pa.ArrowException) as error:
        raise CatalogueError(f"the manifest {uri!r} cannot be read: {error}; write it anew if it is damaged") from error


@contextmanager
def opened(uri: str, compression: Sequence[Compression], offset_bytes: int) -> Iterator[BinaryIO]:
    """A file's content without compression. offset_bytes: where to begin in one that is not compressed."""
    if not compression:
        with files.open_seekable(uri) as (handle, _, _):
            handle.seek(offset_bytes)
            yield handle
        return
    file_system, path = files.locate(uri)
    with ExitStack() as stack:
        raw = stack.enter_context(file_system.open_input_file(path))
        packed = raw
        for kind in compression:
            # Arrow's own takes zeros behind gzip's end for damage, and does not say how far it came.
            unpack = gzip.GzipFile(fileobj=packed) if kind == "gzip" else pa.CompressedInputStream(packed, kind)
            stream = _Unpacked(uri, raw, stack.enter_context(unpack))
            packed = pa.PythonFile(stream, mode="r")
        yield cast(BinaryIO, stream)


class _Unpacked(io.RawIOBase):
    """A compressed file's content, until it turns out to be a bomb or to be damaged. raw: the file itself."""

    def __init__(self, uri: str, raw: pa.NativeFile, stream: pa.NativeFile | gzip.GzipFile) -> None:
        self._uri, self._raw = uri, raw
        self._read_some = stream.read1 if isinstance(stream, gzip.GzipFile) else stream.read
        self._n_bytes = self._n_lines = 0
        self._damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, n_bytes: int = -1) -> bytes:
        data = self._read(n_bytes)
        self._n_bytes += len(data)
        self._n_lines += data.count(b"\n")
        packed_bytes = self._raw.tell()
        if self._n_bytes > max(_BOMB_BYTES, _BOMB_RATIO * packed_bytes):
            raise CatalogueError(
                f"the manifest {self._uri!r} unpacks to more than {_BOMB_RATIO} times its size: of its "
                f"{self._raw.size():,} bytes the first {packed_bytes:,} hold {self._n_bytes:,} bytes, and no table of photos "
                "is like that; unpack it if it is one"
            )
        return data

    def _read(self, n_bytes: int) -> bytes:
        """What comes before the damage first, and then the error."""
        pieces: list[bytes] = []
        left = n_bytes if n_bytes >= 0 else _BOMB_BYTES
        while left and self._damage is None:
            try:
                piece = bytes(self._read_some(min(left, _STEP_BYTES)))
            except (OSError, EOFError, zlib.error) as error:
                self._damage = error
                break
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        if self._damage is not None and not pieces:
            told = f"{_in_words(self._damage)}, after {self._n_bytes:,} bytes of text in {self._n_lines:,} lines"
            raise CatalogueError(
                f"the manifest {self._uri!r} cannot be read to its end: {told}. It is damaged, or was cut short when it was "
                f"copied; {NOTHING_USED}. Write it anew"
            ) from self._damage
        return b"".join(pieces)


def _in_words(damage: Exception) -> str:
    if isinstance(damage, EOFError):
        return "Truncated compressed stream"
    if isinstance(damage, gzip.BadGzipFile) and "Not a gzipped file" in str(damage):
        return "behind the end of its compressed text there is something else"
    return str(damage)
