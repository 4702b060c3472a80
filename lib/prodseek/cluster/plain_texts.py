"""Texts of a catalogue, made plain: without markup and accents, short and on one line."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

# A phrase longer than this is cut; of longer texts only the beginning is read.
MOST_CHARACTERS: Final = 40
_READ_CHARACTERS = 500

_MARKUP = re.compile(r"<[^<>]{0,200}>")
# Our own word for a group, which tells nothing of what is in it.
_LOOK_ALIKES = re.compile(r"look[\W_]{0,3}alikes?", re.IGNORECASE)


def phrase(text: str) -> str:
    """A text on one line, without control characters, at most MOST_CHARACTERS long."""
    shown = " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())
    if len(shown) <= MOST_CHARACTERS:
        return shown
    whole_words = shown[: MOST_CHARACTERS - 1].rpartition(" ")[0]
    return (whole_words or shown[: MOST_CHARACTERS - 1]) + "…"


def folded(text: str) -> str:
    """Letters and digits alone, without case and accents; marks of scripts other than these stay."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in letters if c.isalnum())


def plain_text(text: str) -> str:
    """The beginning of a text, without markup and `look-alikes`, in Unicode's composed form."""
    composed = unicodedata.normalize("NFC", html.unescape(_MARKUP.sub(" ", text[:_READ_CHARACTERS])))
    return _LOOK_ALIKES.sub(" ", composed)
