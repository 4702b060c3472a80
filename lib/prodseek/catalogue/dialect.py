"""What a text manifest is written in: compression, encoding, delimiter and quotes, found in its first bytes."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from prodseek.catalogue.delimited import split_lines
from prodseek.errors import CatalogueError

Compression = Literal["gzip", "zstd"]

# The dialect is found in this many bytes of text; the header must lie in them.
HEAD_BYTES = 1 << 20
# Names and values of more columns fit into no message and no plan of Spark's.
MAX_COLUMNS = 4096
UTF_8, CP_1252 = "utf-8", "cp1252"

_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BOMS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_ENCODING_NAMES = {UTF_8: "UTF-8", CP_1252: "Windows-1252 (Latin-1)", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Excel writes `sep=;` before the header, and reads it.
_SEP = "sep="
_JUDGED_ROWS = 100
# Of text in UTF-16 about every second byte is zero where it is in a European language.
_ZEROS_OF_UTF_16 = 0.4
_QUOTED_CHARS = 120


@dataclass(frozen=True)
class Dialect:
    """How a text manifest is written. Of JSON lines only compression and encoding are of use.

    quote: the character that values are put between, or "" if there is none. start_bytes: where the rows begin, behind byte
    order mark and header, in the bytes without compression.
    """

    compression: Compression | None
    encoding: str
    delimiter: str
    quote: str
    start_bytes: int

    @property
    def is_cut_anywhere(self) -> bool:
        """Whether the file can be read from the middle: line ends are found in its bytes."""
        return self.compression is None and _knows_line_ends(self.encoding)

    def describe(self, n_columns: int, is_json: bool) -> str:
        """What was found, for a person: `semicolons, UTF-16, 12 columns`."""
        parts = [
            "JSON lines" if is_json else _DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter)),
            _ENCODING_NAMES.get(self.encoding, self.encoding),
            *([self.compression] if self.compression else []),
            *([] if is_json or self.quote == '"' else [f"quotes {self.quote}" if self.quote else "no quotes"]),
            f"{n_columns:,} columns",
        ]
        return ", ".join(parts)


def compression_of(head: bytes) -> Compression | None:
    """How a file is compressed, by its first bytes, whatever its name is."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def find_encoding(head: bytes, given: str | None) -> tuple[str, int]:
    """The encoding of text, and the length of its byte order mark in bytes. Raises CatalogueError for one nobody knows.

    given: the encoding that a person has named, None to find it. Text that is no UTF-8 is taken for Windows-1252, which
    holds Latin-1: in a short text nothing tells it from other encodings of one byte.
    """
    mark = next(((encoding, len(bom)) for bom, encoding in _BOMS if head.startswith(bom)), None)
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "".encode(name)
        except (LookupError, UnicodeError) as error:
            raise CatalogueError(
                f"catalog.encoding: {given!r} is no encoding of text; name one such as utf-8, cp1252 or utf-16"
            ) from error
        if mark is not None and mark[0].startswith(name):
            return mark
        return ("utf-16-le" if name == "utf-16" else name), 0
    if mark is not None:
        return mark
    zeros = [head[first:4096:2].count(0) / max(1, len(head[first:4096:2])) for first in (0, 1)]
    if max(zeros) > _ZEROS_OF_UTF_16 > min(zeros):
        return ("utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"), 0
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(head)
    except UnicodeDecodeError:
        return CP_1252, 0
    return UTF_8, 0


def find_dialect(
    head: bytes,
    compression: Compression | None,
    encoding: str | None,
    delimiter: str | None,
    quote: str | None,
    n_known: Callable[[Sequence[str]], int],
) -> tuple[Dialect, list[str]]:
    """The dialect of a delimited manifest, and its header as it stands there. Raises CatalogueError for what is no table.

    head: its first bytes, without compression. encoding, delimiter, quote: what a person has said, None to find it. n_known:
    how many of a header's names prodseek looks for; the delimiter that shows most of them is the right one.
    """
    found_encoding, n_mark = find_encoding(head, encoding)
    text = codecs.getincrementaldecoder(found_encoding)("replace").decode(head[n_mark:])
    lines = io.StringIO(text, newline="").readlines()
    at = 0
    if lines and lines[0].lower().startswith(_SEP) and len(lines[0].rstrip("\r\n")) == len(_SEP) + 1:
        delimiter = delimiter or lines[0][len(_SEP)]
        at = 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    found_quote = _quote_of(lines[at : at + 1]) if quote is None else quote
    if delimiter is None:
        delimiter = _delimiter_of(lines[at:], found_quote, n_known)
    header, n_lines = _first_row(lines[at:], delimiter, found_quote)
    if at + n_lines >= len(lines) and len(head) >= HEAD_BYTES:
        raise CatalogueError(
            f"its first row is longer than {HEAD_BYTES:,} bytes, and can be no header; it begins {quoted(text)}"
        )
    if len(header) > MAX_COLUMNS:
        raise CatalogueError(
            f"its header has {len(header):,} columns, more than {MAX_COLUMNS:,}; it begins {quoted(text)}. Leave out those "
            "that nobody needs, or name the delimiter with --set 'catalog.csv_delimiter=;'"
        )
    start_bytes = n_mark + _size_bytes(head[n_mark:], lines[: at + n_lines], found_encoding)
    return Dialect(compression, found_encoding, delimiter, found_quote, start_bytes), header


def quoted(text: str) -> str:
    """The first line of a text for a message, at most so long that it can be read."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return repr(line if len(line) <= _QUOTED_CHARS else line[:_QUOTED_CHARS] + " ...")


def _knows_line_ends(encoding: str) -> bool:
    """Whether a line end is in the bytes what it is in ASCII."""
    return "\n\r".encode(encoding, "replace") == b"\n\r"


def _size_bytes(data: bytes, lines: Sequence[str], encoding: str) -> int:
    """How many bytes the first lines of some text take, also where some of them could not be decoded."""
    if not _knows_line_ends(encoding):
        return len("".join(lines).encode(encoding, "replace"))
    ends = (found.end() for found in _LINE_END.finditer(data))
    return next(islice(ends, len(lines) - 1, None), len(data)) if lines else 0


def _first_row(lines: Sequence[str], delimiter: str, quote: str) -> tuple[list[str], int]:
    """The first row's values, and how many lines it takes."""
    split = split_lines(lines, delimiter, quote, n_columns=0, is_last=True, most_rows=1)
    return (split.rows[0] if split.rows else []), split.n_lines


def _quote_of(header: Sequence[str]) -> str:
    """A header whose every name stands between apostrophes says that values do too."""
    for line in header:
        for delimiter in _DELIMITERS:
            cells = [cell.strip() for cell in line.split(delimiter)]
            if len(cells) > 1 and all(len(cell) > 2 and cell[0] == cell[-1] == "'" for cell in cells):
                return "'"
    return '"'


def _delimiter_of(lines: Sequence[str], quote: str, n_known: Callable[[Sequence[str]], int]) -> str:
    """The delimiter that shows most of the names that are looked for, then the one by which most rows are as long as the
    header, then the first of the usual ones."""

    def judged(delimiter: str) -> tuple[int, float, int]:
        header, n_lines = _first_row(lines, delimiter, quote)
        rows = split_lines(lines[n_lines : n_lines + _JUDGED_ROWS], delimiter, quote, len(header), is_last=False).rows
        fitting = sum(len(row) == len(header) for row in rows)
        return n_known(header), fitting / max(1, len(rows)) if len(header) > 1 else 0.0, len(header)

    return max(_DELIMITERS, key=judged) if lines else _DELIMITERS[0]
