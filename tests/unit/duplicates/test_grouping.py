import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.duplicates.grouping import RULE, Photo, VerifiedPair, group_duplicates, missing_pairs
from prodseek.duplicates.verdicts import MERGING, Verdict


def photo(key, pixels=100, n_bytes=1000, image_id=None, age=""):
    return Photo(key, image_id or f"image {key}", pixels, pixels, n_bytes, age)


def pair(a, b, verdict=Verdict.RE_ENCODED, similarity=0.9, overlaid_key=None):
    return VerifiedPair(a, b, verdict, similarity, overlaid_key)


def members(rows):
    groups = {}
    for row in rows:
        groups.setdefault(row.group_id, set()).add(row.key)
    return sorted(sorted(keys) for keys in groups.values())


def representative(rows):
    return [row.key for row in rows if row.is_representative]


def test_a_chain_is_broken():
    chain = [photo("a", 400), photo("b", 300), photo("c", 200), photo("d", 100)]
    rows = group_duplicates(chain, [pair("a", "b"), pair("b", "c"), pair("c", "d")])
    assert members(rows) == [["a", "b"], ["c", "d"]]


def test_a_chain_through_the_best_photo_holds_only_its_own_copies():
    chain = [photo("a"), photo("b", 500), photo("c"), photo("d")]
    rows = group_duplicates(chain, [pair("a", "b"), pair("b", "c"), pair("c", "d")])
    assert members(rows) == [["a", "b", "c"]]
    assert representative(rows) == ["b"]


photos_and_pairs = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3)), min_size=n, max_size=n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.sampled_from(list(Verdict)), st.floats(0.5, 1)),
            max_size=20,
        ),
    )
)


@settings(max_examples=150)
@given(photos_and_pairs)
def test_no_group_holds_what_was_not_verified_against_its_representative(case):
    sizes, edges = case
    photos = [
        photo(f"p{i}", pixels, n_bytes * 1000, f"image {i if shared == 0 else -shared}")
        for i, (pixels, n_bytes, shared) in enumerate(sizes)
    ]
    pairs = [pair(f"p{a}", f"p{b}", verdict, value) for a, b, verdict, value in edges if a != b]
    rows = group_duplicates(photos, pairs)
    image = {p.key: p.image_id for p in photos}
    merging = {frozenset((image[p.key_a], image[p.key_b])) for p in pairs if p.verdict in MERGING}
    heads = {row.group_id: row.key for row in rows if row.is_representative}
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        ids = {image[row.key], image[heads[row.group_id]]}
        assert len(ids) == 1 or frozenset(ids) in merging
        assert row.group_size == sum(other.group_id == row.group_id for other in rows) >= 2
    graph = networkx.Graph([tuple(ids) for ids in merging if len(ids) == 2])
    component = {node: i for i, nodes in enumerate(networkx.connected_components(graph)) for node in nodes}
    for group in members(rows):
        assert len({component.get(image[key], image[key]) for key in group}) == 1
    # Nobody is left alone who could stand with another that is left alone.
    alone = {image[p.key] for p in photos} - {image[row.key] for row in rows}
    assert not any(ids <= alone for ids in merging if len(ids) == 2)
    assert rows == group_duplicates(photos[::-1], pairs[::-1])


@pytest.mark.parametrize("n", [2, 5, 12])
def test_cliques_are_the_components_networkx_finds(n):
    keys = [f"{group}{i}" for group in "xyz" for i in range(n)]
    pairs = [pair(a, b) for a in keys for b in keys if a < b and a[0] == b[0]]
    graph = networkx.Graph([(p.key_a, p.key_b) for p in pairs])
    expected = sorted(sorted(nodes) for nodes in networkx.connected_components(graph))
    assert members(group_duplicates([photo(key) for key in keys], pairs)) == expected


@pytest.mark.parametrize(
    ("best", "other"),
    [(photo("b", 200), photo("a", 100)), (photo("b", 100, 9000), photo("a", 100, 3000)), (photo("a"), photo("b"))],
)
def test_the_best_original_represents(best, other):
    assert representative(group_duplicates([other, best], [pair(other.key, best.key)])) == [best.key]


def test_an_overlaid_photo_does_not_represent_one_of_its_size():
    photos = [photo("clean"), photo("badge", n_bytes=9000)]
    rows = group_duplicates(photos, [pair("badge", "clean", Verdict.OVERLAID, 0.8, overlaid_key="badge")])
    assert representative(rows) == ["clean"]
    assert [row.similarity_to_representative for row in rows] == [1.0, 0.8]


def test_the_rule_says_what_the_best_original_is():
    photos = [photo("large", 400), photo("clean", 100)]
    pairs = [pair("large", "clean", Verdict.OVERLAID, 0.8, overlaid_key="large")]
    assert representative(group_duplicates(photos, pairs)) == ["large"]
    assert representative(group_duplicates(photos, pairs, ("no_overlay", "resolution"))) == ["clean"]


def test_the_oldest_of_equals_represents_and_an_unknown_age_is_the_youngest():
    aged = [photo("a"), photo("b", age="2026-05-01"), photo("c", age="2025-12-31")]
    pairs = [pair(a.key, b.key) for a in aged for b in aged if a.key < b.key]
    assert representative(group_duplicates(aged, pairs)) == ["c"]
    assert representative(group_duplicates(aged[:2], pairs[:1])) == ["b"]
    assert representative(group_duplicates(aged, pairs, RULE[:3])) == ["a"]


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - MERGING))
def test_variants_make_no_group(verdict):
    assert group_duplicates([photo("a"), photo("b")], [pair("a", "b", verdict)]) == []


def test_equal_bytes_are_a_group_without_a_pair():
    photos = [photo(f"p{i:04}", image_id="same") for i in range(1000)] + [photo("q")]
    rows = group_duplicates(photos, [])
    assert len(rows) == 1000 and rows[0].group_size == 1000 and representative(rows) == ["p0000"]


def test_equal_bytes_follow_their_copy_into_its_group():
    photos = [photo("big", 500), photo("x1", image_id="x"), photo("x2", image_id="x")]
    assert members(group_duplicates(photos, [pair("big", "x2")])) == [["big", "x1", "x2"]]


def test_the_group_id_follows_the_representative():
    photos = [photo("a", 300), photo("b"), photo("c")]
    small = group_duplicates(photos[:2], [pair("a", "b")])
    large = group_duplicates(photos, [pair("a", "b"), pair("a", "c")])
    assert {row.group_id for row in small} == {row.group_id for row in large}


def test_what_could_join_through_a_third_is_asked_for():
    photos = [photo("a", 300), photo("b", 200), photo("c", 100)]
    pairs = [pair("a", "b"), pair("b", "c")]
    assert missing_pairs(photos, pairs) == [("a", "c")]
    assert members(group_duplicates(photos, [*pairs, pair("a", "c")])) == [["a", "b", "c"]]


def test_what_was_judged_is_not_asked_for_again():
    photos = [photo("a", 300), photo("b", 200), photo("c", 100)]
    assert missing_pairs(photos, [pair("a", "b"), pair("b", "c"), pair("a", "c", Verdict.RECOLOURED)]) == []


def test_nothing_in_nothing_out():
    assert group_duplicates([], []) == [] == missing_pairs([], [])


def test_faults_are_named():
    with pytest.raises(ValueError, match="'ghost'"):
        group_duplicates([photo("a")], [pair("a", "ghost")])
    with pytest.raises(ValueError, match="different keys"):
        group_duplicates([photo("a"), photo("a")], [])
