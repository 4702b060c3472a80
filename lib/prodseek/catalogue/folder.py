"""A folder as a catalogue: the photos in it and in its tars, and what was passed over."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from functools import partial

from pyarrow import fs

from prodseek.catalogue.manifests import IMAGE_SUFFIXES, CatalogueSource
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.tars import SUFFIX as TAR_SUFFIX
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected, begins_like_photo
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

# What systems make beside people's photos: thumbnails of disk stations, bins, leftovers of archives, indexes of folders.
SYSTEM_NAMES = (
    "@eaDir", "#recycle", "@Recycle", "#snapshot", ".@__thumb", "__MACOSX", ".DS_Store", "._*", "Thumbs.db", "ehthumbs*.db",
    "desktop.ini", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".Trash*",
)  # fmt: skip
_HEAD_BYTES = 32
_MAX_DEPTH = 64
_THREADS = 8


class PassedOver(StrEnum):
    """Why a file in the folder, or a whole folder in it, is no row of the catalogue."""

    EXCLUDED = "excluded"
    HIDDEN = "hidden"
    NO_ENDING = "no_ending"
    OTHER_ENDING = "other_ending"


_IN_WORDS = {
    PassedOver.EXCLUDED: "that systems make or catalog.exclude names",
    PassedOver.HIDDEN: "hidden",
    PassedOver.NO_ENDING: "without an ending (catalog.any_ending=true takes those that are images)",
    PassedOver.OTHER_ENDING: "with the ending of no image",
}


def passed_over_in_words(counts: Mapping[str, int]) -> str:
    """What was passed over, for a person. counts: by `PassedOver`."""
    return ", ".join(f"{counts[why]} {words}" for why, words in _IN_WORDS.items() if counts.get(why))


@dataclass(frozen=True)
class Listing:
    """uris: of the photos, relative to the folder, sorted. passed_over: how many files, or folders that were not entered."""

    uris: list[str]
    passed_over: dict[PassedOver, int]


def list_photos(
    source: CatalogueSource, allowed_roots: Sequence[str] = (), exclude: Sequence[str] = (), any_ending: bool = False
) -> Listing:
    """List the photos of a folder, also those in tars. Hidden files and folders are passed over, as is what systems make.

    A tar that cannot be read to its end also gets the entry `NAME.tar#`, and a name that is not UTF-8 is listed with
    replacement characters. No photo will be found under either, so both become rejects. Links are followed, but no folder
    is listed twice, so that links in a circle do no harm. allowed_roots: folders beside this one that links to tars may
    lead to. exclude: globs for a name or, with a slash in them, for a path in the folder; one that begins with `!` takes
    back one of SYSTEM_NAMES. any_ending: take files too that begin like an image and have no image's ending. Raises
    CatalogueError.
    """
    sieve = _Sieve.of(exclude)
    try:
        file_system, path = files.locate(source.base_uri)
        if isinstance(file_system, fs.LocalFileSystem):
            names = _local_names(path, sieve)
        else:
            infos = file_system.get_file_info(fs.FileSelector(path, recursive=True))
            found = (posixpath.relpath(info.path, path) for info in infos if info.type == fs.FileType.File)
            names = sieve.opened(found)
    except OSError as error:
        raise CatalogueError(f"the catalogue {source.uri!r} cannot be listed: {error}") from error
    photos = PhotoSource(source.base_uri, tuple(allowed_roots), ImageLimits(max_bytes=_HEAD_BYTES))
    listed, damaged = [], []
    for name in names:
        if not name.lower().endswith(TAR_SUFFIX):
            listed.append(name)
            continue
        try:
            members, damage = photos.members(name)
        except ImageRejected:
            members, damage = [], "unreadable"
        folders = {posixpath.dirname(member) for member in members}
        listed += [f"{name}#{member}" for member in sieve.opened(members) if member not in folders or _is_photo(member)]
        damaged += [f"{name}#"] if damage else []
    return Listing(sorted([*_photos(listed, photos, any_ending, sieve), *damaged]), dict(sieve.passed_over))


def _photos(uris: Sequence[str], photos: PhotoSource, any_ending: bool, sieve: _Sieve) -> list[str]:
    """Those with the ending of an image; where any ending may be, those too that begin like one."""
    others = [uri for uri in uris if not _is_photo(uri)]
    look = partial(_begins_like_photo, photos=photos)
    looked_at = others if any_ending else []
    taken = {uri for uri, is_photo in zip(looked_at, map_ahead(look, looked_at, _THREADS), strict=True) if is_photo}
    for uri in others:
        if uri not in taken:
            has_ending = "." in posixpath.basename(uri)
            sieve.passed_over[PassedOver.OTHER_ENDING if has_ending else PassedOver.NO_ENDING] += 1
    return [uri for uri in uris if uri in taken or _is_photo(uri)]


def _is_photo(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


def _begins_like_photo(uri: str, photos: PhotoSource) -> bool:
    try:
        return begins_like_photo(photos.read(uri))
    except ImageRejected:
        return False


@dataclass(frozen=True)
class _Sieve:
    """Which files are looked at and which folders entered, and how many were not. names, paths: what is excluded by its name,
    and by its path in the folder."""

    names: re.Pattern[str]
    paths: re.Pattern[str]
    has_paths: bool
    taken_back: frozenset[str]
    passed_over: Counter[PassedOver] = field(default_factory=Counter)

    @classmethod
    def of(cls, exclude: Sequence[str]) -> _Sieve:
        taken_back = frozenset(pattern[1:] for pattern in exclude if pattern.startswith("!"))
        closed = [pattern for pattern in (*SYSTEM_NAMES, *exclude) if pattern not in taken_back and pattern[:1] != "!"]
        by_path = [pattern for pattern in closed if "/" in pattern]
        by_name = [pattern for pattern in closed if "/" not in pattern]
        return cls(_any_of(by_name), _any_of(by_path), bool(by_path), taken_back)

    def is_open(self, path: str) -> bool:
        """Whether a folder is entered, or a file looked at; else it counts as passed over."""
        why = self._why_not(posixpath.basename(path), path)
        if why is not None:
            self.passed_over[why] += 1
        return why is None

    def opened(self, paths: Iterable[str]) -> list[str]:
        """Those of which every folder is open, and what they end in. A closed folder counts once."""
        found, closed = [], set()
        for path in paths:
            parts = path.split("/")
            for depth, name in enumerate(parts):
                # Of a path that was made to do harm the beginning is enough.
                above = "/".join(parts[: depth + 1]) if self.has_paths and depth < _MAX_DEPTH else name
                why = self._why_not(name, above)
                if why is not None:
                    place = "/".join(parts[: depth + 1])
                    self.passed_over[why] += place not in closed
                    closed.add(place)
                    break
            else:
                found.append(path)
        return found

    def _why_not(self, name: str, path: str) -> PassedOver | None:
        if self.names.match(name) or self.paths.match(path):
            return PassedOver.EXCLUDED
        if name.startswith(".") and name != ".." and name not in self.taken_back:
            return PassedOver.HIDDEN
        return None


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)", re.IGNORECASE)


def _local_names(folder: str, sieve: _Sieve) -> list[str]:
    """Everything below a local folder except folders, relative to it; what is passed over is not entered."""
    names: list[str] = []
    entered: set[str] = set()
    pending = deque([""])
    while pending:
        below = pending.popleft()
        real = os.path.realpath(os.path.join(folder, below))
        if real in entered:
            continue
        entered.add(real)
        with os.scandir(real) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = posixpath.join(below, entry.name)
                if not sieve.is_open(name):
                    continue
                if not os.path.isdir(entry.path):
                    names.append(os.fsencode(name).decode(errors="replace"))
                elif entry.is_symlink():
                    pending.append(name)  # last, so that a folder that is also inside is listed by its own name
                else:
                    pending.appendleft(name)
    return names
