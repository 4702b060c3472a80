"""What catalogues call the columns that hold a product's category, its title and its colour."""

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
mastercategory primarycategory hauptkategorie hauptwarengruppe categorieprincipale
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
    "colour": """
colour color colourname colorname productcolour productcolor maincolour maincolor basecolour basecolor colourfamily colorfamily
farbe farbname hauptfarbe grundfarbe couleur couleurprincipale colore coloreprincipale colorprincipal kleur hoofdkleur cor kolor
farg farve farge
""",
}


# Between the levels of a category that columns of their own hold.
BETWEEN_LEVELS: Final = " > "
# `Category 1`, `category_l1`, `Level 1 Category`: what the widest of several levels is called, and where its number stands.
_LEVEL = "(?:l|lvl|level|ebene|stufe|niveau|nivel|livello)?"
_FIRST_LEVEL = re.compile(rf"{_LEVEL}(?P<number>[01])(?P<stem>[^\W\d]+)|(?P<stem_>[^\W\d]+?){_LEVEL}(?P<number_>[01])")
_NUMBER = re.compile(r"\d")
# A name of a column may end with the language of what it holds.
_LANGUAGE = re.compile(r"[\W_]+(?:en|de|fr|es|it|nl|pt|pl|sv|da)\W*$", re.IGNORECASE)


def usual_column(known: str, names: Iterable[str]) -> str | None:
    """The column of a catalogue that holds `category`, `title` or `colour`, as the catalogue writes it; None if it has none."""
    return next(usual_columns(known, names), None)


def usual_columns(known: str, names: Iterable[str]) -> Iterator[str]:
    """All columns of a catalogue that may hold `category`, `title` or `colour`, as the catalogue writes them, the best first."""
    in_order = sorted(names, reverse=True)
    by_name = {_folded(_LANGUAGE.sub("", name)): name for name in in_order} | {_folded(name): name for name in in_order}
    usual = USUAL_COLUMNS.get(known, "").split()
    first_levels: dict[str, str] = {}
    # Of levels from 0 on, that is the widest: it comes last here, and stays.
    for folded in sorted(by_name, reverse=True) if known == "category" else ():
        numbered = _FIRST_LEVEL.fullmatch(folded)
        if numbered is not None:
            first_levels[numbered["stem"] or numbered["stem_"]] = by_name[folded]
    return (found[name] for name in usual for found in (by_name, first_levels) if name in found)


def narrower_columns(widest: str, names: Iterable[str]) -> tuple[str, ...]:
    """The columns of the levels below the widest one, such as `Category 2` and `Category 3` below `Category 1`, in their order.

    Empty if `widest` has no number of a first level, or none follows.
    """
    by_name = {_folded(name): name for name in names}
    first = _FIRST_LEVEL.fullmatch(_folded(widest))
    if first is None:
        return ()
    number, found = int(first["number"] or first["number_"]), []
    while (name := by_name.get(_NUMBER.sub(str(number + 1), _folded(widest)))) is not None:
        found.append(name)
        number += 1
    return tuple(found)


def _folded(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())
