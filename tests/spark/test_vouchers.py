"""A photo that two others are copies of makes these copies of each other, if it shows all that they share."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from prodseek.duplicates.guards import Doubt
from prodseek.spark.duplicates.vouchers import beside_a_common_copy, with_vouchers

BOX = ", ".join(f"{edge}_{side}_px float" for side in "ab" for edge in ("x1", "y1", "x2", "y2"))
PAIR = (
    "image_id_a string, image_id_b string, verdict string, decision string, confidence float, "
    f"evidence struct<finer: float, doubt: string>, {BOX}"
)
WHOLE, MIDDLE, TOP = (0.0, 0.0, 100.0, 100.0), (0.0, 20.0, 100.0, 80.0), (0.0, 0.0, 100.0, 60.0)
MERGE_CONFIDENCE = 0.9
Row = tuple[str, str, str, str, float, tuple[float | None, str | None], tuple[float, ...], tuple[float, ...]]


def pair(
    a: str,
    b: str,
    confidence: float,
    *,
    decision: str = "copy",
    verdict: str = "re_encoded",
    finer: float | None = 0.0,
    doubt: str | None = None,
    of_a: tuple[float, ...] = WHOLE,
    of_b: tuple[float, ...] = WHOLE,
) -> Row:
    return a, b, verdict, decision, confidence, (finer, doubt), of_a, of_b


def look(a: str, b: str, confidence: float, **more: str | tuple[float, ...]) -> Row:
    return pair(a, b, confidence, decision="look", **more)  # type: ignore[arg-type]


def share(of_pair: float, one: float, other: float) -> float:
    """By hand: of the states of three pairs in which being copies is transitive, those in which the pair is one."""
    all_three = of_pair * one * other
    alone = of_pair * (1 - one) * (1 - other)
    others_alone = one * (1 - of_pair) * (1 - other) + other * (1 - of_pair) * (1 - one)
    return (all_three + alone) / (all_three + alone + others_alone + (1 - of_pair) * (1 - one) * (1 - other))


ASKED = look("jpeg", "webp", 0.9)
VOUCHED = {
    "two encodings of one photo": [ASKED, pair("jpeg", "photo", 0.99), pair("photo", "webp", 0.98)],
    "a margin round one of the two": [
        look("jpeg", "webp", 0.9, verdict="padded", of_b=MIDDLE),
        pair("jpeg", "photo", 0.99),
        pair("photo", "webp", 0.98, verdict="padded", of_b=MIDDLE),
    ],
    "a photo in which one of the two is all shown": [
        look("jpeg", "webp", 0.9, of_a=TOP),
        pair("jpeg", "photo", 0.99, of_a=TOP, verdict="cropped"),
        pair("photo", "webp", 0.98),
    ],
    "a smaller photo, where one of the two is as small": [
        ASKED,
        pair("jpeg", "photo", 0.99, finer=-1.0),
        pair("photo", "webp", 0.98, finer=0.1),
    ],
    "something faint, which an encoder may have left": [
        look("jpeg", "webp", 0.9, doubt="faint"),
        pair("jpeg", "photo", 0.99),
        pair("photo", "webp", 0.98),
    ],
    "another margin, which says nothing of the photo in it": [
        look("jpeg", "webp", 0.9, doubt="margin", verdict="other_ground"),
        pair("jpeg", "photo", 0.99),
        pair("photo", "webp", 0.98),
    ],
    "equal pixels, which nobody measured": [
        ASKED,
        pair("jpeg", "photo", 0.99, verdict="identical_pixels", finer=None),
        pair("photo", "webp", 0.98),
    ],
}
NOT_VOUCHED = {
    "nobody is a copy of both": [ASKED, pair("jpeg", "photo", 0.99), look("photo", "webp", 0.98)],
    "the third shows a part of what the two share": [
        ASKED,
        pair("jpeg", "photo", 0.99, of_a=TOP, verdict="cropped"),
        pair("photo", "webp", 0.98, of_b=TOP, verdict="cropped"),
    ],
    "the third shows less detail than both": [
        ASKED,
        pair("jpeg", "photo", 0.99, finer=-1.0),
        pair("photo", "webp", 0.98, finer=1.0),
    ],
    "the pair is hardly a copy": [look("jpeg", "webp", 0.7), pair("jpeg", "photo", 0.99), pair("photo", "webp", 0.99)],
    "the pair stays unsure": [look("jpeg", "webp", 0.8), pair("jpeg", "photo", 0.9), pair("photo", "webp", 0.9)],
    "one of the two carries a mark": [
        look("jpeg", "webp", 0.9, verdict="overlaid"),
        pair("jpeg", "photo", 0.99),
        pair("photo", "webp", 0.98),
    ],
    **{
        f"the doubt is {doubt}": [
            look("jpeg", "webp", 0.99, doubt=doubt),
            pair("jpeg", "photo", 0.99),
            pair("photo", "webp", 0.99),
        ]
        for doubt in Doubt
        if doubt not in (Doubt.FAINT, Doubt.MARGIN)
    },
    "the pair is kept apart": [
        pair("jpeg", "webp", 0.6, decision="variant"),
        pair("jpeg", "photo", 0.99),
        pair("photo", "webp", 0.99),
    ],
}


@pytest.mark.parametrize("name", VOUCHED)
@pytest.mark.parametrize("n_partitions", [1, 8])
def test_a_third_photo_vouches(spark: SparkSession, name: str, n_partitions: int) -> None:
    found = _vouched(spark, VOUCHED[name], n_partitions=n_partitions)
    assert found.pop(("jpeg", "webp")) == ("copy", pytest.approx(share(0.9, 0.99, 0.98), abs=1e-6))
    assert found == {(a, b): ("copy", pytest.approx(confidence)) for a, b, _, _, confidence, *_ in VOUCHED[name][1:]}


@pytest.mark.parametrize("name", NOT_VOUCHED)
def test_nobody_vouches(spark: SparkSession, name: str) -> None:
    rows = NOT_VOUCHED[name]
    expected = {(a, b): (decision, pytest.approx(confidence)) for a, b, _, decision, confidence, *_ in rows}
    assert _vouched(spark, rows) == expected


@pytest.mark.parametrize("decision", ["look", "variant"])
def test_what_is_no_copy_beside_a_common_copy_is_told(spark: SparkSession, decision: str) -> None:
    def found(rows: list[Row]) -> list[tuple[str, str]]:
        return [(row["image_id_a"], row["image_id_b"]) for row in beside_a_common_copy(_frame(spark, rows)).collect()]

    apart = pair("jpeg", "palette", 0.1, decision=decision, verdict="part_differs")
    copies = [pair("jpeg", "photo", 0.99), pair("palette", "photo", 0.98)]
    assert found([apart, *copies]) == [("jpeg", "palette")]
    assert found([apart, copies[0]]) == []
    # A blue shirt and a grey one are surely two, so that it is the third that is wrong.
    surely = pair("jpeg", "palette", 0.005, decision=decision, verdict="recoloured")
    assert found([surely, *copies]) == []
    # A weave that one of them has alone was seen.
    woven = pair("jpeg", "palette", 0.97, decision="look", verdict="re_encoded", doubt="pattern")
    assert found([woven, *copies]) == []
    # The legs of a model are the same under shorts in two colours.
    legs = [pair("jpeg", "photo", 0.99, of_a=TOP), pair("palette", "photo", 0.98, of_a=TOP)]
    assert found([apart, *legs]) == []


def test_what_rivals_or_contradictions_took_is_not_given_back(spark: SparkSession) -> None:
    judged = VOUCHED["two encodings of one photo"]
    lowered = [look("jpeg", "webp", 0.8), *judged[1:]]
    assert _vouched(spark, lowered, judged)["jpeg", "webp"] == ("look", pytest.approx(0.8))
    contradicted = [ASKED, look("jpeg", "photo", 0.99), judged[2]]
    assert _vouched(spark, contradicted, judged)["jpeg", "webp"] == ("look", pytest.approx(0.9))


def test_a_copy_that_was_contradicted_asks_nobody(spark: SparkSession) -> None:
    judged = [pair("jpeg", "webp", 0.9), *VOUCHED["two encodings of one photo"][1:]]
    settled = [ASKED, *judged[1:]]
    assert _vouched(spark, settled, judged)["jpeg", "webp"] == ("look", pytest.approx(0.9))


def test_the_surest_of_many_counts(spark: SparkSession) -> None:
    rows = [look("a", "b", 0.9)]
    rows += [pair(end, f"voucher {number}", 0.97 + number / 1000) for number in range(20) for end in "ab"]
    assert _vouched(spark, rows)["a", "b"] == ("copy", pytest.approx(share(0.9, 0.989, 0.989), abs=1e-6))


def _vouched(
    spark: SparkSession, settled: list[Row], judged: list[Row] | None = None, n_partitions: int = 2
) -> dict[tuple[str, str], tuple[str, float]]:
    frames = [_frame(spark, rows).repartition(n_partitions) for rows in (settled, judged or settled)]
    vouched = with_vouchers(*frames, MERGE_CONFIDENCE)
    assert vouched.schema == frames[0].schema
    found = {(row["image_id_a"], row["image_id_b"]): (row["decision"], row["confidence"]) for row in vouched.collect()}
    assert len(found) == len(settled)
    return found


def _frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return spark.createDataFrame([(*row[:6], *row[6], *row[7]) for row in rows], PAIR)
