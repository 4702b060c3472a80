"""Rivals: two photos that are no copies of each other are hardly both what a third one was made from."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.verdicts import Decision
from prodseek.runs.columns import BOX_EDGES
from prodseek.spark.duplicates.pair_verdicts import SIDES, is_copy

_PAIR = ["image_id_a", "image_id_b"]
# Two photos that were pasted into one scene lie in different places of it: rivals show the same part of the third.
_SAME_PART_IOU = 0.5
# An odds ratio has no bound, but no model is surer than this.
_LEAST_CHANCE = 1e-4


def beside_rivals(judged: DataFrame, merge_confidence: float) -> DataFrame:
    """The pairs, with the confidence that is left where one of the two photos is more like a third.

    A photo of a blue shirt is nearly as much like the grey one, but for the blue one in the catalogue. The confidences of three
    pairs are taken for independent evidence; being copies is transitive, so that exactly two of the three cannot hold. What a
    pair keeps beside its strongest rival is its share of the states that can. No confidence rises, and that of a photo's
    likeliest source stays. A copy that keeps less than merge_confidence is for a person to look at.
    judged: rows of `near_duplicates`.
    """
    shares = _corners(_triangles(judged)).select(*_PAIR, _share().alias("share"))
    least = shares.groupBy(*_PAIR).agg(F.min("share").cast("float").alias("share"))
    left = F.least("confidence", "share")
    decision = F.when(is_copy() & (left < merge_confidence), F.lit(Decision.LOOK.value)).otherwise(F.col("decision"))
    settled = judged.join(least, _PAIR, "left").withColumns({"confidence": left, "decision": decision})
    return settled.select(*judged.columns)


def _share() -> Column:
    """The chance that a photo was made from the weaker of two, given what is thought of all three pairs."""
    weaker, rival, between = (
        _odds(F.col(name)) for name in ("weaker_confidence", "rival_confidence", "between_confidence")
    )
    all_three = weaker * rival * between
    return (all_three + weaker) / (all_three + weaker + rival + between + 1)


def _odds(chance: Column) -> Column:
    bounded = F.greatest(F.lit(_LEAST_CHANCE), F.least(F.lit(1 - _LEAST_CHANCE), chance.cast("double")))
    return bounded / (1 - bounded)


def _triangles(judged: DataFrame) -> DataFrame:
    """Three photos of which each two were judged: x, y, z, and for each two the confidence and the part of each that is shared.

    Found from the photo with the fewest pairs, so that thousands of copies of one photo do not all meet (Schank and Wagner,
    "Finding, Counting and Listing all Triangles in Large Graphs", 2005).
    """
    ends = [
        judged.select(
            F.col(f"image_id_{side}").alias("photo"),
            F.col(f"image_id_{other}").alias("other"),
            "confidence",
            _box(side).alias("box"),
            _box(other).alias("other_box"),
        )
        for side, other in (SIDES, SIDES[::-1])
    ]
    both_ways = ends[0].union(ends[1])
    counts = both_ways.groupBy("photo").agg(F.count("*").alias("n_pairs"))
    ranked = both_ways.join(counts, "photo").join(
        counts.select(F.col("photo").alias("other"), F.col("n_pairs").alias("n_other_pairs")), "other"
    )
    upward = ranked.where(F.struct("n_pairs", "photo") < F.struct(F.col("n_other_pairs"), F.col("other")))

    def side(one: str, other: str, frame: DataFrame) -> DataFrame:
        return frame.select(
            F.col("photo").alias(one),
            F.col("other").alias(other),
            F.col("confidence").alias(f"{one}{other}"),
            F.col("box").alias(f"{one}_in_{one}{other}"),
            F.col("other_box").alias(f"{other}_in_{one}{other}"),
        )

    wedges = side("x", "y", upward).join(side("x", "z", upward), "x").where("y < z")
    return wedges.join(side("y", "z", both_ways), ["y", "z"])


def _corners(triangles: DataFrame) -> DataFrame:
    """Each photo of a triangle whose pairs with both others show the same part of it: the weaker pair, and what is thought of it,
    of its rival, and of the two others.
    """
    found = []
    for corner, one, other in (("x", "y", "z"), ("y", "x", "z"), ("z", "x", "y")):
        names = ["".join(sorted(pair)) for pair in ((corner, one), (corner, other), (one, other))]
        first, second, between = (F.col(name) for name in names)
        is_first = first < second
        partner = F.when(is_first, F.col(one)).otherwise(F.col(other))
        rows = triangles.where(_iou(*(F.col(f"{corner}_in_{name}") for name in names[:2])) > _SAME_PART_IOU).select(
            F.least(F.col(corner), partner).alias("image_id_a"),
            F.greatest(F.col(corner), partner).alias("image_id_b"),
            F.least(first, second).alias("weaker_confidence"),
            F.greatest(first, second).alias("rival_confidence"),
            between.alias("between_confidence"),
        )
        found.append(rows.where("weaker_confidence < rival_confidence"))
    return reduce(DataFrame.union, found)


def _box(side: str) -> Column:
    return F.struct(*(F.col(f"{edge}_{side}_px").alias(edge) for edge in BOX_EDGES))


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
