"""Rows of text manifests, delimited or JSON lines: read in blocks, so that many tasks read one file and none holds it whole."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from prodseek.catalogue.delimited import MAX_ROW_CHARS, split_lines
from prodseek.catalogue.dialect import Dialect
from prodseek.catalogue.escaped_lines import with_escaped_line_ends
from prodseek.catalogue.json_rows import json_rows
from prodseek.catalogue.text_file import decoder, opened, reading
from prodseek.storage import files

# A task reads about so much, in pieces.
BLOCK_BYTES = 1 << 23
_PIECE_BYTES = 1 << 22
# Where a block is to begin, a line that is as long as the header is looked for in this much.
_SEAM_BYTES = 1 << 16

# So many blank lines are no part of a value, and would take hours one by one. Looked for at the first of them alone, because
# each would be the first of many otherwise.
_MANY_BLANKS = re.compile(r"(?<!\n)(?:\n{65536,}+|(?:\r\n){65536,}+)")

# Stands for a line, and is none.
_TOO_LONG: Sequence[str] = ()

Row = list[str] | dict[str, Any]


@dataclass(frozen=True)
class TextBlock:
    """A part of a text manifest that begins and ends with a row. end_bytes: None for the file's end. first_row: from 1."""

    start_bytes: int
    end_bytes: int | None
    first_row: int = 1


@dataclass(frozen=True)
class TextTable:
    """A text manifest that has been looked into, or a part of one. columns: names in order; of JSON lines those of its first
    rows."""

    uri: str
    is_json: bool
    dialect: Dialect
    columns: tuple[str, ...]
    is_part: bool = False

    def row_name(self, number: int) -> str:
        """A row for messages. number: from 1."""
        return f"row {number} of {self.uri}" if self.is_part else f"row {number}"


@dataclass
class TextRows:
    """Rows in a row. first_row: the number of the first, from 1. faults: what is wrong with a row, by its place in `rows`.
    is_closed: False where the text ended within a row."""

    first_row: int
    rows: Sequence[Row]
    faults: dict[int, str] = field(default_factory=dict)
    is_closed: bool = True


@dataclass(frozen=True)
class BlockEnd:
    """What a block turned out to hold. is_closed: False where it ends within a row, so that the next belongs to it."""

    n_rows: int
    is_closed: bool


