"""Vouchers: a photo that two others are copies of makes these two copies of each other."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.decision import shipped_model
from prodseek.duplicates.guards import Doubt
from prodseek.duplicates.verdicts import Decision, Verdict
from prodseek.runs.columns import BOX_EDGES
from prodseek.spark.duplicates.pair_verdicts import PAIR, SIDES, differ_in_margins_alone, is_copy, may_be_chance
from prodseek.spark.duplicates.rivals import odds

# Share of a photo's side by which the shared parts of two pairs may differ, because neither is known to the pixel.
_BESIDE = 0.02
# log2 of the detail that a voucher may have less than the poorer of the two: what it does not show, it cannot vouch for.
_LESS_DETAIL = 0.25
# From this chance on, a pair is likelier a copy than not.
_LIKELIER = 0.5
# Doubts that say in what two photos differ.
_SEEN = [doubt.value for doubt in (Doubt.PATTERN, Doubt.TONE)]
# Below this, nobody can be asked to believe a pair.
_LEAST_CONFIDENCE = 0.8


def with_vouchers(settled: DataFrame, judged: DataFrame, merge_confidence: float) -> DataFrame:
    """The settled pairs, where a third photo makes copies of two that a person was to look at.

    A JPEG and a WebP of one photo differ by what either encoder lost, and that may as well be a faint pattern; but both are
    copies of the photo itself. The third must show all that the two share, in no less detail than the poorer of them. The
    confidences of the three pairs are taken for independent evidence, as in `rivals`; being copies is transitive, so that no two
    of the three can hold without the third. A pair that so comes to be as sure as the surest copies must be, is one. No copy is
    made of photos that no chain of copies joins, and none of what carries a mark, or of which more was seen to differ than faint
    traces that an encoder may have left, or margins. Where rivals or contradictions took something from a pair, it stays so.
    settled, judged: rows of `near_duplicates`, the same pairs, with and without what rivals and contradictions say.
    """
    least = max(shipped_model().surest_confidence, merge_confidence)
    asked = judged.where(asks_for_a_voucher()).join(
        settled.select(*PAIR, "confidence"), [*PAIR, "confidence"], "left_semi"
    )
    raised = _vouched(asked, settled).groupBy(*PAIR).agg(F.max("share").cast("float").alias("share"))
    is_vouched = F.col("share") >= least
    vouched = settled.join(raised.where(is_vouched), PAIR, "left").withColumns(
        {
            "confidence": F.coalesce(F.greatest("confidence", "share"), "confidence"),
            "decision": F.when(F.col("share").isNotNull(), F.lit(Decision.COPY.value)).otherwise(F.col("decision")),
        }
    )
    return vouched.select(*settled.columns)


def asks_for_a_voucher() -> Column:
    """Whether a pair might be a copy if another photo vouches for it."""
    return (
        (F.col("decision") == Decision.LOOK.value)
        & (F.col("confidence") >= _LEAST_CONFIDENCE)
        & (F.col("verdict") != Verdict.OVERLAID.value)
        # What was seen to differ is no matter of chance.
        & (may_be_chance() | differ_in_margins_alone())
    )


def beside_a_common_copy(judged: DataFrame) -> DataFrame:
    """image_id_a, image_id_b of pairs that are no copies, though a third that is a copy of both makes it likelier that they are.

    Mostly such a pair is of two versions of one photo, wrongly told apart: it contradicts no other. But where a weave or another
    shade was seen it may. Rivals need no such exception, because they weigh the three pairs against each other themselves.
    judged: rows of `near_duplicates`.
    """
    doubted = _vouched(judged.where(~is_copy() & ~_is_seen()), judged).where(F.col("share") >= _LIKELIER)
    return doubted.select(*PAIR).distinct()


def _is_seen() -> Column:
    """Whether that is known in which the two photos differ."""
    return F.coalesce(F.col("evidence.doubt").isin(*_SEEN), F.lit(False))


def _vouched(asked: DataFrame, judged: DataFrame) -> DataFrame:
    """image_id_a, image_id_b, share of each pair that is asked for and each of its vouchers: the chance that is left to it."""
    boxes = [_box(side).alias(f"box_{side}") for side in SIDES]
    asked, copies = asked.select(*PAIR, "confidence", *boxes), _from_both_ends(judged)
    for side in SIDES:
        seen = copies.select(
            F.col("photo").alias(f"image_id_{side}"),
            "voucher",
            *(F.col(name).alias(f"{name}_{side}") for name in ("chance", "seen", "finer")),
        )
        asked = asked.join(seen, ["image_id_a"] if side == "a" else ["image_id_b", "voucher"])
    shows_all = _contains("seen_a", "box_a") | _contains("seen_b", "box_b")
    is_fine = F.greatest("finer_a", "finer_b") >= -_LESS_DETAIL
    return asked.where(shows_all & is_fine).select(*PAIR, _share().alias("share"))


def _share() -> Column:
    """The chance of the pair, given what is thought of all three; of three pairs exactly two cannot hold."""
    pair, one, other = (odds(F.col(name)) for name in ("confidence", "chance_a", "chance_b"))
    all_three = pair * one * other
    return (all_three + pair) / (all_three + pair + one + other + 1)


def _from_both_ends(judged: DataFrame) -> DataFrame:
    """Each copy twice: photo, voucher, chance, the part of the photo that the voucher shows, and how much finer that is."""
    copies = judged.where(is_copy())
    ends = [
        copies.select(
            F.col(f"image_id_{side}").alias("photo"),
            F.col(f"image_id_{other}").alias("voucher"),
            F.col("confidence").alias("chance"),
            _box(side).alias("seen"),
            # Equal pixels were not compared.
            (sign * F.coalesce("evidence.finer", F.lit(0.0))).alias("finer"),
        )
        for side, other, sign in (("a", "b", 1), ("b", "a", -1))
    ]
    return ends[0].union(ends[1])


def _box(side: str) -> Column:
    return F.struct(*(F.col(f"{edge}_{side}_px").alias(edge) for edge in BOX_EDGES))


def _contains(outer: str, inner: str) -> Column:
    """Whether a box contains another in the same photo, but for `_BESIDE`."""
    out, within = F.col(outer), F.col(inner)
    inside = F.lit(True)
    for axis in "xy":
        beside = _BESIDE * (within[f"{axis}2"] - within[f"{axis}1"])
        inside &= (out[f"{axis}1"] <= within[f"{axis}1"] + beside) & (out[f"{axis}2"] >= within[f"{axis}2"] - beside)
    return inside
