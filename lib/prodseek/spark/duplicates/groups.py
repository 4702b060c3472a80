"""Groups of copies: their photos and pairs are few and come to the driver, where they are grouped."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from prodseek.duplicates.grouping import GroupRow
from prodseek.duplicates.pair_facts import facts_of
from prodseek.duplicates.stars import Photo, VerifiedPair
from prodseek.duplicates.verdicts import Verdict
from prodseek.spark.duplicates.candidates import PAIRS
from prodseek.spark.duplicates.pair_verdicts import PAIR, SIDES, is_copy
from prodseek.spark.duplicates.vouchers import asks_for_a_voucher
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame, spark_schema

_KEY_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Copies:
    """The photos that have a copy, by key, and the pairs among them that were judged copies.

    looks: pairs of keys that another photo might vouch for, of which one at least has a copy; the other is among the photos too.
    """

    photos: list[Photo]
    pairs: list[VerifiedPair]
    looks: list[tuple[str, str]]

    @classmethod
    def of(cls, night: Night, judged: DataFrame, same_bytes: DataFrame) -> Copies:
        """judged: rows of `near_duplicates`. same_bytes: as `identical_bytes` gives them."""
        config = night.config
        copies = judged.where(is_copy() & (F.col("confidence") >= config.duplicates.merge_confidence))
        image_ids = _ends(copies).union(same_bytes.select("image_id_a")).distinct()
        looks = _beside(copies, judged.where(asks_for_a_voucher())).cache()
        image_ids = image_ids.union(_ends(looks)).distinct()
        rows = night.table("images").join(image_ids, "image_id", "left_semi").collect()
        photos = []
        for row in rows:
            attributes, age_column = row["attributes"], config.duplicates.age_column
            photos.append(
                Photo(
                    key=_key(row["product_id"], row["uri"]),
                    image_id=row["image_id"],
                    product_id=row["product_id"],
                    age=attributes.get(age_column) if age_column else row["taken_at"],
                    identity={name: attributes[name] for name in config.catalog.identity_columns if name in attributes},
                )
            )
        files = {row["image_id"]: row for row in rows}
        pairs = []
        for row in copies.orderBy(*PAIR).collect():
            key_a, key_b = _keys(row)
            a, b = (files[row[f"image_id_{side}"]] for side in SIDES)
            size_a_px, size_b_px = ((one["width_px"], one["height_px"]) for one in (a, b))
            facts = facts_of(row.asDict(recursive=True), size_a_px, size_b_px, (a["format"], b["format"]))
            pairs.append(VerifiedPair(key_a, key_b, Verdict(row["verdict"]), row["confidence"], facts))
        return cls(sorted(photos, key=lambda photo: photo.key), pairs, sorted(map(_keys, looks.collect())))

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
                *_product_and_uri(group.key),
                group.is_representative,
                *_product_and_uri(group.keep_key),
                group.kept_because,
                group.verdict,
                group.confidence,
                group.group_size,
                group.n_products,
                group.conflicts,
            )
            for group in groups
        ]
        return local_frame(night.spark, rows, spark_schema("duplicate_groups"))


def _ends(pairs: DataFrame) -> DataFrame:
    """image_id of both photos of each pair."""
    return pairs.select(F.explode(F.array(*PAIR)).alias("image_id"))


def _beside(copies: DataFrame, pairs: DataFrame) -> DataFrame:
    """The pairs of which one photo at least has a copy."""
    with_copy = _ends(copies).distinct()
    first, second = (
        pairs.join(with_copy.select(F.col("image_id").alias(f"image_id_{side}")), f"image_id_{side}", "left_semi")
        for side in SIDES
    )
    return first.union(second.select(*first.columns)).dropDuplicates(PAIR)


def _keys(pair: Row) -> tuple[str, str]:
    key_a, key_b = (_key(pair[f"product_id_{side}"], pair[f"uri_{side}"]) for side in SIDES)
    return key_a, key_b


def _key(product_id: str, uri: str) -> str:
    return f"{product_id}{_KEY_SEPARATOR}{uri}"


def _product_and_uri(key: str) -> tuple[str, str]:
    product_id, _, uri = key.partition(_KEY_SEPARATOR)
    return product_id, uri
