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
    assert named_columns(dict.fromkeys(names, 9)) == NamedColumns(category, title)
    assert named_columns(dict.fromkeys(reversed(names), 9)) == NamedColumns(category, title)


@pytest.mark.parametrize(
    ("n_said", "category"),
    [
        ({"category": 0, "Product Category": 9}, "Product Category"),
        ({"category": 0, "product_type": 0, "google_product_category": 0}, None),
        ({"category": 4, "Product Category": 9}, "Product Category"),
        ({"category": 5, "Product Category": 9}, "category"),
        ({"google_product_category": 9, "product_type": 6}, "product_type"),
    ],
    ids=["empty", "all numbers", "less than half as full", "half as full", "fuller, but of a taxonomy"],
)
def test_a_column_that_says_little_is_passed_over(n_said: dict[str, int], category: str | None) -> None:
    assert named_columns(n_said).category == category


def test_what_the_configuration_names_is_taken_whatever_it_says() -> None:
    assert named_columns({"category": 1, "product_type": 9}, given=["category"]).category == "category"


def test_what_is_missing_is_said() -> None:
    assert NamedColumns("Category", "Title").not_found == ""
    assert NamedColumns(None, "Title").not_found == "no column of the catalogue says a category"
    assert NamedColumns(None, None).not_found == "no column of the catalogue says a category and none a title"
