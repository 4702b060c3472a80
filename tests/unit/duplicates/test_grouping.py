import random
from itertools import combinations, pairwise

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.duplicates.grouping import conflicts, group_duplicates, missing_pairs
from prodseek.duplicates.hashes import ORIENTATIONS
from prodseek.duplicates.keeping import RULE, Facts
from prodseek.duplicates.stars import Photo, VerifiedPair
from prodseek.duplicates.verdicts import Verdict


def photo(key, image_id=None, age=None, product_id="", **identity):
    return Photo(key, image_id or f"image {key}", product_id or key, age, identity)


def photos_of(*keys):
    return [photo(key) for key in keys]


def pair(a, b, verdict=Verdict.RE_ENCODED, confidence=0.99, **b_beside_a):
    return VerifiedPair(a, b, verdict, confidence, Facts(**b_beside_a))


def members(rows):
    groups = {}
    for row in rows:
        groups.setdefault(row.group_id, set()).add(row.key)
    return sorted(sorted(keys) for keys in groups.values())


def kept(rows):
    return [row.key for row in rows if row.is_representative]


def completed(photos, pairs, are_copies, rule=RULE, n_passes=3):
    """Pairs with what passes over missing pairs add; are_copies(a, b): the pair, or None where it is no copy."""
    pairs, asked = list(pairs), set()
    for _ in range(n_passes):
        missing = missing_pairs(photos, pairs, rule, asked)
        asked |= set(missing)
        pairs += [found for a, b in missing if (found := are_copies(a, b)) is not None]
    return pairs, asked


def test_a_chain_is_broken():
    rows = group_duplicates(photos_of(*"abcde"), [pair(a, b) for a, b in ("ab", "bc", "cd", "de")])
    assert members(rows) == [["a", "b", "c"], ["d", "e"]]
    assert sorted(kept(rows)) == ["b", "d"]


def test_a_chain_that_a_second_pass_cannot_close_stays_broken():
    photos, chain = photos_of(*"abcd"), [pair(a, b) for a, b in ("ab", "bc", "cd")]
    pairs, asked = completed(photos, chain, lambda a, b: None)
    assert ("b", "d") in asked
    assert members(group_duplicates(photos, pairs)) == [["a", "b", "c"]]


def test_two_crops_that_share_nothing_belong_to_the_photo_they_were_cut_from():
    photos = photos_of("left", "right", "whole")
    crops = [pair("whole", side, Verdict.CROPPED, shows_more=-1.0) for side in ("left", "right")]
    pairs, asked = completed(photos, crops, lambda a, b: None)
    rows = group_duplicates(photos, pairs)
    assert members(rows) == [["left", "right", "whole"]] and kept(rows) == ["whole"] and not asked
    assert {row.kept_because for row in rows if not row.is_representative} == {"shows more of the picture"}


def test_a_crop_with_more_detail_is_not_kept_where_another_crop_would_fall_out():
    photos = photos_of("left", "right", "whole")
    crops = [
        pair("whole", "left", Verdict.CROPPED, shows_more=-1.0, finer=1.0),
        pair("whole", "right", Verdict.CROPPED, shows_more=-1.0),
    ]
    pairs, asked = completed(photos, crops, lambda a, b: None)
    assert asked == {("left", "right")}
    rows = group_duplicates(photos, pairs)
    assert members(rows) == [["left", "right", "whole"]] and kept(rows) == ["whole"]


photos_and_pairs = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, "2020", "2021"])), min_size=n, max_size=n),
        st.lists(
            st.tuples(
                st.integers(0, n - 1),
                st.integers(0, n - 1),
                st.sampled_from(list(Verdict)),
                st.floats(0.5, 1),
                st.builds(
                    Facts,
                    st.floats(-1, 1),
                    st.floats(-1, 1),
                    st.integers(-1, 1),
                    st.integers(-1, 1),
                    st.floats(-1, 1),
                    st.sampled_from(ORIENTATIONS),
                ),
            ),
            max_size=25,
        ),
    )
)


