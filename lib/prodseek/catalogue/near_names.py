"""Names that are spelled otherwise than the file: which file is meant, where only one can be.

What can be tried without a list is tried first. A folder is listed only once a name in it was not found, and once in a
process. Names of folders are compared like those of files, so `Images\\A.JPG` finds `images/a.jpg`.
"""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple
from urllib.parse import unquote

from prodseek.catalogue.column_names import ZERO_WIDTH
from prodseek.catalogue.encodings import CP_1252

# Folders of more names are not looked through.
MAX_NAMES = 200_000
# What a process keeps of names, and about what one takes with the lists by which it is looked for.
MAX_NAMES_BYTES = 200 * 1000 * 1000
_NAME_BYTES = 700
_TOO_MANY = f"its folder has more than {MAX_NAMES} names, which were not looked through"
# Folders that differ in spelling alone and are followed at a time.
_MAX_FOLDERS = 16
_LEAST_LIKENESS = 0.6


class Spelling(StrEnum):
    """In what a name may differ from the file's. Each includes those before it."""

    UNICODE_FORM = "Unicode form"
    PERCENT_ENCODING = "percent-encoding"
    BLANKS = "blanks at an end"  # and those without a width anywhere
    CAPITALS_OR_SLASHES = "capitals or slashes"


_NO_WIDTH = dict.fromkeys(map(ord, ZERO_WIDTH))
_LOOSEST = Spelling.CAPITALS_OR_SLASHES


class NearName(NamedTuple):
    """path: of the only file that fits, relative to where the search began; None if there is none. spelling: what it differs in.

    hint: what is there instead, for a person; empty where nothing is like it.
    """

    path: str | None
    spelling: Spelling | None = None
    hint: str = ""


