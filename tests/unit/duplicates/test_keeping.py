import pytest

from prodseek.duplicates.grouping import group_duplicates
from prodseek.duplicates.hashes import ORIENTATIONS, Orientation
from prodseek.duplicates.keeping import BEST_WORDS, RULE, Criterion, Facts, best
from prodseek.duplicates.stars import Photo, VerifiedPair
from prodseek.duplicates.verdicts import Verdict


def grouped(facts, verdict=Verdict.RE_ENCODED, ages=(None, None), rule=RULE):
    """The key that is kept of photo a and its copy b, and why not the other. facts: b beside a."""
    photos = [Photo("a", "1", age=ages[0]), Photo("b", "2", age=ages[1])]
    rows = group_duplicates(photos, [VerifiedPair("a", "b", verdict, 0.99, facts)], rule)
    return rows[0].key, rows[1].kept_because, rows[0].kept_because


@pytest.mark.parametrize(
    ("facts", "verdict", "why", "best_words"),
    [
        (
            Facts(finer=1.0, shared_px=(1000, 500)),
            Verdict.RESIZED,
            "larger: 1,000 px of the shared part, 500 here",
            "the most detail",
        ),
        (
            Facts(finer=1.0, shared_px=(500, 1000)),
            Verdict.RESIZED,
            "finer detail: this one was enlarged or blurred",
            "the most detail",
        ),
        (Facts(finer=0.3), Verdict.TONED, "finer detail: this one was enlarged or blurred", "the most detail"),
        (Facts(added=-1), Verdict.PADDED, "less margin round it", "nothing added"),
        (Facts(added=-1), Verdict.OVERLAID, "no text or badge on it", "nothing added"),
        (Facts(added=-1), Verdict.CROPPED, "nothing added to it", "nothing added"),
        (Facts(grey=-1), Verdict.TONED, "in colour", "in colour"),
        (Facts(shows_more=0.5), Verdict.CROPPED, "shows more of the picture", "shows the most of the picture"),
        (
            Facts(cleaner=1.5),
            Verdict.RE_ENCODED,
            "fewer traces of saving and editing",
            "the fewest traces of saving and editing",
        ),
        (
            Facts(finer=1.0, grey=-1, cleaner=3.0),
            Verdict.TONED,
            "finer detail: this one was enlarged or blurred; in colour; fewer traces of saving and editing",
            "the most detail; in colour; the fewest traces of saving and editing",
        ),
    ],
)
def test_the_better_photo_is_kept_whichever_comes_first(facts, verdict, why, best_words):
    assert grouped(facts, verdict) == ("b", why, best_words)
    assert grouped(facts.of_the_other(), verdict) == ("a", why, best_words)


def test_noise_of_measuring_decides_nothing():
    noise = Facts(finer=0.14, shows_more=0.06, cleaner=0.9)
    assert grouped(noise) == ("a", "first by name", "first by name")
    assert grouped(Facts(finer=0.14, cleaner=-1.5))[0] == "a"
    assert grouped(Facts(finer=-0.14, cleaner=1.5)) == (
        "b",
        "fewer traces of saving and editing",
        "the fewest traces of saving and editing",
    )


def test_detail_outweighs_what_was_added_and_the_rule_may_say_otherwise():
    facts = Facts(finer=1.0, added=1)
    assert grouped(facts, Verdict.OVERLAID)[0] == "b"
    assert grouped(facts, Verdict.OVERLAID, rule=("nothing_added", "detail")) == (
        "a",
        "no text or badge on it",
        "nothing added",
    )


def test_of_equals_the_oldest_is_kept_and_an_unknown_age_is_the_youngest():
    assert grouped(Facts(), ages=("2026-05-01", "2025-12-31")) == (
        "b",
        "older: 2025-12-31, here 2026-05-01",
        "the oldest",
    )
    assert grouped(Facts(), ages=(None, "2025")) == ("b", "older: 2025, here not known", "the oldest")
    assert grouped(Facts(), ages=(None, "2025"), rule=RULE[:-1])[0] == "a"


def test_of_one_file_the_oldest_row_is_kept():
    photos = [Photo("a", "1", age="2026"), Photo("b", "1", age="2025"), Photo("c", "1")]
    rows = group_duplicates(photos, [])
    assert [(row.key, row.kept_because) for row in rows] == [
        ("b", "the oldest"),
        ("a", "the same file; older: 2025, here 2026"),
        ("c", "the same file; older: 2025, here not known"),
    ]


@pytest.mark.parametrize(
    ("turned", "words"),
    [
        (Orientation.MIRROR, "not mirrored, as most of them are"),
        (Orientation.ROTATE_180, "upright, as most of them are"),
    ],
)
def test_what_most_copies_agree_in_is_not_turned(turned, words):
    photos = [Photo(key, key) for key in "abc"]
    beside_a = {"b": Facts(orientation=turned), "c": Facts(orientation=turned)}
    pairs = [VerifiedPair("a", key, Verdict.MIRRORED, 0.99, facts) for key, facts in beside_a.items()]
    rows = group_duplicates(photos, [*pairs, VerifiedPair("b", "c", Verdict.RE_ENCODED, 0.99)])
    assert [row.key for row in rows] == ["b", "a", "c"]
    assert rows[1].kept_because == words and rows[2].kept_because == "as good as any"
    # Of two nobody knows.
    assert grouped(beside_a["b"], Verdict.MIRRORED)[0] == "a"


def test_the_best_is_told_from_its_own_sight():
    """Beside a thumbnail two large photos look alike; beside each other they do not."""
    photos = [Photo(key, key) for key in ("large", "larger", "thumbnail", "thumbnail 2")]
    pairs = [
        VerifiedPair("thumbnail", "thumbnail 2", Verdict.RE_ENCODED, 0.99),
        *(VerifiedPair("thumbnail", key, Verdict.RESIZED, 0.99, Facts(finer=3.0)) for key in ("large", "larger")),
        *(VerifiedPair("thumbnail 2", key, Verdict.RESIZED, 0.99, Facts(finer=3.0)) for key in ("large", "larger")),
        VerifiedPair("large", "larger", Verdict.RESIZED, 0.99, Facts(finer=1.0)),
    ]
    assert group_duplicates(photos, pairs)[0].key == "larger"


def test_facts_seen_from_the_other_photo_and_back_are_the_same():
    for orientation in ORIENTATIONS:
        facts = Facts(0.5, -0.25, 1, -1, 0.75, orientation, (10.0, 20.0))
        assert facts.of_the_other() != facts and facts.of_the_other().of_the_other() == facts


def test_every_criterion_has_words_and_some_photo_always_is_the_best():
    assert set(BEST_WORDS) == set(Criterion) == set(RULE)
    assert best({"a": Facts(), "b": Facts(finer=0.1)}, ["a", "b"], {}) == ["a", "b"]
    with pytest.raises(ValueError, match="resolution"):
        best({"a": Facts()}, ["a"], {}, ["resolution"])
