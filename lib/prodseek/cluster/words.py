"""Words of the catalogue that may name a group: levels of categories and folders, words of titles and names."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import unquote

# Where the catalogue says something of a photo, the most trusted first.
SAID_IN = CATEGORY, TITLE, FOLDER, NAME = ("category", "title", "folder", "name")

# A phrase longer than this is cut; of longer texts only the beginning is read.
MOST_CHARACTERS: Final = 40
_READ_CHARACTERS = 500
# Longer words are ids, addresses or mishaps.
_LONGEST_WORD = 30

_MARKUP = re.compile(r"<[^<>]{0,200}>")
_LEVELS = re.compile(r"\s*(?:>|»|/|\\|\|)\s*")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}", re.IGNORECASE)
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz-]+", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_TAR_MEMBER = re.compile(r"\.tar#", re.IGNORECASE)

# Values that stand where a category is missing.
_NO_CATEGORY = "n/a na none null nan unknown other others misc miscellaneous uncategorized default - ?"
# Words that a title needs for its grammar, in the languages that catalogues of Europe are mostly written in.
_GRAMMAR = """
a an and are as at by for from in into is it its new no not of off on only or our per set size the this to up us we with
without you your pack piece pieces pcs used
am auf aus bei bis das dem den der des die ein eine einem einen einer fur für im in ist mit nicht neu oder ohne und vom von
zu zum zur stück gebraucht
a au aux avec ce ces dans de des du en et la le les ou par pour sans sur un une
al con de del e el en es la las lo los no o para por sin su un una y
alla che da dei del della di e il in la lo per senza
das dos em na no os para por sem um uma
de een en het in met op te van voor zonder
i med och og til uden utan av af den det
"""
# Words of folders and file names that say where a photo lies, how it was made, or when; not what it shows.
_STORAGE = """
archive archiv article articles articulo artikel asset assets back backup batch bild bilder cache catalog catalogo
catalogue cdn color colour content copy crop cropped cutout data dataset default detail dir done downloads dsc dscn export
feed file files final folder foto fotos front full galerie gallery gross groß hires home http https id image images imagen
imagenes img imgs import incoming item items jpeg jpg klein large left lg library local low main master md media medium
misc mnt new old orig original originals other out packshot packshots photo photos pic pics picture pictures png prod
product products produkt produkte produit produits public raw resized retouched right root s3 scan scans shop shot shots
side size sku skus small sm source src static storage store temp test thumb thumbnail thumbnails thumbs tiff tmp todo
train unsorted upload uploads user users val var version view web webp www xl xs zoom
jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october
november december januar februar märz mai juni juli oktober dezember
"""
# A folder with such a word is named after who sent its photos.
_SENDERS = """
agency brand brands client customer fournisseur fornitore hersteller lieferant lieferanten manufacturer marke merchant
partner photographer proveedor seller studio supplier suppliers vendor vendors
"""


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


def said_of(category: str | None, title: str | None, uri: str, product_id: str) -> list[Said]:
    """Everything that the catalogue says of a photo, each phrase once for each of SAID_IN."""
    return [
        *_levels(CATEGORY, category_levels(category or "")),
        *_words(TITLE, title_words(title or "")),
        *_levels(FOLDER, folder_levels(uri)),
        *_words(NAME, name_words(product_id, uri)),
    ]


def category_levels(category: str) -> list[str]:
    """The levels of a category such as `Home > Kitchen > Mugs`, the widest first."""
    plain = _plain(category)
    levels = [] if _is_missing(plain) else [phrase(level) for level in _LEVELS.split(plain)]
    return [level for level in levels if level and not _is_missing(level)]


def title_words(title: str) -> list[str]:
    """The words of a product's title that may say what it is, in their order."""
    words = _tokens(_plain(title))
    return [word for word in words if not _has_digit(word) and word.casefold() not in _set(_GRAMMAR)]


def folder_levels(uri: str) -> list[str]:
    """The folders of a photo that may say what it shows, the widest first; a tar counts as a folder."""
    return [level for level in (_folder_phrase(folder) for folder in _path(uri)[:-1]) if level]


def name_words(product_id: str, uri: str) -> list[str]:
    """The words of a product's id and of a photo's file name that may say what it is."""
    names = [path[-1] for path in (_path(product_id), _path(uri)) if path]
    return [
        word for name in names for word in _telling(_UUID.sub(" ", re.sub(r"\.\w{1,5}$", "", name)).replace("-", " "))
    ]


def phrase(text: str) -> str:
    """A text on one line, without control characters, at most MOST_CHARACTERS long."""
    shown = " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())
    if len(shown) <= MOST_CHARACTERS:
        return shown
    whole_words = shown[: MOST_CHARACTERS - 1].rpartition(" ")[0]
    return (whole_words or shown[: MOST_CHARACTERS - 1]) + "…"


def _is_missing(category: str) -> bool:
    return category.strip().casefold() in _set(_NO_CATEGORY)


@cache
def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


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


def _plain(text: str) -> str:
    """The beginning of a text, without markup, in Unicode's composed form."""
    return unicodedata.normalize("NFC", html.unescape(_MARKUP.sub(" ", text[:_READ_CHARACTERS])))


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
    plain = _plain(_UUID.sub(" ", folder).replace("_", " ").replace("+", " "))
    if {part for word in _tokens(plain) for part in word.casefold().split("-")} & _set(_SENDERS):
        return ""
    kept = [part for part in plain.split() if part == "&" or _telling(part)]
    return phrase(" ".join(kept).strip("& "))


def _telling(name: str) -> list[str]:
    """Words of a folder's or a file's name without numbers, codes and what only says where or when."""
    words = _tokens(_plain(name.replace("_", " ").replace("+", " ").replace(".", " ")))
    return [word for word in words if not _is_code(word) and not _is_about_storage(word)]


def _is_about_storage(word: str) -> bool:
    known = _set(_STORAGE) | _set(_GRAMMAR)
    return all(part in known or (len(part) < 2 and part.isascii()) for part in word.casefold().split("-"))


def _is_code(word: str) -> bool:
    """A word with digits, or of Latin consonants alone, such as the beginning of an article's number."""
    return _has_digit(word) or (_CONSONANTS.fullmatch(word) is not None and word.casefold() != "tv")


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _path(uri: str) -> list[str]:
    parts = _SCHEME.sub("", _TAR_MEMBER.sub("/", uri)).split("/")
    return [unquote(part, errors="replace") for part in parts if part not in ("", ".", "..")]
