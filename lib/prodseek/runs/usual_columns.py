"""What catalogues call the columns that hold a product's category and its title."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

# The best first; case, accents, blanks and signs do not count.
USUAL_COLUMNS: Final[Mapping[str, str]] = {
    "category": """
category productcategory categories producttype categoryname categorypath googleproductcategory kategorie produktkategorie
kategorien kategoriename kategoriepfad warengruppe produktgruppe artikelgruppe categoria categorias categorie kategoria kategori
""",
    "title": """
title producttitle productname name itemname titel produkttitel artikeltitel produktname artikelname produktbezeichnung
artikelbezeichnung bezeichnung titulo titre titolo nombre nom nome naam productnaam nazwa namn navn
""",
}


def usual_column(known: str, names: Iterable[str]) -> str | None:
    """The column of a catalogue that holds `category` or `title`, as the catalogue writes it; None where it has none."""
    by_name = {_folded(name): name for name in sorted(names, reverse=True)}
    return next((by_name[name] for name in USUAL_COLUMNS.get(known, "").split() if name in by_name), None)


def _folded(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())
