"""Columns are found by name, whatever its case and blanks; what is not there is said with what to set."""

from __future__ import annotations

import pytest

from prodseek.catalogue.column_names import distinct, match
from prodseek.catalogue.columns import Columns, find_columns
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def found(*names: str, settings: tuple[str, ...] = (), **more: object) -> Columns:
    return find_columns(names, load_config(settings=settings).catalog, "the manifest 'm.csv'", **more)  # type: ignore[arg-type]


def test_names_differ_in_case_and_blanks_alone() -> None:
    columns = found("Product ID", "URI", "TITLE", "Category", "Farbe", "", "Unnamed: 0", "__index_level_0__")
    assert (columns.product_id, columns.uri, columns.photo) == ("Product ID", "URI", None)
    assert columns.facts == {"title": "TITLE", "category": "Category", "colour": "Farbe"} and columns.attributes == (
        "TITLE",
        "Category",
        "Farbe",
    )
    assert columns.kept == (
        ("TITLE", "TITLE"), ("Category", "Category"), ("Farbe", "Farbe"), ("title", "TITLE"), ("category", "Category"),
        ("colour", "Farbe"),
    )  # fmt: skip
    assert columns.lines() == [
        "columns found: product_id = 'Product ID', uri = 'URI', title = 'TITLE', category = 'Category', colour = 'Farbe'; not "
        "found: supplier, created, ean",
        "passed over: '' (has no name), 'Unnamed: 0' (pandas' index), '__index_level_0__' (pandas' index)",
    ]


def test_blanks_without_a_width_do_not_count() -> None:
    assert distinct(["\u200bproduct_id", "uri\u2060 ", "\ufeff"]) == ("product_id", "uri", "")
    assert match("product_id", ("pro\u200bduct_id",)) == "pro\u200bduct_id"


def test_the_very_name_is_meant_before_one_like_it() -> None:
    assert match("uri", ("URI", "uri", " Uri")) == "uri"
    assert match("uri", ("URI", "Uri")) is None, "nobody knows which"
    assert match("product-id", ("PRODUCT_ID",)) == "PRODUCT_ID"


@pytest.mark.parametrize(
    ("category", "title"),
    [("Catégorie", "Titre"), ("Categoría", "Título"), ("Warengruppe", "Artikelbezeichnung"), ("Category Name", "Name")],
)
def test_usual_names_in_other_languages_are_found_as_titles_of_groups_find_them(category: str, title: str) -> None:
    columns = found("product_id", "uri", title, category)
    assert columns.facts == {"title": title, "category": category}
    assert found("product_id", "uri", title, "Title").facts == {"title": "Title"}, (
        "the very name is meant before others"
    )
    assert found(title, "uri", settings=(f"catalog.product_id_column={title}",)).facts == {}, "an id is no title"


@pytest.mark.parametrize(
    ("names", "category"),
    [
        (("id", "title", "image_link", "google_product_category", "product_type"), "product_type"),
        (("id", "title", "image_link", "google_product_category"), "google_product_category"),
        (("Handle", "Title", "Product Category", "Type", "Image Src"), "Type"),
        (("Handle", "Title", "Product Category", "Image Src"), "Product Category"),
    ],
    ids=["Google's and the shop's own", "Google's alone", "Shopify's and the shop's own", "Shopify's alone"],
)
def test_a_shop_s_own_words_come_before_a_taxonomy(names: tuple[str, ...], category: str) -> None:
    assert found(*names).facts["category"] == category


def test_a_person_says_what_a_column_is() -> None:
    settings = ("catalog.columns={title: Artikelname, uri: Bild}", "catalog.product_id_column=Nr")
    columns = found("Nr", "Bild", "artikelname", "title", settings=settings)
    assert (columns.product_id, columns.uri, columns.facts) == ("Nr", "Bild", {"title": "artikelname"})
    assert dict(columns.kept) == {"artikelname": "artikelname", "title": "artikelname"}
    with pytest.raises(CatalogueError, match=r"no column 'Name' \(catalog.columns.title\)"):
        found("product_id", "uri", settings=("catalog.columns.title=Name",))


def test_all_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(CatalogueError) as error:
        found("sku", "image")
    assert str(error.value) == (
        "the manifest 'm.csv' has no column 'uri' (catalog.uri_column) and no column 'product_id' (catalog.product_id_column); "
        "it has 'sku', 'image'. Name the columns that it has with --set catalog.uri_column=... and "
        "--set catalog.product_id_column=... (null: every photo is its own product)"
    )
    with pytest.raises(CatalogueError) as error:
        found(*(f"{n}" * 5000 for n in range(9)), *(f"column {n}" for n in range(900)))
    assert "'column 30', and 869 more. Name" in str(error.value) and len(str(error.value)) < 2000


def test_fields_of_structs_are_found_and_their_columns_are_no_attributes() -> None:
    settings = ("catalog.uri_column=image.path", "catalog.product_id_column=null")
    columns = found("image", "label", settings=settings, fields=("image.bytes", "image.path"))
    assert columns.uri == "image.path" and columns.attributes == ("label",)
    columns = found("image.path", "image", "x", settings=settings, unneeded={"x": "bytes"})
    assert columns.attributes == ("image",) and columns.passed_over == {"x": "bytes"}


