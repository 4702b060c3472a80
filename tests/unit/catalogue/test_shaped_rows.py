"""Rows of manifests as a night has them: ids that are not the same stay so, and objects that name photos."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue.check import Checked, check_catalogue
from prodseek.config import load_config
from prodseek.errors import CatalogueError


def checked(catalog: Path, *settings: str) -> Checked:
    return check_catalogue(load_config(settings=settings, catalog=str(catalog)))


def read(catalog: Path, *settings: str) -> list[tuple[str | None, str | None, str]]:
    """(product, photo, what is wrong with the row) of each row."""
    found = checked(catalog, *settings).rows
    return [(row.product_id, row.uri, row.detail if row.outcome == "invalid_row" else "") for row in found]


def lines_of(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def manifest_of(path: Path, rows: list[dict[str, str]]) -> Path:
    """The rows as a manifest, in what the path's ending says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        lines_of(path, *rows)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([[1, 2], [1, 3]], "has a list of 2 values as its product_id, and one is wanted"),
        (["\ud800", "\ud801"], "has half a character in its product_id: '\\ud80"),
        ([{"a": [1, 2]}, {"a": [1, 3]}], ""),
        ([1.10, "1.10"], ""),
        ([["a"], ["b"]], ""),
    ],
    ids=["lists", "halves of characters", "objects", "numbers and texts", "lists of one"],
)
def test_ids_that_are_not_the_same_do_not_become_so(tmp_path: Path, ids: list[Any], expected: str) -> None:
    rows = read(lines_of(tmp_path / "m.jsonl", *({"product_id": one, "uri": "a.jpg"} for one in ids)))
    if expected:
        assert [(row[0], row[2].startswith(f"row {n} {expected}")) for n, row in enumerate(rows, 1)] == [
            (None, True)
        ] * 2
    else:
        assert not any(row[2] for row in rows) and len({row[0] for row in rows}) == 2


@pytest.mark.parametrize(
    ("encoding", "told"), [("null", "Windows-1252 (Latin-1)"), ("cp1253", "cp1253")], ids=["found", "said"]
)
def test_an_id_of_bytes_that_are_no_text_is_no_id(tmp_path: Path, encoding: str, told: str) -> None:
    (tmp_path / "m.csv").write_bytes(b"product_id,uri\nA\x81,a.jpg\nA\x8d,a.jpg\nA\xe9,a.jpg\nB,\x81.jpg\n")
    found = checked(tmp_path / "m.csv", f"catalog.encoding={encoding}").rows
    said = f"has bytes in its product_id that are no text in {told}; name the encoding, such as --set catalog.encoding="
    assert [row.detail.startswith(f"row {n} {said}") for n, row in enumerate(found, 1)] == [True, True, False, False]
    assert [row.outcome for row in found] == ["invalid_row", "invalid_row", "missing", "missing"]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_id_in_a_list_is_no_id(tmp_path: Path, ending: str) -> None:
    """It would be the first's for all that the list holds."""
    products = [{"product_id": f"p{n}", "uri": f"{n}.jpg"} for n in range(3)]
    path = tmp_path / f"m.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"products": [products]}), path)
    else:
        lines_of(path, {"products": products})
    with pytest.raises(CatalogueError, match=r"has no column 'uri'") as refused:
        checked(path)
    assert "products.product_id=" not in str(refused.value) and "this may help" not in str(refused.value)
    with pytest.raises(
        CatalogueError, match=r"product_id_column names a list: 'products.product_id' holds several values"
    ):
        checked(path, "catalog.uri_column=products.uri", "catalog.product_id_column=products.product_id")
    own = read(path, "catalog.uri_column=products.uri", "catalog.product_id_column=null")
    assert [row[0] for row in own] == ["0", "1", "2"]


def test_an_id_in_an_object_is_one(tmp_path: Path) -> None:
    rows = [{"item": {"sku": n, "tags": ["x"]}, "uri": "a.jpg"} for n in (7, 8)]
    assert [row[0] for row in read(lines_of(tmp_path / "m.jsonl", *rows), "catalog.product_id_column=item.sku")] == [
        "7", "8",
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["url", "src", "uri", "Link", "href"])
@pytest.mark.parametrize("in_list", [False, True], ids=["an object", "objects in a list"])
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_photo_may_be_an_object_that_names_it(tmp_path: Path, ending: str, in_list: bool, field: str) -> None:
    photo = {field: "a,b.jpg", "alt": "x, y.jpg"}
    rows = [{"id": "p", "images": [photo, {**photo, field: "c.jpg"}] if in_list else photo}]
    path = tmp_path / f"m.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines_of(path, *rows)
    expected = ["a,b.jpg", "c.jpg"] if in_list else ["a,b.jpg"]
    assert [row[1] for row in read(path, "catalog.uri_column=images")] == expected


