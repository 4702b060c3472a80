"""One row for each photo that a manifest's row names, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodseek.catalogue.columns import find_columns
from prodseek.catalogue.manifest_reading import read_manifest
from prodseek.catalogue.manifests import find_catalogue
from prodseek.catalogue.photo_rows import Role, RowRules, photo_rows
from prodseek.catalogue.rows_here import photo_names
from prodseek.config import load_config


def rules(folder: Path, header: tuple[str, ...], *settings: str) -> RowRules:
    config = load_config(settings=settings).catalog
    return RowRules.of(find_columns(header, config, "the manifest"), config, str(folder))


def rows(
    of: RowRules, products: list[str | None], *cells: list[Any], faults: list[str | None] | None = None
) -> list[Any]:
    columns = [pa.array(cell, pa.list_(pa.string()) if isinstance(cell[0], list) else pa.string()) for cell in cells]
    found = photo_rows(
        pa.array(products, pa.string()),
        columns,
        pa.array(faults or [None] * len(products), pa.string()),
        of,
        "row {}".format,
    )
    return list(
        zip(
            found.places.tolist(),
            *(each.to_pylist() for each in (found.product_ids, found.uris, found.faults)),
            strict=True,
        )
    )


PLAIN = ("product_id", "uri")
NO_URI, NO_PRODUCT = "row {} names no uri".format, "row {} names no product_id".format


def test_lists_become_rows_and_null_entries_none(tmp_path: Path) -> None:
    lists = [["a", None, "b"], [None], [], ["c"], None]
    assert rows(rules(tmp_path, PLAIN), list("pqrst"), lists) == [
        (0, "p", "a", None), (0, "p", "b", None), (1, "q", None, NO_URI(1)), (2, "r", None, NO_URI(2)), (3, "s", "c", None),
        (4, "t", None, NO_URI(4)),
    ]  # fmt: skip
    cells = ['["a", null, "b"]', '["open', None]
    assert [row[1:3] for row in rows(rules(tmp_path, PLAIN), list("pqr"), cells)] == [
        ("p", "a"), ("p", "b"), ("q", '["open'), ("r", None),
    ]  # fmt: skip


def test_blanks_without_a_width_are_no_part_of_a_product(tmp_path: Path) -> None:
    found = rows(rules(tmp_path, PLAIN), ["p\u200b", "\ufeffp", "p\u200bq"], ["a", "b", "c"])
    assert [row[1] for row in found] == ["p", "p", "p\u200bq"]


def test_a_row_at_fault_is_one_row_whatever_it_names(tmp_path: Path) -> None:
    assert rows(rules(tmp_path, PLAIN), ["p", None], [["a", "b"], ["c", "d"]], faults=["row 1 is bad", None]) == [
        (0, "p", "a", "row 1 is bad"), (1, None, "c", NO_PRODUCT(1)), (1, None, "d", NO_PRODUCT(1)),
    ]  # fmt: skip
    both = rows(rules(tmp_path, PLAIN), ["p\0", None], ["a", None])
    assert both == [
        (0, None, "a", "row 0 has a NUL character in its product_id"),
        (1, None, None, "row 1 names neither uri nor product_id"),
    ]


def test_further_photos_follow_the_main_one_and_none_comes_twice(tmp_path: Path) -> None:
    google = rules(tmp_path, ("id", "image_link", "additional_image_link"))
    web = "https://shop.example/"
    more = ["b.jpg, a.jpg,c.jpg", None, f"{web}x,y.jpg,{web}z.jpg", "d.jpg"]
    assert [row[:3] for row in rows(google, list("pqrs"), ["a.jpg", "b.jpg", f"{web}w,1.jpg", None], more)] == [
        (0, "p", "a.jpg"), (0, "p", "b.jpg"), (0, "p", "c.jpg"), (1, "q", "b.jpg"),
        (2, "r", f"{web}w,1.jpg"), (2, "r", f"{web}x,y.jpg"), (2, "r", f"{web}z.jpg"), (3, "s", "d.jpg"),
    ]  # fmt: skip


def test_a_photo_that_is_called_like_a_list_is_one(tmp_path: Path) -> None:
    (tmp_path / "High Street, London.jpg").write_bytes(b"x")
    woo = rules(tmp_path, ("SKU", "Images"))
    assert [row[2] for row in rows(woo, ["p", "q"], ["High Street, London.jpg", "a.jpg, b.jpg"])] == [
        "High Street, London.jpg", "a.jpg", "b.jpg",
    ]  # fmt: skip
    assert [row[2] for row in rows(woo, ["p"], ["red\\, big.jpg, b.jpg"])] == ["red, big.jpg", "b.jpg"]
    assert [row[2] for row in rows(woo, ["p"], ["red\\, big.jpg"])] == ["red, big.jpg"]


def test_feeds_with_rows_for_sizes_have_no_rejects_of_them(tmp_path: Path) -> None:
    shopify = rules(tmp_path, ("Handle", "Image Src"))
    assert rows(shopify, ["p", "p", "p"], ["a.jpg", None, None], faults=[None, None, "row 2 is bad"]) == [
        (0, "p", "a.jpg", None), (1, "p", None, None), (2, "p", None, "row 2 is bad"),
    ]  # fmt: skip
    of_variants = rules(tmp_path, ("Handle", "Image Src", "Variant Image"))
    products, faults = pa.array(["p", "p", None, "p", None]), pa.array([None, None, None, "row 3 is bad", None])
    cells = [
        pa.array(["a.jpg", None, None, None, "d.jpg"]), pa.array(["a.jpg", "b.jpg", None, "c.jpg", "e.jpg"]),
    ]  # fmt: skip
    found = photo_rows(products, cells, faults, of_variants, "row {}".format)
    assert list(zip(found.uris.to_pylist(), found.roles.to_pylist(), found.faults.to_pylist(), strict=True)) == [
        ("a.jpg", Role.PHOTO, None), ("b.jpg", Role.FURTHER, None), (None, Role.NO_PHOTO, None),
        ("c.jpg", Role.PHOTO, "row 3 is bad"), ("d.jpg", Role.PHOTO, NO_PRODUCT(4)), ("e.jpg", Role.FURTHER, NO_PRODUCT(4)),
    ]  # fmt: skip


def test_magentos_rows_without_photo_are_none(tmp_path: Path) -> None:
    magento = rules(tmp_path, ("sku", "base_image", "additional_images"))
    main = ["a.jpg", None, "no_selection", "no_selection", "no_selection"]
    more = ["b.jpg,no_selection", None, "no_selection", "c.jpg", None]
    assert rows(magento, ["p", "p", "q", "r", "s"], main, more, faults=[None] * 4 + ["row 4 is bad"]) == [
        (0, "p", "a.jpg", None), (0, "p", "b.jpg", None), (1, "p", None, None), (2, "q", None, None), (3, "r", "c.jpg", None),
        (4, "s", None, "row 4 is bad"),
    ]  # fmt: skip
    assert rows(rules(tmp_path, PLAIN), ["p", "q"], ["no_selection", None]) == [
        (0, "p", "no_selection", None), (1, "q", None, NO_URI(1)),
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_photos_to_plan_with_are_those_that_a_night_reads(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    skus, images = [f"s{n}" for n in range(100)], [f"{n}a.jpg, {n}b.jpg" for n in range(100)]
    if ending == "csv":
        path.write_text("\n".join(["SKU;Images", *map("{};{}".format, skus, images)]))
    else:
        pq.write_table(pa.table({"SKU": skus, "Images": images}), path)
    config = load_config().catalog
    manifest = read_manifest(find_catalogue(str(path)), config)
    of = RowRules.of(manifest.columns, config, str(tmp_path))
    assert photo_names(manifest, of, 3) == (["0a.jpg", "0b.jpg", "1a.jpg"], 200)
    assert len(photo_names(manifest, of, 999)[0]) == 200
