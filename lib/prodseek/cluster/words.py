"""Words of the catalogue that may name a group: levels of categories and folders, words of titles and names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence, Set
from itertools import zip_longest
from typing import NamedTuple
from urllib.parse import unquote

from prodseek.cluster.categories import category_levels, is_no_category
from prodseek.cluster.colours import is_colour_word, only_colour
from prodseek.cluster.empty_words import (
    ADJECTIVES,
    ALSO_GOODS,
    COUNTED,
    FIRMS,
    FIRMS_AS_WRITTEN,
    GRAMMAR,
    GROUNDS,
    NEW_NAMES,
    SELLING,
    SENDERS,
    STATES,
    STORAGE,
    set_of,
)
from prodseek.cluster.plain_texts import phrase, plain_text

# Where the catalogue says something of a photo, the most trusted first.
SAID_IN = CATEGORY, TITLE, FOLDER, NAME = ("category", "title", "folder", "name")
# What a column of colours says is no name of a thing.
COLOUR = "colour"

# Longer words are ids, addresses or mishaps.
_LONGEST_WORD = 30

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}", re.IGNORECASE)
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz-]+", re.IGNORECASE)
_PART = re.compile(r"\w{2,}")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_TAR_MEMBER = re.compile(r"\.tar#", re.IGNORECASE)
_HOST = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)
_QUERY = re.compile(r"[?#].*", re.DOTALL)
# With what an address asks for, because downloads are saved under such names too.
_EXTENSION = re.compile(r"\.\w{1,5}(?:\?.*)?$", re.DOTALL)


class Said(NamedTuple):
    """A phrase that the catalogue says of a photo. key: what counts as the same phrase.

    is_leaf, is_root: the narrowest, the widest level of its category or folders. place: of a word in its text, from 0.
    """

    said_in: str
    key: str
    text: str
    is_leaf: bool
    is_root: bool
    place: int


def said_of(
    category: str | None,
    title: str | None,
    uri: str,
    product_id: str,
    shared_folders: Set[str] = frozenset(),
    colour: str | None = None,
) -> list[Said]:
    """Everything that the catalogue says of a photo, each phrase once for each of SAID_IN, and its colour by our name.

    shared_folders: of `storage_folders`, those that nearly all photos of the catalogue lie in.
    """
    return [
        *_levels(CATEGORY, category_levels(category or "")),
        *_words(TITLE, title_words(title or "")),
        *_levels(FOLDER, folder_levels(uri, shared_folders)),
        *_words(NAME, name_words(product_id, uri)),
        *_words(COLOUR, [one] if colour and (one := only_colour(colour)) else []),
    ]


def title_words(title: str) -> list[str]:
    """The words of a product's title that may say what it is, in their order."""
    words = _tokens(SELLING.sub(" ", plain_text(title)))
    return [
        word
        for word, following in zip_longest(words, words[1:], fillvalue="")
        if not _has_digit(word) and (word.casefold() not in set_of(GRAMMAR) or _is_name(word, following))
    ]


def folder_levels(uri: str, shared_folders: Set[str] = frozenset()) -> list[str]:
    """The folders of a photo that may say what it shows, the widest first; a tar counts as a folder.

    shared_folders: as for `said_of`.
    """
    levels = (_folder_phrase(folder) for folder in _path(uri)[:-1])
    return [level for level in levels if level and level.casefold() not in shared_folders]


def storage_folders(uri: str) -> set[str]:
    """The folders of a photo that are a department if only some photos lie in them, and say nothing if nearly all do."""
    return {level.casefold() for level in folder_levels(uri)} & set_of(ALSO_GOODS)


def name_words(product_id: str, uri: str) -> list[str]:
    """The words of a product's id and of a photo's file name that may say what it is."""
    names = [path[-1] for path in (_path(product_id), _path(uri)) if path]
    bare = [_words_of_name(_UUID.sub(" ", _EXTENSION.sub("", name)).replace("-", " ")) for name in names]
    return [words[at] for words in bare for at in _with_adjectives(words, _is_telling)]


def _is_name(word: str, following: str) -> bool:
    return word.casefold() == "new" and following.casefold() in set_of(NEW_NAMES)


def _levels(said_in: str, levels: list[str]) -> list[Said]:
    found = {
        level.casefold(): Said(said_in, level.casefold(), level, at == len(levels) - 1, at == 0, at)
        for at, level in enumerate(levels)
    }
    return list(found.values())


def _words(said_in: str, words: list[str]) -> list[Said]:
    found: dict[str, Said] = {}
    for place, word in enumerate(words):
        key = word.casefold()
        found.setdefault(key, Said(said_in, key, word, is_leaf=False, is_root=False, place=place))
    return list(found.values())