@pytest.mark.parametrize(
    "photo", [{"alt": "x", "path": "a.jpg"}, {"url": "a.jpg", "src": "b.jpg"}], ids=["none", "two"]
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_object_whose_field_is_not_clear_is_refused_with_the_setting(
    tmp_path: Path, ending: str, photo: dict[str, str], make_jpeg: Callable[..., bytes]
) -> None:
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    path = tmp_path / f"m.{ending}"
    rows = [{"product_id": "p", "uri": [photo]}]
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines_of(path, *rows)
    first, second = (f"uri.{name}" for name in photo)
    with pytest.raises(CatalogueError, match=f"one of '{first}', '{second}': --set catalog.uri_column=") as refused:
        checked(path)
    assert "name the field" in str(refused.value)
    name = next(name for name, value in photo.items() if value == "a.jpg")
    assert checked(path, f"catalog.uri_column=uri.{name}").counts == {"image": 1}


def test_a_photo_by_an_object_among_names_is_that_rows_fault(tmp_path: Path) -> None:
    rows = [
        {"product_id": "p", "uri": "a.jpg"},
        {"product_id": "q", "uri": {"alt": "x"}},
        {"product_id": "r", "uri": {"src": "c"}},
    ]
    assert read(lines_of(tmp_path / "m.jsonl", *rows)) == [
        ("p", "a.jpg", ""),
        ("q", '{"alt": "x"}', "row 2 names a photo in 'uri' by an object; name its field with catalog.uri_column"),
        ("r", "c", ""),
    ]  # fmt: skip


WOO = ["Furniture > Chairs, Sale > Chairs", r"Home > Cups\, Mugs & Saucers, Sale", "Vases", "Living Room,Vases"]
MAGENTO = ["Default Category/Gear,Default Category/Gear/Bags", "Default Category/Cups, Mugs,Default Category/New"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("names", "written", "read"),
    [
        pytest.param(
            ("SKU", "Images", "Categories"), WOO,
            ["Furniture > Chairs; Sale > Chairs", "Home > Cups, Mugs & Saucers; Sale", "Vases", "Living Room; Vases"],
            id="WooCommerce",
        ),
        pytest.param(
            ("sku", "base_image", "categories"), MAGENTO,
            ["Default Category/Gear; Default Category/Gear/Bags", "Default Category/Cups, Mugs; Default Category/New"],
            id="Magento",
        ),
        pytest.param(("id", "image_link", "product_type"), WOO, WOO, id="another feed"),
        pytest.param(("SKU", "Images", "category"), WOO, WOO, id="a column of another name"),
    ],
)  # fmt: skip
def test_several_categories_have_semicolons_between_them(
    tmp_path: Path, ending: str, names: tuple[str, ...], written: list[str], read: list[str]
) -> None:
    rows = [dict(zip(names, (f"s{n}", f"{n}.jpg", one), strict=True)) for n, one in enumerate(written)]
    path = manifest_of(tmp_path / f"m.{ending}", rows)
    found = [row.attributes for row in checked(path).rows]
    assert [one["category"] for one in found] == read
    assert [one[names[2]] for one in found] == (read if names[2] == "category" else written), (
        "as the feed writes it too"
    )


LEVELS = [
    ("Home", "Kitchen", "Mugs", "Home > Kitchen > Mugs"),
    ("Home", "Vases", "", "Home > Vases"),
    ("", "Lamps", "Desk lamps", "Lamps > Desk lamps"),
    ("Rugs", "Rugs", "Rugs", "Rugs"),
    ("", "", "", None),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("names", "is_said"),
    [
        (("Category 1", "Category 2", "Category 3"), False),
        (("category_0", "category_1", "category_2"), False),
        (("L1 Category", "L2 Category", "L3 Category"), False),
        (("Category 1", "Category 2", "Category 3"), True),
    ],
    ids=["numbers", "numbers from nought", "levels before the name", "somebody says which is the category"],
)
def test_columns_of_levels_are_one_path(
    tmp_path: Path, ending: str, names: tuple[str, str, str], is_said: bool
) -> None:
    rows = [
        {"product_id": f"p{n}", "uri": f"{n}.jpg", **dict(zip(names, levels, strict=True))}
        for n, (*levels, _) in enumerate(LEVELS)
    ]
    settings = [f"catalog.columns.category={names[0]}"] if is_said else []
    found = [row.attributes for row in checked(manifest_of(tmp_path / f"m.{ending}", rows), *settings).rows]
    expected = [(levels[0] or None) if is_said else path for *levels, path in LEVELS]
    assert [one.get("category") for one in found] == expected
    assert [[one.get(name, "") for name in names] for one in found] == [levels for *levels, _ in LEVELS]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_categories_side_by_side_are_no_levels(tmp_path: Path, ending: str) -> None:
    kinds, rooms = ("Armchair", "Bed", "Desk", "Lamp", "Rug"), ("Bedroom", "Office")
    rows = [
        {
            "product_id": f"p{n}",
            "uri": f"{n}.jpg",
            "Category 1": kinds[n % 5],
            "Category 2": rooms[n % 2],
            "Category 3": "Summer",
        }
        for n in range(20)
    ]
    found = checked(manifest_of(tmp_path / f"m.{ending}", rows))
    assert {row.attributes["category"] for row in found.rows} == set(kinds)
    assert any("no levels of a category" in line and "'Category 2', 'Category 3'" in line for line in found.lines)
