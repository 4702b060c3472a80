"""Rows of delimited text: as RFC 4180 has them where they can be read so, and each by itself where they cannot.

A quoted value may go over many lines only if its quote is closed as it must be, before a delimiter or the end of a line.
Any other quote is that line's own: the rows behind it are read as if it did not stand there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MAX_CELL_CHARS = 1 << 22
MAX_ROW_CHARS = 1 << 23
# Of a row that cannot be read anyway.
_MOST_CELLS = 10_000


@dataclass
class Split:
    """Rows of some lines. faults: what is wrong with a row, by its place in `rows`. n_lines: how many lines they take; those
    behind them begin a row that is not at its end."""

    rows: list[list[str]] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    n_lines: int = 0


def split_lines(
    lines: Sequence[str], delimiter: str, quote: str, n_columns: int, is_last: bool, most_rows: int | None = None
) -> Split:
    """Split lines, each with its end, into rows; blank lines are none.

    n_columns: of the header; 0 where it is not known yet. is_last: whether the text ends with them, so that an open quote
    will not be closed. most_rows: stop after so many.
    """
    csv.field_size_limit(MAX_CELL_CHARS)
    if most_rows is None and not _has_blanks_before_quotes(lines, delimiter, quote):
        rows = _split_well(lines, delimiter, quote, n_columns)
        if rows is not None:
            return Split(rows, n_lines=len(lines))
    found = Split()
    walk = _Walk(lines)
    while found.n_lines < len(lines) and (most_rows is None or len(found.rows) < most_rows):
        walk.at, walk.is_over = found.n_lines, False
        try:
            for row in _reader(walk, delimiter, quote):
                first, found.n_lines = found.n_lines, walk.at
                if not row:
                    continue
                if _has_blanks_before_quotes(lines[first : walk.at], delimiter, quote):
                    row = _without_blanks(row, lines[first : walk.at], delimiter, quote, n_columns)
                if n_columns and len(row) != n_columns:
                    row = _refitted(row, lines[first : walk.at], delimiter, quote, n_columns)
                found.rows.append(row)
                if len(found.rows) == most_rows:
                    break
            else:
                found.n_lines = len(lines)
        except csv.Error:
            if walk.is_over and not is_last:
                return found
            line = lines[found.n_lines]
            row, fault = _split_alone(line.rstrip("\r\n"), delimiter, quote, n_columns)
            if fault is not None:
                found.faults[len(found.rows)] = fault
            found.rows.append(row)
            found.n_lines += 1
    return found


def _split_well(lines: Sequence[str], delimiter: str, quote: str, n_columns: int) -> list[list[str]] | None:
    """All rows at once if nothing is wrong with any, else None: a third of the time."""
    try:
        rows = [row for row in _reader(iter(lines), delimiter, quote) if row]
    except csv.Error:
        return None
    return rows if all(len(row) == n_columns for row in rows) else None


class _Walk:
    """Lines one after another, from any on. is_over: somebody has asked for one more than there are."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self.at = 0
        self.is_over = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        at = self.at
        if at >= len(self._lines):
            self.is_over = True
            raise StopIteration
        self.at = at + 1
        return self._lines[at]


def _reader(lines: Iterator[str], delimiter: str, quote: str, skips_blanks: bool = False) -> Iterator[list[str]]:
    if not quote:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, quotechar=None)
    return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=skips_blanks)


def _without_blanks(row: list[str], lines: Sequence[str], delimiter: str, quote: str, n_columns: int) -> list[str]:
    """A row whose values have blanks before their quotes, `a, "b, c"`, if it is as long as the header then."""
    try:
        (again,) = _reader(iter(lines), delimiter, quote, skips_blanks=True)
    except (csv.Error, ValueError):
        return row
    if len(again) == len(row) and all(
        short in (cell, cell.lstrip(" ")) for short, cell in zip(again, row, strict=True)
    ):
        return row  # the blanks stand within quotes
    return again if len(again) == n_columns or not n_columns else row


