"""One hit for each product, one for all copies of a photo."""

from __future__ import annotations

from prodseek.search.folding import fold

# product, photo; "m" and "m" are copies of one photo
CANDIDATES = [("a", "k"), ("a", "l"), ("b", "m"), ("c", "m"), ("b", "n"), ("c", "o"), ("d", "p")]


def test_the_best_of_a_product_and_of_a_photos_copies_stays() -> None:
    assert fold(CANDIDATES, 10) == [0, 2, 5, 6]


def test_no_more_than_k() -> None:
    assert fold(CANDIDATES, 2) == [0, 2]
    assert fold([], 2) == []


def test_what_is_left_out_makes_room() -> None:
    assert fold(CANDIDATES, 10, without_products={"a"}) == [2, 5, 6]
    assert fold(CANDIDATES, 10, without_originals={"m"}) == [0, 4, 5, 6]
