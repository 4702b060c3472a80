"""Rows of a product that has several: what its first row says of it holds for all, and no photo comes twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prodseek.catalogue.photo_rows import Role


@dataclass(frozen=True)
class FeedRow:
    """A row of a feed, see `shaped_rows.SHAPE`."""

    product_id: str | None
    uri: str | None
    attributes: Mapping[str, str]
    fault: str | None
    role: str


def rows_of_products(rows: Sequence[FeedRow], product_facts: Sequence[str]) -> list[FeedRow]:
    """The rows that a night has of these, in their order: as `spark.catalogue.feed_rows.rows_of_products` does it."""
    known: dict[tuple[str | None, str], str] = {}
    for row in rows:
        for name in product_facts:
            if (value := row.attributes.get(name)) is not None:
                key = (row.product_id, name)
                known[key] = min(value, known.get(key, value))
    filled = [_filled(row, known, product_facts) for row in rows]
    best: dict[tuple[str | None, str | None], tuple[bool, bytes]] = {}
    for row in filled:
        if row.fault is None and row.role != Role.NO_PHOTO:
            best[row.product_id, row.uri] = min(_rank(row), best.get((row.product_id, row.uri), _rank(row)))
    found = []
    for row in filled:
        if row.role == Role.FURTHER and row.fault is None:
            if best[row.product_id, row.uri] != _rank(row):
                continue
            best[row.product_id, row.uri] = (False, b"")
        if row.role != Role.NO_PHOTO:
            found.append(row)
    return found


def _filled(row: FeedRow, known: Mapping[tuple[str | None, str], str], product_facts: Sequence[str]) -> FeedRow:
    if row.product_id is None:
        return row
    of_product = {name: known[row.product_id, name] for name in product_facts if (row.product_id, name) in known}
    return FeedRow(row.product_id, row.uri, {**of_product, **row.attributes}, row.fault, row.role)


def _rank(row: FeedRow) -> tuple[bool, bytes]:
    """A row of the product itself comes first, then the one whose attributes do in alphabetical order."""
    return row.role == Role.FURTHER, json.dumps(sorted(row.attributes.items()), ensure_ascii=False).encode()
