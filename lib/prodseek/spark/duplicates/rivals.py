"""Rivals: two photos that are kept apart are hardly both what a third one was made from."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.verdicts import Decision
from prodseek.runs.columns import BOX_EDGES
from prodseek.spark.duplicates.pair_verdicts import PAIR, SIDES, is_copy

# Two photos that were pasted into one scene lie in different places of it: rivals show the same part of the third.
_SAME_PART_IOU = 0.5
# No model is surer than this of anything.
_LEAST_CHANCE = 1e-4


def beside_rivals(judged: DataFrame, merge_confidence: float) -> DataFrame:
    """The pairs, with the confidence that is left where one of the two photos is more like a third.

    A photo of a blue shirt is nearly as much like the grey one, but for the blue one in the catalogue. The confidences of the
    three pairs are taken for independent evidence; being copies is transitive, so that no two of the three can hold without the
    third. What a pair keeps beside its strongest rival is its share of the states that can. No confidence rises, and that of a
    photo's likeliest source stays, unless both are proved: a small label is a copy of two that differ in a digit, and either
    may be its source. A copy that keeps less than merge_confidence is for a person to look at.
    judged: rows of `near_duplicates`.
    """
    shares = _rivalries(judged).select(*PAIR, _share().cast("float").alias("share"))
    least = shares.groupBy(*PAIR).agg(F.min("share").alias("share"))
    left = F.least("confidence", "share")
    decision = F.when(is_copy() & (left < merge_confidence), F.lit(Decision.LOOK.value)).otherwise(F.col("decision"))
    settled = judged.join(least, PAIR, "left").withColumns({"confidence": left, "decision": decision})
    return settled.select(*judged.columns)


def _share() -> Column:
    """The chance that a photo was made from one of two that are kept apart, given what is thought of all three pairs."""
    own, rival, apart = (odds(F.col(f"{name}_confidence")) for name in ("own", "rival", "apart"))
    all_three = own * rival * apart
    return (all_three + own) / (all_three + own + rival + apart + 1)


def odds(chance: Column) -> Column:
    """chance / (1 - chance), of a chance that no model is surer of than `_LEAST_CHANCE`."""
    bounded = F.greatest(F.lit(_LEAST_CHANCE), F.least(F.lit(1 - _LEAST_CHANCE), chance.cast("double")))
    return bounded / (1 - bounded)


def _rivalries(judged: DataFrame) -> DataFrame:
    """Each photo that was compared with two that are kept apart, and shares the same part of it with both: the weaker of its two
    pairs, or each if both are proved, and the confidence of this, of the other, and of the two that are kept apart.
    """
    seen = _from_both_ends(judged)
    n_pairs = seen.groupBy("photo").agg(F.count("*").alias("n_pairs"))
    # From the one with fewer pairs, because a photo may have thousands of copies.
    apart = (
        seen.where(F.col("decision") == Decision.VARIANT.value)
        .join(n_pairs, "photo")
        .join(n_pairs.toDF("other", "n_other_pairs"), "other")
        .where(F.struct("n_pairs", "photo") < F.struct("n_other_pairs", "other"))
        .select(F.col("photo").alias("one"), "other", F.col("confidence").alias("apart_confidence"))
    )
    of_one, of_other = (
        seen.select(
            F.col("photo").alias(end),
            F.col("other").alias("third"),
            F.col("confidence").alias(f"{end}_confidence"),
            is_copy().alias(f"{end}_is_copy"),
            F.col("other_box").alias(f"{end}_box"),
        )
        for end in ("one", "other")
    )
    both = apart.join(of_one, "one").join(of_other, ["other", "third"])
    same_part = both.where(_iou(F.col("one_box"), F.col("other_box")) > _SAME_PART_IOU)
    are_proved = F.col("one_is_copy") & F.col("other_is_copy")
    sides = [
        same_part.where(are_proved | (F.col(f"{own}_confidence") < F.col(f"{rival}_confidence"))).select(
            F.least("third", own).alias("image_id_a"),
            F.greatest("third", own).alias("image_id_b"),
            F.col(f"{own}_confidence").alias("own_confidence"),
            F.col(f"{rival}_confidence").alias("rival_confidence"),
            "apart_confidence",
        )
        for own, rival in (("one", "other"), ("other", "one"))
    ]
    return sides[0].unionByName(sides[1])


def _from_both_ends(judged: DataFrame) -> DataFrame:
    """Each pair twice: photo, other, decision, confidence, and the part of the other that the photo shows too."""
    ends = [
        judged.select(
            F.col(f"image_id_{side}").alias("photo"),
            F.col(f"image_id_{other}").alias("other"),
            "decision",
            "confidence",
            F.struct(*(F.col(f"{edge}_{other}_px").alias(edge) for edge in BOX_EDGES)).alias("other_box"),
        )
        for side, other in (SIDES, SIDES[::-1])
    ]
    return ends[0].union(ends[1])


def _iou(one: Column, other: Column) -> Column:
    """Intersection over union of two boxes."""
    width, height = (
        F.greatest(
            F.lit(0), F.least(one[f"{axis}2"], other[f"{axis}2"]) - F.greatest(one[f"{axis}1"], other[f"{axis}1"])
        )
        for axis in "xy"
    )
    areas = [(box["x2"] - box["x1"]) * (box["y2"] - box["y1"]) for box in (one, other)]
    shared = width * height
    return shared / (areas[0] + areas[1] - shared)
