"""Which columns of a catalogue hold the category and the title of a product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prodseek.runs.usual_columns import usual_column


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
    known = list(names)
    return NamedColumns(usual_column("category", known), usual_column("title", known))
