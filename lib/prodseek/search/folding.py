"""From similar regions to similar products: one hit for each product, and one for all copies of a photo."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable


def fold(
    candidates: Iterable[tuple[Hashable, Hashable]],
    k: int,
    without_products: Collection[Hashable] = (),
    without_originals: Collection[Hashable] = (),
) -> list[int]:
    """Places of the first k candidates that show a product and a photo that none before them shows.

    candidates: (product, original), best first; photos that are copies of each other share their `original`.
    without_*: what no hit may show.
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
