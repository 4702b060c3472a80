"""Which levels a category has, which of several in a cell is meant, and what is no category."""

from __future__ import annotations

import pytest

from prodseek.cluster.categories import category_levels, category_path
from prodseek.cluster.words import folder_levels


@pytest.mark.parametrize(
    ("category", "levels"),
    [
        ("chair", ["chair"]),
        ("Home > Kitchen > Mugs", ["Home", "Kitchen", "Mugs"]),
        ("Women/Tops/Hoodies &amp; Sweatshirts", ["Women", "Tops", "Hoodies & Sweatshirts"]),
        ("Möbel|Stühle", ["Möbel", "Stühle"]),
        ("家具 » 椅子", ["家具", "椅子"]),
        ("  ", []),
        ("N/A", []),
        ("Home > Other", ["Home"]),
        ("Home / Kitchen", ["Home", "Kitchen"]),
        ("Home//Kitchen/", ["Home", "Kitchen"]),
        ("TV/Audio", ["TV", "Audio"]),
        ("棚/椅子", ["棚", "椅子"]),
        ("Default Category/Gear/2023/Bags", ["Gear", "Bags"]),
        ("1/Mugs", ["Mugs"]),
        ("Books > A > Austen", ["Books", "Austen"]),
        ("Men > #N/A", ["Men"]),
        ("Women > Sale", ["Women"]),
    ],
)
def test_levels_of_a_category(category: str, levels: list[str]) -> None:
    assert category_levels(category) == levels


@pytest.mark.parametrize(
    "category",
    [
        *("#N/A", "N.A.", "n/a", "<NA>", "\\N", "NULL", "NaN", "k.A.", "TBD", "-", "?", "0", "4711", "12.5", "A"),
        *("Sonstiges", "Übrige", "DIVERS", "Autres", "Otros", "Varios", "Altro", "Overig", "Övrigt", "Miscellaneous"),
        *("Uncategorized", "Unkategorisiert", "Root Catalog", "All products", "Default Category", "Sale", "Neuheiten"),
        *("Ultimi arrivi", "Fine serie", "Saldi estivi", "Uitverkoop zomer", "Koopjes", "Lookbook", "SS24", "FW 2023"),
        *("look-alikes", "Look alikes 3", "LOOKALIKES"),
    ],
)
def test_categories_that_say_nothing(category: str) -> None:
    assert category_levels(category) == [] == category_levels(f" {category} > {category}")
    assert folder_levels(f"{category.replace('/', '-')}/1.jpg") == []


@pytest.mark.parametrize(
    "category",
    [
        *("Tables and/or desks", "Trousers 3/4", "4/4 violins", "1/2-zip tops", "Tea w/o sugar", "Mugs w/ lid"),
        *("A/C units", "S/M/L", "On/Off switches", "Deckel mit/ohne Griff", "A4", "Final Fantasy figures"),
        *("New Balance", "Other Stories", "Root vegetables", "All-purpose glue", "General Electric", "Wholesale soap"),
        *("Sales counters", "Diversey", "Look books", "None-stick pans"),
    ],
)
def test_a_category_that_a_person_would_keep_is_one_level(category: str) -> None:
    assert category_levels(category) == [category]


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        pytest.param("Default Category/Gear,Default Category/Gear/Bags", "Default Category/Gear/Bags", id="of Magento"),
        pytest.param("Clothing, Clothing > Hoodies", "Clothing > Hoodies", id="the wider one too"),
        pytest.param("Furniture > Chairs, Sale > Chairs", "Furniture > Chairs", id="and what is on sale"),
        pytest.param("New In, Home > Vases, Bestsellers", "Home > Vases", id="only sells, before and behind"),
        pytest.param("Sale; Living Room; Home > Rugs", "Home > Rugs", id="semicolons"),
        pytest.param("Home\nHome > Rugs", "Home > Rugs", id="lines"),
        pytest.param("Home > Rugs;Home", "Home > Rugs", id="semicolons without blanks"),
        pytest.param("Men > Shoes, Outdoor > Shoes", "Men > Shoes", id="as deep and the first"),
        pytest.param(
            "Home > Cups, Mugs & Saucers, Home > Sale", "Home > Cups, Mugs & Saucers", id="a comma in one of them"
        ),
        pytest.param("Tees &amp; Tops, Tees &amp; Tops &gt; Tees", "Tees & Tops > Tees", id="as in a page"),
        pytest.param("Sale, Bestsellers", "Sale", id="only sells"),
    ],
)
def test_of_several_categories_the_deepest_counts(cell: str, path: str) -> None:
    assert category_path(cell) == path
    assert category_levels(cell) == category_levels(path)


@pytest.mark.parametrize(
    "cell",
    [
        "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Cups, Mugs & Saucers",
        "Food, Beverages & Tobacco > Food Items > Nuts & Seeds",
        "Food, Beverages & Tobacco",
        "Clothing, Shoes & Jewelry > Women > Shoes > Boots",
        "Furniture > Chairs > Arm Chairs, Recliners & Sleeper Chairs",
        "Vehicles & Parts > Vehicle Maintenance, Care & Decor > Car Wash Brushes",
        "Flaschen > 0,5 Liter",
        "T-Shirts S, M, L",
        "Home;Kitchen;Mugs",
        "Bags, Totes",
        "Hoodies &amp; Sweatshirts",
        "Sale",
        "",
    ],
)
def test_a_comma_in_a_name_divides_nothing(cell: str) -> None:
    assert category_path(cell) == cell
