"""Groups of copies: their photos and pairs are few and come to the driver, where they are grouped."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.duplicates.grouping import GroupRow, Photo, VerifiedPair
from prodseek.duplicates.verdicts import Verdict
from prodseek.spark.duplicates.candidates import PAIRS
from prodseek.spark.duplicates.pair_verdicts import SIDES, is_copy
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame, spark_schema

_KEY_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Copies:
    """The photos that have a copy, by key, and the pairs among them that merge."""

    photos: list[Photo]
    pairs: list[VerifiedPair]

    @classmethod
    def of(cls, night: Night, judged: DataFrame, same_bytes: DataFrame) -> Copies:
        """judged: rows of `near_duplicates` with overlaid_side. same_bytes: as `identical_bytes` gives them."""
        settings = night.config.duplicates
        merging = judged.where(is_copy() & (F.col("confidence") >= settings.merge_confidence))
        image_ids = (
            merging.select(F.col("image_id_a").alias("image_id"))
            .union(merging.select("image_id_b"))
            .union(same_bytes.select("image_id_a"))
            .distinct()
        )
        rows = night.table("images").join(image_ids, "image_id", "left_semi").collect()
        photos = [
            Photo(
                _key(row["product_id"], row["uri"]),
                row["image_id"],
                row["width_px"],
                row["height_px"],
                row["n_bytes"],
                row["attributes"].get(settings.age_column, ""),
            )
            for row in rows
        ]
        pairs = []
        for row in merging.orderBy("image_id_a", "image_id_b").collect():
            keys = {side: _key(row[f"product_id_{side}"], row[f"uri_{side}"]) for side in SIDES}
            verdict = Verdict(row["verdict"])
            overlaid_key = keys.get(row["overlaid_side"]) if verdict == Verdict.OVERLAID else None
            pairs.append(VerifiedPair(keys["a"], keys["b"], verdict, row["confidence"], overlaid_key))
        return cls(sorted(photos, key=lambda photo: photo.key), pairs)

    @property
    def image_ids(self) -> dict[str, str]:
        """Key of a photo -> its image_id."""
        return {photo.key: photo.image_id for photo in self.photos}

    def image_pairs(self, night: Night, keys: list[tuple[str, str]]) -> DataFrame:
        """image_id_a, image_id_b of pairs of photos, each once. keys: of their photos."""
        image_ids = self.image_ids
        pairs = {(min(pair), max(pair)) for pair in ((image_ids[a], image_ids[b]) for a, b in keys)}
        return local_frame(night.spark, sorted(pairs), PAIRS)

    def group_table(self, night: Night, groups: list[GroupRow]) -> DataFrame:
        """`groups` as rows of `duplicate_groups`."""
        image_ids = self.image_ids
        rows = [
            (
                group.group_id,
                image_ids[group.key],
                *group.key.split(_KEY_SEPARATOR, 1),
                group.is_representative,
                group.group_size,
                group.similarity_to_representative,
            )
            for group in groups
        ]
        return local_frame(night.spark, rows, spark_schema("duplicate_groups"))


def _key(product_id: str, uri: str) -> str:
    return f"{product_id}{_KEY_SEPARATOR}{uri}"
