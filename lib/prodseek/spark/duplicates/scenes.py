"""Scenes: what a photo was put into shows its crops too, and is a copy of none of them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.verdicts import Decision, Verdict
from prodseek.spark.duplicates.contradictions import with_shared_parts
from prodseek.spark.duplicates.pair_verdicts import PAIR, is_copy


def beside_scenes(judged: DataFrame, photos: DataFrame) -> DataFrame:
    """The pairs, where a copy of a photo that was put into a scene is no copy of the scene, but for a person to look at.

    On a catalogue's page among other products, a photo is seen to have margins, and its crop is not: it fills its place, and
    what lies beyond may as well be what was cut off. judged: rows of `near_duplicates`. photos: image_id, width_px, height_px.
    """
    embedded = with_shared_parts(judged.where(F.col("verdict") == Verdict.EMBEDDED.value), photos)
    is_a_thing = F.col("share_a") >= F.col("share_b")
    ends = F.col(PAIR[0]), F.col(PAIR[1])
    put_into = embedded.select(
        F.when(is_a_thing, ends[0]).otherwise(ends[1]).alias("thing"),
        F.when(is_a_thing, ends[1]).otherwise(ends[0]).alias("scene"),
    )
    copies = judged.where(is_copy()).select(*PAIR)
    of_thing = copies.unionByName(copies.select(ends[1].alias(PAIR[0]), ends[0].alias(PAIR[1]))).toDF("thing", "copy")
    shown = of_thing.join(put_into, "thing").where("copy <> scene")
    pairs = shown.select(F.least("copy", "scene").alias(PAIR[0]), F.greatest("copy", "scene").alias(PAIR[1])).distinct()
    settled = judged.join(pairs.withColumn("is_shown", F.lit(True)), PAIR, "left")
    is_doubtful = is_copy() & F.col("is_shown").isNotNull()
    decision = F.when(is_doubtful, F.lit(Decision.LOOK.value)).otherwise(F.col("decision"))
    return settled.withColumn("decision", decision).select(*judged.columns)
