"""Which columns of a manifest hold what prodseek knows, found by name whatever its case and blanks are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prodseek.catalogue.column_names import PHOTO_NAME, folded, is_row, listed, match, short
from prodseek.catalogue.feeds import FEEDS, Feed
from prodseek.config import CatalogConfig, KnownColumn
from prodseek.errors import CatalogueError
from prodseek.runs.usual_columns import narrower_columns, usual_column

# What a column is kept as beside its own name, so that stages find it: groups are named after category, title and colour.
FACTS: Final[tuple[KnownColumn, ...]] = ("title", "category", "colour", "supplier", "created", "ean")
# Those that are the same in all rows of a product; the others may be a size's.
PRODUCT_FACTS: Final[tuple[KnownColumn, ...]] = ("title", "category", "supplier")
# Ids that are digits; pandas makes numbers with a fraction of them where one is missing.
ID_FACTS: Final = ("ean",)
# The index that pandas wrote beside the columns.
_PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?")
# What a setting says until somebody says otherwise: only then is a column of another usual name taken.
_UNNAMED = {"uri": "uri", "product_id": "product_id"}
_NUMBER = re.compile(r" \(\d+\)$")
# Why a column is passed over that could be read as text.
BYTES: Final = "bytes"


@dataclass(frozen=True)
class Columns:
    """Where a manifest holds what. Names are its own, `image.path` for a field of a struct; None where it has no such column.

    photo: the column of photos that the manifest holds itself. facts: what prodseek knows -> column. attributes: columns that
    are kept as they are. passed_over: columns that nobody needs, with the reason. more_uris: columns of further photos.
    lists: columns whose cells hold several photos, with commas between them. has_other_rows: a product has several rows, and
    those that name no photo are no rows of the catalogue. spare_id: the column that names the product where product_id is
    empty. no_photo: what names of photos say where there is none. category_marks: see `Feed`. narrower: columns of the levels
    below that of the category's column, the widest first. notes: what else to know.
    """

    product_id: str | None
    uri: str | None
    photo: str | None
    facts: Mapping[KnownColumn, str]
    attributes: tuple[str, ...]
    passed_over: Mapping[str, str]
    more_uris: tuple[str, ...] = ()
    lists: frozenset[str] = frozenset()
    has_other_rows: bool = False
    spare_id: str | None = None
    no_photo: str = ""
    category_marks: tuple[tuple[str, str], ...] = ()
    narrower: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def uris(self) -> tuple[str, ...]:
        """The columns that name photos, the main one first."""
        return () if self.uri is None else (self.uri, *self.more_uris)

    @property
    def product_facts(self) -> tuple[str, ...]:
        """Attributes that say something of the product, where it has several rows."""
        facts = {known: name for known, name in self.facts.items() if known in PRODUCT_FACTS}
        return tuple(dict.fromkeys((*facts, *facts.values())))

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """Attributes that a photo gets: (its name, the manifest's column). A fact has both names where they differ."""
        own = ((name, name) for name in self.attributes if name not in self.facts)
        return (*own, *self.facts.items())

    def lines(self) -> list[str]:
        """What was found and what was not, for a person."""
        own = (("product_id", self.product_id), ("uri", self.uri), ("photo", self.photo), *self.facts.items())
        told = ", ".join(known if known == name else f"{known} = {short(name)!r}" for known, name in own if name)
        told += f", narrower levels of category = {listed(self.narrower)}" if self.narrower else ""
        told += f", further photos = {listed(self.more_uris)}" if self.more_uris else ""
        absent = [known for known in FACTS if known not in self.facts]
        lines = [f"columns found: {told}" + (f"; not found: {', '.join(absent)}" if absent else "")]
        if self.passed_over:
            lines.append(
                f"passed over: {listed([f'{short(name)!r} ({why})' for name, why in self.passed_over.items()], str)}"
            )
        if self.has_other_rows:
            lines.append(
                "rows that name no photo are passed over: this kind of feed has some for sizes, colours or languages"
            )
        if self.spare_id is not None:
            lines.append(
                f"rows without {short(self.product_id or '')!r} are of the product in {short(self.spare_id)!r}"
            )
        return [*lines, *self.notes]


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
    feed = _feed_of(found, wanted, all_names)
    if feed is not None:
        found |= _by_feed(feed, found, wanted, all_names)
    settings = {"uri": "uri_column", "product_id": "product_id_column", "photo": "bytes_column"}
    absent = [f"{wanted[what]!r} (catalog.{settings[what]})" for what, name in found.items() if name is None]
    facts = {known: _fact(known, config, feed, all_names) for known in FACTS}
    absent += [
        f"{name!r} (catalog.columns.{known})" for known, name in config.columns.items() if facts.get(known) is None
    ]
    more, absent_more = _more_uris(config, feed, found.get("uri"), all_names)
    absent += absent_more
    if absent:
        shown = listed([name for name in names if name]) or "none"
        raise CatalogueError(
            f"{where} has no column {' and no column '.join(absent)}; it has {shown}. {_help(found, names)}"
        )
    own = {name if name in names else name.split(".")[0] for name in (*found.values(), *more) if name is not None}
    in_bytes = {name for name in facts.values() if name in names and (unneeded or {}).get(name or "") == BYTES}
    passed_over = {
        name: why for name, why in (unneeded or {}).items() if name not in {*found.values(), *more, *in_bytes}
    }
    attributes = []
    for name in names:
        if not name or _PANDAS_INDEX.fullmatch(name):
            if name not in own:
                passed_over[name] = "has no name" if not name else "pandas' index"
        elif name not in own and name not in passed_over and name not in in_bytes:
            attributes.append(name)
    kept_facts = {known: name for known, name in facts.items() if name and name not in (*own, *passed_over)}
    return Columns(
        found.get("product_id"),
        found.get("uri"),
        found.get("photo"),
        kept_facts,
        tuple(attributes),
        passed_over,
        more_uris=more,
        lists=frozenset(n for n in (found.get("uri"), *more) if n and feed and _is_called(n, feed.lists)),
        has_other_rows=feed is not None and feed.has_other_rows,
        no_photo="" if feed is None else feed.no_photo,
        category_marks=() if feed is None else feed.marks_of(facts["category"]),
        narrower=_narrower(kept_facts.get("category"), config, attributes),
        spare_id=_spare_id(feed, found.get("product_id"), names),
        notes=_twins(found, attributes),
    )


def _feed_of(found: Mapping[str, str | None], wanted: Mapping[str, str | None], names: Sequence[str]) -> Feed | None:
    """The kind of feed whose column of photos is the manifest's, or is there where none was found."""
    for feed in FEEDS:
        name = match(feed.uri, names)
        is_meant = found.get("uri") is None and wanted["uri"] == _UNNAMED["uri"]
        if name is not None and (name == found.get("uri") or is_meant):
            return feed
    return None


def _by_feed(
    feed: Feed, found: Mapping[str, str | None], wanted: Mapping[str, str | None], names: Sequence[str]
) -> dict[str, str | None]:
    """Columns by the names that a kind of feed has for them, where they were not found by their own."""
    usual = {"uri": (feed.uri,), "product_id": feed.product_ids}
    return {
        what: next((name for called in usual[what] if (name := match(called, names)) is not None), None)
        for what in usual
        if found.get(what, "") is None and wanted[what] == _UNNAMED[what]
    }


def _spare_id(feed: Feed | None, product_id: str | None, names: Sequence[str]) -> str | None:
    if feed is None or not feed.is_id_optional or product_id is None:
        return None
    first, spare = (match(called, names) for called in feed.product_ids)
    return spare if product_id == first else None


def _fact(known: KnownColumn, config: CatalogConfig, feed: Feed | None, names: Sequence[str]) -> str | None:
    given = config.columns.get(known)
    usual = (known, *(feed.facts.get(known, ()) if feed is not None else ()))
    tried = (given,) if given is not None else usual
    found = next((name for called in tried if (name := match(called, names)) is not None), None)
    return usual_column(known, names) if found is None and given is None else found


def _narrower(category: str | None, config: CatalogConfig, attributes: Sequence[str]) -> tuple[str, ...]:
    """Columns of narrower levels of the category; none where somebody has said which column the category is."""
    return () if category is None or "category" in config.columns else narrower_columns(category, attributes)


def _more_uris(
    config: CatalogConfig, feed: Feed | None, uri: str | None, names: Sequence[str]
) -> tuple[tuple[str, ...], list[str]]:
    """Columns of further photos, and those that somebody has named and are not there."""
    if config.more_uri_columns is not None:
        found = {name: match(name, names) for name in config.more_uri_columns}
        absent = [f"{name!r} (catalog.more_uri_columns)" for name, column in found.items() if column is None]
        return tuple(dict.fromkeys(column for column in found.values() if column and column != uri)), absent
    if feed is None or not feed.more:
        return (), []
    return tuple(name for name in names if name != uri and _is_called(name, feed.more)), []


def _is_called(name: str, pattern: str) -> bool:
    """Whether a column has a usual name, or that name and a number because it stands in the header again."""
    return bool(pattern) and re.fullmatch(rf"({pattern})( \(\d+\))?", folded(name).replace("_(", " (")) is not None


def _twins(found: Mapping[str, str | None], attributes: Sequence[str]) -> tuple[str, ...]:
    """What is called like a column that is read, but for capitals and blanks."""
    return tuple(
        f"beside {short(name)!r} there is {short(other)!r}, which is kept as an attribute"
        for name in dict.fromkeys(found.values())
        if name is not None
        for other in attributes
        if folded(_NUMBER.sub("", other)) == folded(name)
    )


def every_column(names: Sequence[str]) -> Columns:
    """All columns of a table that is no catalogue, each kept as it is."""
    return Columns(None, None, None, {}, tuple(name for name in names if name), {})


def n_known(header: Sequence[str], config: CatalogConfig) -> int:
    """How many of the columns that prodseek looks for a header has."""
    wanted = [config.product_id_column, config.uri_column, *FACTS, *config.columns.values()]
    wanted += [name for feed in FEEDS for name in (feed.uri, *feed.product_ids)]
    names = {folded(name) for name in header}
    return len({folded(name) for name in wanted if name is not None} & names)


def _help(found: Mapping[str, str | None], names: Sequence[str]) -> str:
    """What to type."""
    if is_row(names):
        said = ", ".join("uri" if PHOTO_NAME.fullmatch(name.strip()) else f"c{n}" for n, name in enumerate(names, 1))
        return (
            f"Its first row seems to be no header but a row: say what its columns are called, product_id and uri among them, "
            f"with --set 'catalog.csv_header=[{said}]'"
        )
    if len(names) == 1 and (marks := re.findall(r"[^\w\s.\"'-]", names[0]) or re.findall(" ", names[0])):
        mark = max(marks, key=marks.count)
        # In quotes, because YAML takes # for a comment and a blank for nothing.
        return f"If another character divides it, name it, such as --set 'catalog.csv_delimiter={json.dumps(mark)}'"
    options = {
        "uri": "--set catalog.uri_column=... ",
        "product_id": "--set catalog.product_id_column=... (null: every photo is its own product) ",
        "photo": "--set catalog.bytes_column=... ",
    }
    told = "and ".join(options[what] for what, name in found.items() if name is None)
    return f"Name the columns that it has with {told.rstrip() or '--set catalog.columns=...'}"
