"""Categories of a catalogue as it writes them: which of several in a cell is meant, and their levels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from prodseek.cluster.empty_words import GRAMMAR, NO_CATEGORY, SELLING, set_of
from prodseek.cluster.plain_texts import folded, phrase, plain_text
from prodseek.runs.absent import ABSENT

_LEVELS = re.compile(r"[>»\\|]")
# Between several categories in one cell, and what may be so or belong to a name.
_BETWEEN_PATHS = re.compile(r";\s|[\r\n]+")
_MAY_BE_BETWEEN_PATHS = re.compile(r"[,;]")
# `SS24`, `FW 2023`: what a collection is called.
_SEASON = re.compile(r"(?:ss|fs|aw|fw|hw|pe|ai|ah)(?:20)?\d\d")


def category_levels(category: str) -> list[str]:
    """The levels of a category such as `Home > Kitchen > Mugs`, the widest first; of several categories, of the deepest."""
    return max(map(_levels_of_path, _paths(category)), key=len, default=[])


def category_path(category: str) -> str:
    """Of several categories in one cell, such as `Sale, Home > Mugs`, the deepest, the first of those; else the cell as it is."""
    paths = _paths(category)
    return max(paths, key=lambda path: len(_levels_of_path(path))) if len(paths) > 1 else category


def _paths(cell: str) -> list[str]:
    return [path for part in _BETWEEN_PATHS.split(plain_text(cell)) for path in _between_commas(part)]


def _between_commas(text: str) -> list[str]:
    """Paths between commas, where another is plainly meant: it begins or ends as an earlier one, or only sells."""
    first, *others = _MAY_BE_BETWEEN_PATHS.split(text)
    paths, start = [first.strip()], len(first)
    for part in others:
        mark, start = text[start], start + 1 + len(part)
        if _is_another(part, paths):
            paths.append(part.strip())
        else:
            paths[-1] += mark + part.rstrip()
    return [path for path in paths if path]


def _is_another(part: str, paths: Sequence[str]) -> bool:
    levels = _split(part)
    if not levels or _only_sells(levels[0]) or all(map(_only_sells, _split(paths[-1]))):
        return True
    ends = folded(levels[0]), folded(levels[-1])
    before = [(folded(known[0]), folded(known[-1])) for path in paths if (known := _split(path))]
    return any(ends[0] == root or (ends[1] == leaf and len(levels) > 1) for root, leaf in before)


def _levels_of_path(path: str) -> list[str]:
    if is_no_category(path):
        return []
    return [phrase(level) for level in _split(path) if not is_no_category(level)]


def _split(path: str) -> list[str]:
    return [level for part in _LEVELS.split(path) for level in _split_at_slashes(part) if level.strip()]


def is_no_category(level: str) -> bool:
    """Whether a level says nothing: a placeholder, a season, what only sells, a number, one letter."""
    plain = folded(level)
    if _SEASON.fullmatch(plain):
        return True
    if _only_sells(level) or plain in _absent() or not any(c.isalpha() for c in plain):
        return True
    return len(plain) == 1 and unicodedata.category(plain) != "Lo"


def _only_sells(level: str) -> bool:
    return SELLING.fullmatch(level.strip()) is not None or folded(level) in set_of(NO_CATEGORY)


@cache
def _absent() -> frozenset[str]:
    return frozenset(map(folded, ABSENT))


def _split_at_slashes(text: str) -> list[str]:
    """Levels between slashes. Those of `and/or`, `3/4` and `w/o` stay: words are not levels there."""
    first, *others = text.split("/")
    levels, before = [first], first
    for after in others:
        if _is_one_word(before, after):
            levels[-1] += f"/{after}"
        else:
            levels.append(after)
        before = after
    return levels


def _is_one_word(before: str, after: str) -> bool:
    sides = [(before.split() or [""])[-1].casefold(), (after.split() or [""])[0].casefold()]
    return (
        (before[-1:].isdigit() and after[:1].isdigit())
        or all(len(side) == 1 and side.isascii() for side in sides)
        or all(side in set_of(GRAMMAR) for side in sides)
        or sides[0] == "w"
    )
