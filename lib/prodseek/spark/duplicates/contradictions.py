"""Copies that contradict each other: a part that two different photos share was cut from one of them, and nothing tells which."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.decision import shipped_model
from prodseek.duplicates.verdicts import SAME_FRAME, Decision, Verdict
from prodseek.spark.duplicates.pair_verdicts import PAIR, SIDES, differ_in_margins_alone, is_copy, may_be_chance

# Of two photos that show the same frame.
_OF_ONE_FRAME = [
    verdict.value
    for verdict in (
        *(Verdict.RECOLOURED, Verdict.PART_DIFFERS, Verdict.OVERLAID),
        *(Verdict.TONED, Verdict.OTHER_GROUND, Verdict.RE_ENCODED, Verdict.RESIZED),
    )
]


def without_contradictions(judged: DataFrame, photos: DataFrame) -> DataFrame:
    """The pairs, where those that a person has to decide between are no copies any more.

    The legs of a model are the same in the photos of shorts in three colours: a crop of the legs is a copy of one of them. Where
    these are kept apart, they share the confidence; where a person is to look at them too, it stays. Two that are as likely
    copies as the surest, and only not proved, contradict nothing: they are mostly encodings of one photo, and both have its
    crops. Where a weave or another shade was seen, they are not. Two that differ in their margins alone contradict nothing: a
    photo is a copy of itself with any margin.
    judged: rows of `near_duplicates`. photos: image_id, width_px, height_px.
    """
    cuts = _cuts(judged, photos)
    one, other = (cuts.select("inner", F.col("outer").alias(name)) for name in ("one", "other"))
    is_apart = F.col("decision") == Decision.VARIANT.value
    is_unlikely = (F.col("confidence") < shipped_model().surest_confidence) | ~may_be_chance()
    differ = judged.where(F.col("verdict").isin(*_OF_ONE_FRAME) & ~is_copy() & ~differ_in_margins_alone())
    differ = differ.where(is_apart | is_unlikely).select(*PAIR, is_apart.alias("is_apart"))
    back = differ.select("image_id_b", "image_id_a", "is_apart")
    both_ways = differ.union(back).toDF("one", "other", "is_apart")
    contradicted = one.join(other, "inner").join(both_ways, ["one", "other"])
    doubts = contradicted.groupBy("inner", "one").agg((F.count_if("is_apart") + 1).alias("n_sources"))
    ends = F.array_sort(F.array("inner", "one"))
    doubts = doubts.select(ends[0].alias("image_id_a"), ends[1].alias("image_id_b"), "n_sources")
    is_doubtful = is_copy() & F.col("n_sources").isNotNull()
    settled = judged.join(doubts, PAIR, "left")
    return settled.select(
        *(
            _settled(name, is_doubtful).alias(name) if name in ("decision", "confidence") else F.col(name)
            for name in judged.columns
        )
    )


def _settled(name: str, is_doubtful: Column) -> Column:
    unsure = F.lit(Decision.LOOK.value) if name == "decision" else (F.col(name) / F.col("n_sources")).cast("float")
    return F.when(is_doubtful, unsure).otherwise(F.col(name))


def _cuts(judged: DataFrame, photos: DataFrame) -> DataFrame:
    """inner, outer: copies of which the outer photo shows more than the inner one."""
    pairs = with_shared_parts(judged.where(is_copy()), photos)
    is_a_inner = F.col("share_a") >= F.col("share_b")
    return pairs.where(F.least("share_a", "share_b") < SAME_FRAME).select(
        F.when(is_a_inner, F.col("image_id_a")).otherwise(F.col("image_id_b")).alias("inner"),
        F.when(is_a_inner, F.col("image_id_b")).otherwise(F.col("image_id_a")).alias("outer"),
    )


def with_shared_parts(pairs: DataFrame, photos: DataFrame) -> DataFrame:
    """The pairs with share_a, share_b: the share of each photo that both show. photos: image_id, width_px, height_px."""
    for side in SIDES:
        sizes = [F.col(name).alias(f"{name}_{side}") for name in ("image_id", "width_px", "height_px")]
        pairs = pairs.join(photos.select(*sizes), f"image_id_{side}")
    return pairs.withColumns({f"share_{side}": _shared_part(side) for side in SIDES})


def _shared_part(side: str) -> Column:
    """The share of a photo that both show."""
    width, height = (F.col(f"{edge}2_{side}_px") - F.col(f"{edge}1_{side}_px") for edge in "xy")
    return width * height / (F.col(f"width_px_{side}") * F.col(f"height_px_{side}"))
