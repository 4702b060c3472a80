"""What catalogues call the columns that hold a product's category and its title."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

# The best first; case, accents, blanks and signs do not count.
USUAL_COLUMNS: Final[Mapping[str, str]] = {
    "category": """
category productcategory categories producttype categoryname categorypath kategorie produktkategorie
kategorien kategoriename kategoriepfad warengruppe produktgruppe artikelgruppe categoria categorias categorie kategoria kategori
categorieproduit categoriesproduit categoriaproducto categoriaprodotto artikelkategorie itemcategory productgroup produktart
produkttyp artikelart articletype subcategory unterkategorie souscategorie sousfamille subcategoria sottocategoria maincategory
mastercategory primarycategory hauptkategorie hauptwarengruppe categorieprincipale category1 categorylevel1 kategorie1 categorie1
department productdepartment abteilung rayon famille univers rubrique familia departamento famiglia reparto afdeling productgroep
artikelgroep hoofdgroep subgroep unterwarengruppe gruppomerceologico settore sottofamiglia tipologia tipoprodotto tipodeproducto
googleproductcategory
""",
    "title": """
title producttitle productname name itemname titel produkttitel artikeltitel produktname artikelname produktbezeichnung
artikelbezeichnung bezeichnung titulo titre titolo nombre nom nome naam productnaam nazwa namn navn itemtitle kurzbezeichnung
artikelbezeichnungkurz nomduproduit nomproduit titreproduit titreduproduit designation designationproduit libelle libelleproduit
intitule nombreproducto nombredelproducto nomeprodotto nomedelprodotto denominazione denominacion omschrijving productomschrijving
artikelomschrijving descrizione descrizioneprodotto nomearticolo titoloprodotto artikel article
""",
}


# A name of a column may end with the language of what it holds.
_LANGUAGE = re.compile(r"[\W_]+(?:en|de|fr|es|it|nl|pt|pl|sv|da)\W*$", re.IGNORECASE)


def usual_column(known: str, names: Iterable[str]) -> str | None:
    """The column of a catalogue that holds `category` or `title`, as the catalogue writes it; None where it has none."""
    return next(usual_columns(known, names), None)


def usual_columns(known: str, names: Iterable[str]) -> Iterator[str]:
    """All columns of a catalogue that may hold `category` or `title`, as the catalogue writes them, the best first."""
    in_order = sorted(names, reverse=True)
    by_name = {_folded(_LANGUAGE.sub("", name)): name for name in in_order} | {_folded(name): name for name in in_order}
    return (by_name[name] for name in USUAL_COLUMNS.get(known, "").split() if name in by_name)


def _folded(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())
