"""Columns are found by name, whatever its case and blanks; what is not there is said with what to set."""

from __future__ import annotations

import pytest

from prodseek.catalogue.columns import Columns, distinct, find_columns, match
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def found(*names: str, settings: tuple[str, ...] = (), **more: object) -> Columns:
    return find_columns(names, load_config(settings=settings).catalog, "the manifest 'm.csv'", **more)  # type: ignore[arg-type]


def test_names_differ_in_case_and_blanks_alone() -> None:
    columns = found("Product ID", "URI", "TITLE", "Category", "Farbe", "", "Unnamed: 0", "__index_level_0__")
    assert (columns.product_id, columns.uri, columns.photo) == ("Product ID", "URI", None)
    assert columns.facts == {"title": "TITLE", "category": "Category"} and columns.attributes == (
        "TITLE",
        "Category",
        "Farbe",
    )
    assert columns.kept == (
        ("TITLE", "TITLE"), ("Category", "Category"), ("Farbe", "Farbe"), ("title", "TITLE"), ("category", "Category"),
    )  # fmt: skip
    assert columns.lines() == [
        "columns found: product_id = 'Product ID', uri = 'URI', title = 'TITLE', category = 'Category'; not found: supplier, "
        "created, ean",
        "passed over: '' (has no name), 'Unnamed: 0' (pandas' index), '__index_level_0__' (pandas' index)",
    ]


def test_the_very_name_is_meant_before_one_like_it() -> None:
    assert match("uri", ("URI", "uri", " Uri")) == "uri"
    assert match("uri", ("URI", "Uri")) is None, "nobody knows which"
    assert match("product-id", ("PRODUCT_ID",)) == "PRODUCT_ID"


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
        "--set catalog.product_id_column=... (null: every photo is its own product); `prodseek check` shows what is in them"
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
