"""Which columns of a catalogue hold the category and the title of a product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Names as catalogues have them, the best first; case, blanks and signs do not count.
_CATEGORY = ("category", "productcategory", "categories", "producttype", "kategorie", "categoria", "categorie")
_TITLE = ("title", "producttitle", "productname", "name", "titel", "produktname", "bezeichnung", "titulo", "titre")


@dataclass(frozen=True)
class NamedColumns:
    """The columns as the catalogue writes them; None where it has none."""

    category: str | None
    title: str | None

    @property
    def not_found(self) -> str:
        """What a person should know of what is missing; empty if nothing is."""
        missing = [name for name, column in (("category", self.category), ("title", self.title)) if column is None]
        return f"the catalogue has no column {' and none '.join(missing)}" if missing else ""


def named_columns(names: Iterable[str]) -> NamedColumns:
    """Find the columns among all names of a catalogue."""
    by_name = {_folded(name): name for name in sorted(names, reverse=True)}

    def first(known: tuple[str, ...]) -> str | None:
        return next((by_name[name] for name in known if name in by_name), None)

    return NamedColumns(first(_CATEGORY), first(_TITLE))


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