def blocks_of(table: TextTable) -> list[TextBlock]:
    """The blocks of a manifest, whose rows are not counted yet: one if it is small or cannot be read from the middle.

    A seam may lie within a row; `count_block` finds that out, and `joined` mends it; `numbered` tells the blocks where they
    stand. Raises CatalogueError.
    """
    start = table.dialect.start_bytes
    if not table.dialect.is_cut_anywhere:
        return [TextBlock(start, None)]
    with reading(table.uri), files.open_seekable(table.uri) as (handle, n_bytes, _):
        seams = [start]
        for offset in range(start + BLOCK_BYTES, n_bytes - BLOCK_BYTES // 2, BLOCK_BYTES):
            handle.seek(offset)
            seam = _seam(handle.read(_SEAM_BYTES), table)
            if seam is not None:
                seams.append(offset + seam)
    return [TextBlock(at, end) for at, end in zip(seams, [*seams[1:], None], strict=True)]


def _seam(data: bytes, table: TextTable) -> int | None:
    """Where in some bytes a row seems to begin: behind a line end, best before a line that is as long as the header."""
    end = b"\n" if b"\n" in data else b"\r"
    first = None
    at = data.find(end) + 1
    while at:
        first = at if first is None else first
        following = data.find(end, at)
        if following < 0:
            return first
        if table.is_json:
            return at
        line = data[at : following + 1].decode(table.dialect.encoding, "replace")
        split = split_lines([line], table.dialect.delimiter, table.dialect.quote, len(table.columns), is_last=False)
        if split.n_lines and len(split.rows) == 1 and len(split.rows[0]) == len(table.columns) and not split.faults:
            return at
        at = following + 1
    return first


def count_block(table: TextTable, block: TextBlock) -> BlockEnd:
    """Read a block for its number of rows. Raises CatalogueError."""
    n_rows, is_closed = 0, True
    for some in read_block(table, block):
        n_rows += len(some.rows)
        is_closed = some.is_closed
    return BlockEnd(n_rows, is_closed)


def joined(blocks: Sequence[TextBlock], ends: Mapping[TextBlock, BlockEnd]) -> list[TextBlock]:
    """The blocks, one that ends within a row together with the one behind it."""
    found: list[TextBlock] = []
    is_open = False
    for block in blocks:
        if is_open:  # what the part behind the seam seemed to hold says nothing
            found[-1] = replace(found[-1], end_bytes=block.end_bytes)
            is_open = False
        else:
            found.append(block)
            is_open = not ends[block].is_closed
    return found


def numbered(blocks: Sequence[TextBlock], ends: Mapping[TextBlock, BlockEnd]) -> list[TextBlock]:
    """The blocks, each with the number of its first row."""
    firsts = accumulate((ends[block].n_rows for block in blocks[:-1]), initial=1)
    return [replace(block, first_row=first) for block, first in zip(blocks, firsts, strict=True)]


def read_block(table: TextTable, block: TextBlock) -> Iterator[TextRows]:
    """The rows of a block, some at a time, in bounded memory. Raises CatalogueError for a file that is damaged."""
    number = block.first_row
    pending: list[str] = []  # lines of a row that has not come to its end
    with reading(table.uri):
        for lines in _whole_lines(table, block):
            some, n_lines = _split(table, [*pending, *lines], number, is_last=lines is _TOO_LONG)
            pending = [*pending, *lines][n_lines:]
            if lines is _TOO_LONG:
                some.faults[len(some.rows)] = f"is longer than {MAX_ROW_CHARS:,} characters"
                some.rows = [*some.rows, {} if table.is_json else []]
            yield some
            number += len(some.rows)
            if sum(map(len, pending)) > MAX_ROW_CHARS:
                some, _ = _split(table, pending, number, is_last=True)
                yield some
                number += len(some.rows)
                pending = []
    if pending:
        some, _ = _split(table, pending, number, is_last=True)
        some.is_closed = False
        yield some


def _split(table: TextTable, lines: Sequence[str], first_row: int, is_last: bool) -> tuple[TextRows, int]:
    """Rows of lines, and how many lines they take. is_last: an open quote will not be closed."""
    if table.is_json:
        return TextRows(first_row, *json_rows(lines)), len(lines)
    dialect = table.dialect
    ends: Sequence[int] = ()
    if dialect.has_escapes:
        lines, ends = with_escaped_line_ends(lines, dialect.delimiter, len(table.columns), is_last)
    split = split_lines(lines, dialect.delimiter, dialect.quote, len(table.columns), is_last)
    n_lines = ends[split.n_lines - 1] if ends and split.n_lines else split.n_lines
    return TextRows(first_row, split.rows, split.faults), n_lines


def _whole_lines(table: TextTable, block: TextBlock) -> Iterator[Sequence[str]]:
    """The lines of a block, some at a time; _TOO_LONG in place of one that is longer than a row may be."""
    rest = ""  # a line without its end
    is_skipping = False
    for text, is_last in _texts(table, block):
        if is_last or "\n" in text or "\r" in text:
            lines = io.StringIO(rest + _MANY_BLANKS.sub("\n", text), newline="").readlines()
        else:
            lines = [rest + text]
        rest = "" if is_last or not lines or lines[-1].endswith("\n") else lines.pop()
        if is_skipping:
            is_skipping = not lines
            rest = "" if is_skipping else rest
            del lines[:1]
        yield lines
        if len(rest) > MAX_ROW_CHARS:
            yield _TOO_LONG
            rest, is_skipping = "", True


def _texts(table: TextTable, block: TextBlock) -> Iterator[tuple[str, bool]]:
    """The text of a block in pieces, each with whether it is the last."""
    dialect = table.dialect
    compressed = dialect.compression
    decode = decoder(dialect.encoding)
    with opened(table.uri, compressed, 0 if compressed else block.start_bytes) as stream:
        skip = block.start_bytes if compressed else 0
        left = None if block.end_bytes is None else block.end_bytes - block.start_bytes
        while True:
            piece = stream.read(_PIECE_BYTES if left is None else min(_PIECE_BYTES, left))
            is_last = not piece
            if left is not None:
                left -= len(piece)
                is_last = is_last or not left
            if skip:
                dropped = min(skip, len(piece))
                piece, skip = piece[dropped:], skip - dropped
            yield decode(piece, is_last), is_last
            if is_last:
                return
