"""Which columns of a manifest hold what prodseek knows, found by name whatever its case and blanks are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prodseek.config import CatalogConfig, KnownColumn
from prodseek.errors import CatalogueError

# What a column is kept as beside its own name, so that stages find it: groups are named after category and title.
FACTS: Final[tuple[KnownColumn, ...]] = ("title", "category", "supplier", "created", "ean")
# Ids that are digits; pandas makes numbers with a fraction of them where one is missing.
ID_FACTS: Final = ("ean",)
# What programs write where there is no value. Not NA, which is a country and a size.
ABSENT: Final = ("", "NaN", "nan", "NULL", "null", "None", "<NA>", "\\N", "#N/A")
# The index that pandas wrote beside the columns.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?")
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")
_SHOWN_COLUMNS = 40
_SHOWN_CHARS = 60


@dataclass(frozen=True)
class Columns:
    """Where a manifest holds what. Names are its own, `image.path` for a field of a struct; None where it has no such column.

    photo: the column of photos that the manifest holds itself. facts: what prodseek knows -> column. attributes: columns that
    are kept as they are. passed_over: columns that nobody needs, with the reason.
    """

    product_id: str | None
    uri: str | None
    photo: str | None
    facts: Mapping[KnownColumn, str]
    attributes: tuple[str, ...]
    passed_over: Mapping[str, str]

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """Attributes that a photo gets: (its name, the manifest's column). A fact has both names where they differ."""
        own = ((name, name) for name in self.attributes if name not in self.facts)
        return (*own, *self.facts.items())

    def lines(self) -> list[str]:
        """What was found and what was not, for a person."""
        own = (("product_id", self.product_id), ("uri", self.uri), ("photo", self.photo), *self.facts.items())
        told = ", ".join(known if known == name else f"{known} = {_short(name)!r}" for known, name in own if name)
        absent = [known for known in FACTS if known not in self.facts]
        lines = [f"columns found: {told}" + (f"; not found: {', '.join(absent)}" if absent else "")]
        if self.passed_over:
            lines.append(
                f"passed over: {_listed([f'{_short(name)!r} ({why})' for name, why in self.passed_over.items()], str)}"
            )
        return lines


def distinct(header: Sequence[str]) -> tuple[str, ...]:
    """A header's names without blanks around them; one that stands there again gets a number, one without a name stays empty.

    Of `URI` and `uri` the one without capitals keeps its name, wherever it stands, because it is asked for by that.
    """
    trimmed = [name.strip().strip("\ufeff") for name in header]
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


def find_columns(
    names: Sequence[str],
    config: CatalogConfig,
    where: str,
    fields: Sequence[str] = (),
    unneeded: Mapping[str, str] | None = None,
) -> Columns:
    """Find the columns that the configuration names. Raises CatalogueError that names every one that is not there.

    names: the manifest's columns. where: the manifest as messages call it, with what was read of it. fields: those of its
    columns that are structs, as `image.path`. unneeded: columns that nobody can keep -> why.
    """
    all_names = (*names, *fields)
    wanted = {"uri": config.uri_column, "product_id": config.product_id_column, "photo": config.bytes_column}
    found = {what: match(name, all_names) for what, name in wanted.items() if name is not None}
    if found.get("photo") != config.bytes_column:
        found["photo"] = None  # the photos are read by the very name, long after
    settings = {"uri": "uri_column", "product_id": "product_id_column", "photo": "bytes_column"}
    absent = [f"{wanted[what]!r} (catalog.{settings[what]})" for what, name in found.items() if name is None]
    facts = {known: match(config.columns.get(known) or known, all_names) for known in FACTS}
    absent += [
        f"{name!r} (catalog.columns.{known})" for known, name in config.columns.items() if facts.get(known) is None
    ]
    if absent:
        shown = _listed([name for name in names if name]) or "none"
        raise CatalogueError(
            f"{where} has no column {' and no column '.join(absent)}; it has {shown}. Name the columns that it has with "
            f"{_to_set([what for what, name in found.items() if name is None])}`prodseek check` shows what is in them"
        )
    own = {name if name in names else name.split(".")[0] for name in found.values() if name is not None}
    passed_over = dict(unneeded or {})
    attributes = []
    for name in names:
        if not name or _PANDAS_INDEX.fullmatch(name):
            if name not in own:
                passed_over[name] = "has no name" if not name else "pandas' index"
        elif name not in own and name not in passed_over:
            attributes.append(name)
    kept_facts = {known: name for known, name in facts.items() if name and name not in (*own, *passed_over)}
    return Columns(
        found.get("product_id"), found.get("uri"), found.get("photo"), kept_facts, tuple(attributes), passed_over
    )  # fmt: skip


def every_column(names: Sequence[str]) -> Columns:
    """All columns of a table that is no catalogue, each kept as it is."""
    return Columns(None, None, None, {}, tuple(name for name in names if name), {})


def match(wanted: str, names: Sequence[str]) -> str | None:
    """The column that is called so; else the only one whose name differs in case and blanks alone."""
    if wanted in names:
        return wanted
    alike = [name for name in names if folded(name) == folded(wanted)]
    return alike[0] if len(alike) == 1 else None


def folded(name: str) -> str:
    """A name without what people write differently: `Product ID` and `product_id` are one."""
    return _BETWEEN_WORDS.sub("_", name.strip().casefold())


def n_known(header: Sequence[str], config: CatalogConfig) -> int:
    """How many of the columns that prodseek looks for a header has."""
    wanted = [config.product_id_column, config.uri_column, *FACTS, *config.columns.values()]
    names = {folded(name) for name in header}
    return sum(folded(name) in names for name in wanted if name is not None)


def _listed(names: Sequence[str], written: Callable[[str], str] = lambda name: repr(_short(name))) -> str:
    """The first of some names for a message."""
    more = f", and {len(names) - _SHOWN_COLUMNS:,} more" if len(names) > _SHOWN_COLUMNS else ""
    return ", ".join(map(written, names[:_SHOWN_COLUMNS])) + more


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}..."


def _to_set(absent: Sequence[str]) -> str:
    options = {
        "uri": "--set catalog.uri_column=... ",
        "product_id": "--set catalog.product_id_column=... (null: every photo is its own product) ",
        "photo": "--set catalog.bytes_column=... ",
    }
    said = "and ".join(options[what] for what in absent)
    return f"{said.rstrip()}; " if said else "--set catalog.columns=...; "
