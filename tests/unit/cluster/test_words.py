"""Which words of a catalogue may name a group, and which never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.plain_texts import MOST_CHARACTERS, phrase
from prodseek.cluster.words import (
    folder_levels,
    name_words,
    said_of,
    storage_folders,
    title_words,
)


@pytest.mark.parametrize(
    ("uri", "levels"),
    [
        ("chairs/0001.jpg", ["chairs"]),
        ("office_chairs/0001.jpg", ["office chairs"]),
        ("Furniture/Golden-Oak/1.jpg", ["Furniture", "Golden-Oak"]),
        ("http://cdn/static/b%C3%BCro%20lampen/1.jpg", ["büro lampen"]),
        ("photos.tar#sofas/1.jpg", ["sofas"]),
        ("椅子/1.jpg", ["椅子"]),
        ("棚/1.jpg", ["棚"]),
        ("T-Shirts/1.jpg", ["T-Shirts"]),
        ("Hoodies & Sweatshirts/1.jpg", ["Hoodies & Sweatshirts"]),
        ("chairs 2023-05/1.jpg", ["chairs"]),
        ("chairs final/1.jpg", ["chairs"]),
        ("img chairs/1.jpg", ["chairs"]),
        ("Final Fantasy figures/1.jpg", ["Final Fantasy figures"]),
        ("New Balance/1.jpg", ["New Balance"]),
        ("Other Stories/1.jpg", ["Other Stories"]),
        ("Photo Frames/1.jpg", ["Photo Frames"]),
        ("side_tables/1.jpg", ["side tables"]),
        ("Wall Art 2/1.jpg", ["Wall Art"]),
        ("Art/1.jpg", ["Art"]),
        ("Model cars 3/1.jpg", ["Model cars"]),
        ("Beauty & Spa/1.jpg", ["Beauty & Spa"]),
        ("Kissen & Co/1.jpg", ["Kissen & Co"]),
        ("https://images.acme.com/lamps/1.jpg?v=12&folder=x/y", ["lamps"]),
        ("https://acme.com/photos.tar#sofas/1.jpg", ["sofas"]),
        ("Salle à manger/1.jpg", ["Salle à manger"]),
        ("03_Arts de la table/1.jpg", ["Arts de la table"]),
        ("Alles für das Bad/1.jpg", ["Alles für das Bad"]),
        ("photos of chairs/1.jpg", ["chairs"]),
        ("The chairs for us/1.jpg", ["chairs"]),
        ("Pour homme/1.jpg", ["homme"]),
        ("Chaises à bascule/1.jpg", ["Chaises à bascule"]),
        ("Robes sans manches/1.jpg", ["Robes sans manches"]),
        ("No-iron shirts/1.jpg", ["No-iron shirts"]),
        ("A - Chairs/1.jpg", ["Chairs"]),
    ],
)
def test_folders_that_say_what_they_hold(uri: str, levels: list[str]) -> None:
    assert folder_levels(uri) == levels


@pytest.mark.parametrize(
    "folder",
    ["Home & Living", "Crop Tops", "Gallery Walls", "Storage & Organisation", "TV & Media", "Full Zip", "Home Storage"],
)
def test_words_of_storage_belong_to_the_words_beside_them(folder: str) -> None:
    assert folder_levels(f"{folder}/1.jpg", {"home", "storage", "media"}) == [folder]


@pytest.mark.parametrize("folder", ["Home", "Storage", "Large", "shots", "pictures", "Bilder", "small", "media"])
def test_a_word_of_storage_is_a_department_unless_nearly_all_photos_lie_in_it(folder: str) -> None:
    uri = f"{folder}/chairs/1.jpg"
    assert storage_folders(uri) == {folder.casefold()}
    assert folder_levels(uri) == [folder, "chairs"]
    assert folder_levels(uri, {folder.casefold()}) == ["chairs"]
    assert name_words("", f"{folder}.jpg") == [], "a file's name is not a department"


@pytest.mark.parametrize(
    "folder",
    [
        "vendor_a",
        "Axfood AB",
        "Luma Sports Inc.",
        "Müller & Söhne",
        "Art. 4711893",
        "Art.-Nr. 33",
        "Modell A3",
        "Look 12",
        "Series A 5",
        "Ansicht_2",
        "Freisteller",
        "Vendor Acme",
        "lieferant-07",
        "img",
        "2023-05",
        "may_2023",
        "product_images",
        "images_large",
        "shots 3",
        "test shots",
        "old photo",
        "3f0b9a52-1c77-4e0e-9d3c-6a8f1e0c1b2d",
        "d41d8cd98f00b204e9800998ecf8427e",
        "SKU-00123",
        "a",
        "..",
        "batch 7 (final)",
        "New folder",
        "WhatsApp Images",
        "look-alikes",
        "lookalikes_3",
        "Kunde Müller",
        "A trier",
        "01_à_retoucher (2)",
        "Photos à trier",
        "to_do",
        "zu bearbeiten",
        "ohne Hintergrund",
        "sans fond",
        "En ligne",
        "en cours",
        "nicht online",
        "Te doen",
        "Da sistemare",
        "Da caricare sul sito",
        "Nog te bewerken",
        "Klaar voor webshop",
        "Ritoccate",
        "Approved",
        "White background",
        "Sfondo bianco",
        "weißer Hintergrund",
        "Leverancier Jansen",
        "x" * 200,
    ],
)
def test_folders_that_say_nothing(folder: str) -> None:
    assert folder_levels(f"{folder}/1.jpg") == []


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Oak chair with arms, set of 2", ["Oak", "chair", "arms"]),
        ("Stuhl mit Lehne für das Büro", ["Stuhl", "Lehne", "Büro"]),
        ("Kindersitzerhöhung", ["Kindersitzerhöhung"]),
        ("Étagère à livres", ["Étagère", "livres"]),
        ("白い 椅子", ["白い", "椅子"]),
        ("हिन्दी कुर्सी", ["हिन्दी", "कुर्सी"]),
        ("<b>Chair</b><img src=x onerror=alert(1)>", ["Chair"]),
        ("SKU-00123 12 34", []),
        ("Kaffeebecher versandkostenfrei SALE", ["Kaffeebecher"]),
        ("NEW Mug - FREE SHIPPING, best price!", ["Mug"]),
        ("New Balance 574 sneaker", ["New", "Balance", "sneaker"]),
        ("Wholesale soap, sugar free", ["Wholesale", "soap", "sugar", "free"]),
        ("Final Fantasy figure", ["Final", "Fantasy", "figure"]),
        ("Look-alikes mug", ["mug"]),
        ("Chair\x00\x1b\u202e lamp", ["Chair", "lamp"]),
        ("", []),
    ],
)
def test_words_of_a_title(title: str, words: list[str]) -> None:
    assert title_words(title) == words


def test_words_of_names() -> None:
    assert name_words("luma-foam-roller", "images/IMG_0001.jpg") == ["luma", "foam", "roller"]
    assert name_words("SKU-00123", "images/oak chair 01.jpg") == ["oak", "chair"]
    assert name_words("LMN-00123", "a/DSC00017.JPG") == []
    assert name_words("3f0b9a52-1c77-4e0e-9d3c-6a8f1e0c1b2d", "x/d41d8cd98f00b204e9800998ecf8427e.jpg") == []


@pytest.mark.parametrize(
    "name",
    [
        *("https://cdn.shop.com/s/7919.jpg?v=121&width=800", "7919.jpg?v=121&width=800", "x/photo-15197-unsplash.jpg"),
        *("IMG-20240301-WA0007.jpg", "WhatsApp Image 2024-03-01.jpg", "Screenshot 2024-01-01.png", "DSC_1 copy.jpg"),
        *("download (3).jpg", "static/media/product-12-final.jpg", "look-alikes-3.jpg"),
    ],
)
def test_names_that_say_nothing(name: str) -> None:
    assert name_words("", name) == []


def test_names_of_products_that_contain_words_of_storage() -> None:
    assert name_words("new-balance-574", "final-fantasy-cloud.jpg") == ["new", "balance", "final", "fantasy", "cloud"]
    assert name_words("", "https://shop.com/files/brass-lamp_800x.jpg?v=1&crop=center") == ["brass", "lamp"]


def test_composed_and_decomposed_accents_are_one_word() -> None:
    assert title_words("Bu\u0308ro") == title_words("B\u00fcro") == ["Büro"]


def test_a_phrase_is_short_and_on_one_line() -> None:
    assert phrase("a\nb\tc\x00") == "a b c"
    long = phrase("Hand-made chairs and tables of oak and walnut for gardens")
    assert len(long) <= MOST_CHARACTERS and long == "Hand-made chairs and tables of oak and…"
    assert len(phrase("x" * 1000)) == MOST_CHARACTERS


def test_each_phrase_is_said_once() -> None:
    said = said_of("Chairs", "Chair chair CHAIR", "chairs/Chairs/oak chair.jpg", "SKU-1")
    assert [(one.said_in, one.text) for one in said] == [
        ("category", "Chairs"),
        ("title", "Chair"),
        ("folder", "Chairs"),
        ("name", "oak"),
        ("name", "chair"),
    ]


@given(st.text(), st.text(), st.text(), st.text())
def test_whatever_is_said_is_short_and_plain(category: str, title: str, uri: str, product_id: str) -> None:
    for one in said_of(category, title, uri, product_id):
        assert one.text.strip() and len(one.text) <= MOST_CHARACTERS and one.text.isprintable() and one.key
