"""Usual kinds of feeds, and what each calls things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prodseek.catalogue.column_names import folded
from prodseek.config import KnownColumn


@dataclass(frozen=True)
class Feed:
    """What a usual kind of feed calls things. product_ids: the first that is there. more: columns of further photos.

    lists: which columns hold several photos, with commas between them. has_other_rows: a product has several rows, of photos,
    sizes and languages; those behind its first leave out what is said of the product. is_id_optional: rows without the first
    of product_ids have the second. no_photo: what stands in place of a photo's name where there is none. category_marks: what a
    cell of several categories is rewritten by, (pattern, by), so that semicolons stand between them and commas in names alone.
    facts: the shop's own words before those of a taxonomy, which may be numbers or in another language.
    """

    uri: str
    product_ids: tuple[str, ...]
    more: str = ""
    lists: str = ""
    has_other_rows: bool = False
    is_id_optional: bool = False
    no_photo: str = ""
    category_marks: tuple[tuple[str, str], ...] = ()
    facts: Mapping[KnownColumn, tuple[str, ...]] = field(default_factory=dict)

    def marks_of(self, column: str | None) -> tuple[tuple[str, str], ...]:
        """category_marks, if it is the feed's own column of categories."""
        own = {folded(name) for name in self.facts.get("category", ())}
        return self.category_marks if column is not None and folded(column) in own else ()


FEEDS: Final = (
    # of Google Merchant Center, Meta and Pinterest
    Feed(
        "image_link", ("id",), "additional_image_link", "additional_image_link",
        facts={"category": ("product_type", "google_product_category"), "supplier": ("brand",), "ean": ("gtin",)},
    ),
    # of Shopify, as a spreadsheet and as JSON
    Feed(
        "Image Src", ("Handle",), "variant_image", has_other_rows=True,
        facts={"category": ("Type", "Product Category"), "supplier": ("Vendor",), "ean": ("Variant Barcode",)},
    ),
    Feed(
        "Product image URL", ("URL handle",), "variant_image_url", has_other_rows=True,
        facts={"category": ("Type", "Product category"), "supplier": ("Vendor",), "ean": ("Barcode",)},
    ),
    Feed("images.src", ("id", "handle"), facts={"category": ("product_type",), "supplier": ("vendor",)}),
    # of WooCommerce, where a comma in the name of a category has a backslash before it
    Feed(
        "Images", ("SKU", "ID"), lists="images", is_id_optional=True,
        category_marks=((r"([^\\]), *", r"\1; "), (r"\\,", ",")),
        facts={"title": ("Name",), "category": ("Categories",)},
    ),
    # of Magento, where it has a blank behind it
    Feed(
        "base_image", ("sku",), "additional_images", "additional_images", has_other_rows=True, no_photo="no_selection",
        category_marks=((r",([^ ])", r"; \1"),),
        facts={"title": ("name",), "category": ("categories",)},
    ),
    # of Amazon
    Feed(
        "main_image_url", ("item_sku", "seller_sku", "sku"), r"other_image_url_?\d+",
        facts={"title": ("item_name",), "supplier": ("brand_name", "brand"), "ean": ("external_product_id",)},
    ),
)  # fmt: skip
