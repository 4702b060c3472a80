"""Rows of a product that has several, as exports of Shopify give it: what its first row says of it holds for all."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from prodseek.catalogue.manifests import FAULT
from prodseek.catalogue.photo_rows import Role


def rows_of_products(rows: DataFrame, product_facts: Sequence[str]) -> DataFrame:
    """The rows that name a photo, each with what any row of its product says of the product.

    rows: product_id, uri, attributes, _fault, role. A photo of a variant that the product has anyway, or that another variant
    names too, is no row of its own. product_facts: attributes that are the product's, the same in all of its rows.
    """
    product = Window.partitionBy("product_id")
    known = [
        F.when(F.col("product_id").isNotNull(), F.min(F.col("attributes")[name]).over(product))
        for name in product_facts
    ]
    if known:
        rows = rows.withColumn("attributes", F.map_concat("attributes", _lacking(product_facts, known)))
    of_product = F.col("role") == Role.PHOTO.value
    is_usable = F.col(FAULT).isNull()
    photo = Window.partitionBy("product_id", "uri", is_usable)
    by_rank = photo.orderBy(F.col("role") == Role.FURTHER.value, F.to_json(F.array_sort(F.map_entries("attributes"))))
    return (
        rows.where(F.col("role") != Role.NO_PHOTO.value)
        .withColumn("place", F.row_number().over(by_rank))
        .where(of_product | ~is_usable | (F.col("place") == 1))
        .drop("place")
    )


def _lacking(names: Sequence[str], values: Sequence[Column]) -> Column:
    """A map of the values that are there and that a row does not have itself."""
    pairs = [part for name, value in zip(names, values, strict=True) for part in (F.lit(name), value)]
    return F.map_filter(
        F.create_map(*pairs), lambda name, value: value.isNotNull() & ~F.map_contains_key("attributes", name)
    )
