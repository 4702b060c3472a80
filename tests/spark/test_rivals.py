"""What a photo is more like takes confidence from what it is less like, where these two are kept apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from pyspark.sql import SparkSession

from prodseek.spark.duplicates.rivals import beside_rivals

PAIR = "image_id_a string, image_id_b string, verdict string, decision string, confidence float, " + ", ".join(
    f"{edge}_{side}_px float" for side in "ab" for edge in ("x1", "y1", "x2", "y2")
)
WHOLE, LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (0.0, 0.0, 40.0, 100.0), (60.0, 0.0, 100.0, 100.0)
MERGE_CONFIDENCE, LOOK_CONFIDENCE = 0.9, 0.15


def share(weaker: float, rival: float, between: float) -> float:
    """By hand: of the states of three pairs in which being copies is transitive, those in which the weaker is one."""
    chance = {"weaker": weaker, "rival": rival, "between": between}
    states = {}
    for copies in [set(), {"weaker"}, {"rival"}, {"between"}, {"weaker", "rival", "between"}]:
        weight = 1.0
        for name, value in chance.items():
            weight *= value if name in copies else 1 - value
        states[frozenset(copies)] = weight
    return sum(weight for copies, weight in states.items() if "weaker" in copies) / sum(states.values())


CASES = {
    "a blue shirt with a badge, the blue and the grey one": (
        [("blue", "query", 0.98, WHOLE, WHOLE), ("grey", "query", 0.9, WHOLE, WHOLE), ("blue", "grey", 0.1, WHOLE, WHOLE)],
        {("grey", "query"): share(0.9, 0.98, 0.1)},
    ),
    "three versions of one photo": (
        [("a", "b", 0.99, WHOLE, WHOLE), ("a", "c", 0.97, WHOLE, WHOLE), ("b", "c", 0.98, WHOLE, WHOLE)],
        {},
    ),
    "two products pasted into one scene": (
        [("left", "scene", 0.98, WHOLE, LEFT), ("right", "scene", 0.9, WHOLE, RIGHT), ("left", "right", 0.1, WHOLE, WHOLE)],
        {},
    ),
    "three versions of one photo, two of which a person has to compare": (
        [("a", "b", 0.99, WHOLE, WHOLE), ("a", "c", 0.97, WHOLE, WHOLE), ("b", "c", 0.3, WHOLE, WHOLE)],
        {},
    ),
    "a rival that was not compared with the other": (
        [("blue", "query", 0.98, WHOLE, WHOLE), ("grey", "query", 0.9, WHOLE, WHOLE)],
        {},
    ),
    "the strongest of two rivals decides": (
        [
            ("blue", "query", 0.98, WHOLE, WHOLE),
            ("navy", "query", 0.95, WHOLE, WHOLE),
            ("grey", "query", 0.9, WHOLE, WHOLE),
            *((*pair, 0.05, WHOLE, WHOLE) for pair in (("blue", "grey"), ("blue", "navy"), ("grey", "navy"))),
        ],
        {("grey", "query"): share(0.9, 0.98, 0.05), ("navy", "query"): share(0.95, 0.98, 0.05)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_rival_takes_confidence_from_the_weaker_pair(spark: SparkSession, name: str) -> None:
    made, changed = CASES[name]
    rows = [
        (*sorted((a, b)), "toned", "variant" if confidence < LOOK_CONFIDENCE else "look", confidence, *of_a, *of_b)
        for a, b, confidence, of_a, of_b in made
    ]
    found = _settled(spark, rows)
    expected = {(a, b): (decision, confidence) for a, b, _, decision, confidence, *_ in rows}
    expected |= {pair: ("look", confidence) for pair, confidence in changed.items()}
    assert found.keys() == expected.keys()
    for pair, (decision, confidence) in expected.items():
        assert found[pair] == (decision, pytest.approx(confidence, abs=1e-5)), pair


@pytest.mark.parametrize(
    ("sure", "decision"), [(0.98, "look"), (0.9995, "copy")], ids=["little surer than the other", "much surer"]
)
def test_of_two_that_are_proved_and_kept_apart_the_likelier_keeps_its_share(
    spark: SparkSession, sure: float, decision: str
) -> None:
    """A label of half the size cannot say which of two that differ in a digit it is."""
    rows = [
        ("blue", "query", "toned", "copy", sure, *WHOLE, *WHOLE),
        ("grey", "query", "toned", "copy", 0.95, *WHOLE, *WHOLE),
        ("blue", "grey", "recoloured", "variant", 0.05, *WHOLE, *WHOLE),
    ]
    found = _settled(spark, rows)
    assert found["blue", "query"] == (decision, pytest.approx(share(sure, 0.95, 0.05), abs=1e-4))
    assert found["grey", "query"] == ("look", pytest.approx(share(0.95, sure, 0.05), abs=1e-4))
    assert found["blue", "grey"][0] == "variant"


def test_thousands_of_copies_of_one_photo_keep_their_confidence(spark: SparkSession) -> None:
    rows = [("hub", f"copy-{number:05d}", "re_encoded", "copy", 0.95, *WHOLE, *WHOLE) for number in range(5000)]
    assert {(decision, round(left, 6)) for decision, left in _settled(spark, rows).values()} == {("copy", 0.95)}


def test_the_order_of_the_rows_and_how_they_are_spread_change_nothing(spark: SparkSession) -> None:
    names = "abcdef"
    rows = [
        (one, other, "toned", "variant" if place % 3 else "look", 0.2 + 0.03 * place, *WHOLE, *WHOLE)
        for place, (one, other) in enumerate(combinations(names, 2))
    ]
    assert _settled(spark, rows, n_partitions=1) == _settled(spark, rows[::-1], n_partitions=8)


def _settled(
    spark: SparkSession, rows: list[tuple[object, ...]], n_partitions: int = 2
) -> dict[tuple[str, str], tuple[str, float]]:
    pairs = spark.createDataFrame(rows, PAIR).repartition(n_partitions)
    settled = beside_rivals(pairs, MERGE_CONFIDENCE)
    assert settled.schema == pairs.schema
    found = {(row["image_id_a"], row["image_id_b"]): (row["decision"], row["confidence"]) for row in settled.collect()}
    assert len(found) == len(rows)
    return found