@settings(max_examples=200)
@given(photos_and_pairs, st.permutations(RULE), st.randoms(use_true_random=False))
def test_every_member_was_verified_against_the_photo_that_is_kept(case, rule, rng):
    described, edges = case
    photos = [
        photo(f"p{i}", f"image {i if shared == 0 else -shared}", age, f"product {i % 3}")
        for i, (shared, age) in enumerate(described)
    ]
    pairs = [VerifiedPair(f"p{a}", f"p{b}", *what) for a, b, *what in edges if a != b]
    rows = group_duplicates(photos, pairs, rule)
    image = {p.key: p.image_id for p in photos}
    copies = {frozenset((image[p.key_a], image[p.key_b])) for p in pairs}
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        ids = {image[row.key], image[row.keep_key]}
        assert len(ids) == 1 or frozenset(ids) in copies
        group = [other for other in rows if other.group_id == row.group_id]
        assert row.group_size == len(group) >= 2 and sum(other.is_representative for other in group) == 1
        assert {other.keep_key for other in group} == {row.keep_key}
        assert row.kept_because and (row.verdict is None) == row.is_representative
    # Nobody is left alone who could stand with another that is left alone.
    alone = {image[p.key] for p in photos} - {image[row.key] for row in rows}
    assert not any(ids <= alone for ids in copies if len(ids) == 2)
    asked = missing_pairs(photos, pairs, rule)
    rng.shuffle(photos)
    turned = [
        VerifiedPair(p.key_b, p.key_a, p.verdict, p.confidence, p.b_beside_a.of_the_other())
        if rng.random() < 0.5
        else p
        for p in rng.sample(pairs, len(pairs))
    ]
    assert rows == group_duplicates(photos, turned, rule)
    assert asked == missing_pairs(photos, turned, rule)
    assert not any(frozenset((image[a], image[b])) in copies for a, b in asked)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_cliques_are_the_components_networkx_finds(n):
    keys = [f"{group}{i}" for group in "xyz" for i in range(n)]
    pairs = [pair(a, b) for a in keys for b in keys if a < b and a[0] == b[0]]
    graph = networkx.Graph([(p.key_a, p.key_b) for p in pairs])
    expected = sorted(sorted(nodes) for nodes in networkx.connected_components(graph))
    assert members(group_duplicates(photos_of(*keys), pairs)) == expected


@pytest.mark.parametrize("share_judged", [0.15, 0.3, 0.6])
def test_24_versions_of_a_photo_are_one_group_however_few_were_judged_against_each_other(share_judged):
    rng = random.Random(24)
    finer = {f"v{i:02}": rng.choice([0.0, -0.5, -1.0]) for i in range(23)} | {"original": 0.0}
    added = {key: int(key != "original" and rng.random() < 0.5) for key in finer}

    def judged(a, b):
        return pair(
            a,
            b,
            finer=finer[b] - finer[a],
            added=added[b] - added[a],
            cleaner=2.0 * (b == "original") - 2.0 * (a == "original"),
        )

    photos = [photo(key) for key in finer]
    with_original = [judged(key, "original") for key in finer if key != "original" and rng.random() < 0.5]
    versions = sorted(set(finer) - {"original"})
    others = [judged(a, b) for a, b in combinations(versions, 2) if rng.random() < share_judged]
    others += [judged(a, b) for a, b in pairwise(versions)]
    pairs, asked = completed(photos, with_original + others, judged)
    rows = group_duplicates(photos, pairs)
    assert members(rows) == [sorted(finer)] and kept(rows) == ["original"]
    assert len(asked) < 24 * 23 / 2


@pytest.mark.parametrize("n_copies", [300, 3000])
def test_thousands_of_copies_of_one_photo_ask_for_no_more_pairs_than_there_are_copies(n_copies):
    keys = [f"copy {i:04}" for i in range(n_copies)]
    pairs = [pair(keys[0], key, finer=float(key == keys[-1])) for key in keys[1:]]
    pairs[99] = pair(keys[0], keys[100], confidence=0.98)
    photos = photos_of(*keys)
    first = missing_pairs(photos, pairs)
    assert len(first) == 16 and (keys[100], keys[-1]) in first, "those that are least like the head, before all others"
    asked = missing_pairs(photos, pairs + [pair(*both, finer=1.0) for both in first], judged=first)
    assert len(asked) == n_copies - 2 - 16 and all(keys[-1] in both for both in asked)
    rows = group_duplicates(photos, pairs + [pair(keys[-1], key, finer=-1.0) for key in keys[1:-1]])
    assert len(rows) == n_copies and kept(rows) == [keys[-1]]
    assert not missing_pairs(photos, pairs, judged=[(key, keys[-1]) for key in keys[1:-1]]), "it is no copy of all"


@pytest.mark.parametrize(("n_copies", "asked"), [(4, 2), (400, 0)])
def test_of_many_copies_one_that_seems_a_little_better_is_none(n_copies, asked):
    keys = [f"copy {i:04}" for i in range(n_copies)]
    pairs = [pair(keys[0], key, finer=0.25 * (key == keys[-1])) for key in keys[1:]]
    assert len(missing_pairs(photos_of(*keys), pairs)) == asked