def test_a_name_that_stands_there_twice_gets_a_number() -> None:
    header = [" uri ", "URI", "uri", "uri (2)", "", ""]
    assert distinct(header) == ("uri", "URI (2)", "uri (3)", "uri (2) (2)", "", "")
    assert distinct(["URI", "product_id", "uri"]) == ("URI (2)", "product_id", "uri"), "asked for by that name"
    assert distinct(["Title", "TITLE"]) == ("Title", "TITLE (2)"), "neither is"


@pytest.mark.parametrize(
    ("header", "product_id", "uri", "more", "lists"),
    [
        (("id", "title", "image_link", "additional_image_link"), "id", "image_link", ("additional_image_link",),
         {"additional_image_link"}),
        (("ID", "Image Link", "Additional Image Link", "Additional Image Link (2)"), "ID", "Image Link",
         ("Additional Image Link", "Additional Image Link (2)"), {"Additional Image Link", "Additional Image Link (2)"}),
        (("Handle", "Title", "Variant SKU", "Image Src"), "Handle", "Image Src", (), set()),
        (("Handle", "Image Src", "Image Position", "Variant Image"), "Handle", "Image Src", ("Variant Image",), set()),
        (("Title", "URL handle", "Product image URL", "Variant image URL"), "URL handle", "Product image URL",
         ("Variant image URL",), set()),
        (("ID", "SKU", "Name", "Images"), "SKU", "Images", (), {"Images"}),
        (("sku", "base_image", "small_image", "additional_images"), "sku", "base_image", ("additional_images",),
         {"additional_images"}),
        (("item_sku", "main_image_url", "other_image_url1", "other_image_url2", "other_image_url"), "item_sku", "main_image_url",
         ("other_image_url1", "other_image_url2"), set()),
        (("product_id", "id", "image_link"), "product_id", "image_link", (), set()),
    ],
    ids=["google", "google spreadsheet", "shopify", "shopify with variants", "new shopify", "woocommerce", "magento",
         "amazon", "own id"],
)  # fmt: skip
def test_usual_feeds_are_known_by_their_columns(
    header: tuple[str, ...], product_id: str, uri: str, more: tuple[str, ...], lists: set[str]
) -> None:
    columns = found(*header)
    assert (columns.product_id, columns.uri, columns.more_uris, columns.lists) == (product_id, uri, more, lists)
    assert not {uri, *more} & set(columns.attributes)


def test_rows_without_the_usual_id_may_have_another() -> None:
    columns = found("ID", "SKU", "Name", "Images")
    assert (columns.product_id, columns.spare_id) == ("SKU", "ID")
    assert columns.lines()[-1] == "rows without 'SKU' are of the product in 'ID'"
    assert found("SKU", "Images").spare_id is None and found("ID", "Images").spare_id is None
    assert found("ID", "SKU", "Images", settings=("catalog.product_id_column=ID",)).spare_id is None


def test_a_column_of_its_own_name_is_meant_before_those_of_feeds() -> None:
    columns = found("product_id", "uri", "id", "image_link", "additional_image_link")
    assert (columns.product_id, columns.uri, columns.more_uris) == ("product_id", "uri", ())
    settings = ("catalog.uri_column=image_link", "catalog.product_id_column=nr", "catalog.more_uri_columns=[]")
    columns = found("nr", "id", "image_link", "additional_image_link", settings=settings)
    assert (columns.product_id, columns.uri, columns.more_uris) == ("nr", "image_link", ())
    columns = found("product_id", "uri", "Back", "Side", settings=("catalog.more_uri_columns=[side, back]",))
    assert columns.more_uris == ("Side", "Back") and "further photos = 'Side', 'Back'" in columns.lines()[0]
    with pytest.raises(CatalogueError, match=r"no column 'front' \(catalog.more_uri_columns\)"):
        found("product_id", "uri", settings=("catalog.more_uri_columns=[front]",))
    with pytest.raises(CatalogueError, match="no column 'uri'"):
        found("id", "photo")


def test_a_row_in_place_of_a_header_is_told_so() -> None:
    with pytest.raises(CatalogueError, match=r"no header but a row.*--set 'catalog.csv_header=\[c1, uri, c3\]'"):
        found("p1", "https://shop.example/a.jpg", "Chair")
    with pytest.raises(CatalogueError, match=r"""--set 'catalog.csv_delimiter="#"'"""):
        found("a#b#c")


def test_what_is_called_almost_like_a_column_that_is_read_is_said() -> None:
    assert found("product_id", "uri", "URI").lines()[1:] == [
        "beside 'uri' there is 'URI', which is kept as an attribute"
    ]
    header = distinct(("uri", "product_id", "uri"))
    assert found(*header).lines()[1:] == ["beside 'uri' there is 'uri (2)', which is kept as an attribute"]
