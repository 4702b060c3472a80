"""The encoding of a text manifest, found in its first bytes."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from typing import NamedTuple

import charset_normalizer

from prodseek.catalogue.letters import likeness_to_words
from prodseek.errors import CatalogueError

UTF_8, CP_1252 = "utf-8", "cp1252"
_NAMES = {UTF_8: "UTF-8", CP_1252: "Windows-1252 (Latin-1)", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_BOMS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Of text in UTF-16 about every second byte is zero where it is in a European language.
_ZEROS_OF_UTF_16 = 0.4
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# Whole words of other letters: what tells Cyrillic and Greek from Latin, where one in ten letters has an accent.
_WORDS = re.compile(rb"[\x80-\xff]{3,}")
_SHARE_OF_WORDS = 0.5
_LEAST_BYTES = 12
# A row of dashes or stars is no word.
_LEAST_LETTERS = 8
_SHARE_OF_LETTERS = 0.8
_JUDGED_BYTES = 1 << 16
# Encodings of other scripts than Latin, by Python's names; those of Latin cannot be told apart in a table of products.
_OF_ONE_BYTE = ("cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "iso8859_7", "cp1255", "cp1256")
_OF_MORE_BYTES = ("cp932", "euc_jp", "gb18030", "big5", "cp949", "euc_kr")
# From here on letters of one byte are words, and no part of letters of two.
_LEAST_LIKENESS = 0.5
_TIE = 0.05


class FoundEncoding(NamedTuple):
    """name: as Python calls it. n_mark: length of the byte order mark, bytes. is_assumed: nothing in the text says so."""

    name: str
    n_mark: int = 0
    is_assumed: bool = False


def find_encoding(head: bytes, given: str | None) -> FoundEncoding:
    """The encoding of text that begins so. Raises CatalogueError for one nobody knows.

    given: the encoding that a person has named, None to find it; a byte order mark wins over it. Text that is no UTF-8 is taken
    for Windows-1252, which holds Latin-1, unless it is full of words in another script: nothing tells encodings of Latin
    letters apart in a table of products.
    """
    mark = next((FoundEncoding(encoding, len(bom)) for bom, encoding in _BOMS if head.startswith(bom)), None)
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "".encode(name)
        except (LookupError, UnicodeError) as error:
            raise CatalogueError(
                f"catalog.encoding: {given!r} is no encoding of text; name one such as utf-8, cp1252 or utf-16"
            ) from error
        # A mark says for sure what a setting of an earlier export only assumes.
        if mark is not None:
            return mark
        return FoundEncoding("utf-16-le" if name == "utf-16" else name)
    if mark is not None:
        return mark
    zeros = [head[first:4096:2].count(0) / max(1, len(head[first:4096:2])) for first in (0, 1)]
    if max(zeros) > _ZEROS_OF_UTF_16 > min(zeros):
        return FoundEncoding("utf-16-le" if zeros[1] > zeros[0] else "utf-16-be")
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(head)
    except UnicodeDecodeError:
        return _without_mark(head)
    return FoundEncoding(UTF_8)


def encoding_in_words(name: str) -> str:
    """An encoding for a person."""
    return _NAMES.get(name, name)


def _without_mark(head: bytes) -> FoundEncoding:
    """The encoding of text that is no UTF-8 all through."""
    lines = [line for line in head.splitlines() if _NOT_ASCII.search(line)]
    if 2 * sum(map(_is_utf_8, lines)) > len(lines):
        return FoundEncoding(UTF_8)  # its other lines are read one by one
    sample = b"\n".join(lines)[:_JUDGED_BYTES]
    others = _NOT_ASCII.findall(sample)
    n_in_words = sum(map(len, _WORDS.findall(sample)))
    has_words = n_in_words > _SHARE_OF_WORDS * len(others) and len(set(others)) >= _LEAST_LETTERS
    if len(others) >= _LEAST_BYTES and has_words:
        guessed = _guessed(sample)
        found = _of_one_byte(sample, guessed) or guessed
        if found is not None and _is_written(sample.decode(found, "replace"), b"".join(others)):
            return FoundEncoding(found, is_assumed=True)
    return FoundEncoding(CP_1252, is_assumed=True)


def _of_one_byte(sample: bytes, guessed: str | None) -> str | None:
    """The encoding of one byte a letter in which the text is most like words, by which short ones are told best.

    guessed: taken where it is as good as any.
    """
    likeness: dict[str, float] = {}
    for encoding in _OF_ONE_BYTE:
        with suppress(UnicodeDecodeError):
            likeness[encoding] = likeness_to_words(sample.decode(encoding))
    best = max(likeness, key=likeness.__getitem__, default=None)
    if best is None or likeness[best] < _LEAST_LIKENESS:
        return None
    return guessed if guessed is not None and likeness.get(guessed, 0.0) > likeness[best] - _TIE else best


def _guessed(sample: bytes) -> str | None:
    best = charset_normalizer.from_bytes(sample, cp_isolation=[*_OF_ONE_BYTE, *_OF_MORE_BYTES]).best()
    return best.encoding if best is not None and best.encoding in (*_OF_ONE_BYTE, *_OF_MORE_BYTES) else None


def _is_written(text: str, others: bytes) -> bool:
    """Whether text in another script is of letters, and not of the signs that stand in their places in Windows-1252."""
    letters = [char for char in text if char > "\x7f"]
    as_latin = others.decode(CP_1252, "replace")
    share_latin = sum(map(str.isalpha, as_latin)) / len(as_latin)
    share_small = sum(not char.isupper() for char in letters) / max(1, len(letters))
    return sum(map(str.isalpha, letters)) > _SHARE_OF_LETTERS * len(letters) and max(share_latin, share_small) > 0.5


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode(UTF_8)
    except UnicodeDecodeError:
        return False
    return True
