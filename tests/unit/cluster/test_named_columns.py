from __future__ import annotations

import pytest

from prodseek.cluster.named_columns import NamedColumns, named_columns


@pytest.mark.parametrize(
    ("names", "category", "title"),
    [
        (["category", "title"], "category", "title"),
        ([" Category", "TITLE "], " Category", "TITLE "),
        (["Product_Type", "product-name"], "Product_Type", "product-name"),
        (["name", "title", "kategorie"], "kategorie", "title"),
        (["Catégorie", "Titre"], "Catégorie", "Titre"),
        (["Categoría", "Título"], "Categoría", "Título"),
        (["Warengruppe", "Artikelbezeichnung"], "Warengruppe", "Artikelbezeichnung"),
        (["Produktkategorie", "Produktbezeichnung"], "Produktkategorie", "Produktbezeichnung"),
        (["Kategorien", "Titel"], "Kategorien", "Titel"),
        (["google_product_category", "title"], "google_product_category", "title"),
        (["Category Name", "Product Title"], "Category Name", "Product Title"),
        (["google_product_category", "product_type"], "product_type", None),
        (["Hoofdgroep", "Omschrijving"], "Hoofdgroep", "Omschrijving"),
        (["Tipologia", "Descrizione", "Settore"], "Settore", "Descrizione"),
        (["Rayon", "Désignation"], "Rayon", "Désignation"),
        (["Univers", "Famille", "Libellé", "Référence"], "Famille", "Libellé"),
        (["Catégorie produit", "Nom du produit"], "Catégorie produit", "Nom du produit"),
        (["Intitulé", "Titre produit", "Intitulé court"], None, "Titre produit"),
        (["Department", "Main Category", "Subcategory"], "Subcategory", None),
        (["Category 1", "Category 2", "Item Title"], "Category 1", "Item Title"),
        (["Artikelnummer", "Artikel", "Produktart"], "Produktart", "Artikel"),
        (["Artikel", "Kurzbezeichnung", "Artikelkategorie"], "Artikelkategorie", "Kurzbezeichnung"),
        (["title_en", "title_de", "kategorie (DE)"], "kategorie (DE)", "title_de"),
        (["title", "Title_de", "name_de"], None, "title"),
        (["Type", "category_id", "subtitle", "filename", "Famille de prix", "Artikel-Nr."], None, None),
        (["title_no", "name2", "description_en", "en"], None, None),
        ([], None, None),
    ],
)
def test_found_whatever_case_blanks_and_signs(names: list[str], category: str | None, title: str | None) -> None:
    assert named_columns(names) == NamedColumns(category, title)
    assert named_columns(reversed(names)) == NamedColumns(category, title)


def test_what_is_missing_is_said() -> None:
    assert NamedColumns("Category", "Title").not_found == ""
    assert NamedColumns(None, "Title").not_found == "the catalogue has no column category"
    assert NamedColumns(None, None).not_found == "the catalogue has no column category and none title"
