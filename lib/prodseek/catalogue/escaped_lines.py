"""Line ends that belong to a value, as MySQL writes them: behind a backslash."""

from __future__ import annotations

from collections.abc import Sequence

_BROKEN = ("\\\n", "\\\r\n")


def with_escaped_line_ends(
    lines: Sequence[str], delimiter: str, n_columns: int, is_last: bool
) -> tuple[list[str], list[int]]:
    """Lines, those that MySQL has broken within a value joined again, and the number of lines up to the end of each.

    Such a line ends with a backslash, and the row is not longer with the line behind it: a path may end with one too. The line
    end is written as MySQL's client writes it, `\\n`. is_last: else a last line that may go on is left out.
    """
    if not any(map(_is_broken, lines)):
        return list(lines), list(range(1, len(lines) + 1))
    found: list[str] = []
    ends: list[int] = []
    at = 0
    while at < len(lines):
        row = lines[at]
        n_delimiters = row.count(delimiter)
        while _is_broken(lines[at]) and at + 1 < len(lines):
            n_delimiters += lines[at + 1].count(delimiter)
            if n_delimiters >= n_columns or n_columns < 2:
                break
            at += 1
            row = row.rstrip("\r\n") + "n" + lines[at]
        if not is_last and at + 1 == len(lines) and _is_broken(lines[at]):
            break
        found.append(row)
        at += 1
        ends.append(at)
    return found, ends


def _is_broken(line: str) -> bool:
    """Whether a line ends with a backslash that is not the second of two."""
    if not line.endswith(_BROKEN):
        return False
    bare = line.rstrip("\r\n")
    return (len(bare) - len(bare.rstrip("\\"))) % 2 == 1
