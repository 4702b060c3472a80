"""Stars of photos that look the same: a stand-in, which alone is compared with others, and those that it stands for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.duplicates.prints import COLOUR_VALUES
from prodseek.duplicates.stand_ins import Look, Print, stand_ins
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.local_features import KeptFeatures
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame

# A photo of thousands of copies has hundreds that cannot be proved to be copies of anything. If fewer than this share of so many
# were settled, the others are given up.
_MANY_LEFT, _LEAST_SETTLED = 128, 1 / 32
MEMBERS = "image_id string, stand_in_id string, first_id string, place int, is_equal boolean"


class Stars(NamedTuple):
    """Photos that look the same, and which of them stands in for the others.

    members: of each photo that another stands in for: image_id, stand_in_id, first_id (its stand-in in the first round), place
    (0: the best of all photos), is_equal (its pixels are those of its first stand-in).
    """

    members: DataFrame

    @classmethod
    def of(cls, night: Night, photos: ComparedPhotos, kept: KeptFeatures) -> Stars:
        """The best of those that look the same stands in for the others: most pixels, then most bytes; it is likely kept."""
        named = ("image_id", "pixel_hash", "pdq_hash", "content_hash", "colours")
        best_first = (-F.col("width_px").cast("long") * F.col("height_px"), -F.col("n_bytes"), "image_id")
        table = (
            photos.rows.join(kept.prints(photos.rows), "image_id", "left").orderBy(*best_first).select(*named).toArrow()
        )
        image_ids = table.column("image_id").to_pylist()
        looks = _looks(table)
        found = stand_ins(looks)
        rows = [
            (image_ids[row], image_ids[other], image_ids[other], row, looks[row].pixel_hash == looks[other].pixel_hash)
            for row, other in enumerate(found.tolist())
            if row != other
        ]
        return cls(local_frame(night.spark, rows, MEMBERS).cache())

    @property
    def pairs(self) -> DataFrame:
        """left, right: each member with its stand-in."""
        return self.members.select(F.col("stand_in_id").alias("left"), F.col("image_id").alias("right"))

    def without_members(self, photos: DataFrame) -> DataFrame:
        """The photos that stand for themselves. photos: image_id and more."""
        return photos.join(self.members.select("image_id"), "image_id", "left_anti")

    def stand_in_of(self, pairs: DataFrame) -> DataFrame:
        """The pairs' photos replaced by their stand-ins. pairs: left, right, and more."""
        for side in ("left", "right"):
            names = self.members.select(F.col("image_id").alias(side), F.col("stand_in_id").alias("stand_in"))
            pairs = pairs.join(names, side, "left").withColumn(side, F.coalesce("stand_in", side)).drop("stand_in")
        return pairs.where("left <> right")

    def without(self, settled: DataFrame) -> Stars:
        """Only the members that are not settled by their stand-in, if there is hope for them. settled: image_id_a, image_id_b."""
        there = settled.select(F.col("image_id_a").alias("stand_in_id"), F.col("image_id_b").alias("image_id"))
        back = settled.select(F.col("image_id_b").alias("stand_in_id"), F.col("image_id_a").alias("image_id"))
        # Of equal pixels there is nothing more to learn.
        others = self.members.where("not is_equal")
        left = others.join(there.unionByName(back), ["stand_in_id", "image_id"], "left_anti")
        of_star = Window.partitionBy("stand_in_id")
        n_members = others.groupBy("stand_in_id").agg(F.count("*").alias("n_members"))
        counted = left.join(n_members, "stand_in_id").withColumn("n_left", F.count("*").over(of_star))
        is_hopeless = (F.col("n_left") >= _MANY_LEFT) & (F.col("n_left") > (1 - _LEAST_SETTLED) * F.col("n_members"))
        return Stars(checkpointed(counted.where(~is_hopeless).select(*self.members.columns)))

    def among_themselves(self) -> tuple[Stars, DataFrame]:
        """Stars of the members alone, the best of each standing in for its others; and those that do: image_id, first_id."""
        best = F.min_by("image_id", "place").over(Window.partitionBy("stand_in_id"))
        members = checkpointed(self.members.withColumn("stand_in_id", best))
        heads = members.where("image_id = stand_in_id").select("image_id", "first_id")
        return Stars(checkpointed(members.where("image_id <> stand_in_id"))), heads


def _looks(table: pa.Table) -> list[Look]:
    looks = []
    for row in table.to_pylist():
        prints: tuple[Print, ...] = ()
        if row["colours"] is not None:
            colours = np.frombuffer(row["colours"], np.int8).reshape(-1, COLOUR_VALUES)
            hashes = [bytes.fromhex(row["pdq_hash"]), *([row["content_hash"]] if row["content_hash"] else [])]
            prints = tuple(Print(int.from_bytes(bits), one) for bits, one in zip(hashes, colours, strict=True))
        looks.append(Look(row["pixel_hash"], prints))
    return looks
