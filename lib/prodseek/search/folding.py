"""From similar regions to similar products: one hit for each product, and one hit for all copies of a photo."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable


def fold(
    candidates: Iterable[tuple[Hashable, Hashable]],
    k: int,
    without_products: Collection[Hashable] = (),
    without_originals: Collection[Hashable] = (),
) -> list[int]:
    """Indices of the first k candidates whose product and photo no earlier candidate shows.

    candidates: (product, original), best first; photos that are copies of each other have the same `original`.
    without_products, without_originals: products and originals that no hit may show.
    """
    kept: list[int] = []
    products, originals = set(without_products), set(without_originals)
    for place, (product, original) in enumerate(candidates):
        if len(kept) == k:
            break
        if product not in products and original not in originals:
            kept.append(place)
            products.add(product)
            originals.add(original)
    return kept
