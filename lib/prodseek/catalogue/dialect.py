"""What a text manifest is written in: compression, encoding, delimiter and quotes, found in its first bytes."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal

from prodseek.catalogue.delimited import split_lines
from prodseek.catalogue.encodings import encoding_in_words, find_encoding
from prodseek.errors import CatalogueError

Compression = Literal["gzip", "zstd", "bz2"]

# The dialect is found in this many bytes of text; the header must lie in them.
HEAD_BYTES = 1 << 20
# Names and values of more columns fit into no message and no plan of Spark's.
MAX_COLUMNS = 4096
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BZ2 = re.compile(rb"BZh[1-9]1AY&SY")
DELIMITERS = (",", ";", "\t", "|")
# Tried where none of the usual ones shows a column that is looked for.
_RARE_DELIMITERS = ("^", "~", ":", "\x1f", "\x01", "\u00a6", "\u00a7")
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Excel writes `sep=;` before the header, and reads it; between quotes where it was saved again.
_SEP = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
# What MySQL writes in text with tabs: no value, a tab or a line end in a value.
_ESCAPED = re.compile(r"(^|\t)\\N(\t|[\r\n]*$)|\\[tn0\\]")
# A title and the date of an export may stand above the header.
_MOST_ABOVE = 10
_LEAST_KNOWN = 2
_JUDGED_ROWS = 100
_QUOTED_CHARS = 120


@dataclass(frozen=True)
class Dialect:
    """How a text manifest is written. Of JSON lines only compression and encoding are of use.

    compression: from the outside to the inside. quote: the character that values are put between, or "" if there is none.
    start_bytes: where the rows begin, behind byte order mark and header, in the bytes without compression.
    is_encoding_assumed: nothing in the text says it. n_above: lines that stand above the header. has_escapes: backslashes are
    written before what would divide values or lines, as MySQL does.
    """

    compression: tuple[Compression, ...]
    encoding: str
    delimiter: str
    quote: str
    start_bytes: int
    is_encoding_assumed: bool = False
    n_above: int = 0
    has_escapes: bool = False

    @property
    def is_cut_anywhere(self) -> bool:
        """Whether the file can be read from the middle: line ends are found in its bytes."""
        return not self.compression and _knows_line_ends(self.encoding)

    def describe(self, n_columns: int, is_json: bool) -> str:
        """What was found, for a person: `semicolons, UTF-16, 12 columns`."""
        parts = [
            "JSON lines" if is_json else _DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter)),
            encoding_in_words(self.encoding),
            *([" in ".join(reversed(self.compression))] if self.compression else []),
            *([] if is_json or self.quote == '"' else [f"quotes {self.quote}" if self.quote else "no quotes"]),
            f"{n_columns:,} columns",
        ]
        return ", ".join(parts)

    def notes(self) -> list[str]:
        """What was assumed, and how to say otherwise."""
        found = []
        if self.is_encoding_assumed:
            found.append(
                f"the text does not say its encoding: {encoding_in_words(self.encoding)} is assumed. Where letters come out "
                "wrong, name it: --set catalog.encoding=cp1250 (Czech, Polish ...), cp1254 (Turkish), cp1251 (Cyrillic) ..."
            )
        if self.n_above:
            lines = "line above the header is" if self.n_above == 1 else "lines above the header are"
            found.append(f"{self.n_above} {lines} passed over")
        return found


def compression_of(head: bytes) -> Compression | None:
    """How a file is compressed, by its first bytes, whatever its name is."""
    if _BZ2.match(head):
        return "bz2"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def find_dialect(
    head: bytes,
    compression: tuple[Compression, ...],
    encoding: str | None,
    delimiter: str | None,
    quote: str | None,
    n_known: Callable[[Sequence[str]], int],
    header: Sequence[str] | None = None,
) -> tuple[Dialect, list[str]]:
    """The dialect of a delimited manifest, and its header as it stands there. Raises CatalogueError for what is no table.

    head: its first bytes, without compression. encoding, delimiter, quote: what a person has said, None to find it. n_known:
    how many of a header's names prodseek looks for; the delimiter that shows most of them is the right one. header: what
    the columns are called where no header stands there.
    """
    found_encoding, n_mark, is_assumed = find_encoding(head, encoding)
    text = codecs.getincrementaldecoder(found_encoding)("replace").decode(head[n_mark:])
    lines = io.StringIO(text, newline="").readlines()
    at = 0
    if lines and (said := _SEP.fullmatch(lines[0])):
        delimiter = delimiter or said[1]
        at = 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    if header is not None:
        found_quote = '"' if quote is None else quote
        delimiter = delimiter or _delimiter_for(header, lines[at:], found_quote)
        n_above = n_lines = 0
    else:
        n_above = _lines_above(lines[at:], delimiter, quote, n_known)
        at += n_above
        found_quote = _quote_of(lines[at : at + 1]) if quote is None else quote
        delimiter = delimiter or _delimiter_of(lines[at:], found_quote, n_known)
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
    has_escapes = delimiter == "\t" and any(map(_ESCAPED.search, lines[at + n_lines :]))
    dialect = Dialect(
        compression, found_encoding, delimiter, found_quote, start_bytes, is_assumed, n_above, has_escapes
    )
    return dialect, list(header)


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
        for delimiter in DELIMITERS:
            cells = [cell.strip() for cell in line.split(delimiter)]
            if len(cells) > 1 and all(len(cell) > 2 and cell[0] == cell[-1] == "'" for cell in cells):
                return "'"
    return '"'


def _lines_above(
    lines: Sequence[str], delimiter: str | None, quote: str | None, n_known: Callable[[Sequence[str]], int]
) -> int:
    """How many lines stand above the header: none, unless the first shows no known name and one further down shows some.

    Names for people may stand above those for programs, as in Amazon's files: of lines of known names that follow each other
    the last is the header.
    """

    def known_in(line: str) -> int:
        return max(
            n_known(_first_row([line], one, '"' if quote is None else quote)[0])
            for one in ((delimiter,) if delimiter else DELIMITERS)
        )

    if not lines:
        return 0
    is_first = known_in(lines[0]) > 0
    at = 0 if is_first else next((n for n, line in enumerate(lines[:_MOST_ABOVE]) if known_in(line) >= _LEAST_KNOWN), 0)
    for line, below in pairwise(lines[at:_MOST_ABOVE]):
        is_open = line.count(quote or '"') % 2 == 1  # a name with a line break in it
        if is_open or known_in(below) < max(_LEAST_KNOWN, known_in(line)):
            break
        at += 1
    return at


def _delimiter_of(lines: Sequence[str], quote: str, n_known: Callable[[Sequence[str]], int]) -> str:
    """The delimiter that shows most of the names that are looked for, then the one by which most rows are as long as the
    header, then the first of the usual ones."""
    if not lines:
        return DELIMITERS[0]

    def judged(delimiter: str) -> tuple[int, float, int]:
        header, n_lines = _first_row(lines, delimiter, quote)
        share = _share_as_long(lines[n_lines : n_lines + _JUDGED_ROWS], delimiter, quote, len(header))
        return n_known(header), share if len(header) > 1 else 0.0, len(header)

    best = max(DELIMITERS, key=judged)
    n_found, _, n_columns = judged(best)
    if n_found or n_columns > 1:
        return best
    return next((rare for rare in _RARE_DELIMITERS if judged(rare)[0] and judged(rare)[2] > 1), best)


def _delimiter_for(header: Sequence[str], lines: Sequence[str], quote: str) -> str:
    """The delimiter by which most rows are as long as the header that a person has given."""
    every = (*DELIMITERS, *_RARE_DELIMITERS)
    return max(every, key=lambda one: _share_as_long(lines[:_JUDGED_ROWS], one, quote, len(header)))


def _share_as_long(lines: Sequence[str], delimiter: str, quote: str, n_columns: int) -> float:
    rows = split_lines(lines, delimiter, quote, n_columns, is_last=False).rows
    return sum(len(row) == n_columns for row in rows) / max(1, len(rows))
