"""Names of columns: which are the same though they are written differently, and how messages show them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

# Blanks without a width, which come along where a name is copied from a page.
ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff"
_ANY_ZERO_WIDTH = re.compile(f"[{ZERO_WIDTH}]")
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")
_SHOWN_COLUMNS = 40
_SHOWN_CHARS = 60
# The field that names a photo, where an object does.
_PHOTO_FIELDS = ("url", "src", "uri", "link", "href")
# What a header that was taken for one and is a row says of itself.
PHOTO_NAME = re.compile(r"(https?://\S+|[^,;|]+\.(jpe?g|png|webp|gif|tiff?|avif))", re.IGNORECASE)


def distinct(header: Sequence[str]) -> tuple[str, ...]:
    """A header's names without blanks around them; one that stands there again gets a number, one without a name stays empty.

    Of `URI` and `uri` the one without capitals keeps its name, wherever it stands, because it is asked for by that.
    """
    trimmed = [name.strip().strip(ZERO_WIDTH).strip() for name in header]
    plain = {name for name in trimmed if name == name.casefold()}
    taken: set[str] = set()
    names: list[str] = []
    for name in trimmed:
        again = 1 if name in plain or name.casefold() not in plain else 2
        unique = name if again == 1 else f"{name} ({again})"
        while unique.casefold() in taken:  # Spark does not tell names apart by their case
            again += 1
            unique = f"{name} ({again})"
        if name:
            taken.add(unique.casefold())
        names.append(unique)
    return tuple(names)


def match(wanted: str, names: Sequence[str]) -> str | None:
    """The column that is called so; else the only one whose name differs in case and blanks alone."""
    if wanted in names:
        return wanted
    alike = [name for name in names if folded(name) == folded(wanted)]
    return alike[0] if len(alike) == 1 else None


def folded(name: str) -> str:
    """A name without what people write differently: `Product ID` and `product_id` are one."""
    return _BETWEEN_WORDS.sub("_", _ANY_ZERO_WIDTH.sub("", name).strip().casefold())


def photo_field(names: Sequence[str]) -> str | None:
    """The only one of an object's names that a photo's address usually has."""
    found = [name for name in names if folded(name) in _PHOTO_FIELDS]
    return found[0] if len(found) == 1 else None


def is_row(header: Sequence[str]) -> bool:
    """Whether what was taken for a header is a row of a table that has none: names of columns are no photos."""
    return any(PHOTO_NAME.fullmatch(name.strip()) for name in header)


def listed(names: Sequence[str], written: Callable[[str], str] = lambda name: repr(short(name))) -> str:
    """The first of some names for a message."""
    more = f", and {len(names) - _SHOWN_COLUMNS:,} more" if len(names) > _SHOWN_COLUMNS else ""
    return ", ".join(map(written, names[:_SHOWN_COLUMNS])) + more


def short(name: str) -> str:
    """A name for a message."""
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}..."
