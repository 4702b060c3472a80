"""A part that two different photos share is a copy of neither for sure; what only looks like that stays a copy."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from prodseek.duplicates.guards import Doubt
from prodseek.spark.duplicates.contradictions import without_contradictions

PHOTO = "image_id string, width_px int, height_px int"
PAIR = (
    "image_id_a string, image_id_b string, verdict string, decision string, confidence float, "
    "evidence struct<doubt: string>, "
) + ", ".join(f"{edge}_{side}_px float" for side in "ab" for edge in ("x1", "y1", "x2", "y2"))
NO_DOUBT = (None,)
WHOLE, LEGS = (0.0, 0.0, 100.0, 100.0), (0.0, 50.0, 100.0, 100.0)
CASES = {
    "cut from either of two colours": (
        [("a", "x", "cropped", LEGS, WHOLE), ("b", "x", "cropped", LEGS, WHOLE), ("a", "b", "recoloured", WHOLE, WHOLE)],
        {("a", "x"): ("look", 0.45), ("b", "x"): ("look", 0.45)},
    ),
    "cut from either of three": (
        [
            *((name, "x", "cropped", LEGS, WHOLE) for name in "abc"),
            *((*pair, "part_differs", WHOLE, WHOLE) for pair in ("ab", "ac", "bc")),
        ],
        {(name, "x"): ("look", 0.3) for name in "abc"},
    ),
    "cut from a photo, or from what may be another": (
        [("a", "x", "cropped", LEGS, WHOLE), ("b", "x", "cropped", LEGS, WHOLE), ("a", "b", "overlaid", WHOLE, WHOLE)],
        {("a", "x"): ("look", 0.9), ("b", "x"): ("look", 0.9)},
    ),
    "shared by two windows of one picture": (
        [("a", "x", "cropped", LEGS, WHOLE), ("b", "x", "cropped", LEGS, WHOLE), ("a", "b", "same_object", LEGS, LEGS)],
        {},
    ),
    "margins of two products round the same content": (
        [("a", "x", "padded", LEGS, WHOLE), ("b", "x", "padded", LEGS, WHOLE), ("a", "b", "part_differs", WHOLE, WHOLE)],
        {("a", "x"): ("look", 0.45), ("b", "x"): ("look", 0.45)},
    ),
    "cut from a photo and from its copy": (
        [("a", "x", "cropped", LEGS, WHOLE), ("b", "x", "cropped", LEGS, WHOLE), ("a", "b", "re_encoded", WHOLE, WHOLE)],
        {},
    ),
    "cut from two photos that were not compared": (
        [("a", "x", "cropped", LEGS, WHOLE), ("b", "x", "cropped", LEGS, WHOLE)],
        {},
    ),
    "two cuts of one photo": (
        [("a", "x", "cropped", WHOLE, LEGS), ("b", "x", "cropped", WHOLE, LEGS), ("a", "b", "part_differs", WHOLE, WHOLE)],
        {},
    ),
    "the whole of one of two colours": (
        [("a", "x", "resized", WHOLE, WHOLE), ("b", "x", "recoloured", WHOLE, WHOLE), ("a", "b", "recoloured", WHOLE, WHOLE)],
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_part_of_two_different_photos_is_a_copy_of_neither(spark: SparkSession, name: str) -> None:
    made, changed = CASES[name]
    decisions = dict.fromkeys(("cropped", "padded", "resized", "re_encoded"), "copy") | {"overlaid": "look"}
    rows = [
        (a, b, verdict, decisions.get(verdict, "variant"), 0.9, NO_DOUBT, *of_a, *of_b)
        for a, b, verdict, of_a, of_b in made
    ]
    photos = spark.createDataFrame([(one, 100, 100) for one in "abcx"], PHOTO)
    pairs = spark.createDataFrame(rows, PAIR)
    settled = without_contradictions(pairs, photos)
    assert settled.schema == pairs.schema
    found = {(row["image_id_a"], row["image_id_b"]): (row["decision"], row["confidence"]) for row in settled.collect()}
    expected = {(a, b): (decision, 0.9) for a, b, _, decision, *_ in rows} | changed
    assert found.keys() == expected.keys() and len(found) == len(rows)
    for pair, (decision, confidence) in expected.items():
        assert found[pair] == (decision, pytest.approx(confidence, abs=1e-6)), pair


def test_two_encodings_that_are_only_not_proved_contradict_no_crop_of_them(spark: SparkSession) -> None:
    photos = spark.createDataFrame([(one, 100, 100) for one in "abx"], PHOTO)
    seen = [(doubt.value, 0.99, "copy" if doubt in (Doubt.FAINT, Doubt.MARGIN) else "look") for doubt in Doubt]
    # Two with different margins are copies of the photo itself, as one with a margin is.
    margins = [(Doubt.MARGIN.value, 0.05, "copy")]
    for doubt, confidence, decision in [(None, 0.99, "copy"), (None, 0.9, "look"), *seen, *margins]:
        rows = [
            ("a", "b", "re_encoded", "look", confidence, (doubt,), *WHOLE, *WHOLE),
            *((one, "x", "cropped", "copy", 0.95, NO_DOUBT, *LEGS, *WHOLE) for one in "ab"),
        ]
        settled = without_contradictions(spark.createDataFrame(rows, PAIR), photos).collect()
        assert {row["decision"] for row in settled if row["image_id_b"] == "x"} == {decision}
