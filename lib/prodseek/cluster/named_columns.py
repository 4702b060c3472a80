"""Which columns of a catalogue hold the category, the title and the colour of a product."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from prodseek.runs.usual_columns import usual_columns

# A column is passed over if another says something of more than twice as many photos: shops leave columns of taxonomies empty,
# or fill them with numbers.
_FULL_ENOUGH = 0.5


@dataclass(frozen=True)
class NamedColumns:
    """The columns as the catalogue writes them; None where it has none."""

    category: str | None
    title: str | None
    colour: str | None = None

    @property
    def not_found(self) -> str:
        """What a person should know of what is missing; empty if nothing is. Few catalogues have a column of colours."""
        missing = [name for name, column in (("category", self.category), ("title", self.title)) if column is None]
        return f"no column of the catalogue says a {' and none a '.join(missing)}" if missing else ""


def named_columns(n_said: Mapping[str, int], given: Collection[str] = ()) -> NamedColumns:
    """Find the columns among all names of a catalogue.

    n_said: name -> of how many photos it says something in words. given: what the configuration names a column for, which then
    is taken whatever it says.
    """

    def found(known: str) -> str | None:
        if known in given and known in n_said:
            return known
        names = [name for name in usual_columns(known, n_said) if n_said[name]]
        fullest = max((n_said[name] for name in names), default=0)
        return next((name for name in names if n_said[name] >= _FULL_ENOUGH * fullest), None)

    return NamedColumns(found("category"), found("title"), found("colour"))
