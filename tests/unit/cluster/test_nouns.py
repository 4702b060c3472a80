"""What a group is called: planted words that most members share, and words that must not win."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prodseek.cluster.nouns import Noun, Phrase, is_borne_out, noun_of


def said(
    said_in: str, text: str, n: int, others: float = 0.02, consistency: float = 0.9, place: float = 0, saying: int = 99
) -> Phrase:
    """A phrase without levels above or below it."""
    return Phrase(said_in, text, n, n, n, place, n + round(100 * others), others, consistency, saying)


def level(text: str, n: int, n_leaf: int = 0, n_root: int = 0, others: float = 0.02, depth: float = 1) -> Phrase:
    return Phrase("folder", text, n, n_leaf, n_root, 0 if n_root else depth, n + round(100 * others), others, 0.9, 99)


def called(*phrases: Phrase, n: int = 10) -> str | None:
    noun = noun_of(phrases, n)
    return None if noun is None else noun.text


def test_three_quarters_of_the_members_must_share_it() -> None:
    assert called(said("folder", "chairs", 8)) == "chairs"
    assert called(said("folder", "chairs", 7)) is None


def test_categories_come_before_titles_titles_before_folders_and_folders_before_names() -> None:
    phrases = [said(said_in, said_in, 9) for said_in in ("name", "folder", "title", "category")]
    for first in ("category", "title", "folder", "name"):
        assert called(*phrases) == first
        phrases = [one for one in phrases if one.said_in != first]


def test_what_every_group_has_tells_nothing_unless_it_is_the_category() -> None:
    everywhere = {"others": 1.0, "consistency": 0.0}
    assert called(said("folder", "acme", 10, **everywhere)) is None
    assert called(said("title", "nordlys", 10, **everywhere)) is None
    assert called(said("category", "chair", 10, **everywhere)) == "chair"


def test_a_word_that_much_of_the_catalogue_has_in_its_titles_gives_way_to_any_other() -> None:
    """`voucher` is in the titles of 60 % of all others, all of some kinds of things; in a shop of chairs that is `chair`."""
    voucher, mug = said("title", "voucher", 10, others=0.6), said("title", "mug", 10, place=1)
    assert called(voucher, mug) == "mug"
    assert called(voucher, said("folder", "mugs", 10)) == "mugs"
    noun = noun_of([said("category", "mugs", 10), voucher, said("title", "enamel", 10)], 10)
    assert noun is not None and noun.more == ("enamel",)
    assert called(said("title", "chair", 10, others=0.6)) == "chair"
    assert called(said("title", "mug", 10, others=0.4)) == "mug"


def test_a_supplier_whose_photos_lie_in_all_groups_names_none() -> None:
    assert called(said("folder", "acme", 9, others=0.4, consistency=0.05)) is None


@pytest.mark.parametrize(
    ("toys", "lamps", "chairs", "title"),
    [
        (6, 3, 1, "toys, some lamps"),
        (5, 4, 1, "toys and lamps"),
        (4, 3, 2, "toys, lamps and chairs"),
        (7, 2, 1, "toys, some lamps"),
        (6, 2, 2, "toys, chairs and lamps"),
        (9, 1, 0, "toys"),
    ],
)
def test_categories_that_disagree_are_said_by_share(toys: int, lamps: int, chairs: int, title: str) -> None:
    counts = {"toys": toys, "lamps": lamps, "chairs": chairs}
    assert called(*(said("category", name, n) for name, n in counts.items())) == title


@pytest.mark.parametrize(
    ("shirts", "title"),
    [(5, "Jacken & Mäntel / Shirts"), (3, "Jacken & Mäntel, some Shirts"), (0, "Jacken & Mäntel")],
)
def test_where_a_category_is_a_list_itself_one_sees_where_it_ends(shirts: int, title: str) -> None:
    assert called(said("category", "Jacken & Mäntel", 10 - shirts), said("category", "Shirts", shirts)) == title


def test_many_categories_are_not_listed() -> None:
    assert called(*(said("category", name, 2) for name in "abcde")) is None


def test_the_narrowest_level_that_most_share() -> None:
    fruit, apple, golden, pink = (
        level("Fruit", 10, n_root=10, others=0.4),
        level("Apple", 10, others=0.1),
        level("Golden", 5, n_leaf=5, depth=2),
        level("Pink", 5, n_leaf=5, depth=2),
    )
    assert called(fruit, apple, golden, pink) == "Apple"
    assert called(fruit, apple, replace(golden, n_members=9, n_leaf=9)) == "Golden"


def test_a_wide_level_gives_way_to_a_list_of_narrow_ones() -> None:
    home = level("Home", 10, n_root=10, others=0.7)
    assert called(home, level("Toys", 6, n_leaf=6), level("Lamps", 4, n_leaf=4)) == "Toys and Lamps"
    assert called(home, level("Toys", 3, n_leaf=3), level("Lamps", 2, n_leaf=2)) == "Home"


def of_category(text: str, n: int, n_leaf: int = 0, n_root: int = 0, others: float = 0.02, depth: float = 1) -> Phrase:
    return replace(level(text, n, n_leaf, n_root, others, depth), said_in="category")


def test_the_first_level_of_a_shops_categories_comes_after_whatever_is_narrower() -> None:
    """Shares of an outsider's shop: `Gear` is a fifth of the others, `Women` a quarter, `Tops` nearly half."""
    gear = of_category("Gear", 10, n_root=10, others=0.2)
    assert called(gear, of_category("Watches", 6, n_leaf=6), of_category("Bags", 3, n_leaf=3)) == "Watches, some Bags"
    women, tops = of_category("Women", 8, n_root=8, others=0.24), of_category("Tops", 9, others=0.46)
    assert called(women, tops, *(of_category(one, 2, n_leaf=2, depth=2) for one in "abcde")) == "Tops"
    levels = [of_category("Tops", 6, others=0.3), of_category("Bottoms", 4, others=0.3)]
    assert called(replace(women, n_members=7, n_root=7), *levels) == "Tops and Bottoms"