@dataclass(frozen=True)
class Names:
    """The names in a folder, or of the members of a tar. is_whole: False where there are more than MAX_NAMES."""

    names: tuple[str, ...]
    is_whole: bool = True

    @property
    def n_bytes(self) -> int:
        """About how much memory they take."""
        return sum(map(len, self.names)) + _NAME_BYTES * len(self.names)

    def fitting(self, spelling: Spelling, wanted: str) -> Sequence[str]:
        """Names that are `wanted` but for their spelling. wanted: as `spelled` returns it."""
        alike = self._by_loosest.get(spelled(wanted, _LOOSEST), ())
        return [name for name in alike if spelled(name, spelling) == wanted]

    def nearest(self, wanted: str) -> str | None:
        """The name most like `wanted`, of those beside it in alphabetical order of their beginnings and of their ends."""
        key = spelled(wanted, _LOOSEST)
        near = [name for turned in (False, True) for name in self._beside(key[:: -1 if turned else 1], turned)]
        likeness = {name: difflib.SequenceMatcher(None, key, spelled(name, _LOOSEST)).ratio() for name in near}
        best = max(near, key=lambda name: (likeness[name], name), default=None)
        return best if best is not None and likeness[best] >= _LEAST_LIKENESS else None

    def _beside(self, key: str, turned: bool) -> Iterator[str]:
        ordered = self._ordered[turned]
        place = bisect_left(ordered, (key, ""))
        yield from (name for _, name in ordered[max(0, place - 2) : place + 2])

    @cached_property
    def _by_loosest(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self.names:
            found[spelled(name, _LOOSEST)].append(name)
        return found

    @cached_property
    def _ordered(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        keys = [(spelled(name, _LOOSEST), name) for name in self.names]
        return sorted(keys), sorted((key[::-1], name) for key, name in keys)


def spelled(name: str, spelling: Spelling) -> str:
    """A name as all names are written that differ from it in this spelling alone. `/` divides folders."""
    if spelling != Spelling.UNICODE_FORM:
        name = _without_percents(name)
    if spelling == Spelling.CAPITALS_OR_SLASHES:
        name = name.replace("\\", "/").casefold()
    name = unicodedata.normalize("NFC", name)
    if spelling in (Spelling.BLANKS, Spelling.CAPITALS_OR_SLASHES):
        name = name.translate(_NO_WIDTH)
        name = "/".join(part.strip() for part in name.split("/"))
    return name


def found_otherwise_in_words(counts: Mapping[str, int]) -> str:
    """What is said of photos that have other names than the catalogue gives them, for a person. counts: by spelling."""
    n_photos = sum(counts.values())
    what = "photo found though its name is" if n_photos == 1 else "photos found though their names are"
    return f"{n_photos} {what} spelled otherwise: " + ", ".join(f"{n} by {how}" for how, n in counts.items())


def plain_spellings(wanted: str) -> list[tuple[str, Spelling]]:
    """Other spellings of a name that can be told without seeing what is there."""
    decoded = _without_percents(wanted)
    found: dict[str, Spelling] = {}
    for spelling, name in (
        (Spelling.UNICODE_FORM, wanted),
        (Spelling.PERCENT_ENCODING, decoded),
        (Spelling.BLANKS, decoded.translate(_NO_WIDTH)),
        (Spelling.CAPITALS_OR_SLASHES, decoded.replace("\\", "/")),
    ):
        for form in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
            if form != wanted and _leads_to_a_file(form):
                found.setdefault(form, spelling)
    return list(found.items())


def _without_percents(name: str) -> str:
    """A name without percent-encoding: of UTF-8, or of Latin-1 as old shops write it."""
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return unquote(name, CP_1252)


def _leads_to_a_file(name: str) -> bool:
    """Whether a name may be looked for: not that of a folder, and not one that leads out of where it begins."""
    parts = name.replace("\\", "/").split("/")
    return bool(parts[-1]) and ".." not in parts


def near_name(wanted: str, names_in: Callable[[str], Names]) -> NearName:
    """The only file that is `wanted` but for its spelling, by the first spelling by which any fits.

    wanted: a path relative to where the search begins. names_in: the names in a folder, given its path from there, "" for
    the first one; none for what is no folder.
    """
    if not _leads_to_a_file(wanted):
        return NearName(None)
    for spelling in Spelling:
        found = _fitting(spelled(wanted, spelling), spelling, names_in)
        if len(found) == 1:
            return NearName(found[0], spelling)
        if found:
            listed = ", ".join(repr(path) for path in found[:3])
            return NearName(None, hint=f"{len(found)} files differ from it in {spelling} alone: {listed}")
    return NearName(None, hint=_hint(wanted, names_in))


def _fitting(wanted: str, spelling: Spelling, names_in: Callable[[str], Names]) -> list[str]:
    parts = [part for part in wanted.split("/") if part not in ("", ".")]
    folders, found = [""], list[str]()
    for depth, part in enumerate(parts):
        if not folders:
            break
        inner = []
        for folder in folders[:_MAX_FOLDERS]:
            names = names_in(folder)
            # A name may hold the slashes of the whole rest: so does a member of a tar, and what a Windows zip unpacked.
            found += [_join(folder, name) for name in names.fitting(spelling, "/".join(parts[depth:]))]
            if depth < len(parts) - 1:
                inner += [_join(folder, name) for name in names.fitting(spelling, part)]
        folders = inner
    return found


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _hint(wanted: str, names_in: Callable[[str], Names]) -> str:
    """What lies where `wanted` should, by the loosest spelling of its folders."""
    key = spelled(wanted, _LOOSEST)
    *folders, last = [part for part in key.split("/") if part not in ("", ".")] or [""]
    folder = ""
    for part in folders:
        names = names_in(folder)
        fitting = names.fitting(_LOOSEST, part)
        if not names.is_whole:
            return _TOO_MANY
        if not fitting:
            nearest = names.nearest(part)
            where = f"the folder {folder!r}" if folder else "the catalogue's folder"
            return f"there is no {part!r} in {where}" + (f"; the nearest name is {nearest!r}" if nearest else "")
        folder = _join(folder, fitting[0])
    names = names_in(folder)
    if not names.is_whole:
        return _TOO_MANY
    nearest = names.nearest(last)
    return f"the nearest name is {_join(folder, nearest)!r}" if nearest else ""
