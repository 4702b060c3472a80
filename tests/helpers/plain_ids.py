"""Ids of tests: plain words, the same whenever and wherever they are collected."""

from __future__ import annotations

import re
import unicodedata
from types import FunctionType

MAX_CHARACTERS = 60


def id_of(value: object, argument: str) -> str | None:
    """What stands for a parameter's value in a test's id; None where pytest's own words are plain: numbers, classes, None.

    A string becomes its words. Bytes and functions without a name get the argument's name, because what they hold may
    depend on the moment they are made in. Pytest numbers ids that come twice.
    """
    if isinstance(value, str):
        return words_of(value) or (argument if value else "nothing")
    if isinstance(value, bytes) or (isinstance(value, FunctionType) and value.__name__ == "<lambda>"):
        return argument
    return None


def words_of(text: str) -> str:
    """The words of a text in ASCII, cut off after MAX_CHARACTERS."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = " ".join(re.findall(r"\w+(?:[.'-]\w+)*", ascii_text))
    return words if len(words) <= MAX_CHARACTERS else words[:MAX_CHARACTERS].rsplit(" ", 1)[0]