def test_what_half_of_a_wide_level_are_is_said_with_it() -> None:
    gear, balls = of_category("Gear", 10, n_root=10, others=0.6), of_category("Balls", 6, n_leaf=6)
    rest = [of_category(one, 1, n_leaf=1) for one in "abcd"]
    assert called(gear, balls, *rest) == "Gear, mostly Balls"
    assert called(gear, replace(balls, n_members=4, n_leaf=4), *rest) == "Gear"


def test_words_of_titles_come_before_what_most_of_the_catalogue_is() -> None:
    clothes = of_category("Clothes", 10, n_leaf=10, n_root=10, others=0.9)
    assert called(clothes, said("title", "jacket", 9)) == "jacket"
    assert called(clothes) == "Clothes"
    assert called(replace(clothes, others_share=0.4), said("title", "jacket", 9)) == "Clothes"


def test_what_half_of_the_members_are_tells_groups_of_one_level_apart() -> None:
    tops, tees = of_category("Tops", 10, others=0.1), of_category("Tees", 6, n_leaf=6, depth=2)
    rest = [of_category(one, 1, n_leaf=1, depth=2) for one in "abcd"]
    noun = noun_of([tops, tees, *rest], 10)
    assert noun is not None and noun.text == "Tops" and noun.levels[-1:] == ("mostly Tees",)


def test_words_of_titles_stand_in_their_order() -> None:
    words = [
        said("title", "chair", 10, others=0.1, place=2.1),
        said("title", "oak", 9, others=0.05, place=0.3),
        said("title", "classic", 8, others=0.3, consistency=0.1, place=0.1),
    ]
    assert called(*words) == "oak chair"
    assert called(*words[:1], replace(words[1], n_members=7)) == "chair"


def test_titles_that_disagree_are_said_by_share() -> None:
    apple, pear = said("title", "apple", 6, others=0.1), said("title", "pear", 4, others=0.1)
    golden = replace(said("title", "golden", 6), n_leaf=0)
    assert called(apple, pear, golden) == "apple and pear"


def test_the_kind_of_thing_is_said_before_what_only_one_product_is_called() -> None:
    """Twenty chairs are in the catalogue, one of them is an Osaka."""
    words = [
        said("title", "Osaka", 10, others=0, consistency=1, place=0),
        said("title", "striped", 10, others=0.05, consistency=0.2, place=1),
        said("title", "yellow", 10, others=0.01, place=2),
        said("title", "lounge", 10, others=0.03, place=3),
        said("title", "chair", 10, others=0.3, place=4),
    ]
    assert called(*words) == "Osaka lounge chair"


def test_a_colour_is_no_kind_of_thing() -> None:
    assert called(said("title", "blue", 10)) is None
    assert called(said("title", "blue", 6), said("title", "pots", 4)) is None
    assert called(said("folder", "Orange", 10)) == "Orange"


def test_further_words_and_levels_tell_groups_of_one_category_apart() -> None:
    beside = [said("title", "oak", 8), said("title", "chair", 10), said("folder", "Home", 9)]
    noun = noun_of([said("category", "chair", 10, others=0.5), *beside], 10)
    assert noun == Noun("chair", "category", ("oak",), ("Home",))


def test_an_earlier_title_stays_true_while_half_of_the_members_bear_it_out() -> None:
    phrases = [said("folder", "Toys", 5), said("folder", "lamps", 5)]
    own = {"red", "some"}
    assert is_borne_out("red toys, some LAMPS 2", "folder", phrases, 10, own)
    assert not is_borne_out("red toys", "title", phrases, 10, own)
    assert not is_borne_out("red chairs", "folder", phrases, 10, own)
    assert not is_borne_out("red toys", "folder", phrases, 11, own)
    assert not is_borne_out("red toys, some dolls", "folder", phrases, 10, own), "nobody calls one a doll any more"


def test_members_of_whom_nothing_is_said_do_not_disagree() -> None:
    for said_in in ("category", "title", "folder", "name"):
        assert called(said(said_in, "chairs", 6, saying=7)) == "chairs"
        assert called(said(said_in, "chairs", 6, saying=10)) is None, "others are called otherwise"
        assert called(said(said_in, "chairs", 4, saying=4)) is None, "of most nothing is said"