def _tokens(text: str) -> list[str]:
    """Words of letters in any script, with marks, digits, and hyphens and apostrophes inside; at least one letter each."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in "-'’" else " " for c in text)
    words = (word.strip("-'’") for word in kept.split())
    return [word for word in words if len(word) <= _LONGEST_WORD and _says_something(word)]


def _says_something(word: str) -> bool:
    """More than a letter, unless a letter is a word by itself, as in Chinese."""
    letters = [c for c in word if c.isalpha()]
    return len(letters) > 1 or (len(letters) == 1 and unicodedata.category(letters[0]) == "Lo")


def _folder_phrase(folder: str) -> str:
    plain = plain_text(_UUID.sub(" ", folder).replace("_", " ").replace("+", " "))
    tokens, words = _tokens(plain), plain.split()
    if {part for word in tokens for part in word.casefold().split("-")} & set_of(SENDERS) or _is_firm(tokens):
        return ""
    if _is_state(words) or _is_count(words):
        return ""
    called = phrase(" ".join(_with_small_words(words)))
    return "" if is_no_category(called) or not _is_department(plain, called) else called


def _is_firm(words: Sequence[str]) -> bool:
    """Whether a folder is called after who sent its photos: `Axfood AB`, `Luma Sports Inc.`, `Müller & Söhne`."""
    return len(words) > 1 and (words[-1].casefold() in set_of(FIRMS) or words[-1] in set_of(FIRMS_AS_WRITTEN))


def _is_count(words: Sequence[str]) -> bool:
    """Whether a folder's words count: `Art. 4711`, `Look 12`; not `Chairs 2`."""
    named = [part for word in words for part in _PART.findall(word) if not _is_code(part)]
    return any(map(_has_digit, words)) and bool(named) and all(part.casefold() in set_of(COUNTED) for part in named)


def _is_state(words: Sequence[str]) -> bool:
    """Whether a folder's words say what is to be done with its photos, or what was: `A trier`, `En ligne`, `White background`."""
    others = [word for word in words if word.casefold() not in set_of(GROUNDS)]
    if len(others) < len(words) and all(map(is_colour_word, others)):
        return True
    telling = [at for at, word in enumerate(words) if _is_telling_folder(word)]
    return len(telling) == 1 and telling[0] > 0 and words[telling[0] - 1].casefold() in set_of(STATES)


def _with_small_words(words: Sequence[str]) -> list[str]:
    """Words of a folder's name that say what it shows, and those of grammar between them, as in `Salle à manger`."""
    kept = _with_adjectives(words, _is_telling_folder)
    ends = [at for at in kept if words[at] != "&"]
    between = range(ends[0], ends[-1] + 1) if ends else ()
    return [words[at] for at in between if at in kept or words[at].casefold() in set_of(GRAMMAR)]


def _is_department(folder: str, called: str) -> bool:
    """Whether a folder's words say more than where a photo lies: `Large`, `Home & Storage`, but not `old photo` and `shots 3`."""
    return _is_telling(called) or all(word in set_of(ALSO_GOODS) or word == "&" for word in folder.casefold().split())


def _words_of_name(name: str) -> list[str]:
    return _tokens(plain_text(name.replace("_", " ").replace("+", " ").replace(".", " ")))


def _with_adjectives(words: Sequence[str], is_telling: Callable[[str], bool]) -> list[int]:
    """Where the words of a folder's or a file's name stand that say what it shows, `&`, and the adjectives before them."""
    kept: list[int] = []
    is_before_kept = False
    for at in reversed(range(len(words))):
        is_kept = is_telling(words[at]) or (is_before_kept and words[at].casefold() in set_of(ADJECTIVES))
        if is_kept or words[at] == "&":
            kept.append(at)
        # What `&` joins to a word that is kept belongs to it.
        is_before_kept = is_kept or (is_before_kept and words[at] == "&")
    return kept[::-1]


def _is_telling(name: str) -> bool:
    """Whether a name has a word that is no number, no code, and says more than where or when."""
    return _has_word_beside(name, set_of(STORAGE) | set_of(ALSO_GOODS))


def _is_telling_folder(name: str) -> bool:
    return _has_word_beside(name, set_of(STORAGE))


def _has_word_beside(name: str, empty: Set[str]) -> bool:
    return any(not _is_code(word) and not _is_one_of(empty | set_of(GRAMMAR), word) for word in _words_of_name(name))


def _is_one_of(known: Set[str], word: str) -> bool:
    return all(part in known or (len(part) < 2 and part.isascii()) for part in word.casefold().split("-"))


def _is_code(word: str) -> bool:
    """A word with digits, or of Latin consonants alone, such as the beginning of an article's number."""
    return _has_digit(word) or (_CONSONANTS.fullmatch(word) is not None and word.casefold() != "tv")


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _path(uri: str) -> list[str]:
    """Folders and the name at the end, without the address of a server and what it is asked."""
    in_tar = _TAR_MEMBER.sub("/", uri)
    plain = _QUERY.sub("", _HOST.sub("", in_tar)) if _HOST.match(in_tar) else _SCHEME.sub("", in_tar)
    parts = plain.split("/")
    return [unquote(part, errors="replace") for part in parts if part not in ("", ".", "..")]