def _refitted(row: list[str], lines: Sequence[str], delimiter: str, quote: str, n_columns: int) -> list[str]:
    """A row of another length than the header: without empty values behind the last column, or with backslashed delimiters
    or quotes."""
    if len(row) > n_columns and not any(cell.strip() for cell in row[n_columns:]):
        return row[:n_columns]
    if len(row) > n_columns and f"\\{delimiter}" in "".join(lines):
        joined = _backslashed(row, delimiter)
        if len(joined) == n_columns:
            return joined
    if len(lines) == 1 and quote and f"\\{quote}" in lines[0]:
        again, _ = _split_alone(lines[0].rstrip("\r\n"), delimiter, quote, n_columns)
        return again if len(again) == n_columns else row
    return row


def _backslashed(row: Sequence[str], delimiter: str) -> list[str]:
    """Values that were divided at a delimiter behind a backslash, as MySQL writes one that is no delimiter."""
    found: list[str] = []
    is_open = False
    for cell in row:
        if is_open:
            found[-1] = found[-1][:-1] + delimiter + cell
        else:
            found.append(cell)
        is_open = (len(cell) - len(cell.rstrip("\\"))) % 2 == 1
    return found


def _split_alone(line: str, delimiter: str, quote: str, n_columns: int) -> tuple[list[str], str | None]:
    """A line's values though its quotes are not as they should be, and what is wrong with it if they cannot be told."""
    if len(line) > MAX_ROW_CHARS:
        return [], f"is longer than {MAX_ROW_CHARS:,} characters"
    if not quote:
        return line.split(delimiter), "has a character that ends no line"
    kept: tuple[list[str], str | None] | None = None
    for knows_backslash in (False, True):
        cells, fault = _cells(line, delimiter, quote, knows_backslash)
        if len(cells) > n_columns > 0 and not any(cell.strip() for cell in cells[n_columns:]):
            cells = cells[:n_columns]
        if fault is None and len(cells) == n_columns:
            return cells, None
        kept = kept or (cells, fault)
    return kept or ([], None)


def _cells(line: str, delimiter: str, quote: str, knows_backslash: bool) -> tuple[list[str], str | None]:
    strict, backslashed, loose = _patterns(delimiter, quote)
    cells: list[str] = []
    fault = None
    may_close = True  # once no quote closes a value up to the line's end, none does further on
    at = 0
    while True:
        cell = None
        if line.startswith(quote, at):
            for pattern in (backslashed, strict) if knows_backslash else (strict, backslashed):
                found = pattern.match(line, at)
                if found is not None:
                    text = found[1].replace(2 * quote, quote)
                    cell = text.replace("\\" + quote, quote) if pattern is backslashed else text
                    break
            else:
                found = loose.match(line, at) if may_close else None
                may_close = found is not None
                cell = None if found is None else found[1]
        else:
            found = None
        end = _end_of_plain(line, delimiter, at) if found is None else found.end()
        cells.append(line[at:end] if cell is None else cell)
        if cell is None and line.startswith(quote, at) and cells[-1].count(quote) % 2:
            fault = fault or f"does not close the quote of its value {len(cells)}"
        at = end + 1
        if at > len(line) or len(cells) > _MOST_CELLS:
            return cells, fault


def _end_of_plain(line: str, delimiter: str, at: int) -> int:
    end = line.find(delimiter, at)
    return len(line) if end < 0 else end


def _has_blanks_before_quotes(lines: Sequence[str], delimiter: str, quote: str) -> bool:
    """Whether a value may begin with blanks and a quote; two quotes are one within a value."""
    begins = f" {quote}"  # a glance at each line, because few have it
    return bool(quote) and any(begins in line and _blanks_before(delimiter, quote).search(line) for line in lines)


@lru_cache(maxsize=64)
def _blanks_before(delimiter: str, quote: str) -> re.Pattern[str]:
    d, q = re.escape(delimiter), re.escape(quote)
    return re.compile(f"(?:{d}|^) +{q}(?!{q})")


@lru_cache(maxsize=64)
def _patterns(delimiter: str, quote: str) -> tuple[re.Pattern[str], ...]:
    d, q = re.escape(delimiter), re.escape(quote)
    end = f"(?={d}|\\Z)"
    return tuple(
        re.compile(pattern, re.DOTALL)
        for pattern in (
            f"{q}((?:[^{q}]++|{q}{q})*+){q}{end}",
            f"{q}((?:[^{q}\\\\]++|\\\\.|{q}{q})*+){q}{end}",
            f"{q}(.*?){q}{end}",
        )
    )