def test_copies_of_two_heads_are_asked_for_against_the_other_head():
    photos = photos_of("a", "b", "a1", "a2", "b1", "b2", "b3")
    pairs = [pair("a", "a1"), pair("a", "a2"), pair("b", "b1"), pair("b", "b2"), pair("b", "b3"), pair("a2", "b3")]
    assert missing_pairs(photos, pairs) == [("a", "b"), ("a", "b3"), ("a2", "b")]


def test_what_was_judged_is_not_asked_for_again():
    photos, pairs = photos_of(*"abcd"), [pair("a", "b"), pair("b", "c"), pair("c", "d")]
    assert missing_pairs(photos, pairs) == [("b", "d")]
    assert missing_pairs(photos, pairs, judged={("d", "b")}) == []
    assert missing_pairs(photos, pairs, judged={("d", "b"), ("b", "no copy any more")}) == []


def test_a_photo_beside_a_group_is_compared_with_those_that_are_least_like_its_head():
    photos = photos_of("head", *(f"copy {number}" for number in range(9)), "beside", "alone")
    pairs = [pair("head", f"copy {number}", confidence=0.99 - number / 1000) for number in range(9)]
    least_like = [("beside", f"copy {number}") for number in range(3, 9)]
    assert missing_pairs(photos, pairs, looks=[("beside", "head")]) == least_like
    assert missing_pairs(photos, pairs, judged=least_like, looks=[("beside", "head")]) == []
    # What a person is to look at was judged: it is not asked for again, and the next in line is.
    looks = [("beside", "copy 8"), ("head", "beside")]
    assert missing_pairs(photos, pairs, looks=looks) == [("beside", f"copy {number}") for number in range(2, 8)]


def test_nobody_vouches_within_a_group_or_where_there_is_none():
    photos = photos_of("a", "b", "c", "x", "y")
    pairs = [pair("a", "b"), pair("a", "c")]
    assert missing_pairs(photos, pairs, looks=[("b", "c"), ("x", "y"), ("x", "not there")]) == []


def test_thousands_of_photos_beside_thousands_of_copies_ask_for_few_pairs_each():
    copies, beside = ([f"{name} {number:04}" for number in range(2000)] for name in ("copy", "look"))
    pairs = [pair("head", key) for key in copies]
    asked = missing_pairs(photos_of("head", *copies, *beside), pairs, looks=[("head", key) for key in beside])
    assert len(asked) == 6 * len(beside)


def test_equal_bytes_are_a_group_without_a_pair():
    photos = [photo(f"p{i:04}", image_id="same") for i in range(1000)] + [photo("q")]
    rows = group_duplicates(photos, [])
    assert len(rows) == 1000 and rows[0].group_size == rows[0].n_products == 1000 and kept(rows) == ["p0000"]
    assert {row.verdict for row in rows[1:]} == {Verdict.IDENTICAL_BYTES}
    assert {row.kept_because for row in rows} == {"first by name", "the same file; first by name"}


def test_equal_bytes_follow_their_copy_into_its_group():
    photos = [photo("big"), photo("x1", image_id="x"), photo("x2", image_id="x")]
    assert members(group_duplicates(photos, [pair("big", "x2")])) == [["big", "x1", "x2"]]


def test_the_same_photo_of_two_articles_says_what_differs():
    photos = [
        photo("a", "same", product_id="p1", ean="123", colour="red", size="L"),
        photo("b", "same", product_id="p2", ean="456", colour="blue", size="L"),
        photo("c", "same", product_id="p2", size="L"),
    ]
    rows = group_duplicates(photos, [])
    assert {(row.n_products, row.conflicts) for row in rows} == {(2, "colour: blue, red; ean: 123, 456")}


def test_conflicts_are_few_words_whatever_their_number():
    assert conflicts([{"ean": str(i)} for i in range(12)]) == "ean: 0, 1, 10, 11, 2 and 7 more"
    assert conflicts([{"ean": "1"}, {}, {"size": "L"}]) is None
    assert conflicts([]) is None


def test_the_group_id_follows_the_photo_that_is_kept():
    pairs = [pair("a", "b", finer=-1.0), pair("a", "c", finer=-1.0)]
    small, large = group_duplicates(photos_of("a", "b"), pairs[:1]), group_duplicates(photos_of("a", "b", "c"), pairs)
    assert {row.group_id for row in small} == {row.group_id for row in large}


def test_nothing_in_nothing_out():
    assert group_duplicates([], []) == [] == missing_pairs([], [])


def test_faults_are_named():
    with pytest.raises(ValueError, match="'ghost'"):
        group_duplicates([photo("a")], [pair("a", "ghost")])
    with pytest.raises(ValueError, match="different keys"):
        group_duplicates([photo("a"), photo("a")], [])
