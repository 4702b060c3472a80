"""Candidates: pairs of photos that may be copies, found cheaply among all pairs.

Photos that look the same are candidates of one of them, their stand-in. Stand-ins are candidates if they have nearly the same PDQ
hash, with or without plain margins, share codes of local features, or show regions that look alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import reduce

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.duplicates.hashes import hashes_from_hex, pdq_pairs
from prodseek.duplicates.verdicts import Decision
from prodseek.runs.facts import CandidateSource
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.duplicates.code_pairs import pairs_sharing_codes
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.local_features import KeptFeatures
from prodseek.spark.duplicates.pair_verdicts import PAIR, is_copy
from prodseek.spark.duplicates.stars import Stars
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame

PAIRS = "image_id_a string, image_id_b string"
STOOD_IN = "image_id string, first_id string"
# A photo that stands in for those that are no copies of their stand-in is compared with so many of that one's candidates.
_MAX_INHERITED = 8
# Copies of a stand-in that are compared with one that is kept apart from it: those of which that is least sure.
_MAX_BESIDE_A_VARIANT = 32
# Photos that the objects of a scene are compared with, and those nearest to one object: a product has several.
_MAX_OBJECTS, _PHOTOS_AN_OBJECT = 8, 3


@dataclass(frozen=True)
class Candidates:
    """pairs: image_id_a, image_id_b, each once. stars: of photos that look the same; their pairs are among `pairs`.

    between_stars: left, right of the pairs that stand-ins were found in. stood_in: image_id, first_id of the members that stood
    in for others so far. sources: what each way to find pairs has brought.
    """

    pairs: DataFrame
    stars: Stars
    between_stars: DataFrame
    stood_in: DataFrame
    sources: tuple[CandidateSource, ...]

    def among_no_copies(self, settled: DataFrame) -> Candidates | None:
        """Candidates for the photos that turned out to be no copies of their stand-in; None if there are no such photos.

        Variants of a product may look the same but for a detail, and have copies of their own. So the best of them stands in
        for the others. settled: image_id_a, image_id_b of the pairs that were judged copies, or that need no other stand-in.
        """
        others = self.stars.without(settled)
        if others.members.isEmpty():
            return None
        stars, heads = others.among_themselves()
        nearest = Window.partitionBy("left").orderBy("right")
        partners = self.between_stars.unionByName(
            self.between_stars.select(F.col("right").alias("left"), F.col("left").alias("right"))
        ).withColumn("place", F.row_number().over(nearest))
        inherited = (
            partners.where(F.col("place") <= _MAX_INHERITED)
            .join(heads, F.col("left") == F.col("first_id"))
            .select(F.col("image_id").alias("left"), "right")
        )
        pairs = checkpointed(_in_order(stars.pairs.unionByName(inherited)).distinct())
        return Candidates(pairs, stars, self.between_stars, checkpointed(self.stood_in.unionByName(heads)), ())

    def beside_variants(self, stars: Stars, judged: DataFrame) -> DataFrame:
        """image_id_a, image_id_b: copies of a stand-in, each with the stand-ins of its star that are kept apart from that one.

        A small copy may be taken for the wrong one of two that differ in a digit; beside its own photo it is not. Only the least
        sure of many are compared. stars: those of the first round. judged: all pairs so far.
        """
        firsts = stars.members.select(F.col("stand_in_id").alias("image_id"), F.col("stand_in_id").alias("first_id"))
        stood_in = self.stood_in.unionByName(firsts).distinct()
        heads, variants = (stood_in.toDF(name, "first_id") for name in ("head", "variant"))
        pairs = judged.select(*PAIR, "decision", "confidence")
        both_ways = pairs.union(pairs.select(*PAIR[::-1], "decision", "confidence"))
        apart = both_ways.where(F.col("decision") == Decision.VARIANT.value).select(*PAIR).toDF("head", "variant")
        copies = both_ways.where(is_copy()).select(*PAIR, "confidence").toDF("image_id", "head", "confidence")
        least_sure = Window.partitionBy("head", "variant").orderBy("confidence", "image_id")
        found = (
            heads.join(variants, "first_id")
            .join(apart, ["head", "variant"])
            .join(stars.members.select("image_id", "first_id"), "first_id")
            .join(copies, ["image_id", "head"])
            .withColumn("place", F.row_number().over(least_sure))
            .where(F.col("place") <= _MAX_BESIDE_A_VARIANT)
            .select(F.col("image_id").alias("left"), F.col("variant").alias("right"))
        )
        return checkpointed(_in_order(found).distinct().join(pairs.select(*PAIR), PAIR, "left_anti"))


def candidate_pairs(night: Night, photos: ComparedPhotos, kept: KeptFeatures) -> Candidates:
    """Pairs of different images that may be copies."""
    started = time.monotonic()
    stars = Stars.of(night, photos, kept)
    rows = stars.without_members(photos.rows).cache()
    alone = ComparedPhotos(rows, rows.count(), photos.read)
    sought = {
        "looks": stars.pairs,
        "hashes": _near_hashes(night, alone.rows, kept),
        "codes": pairs_sharing_codes(kept.codes(alone.rows), alone, night.config.duplicates.max_code_partners),
        "regions": _near_regions(night, stars),
        "objects": near_objects(night.table("detections"), night.table("neighbours"), stars),
    }
    found, seconds = [], []
    for number, pairs in enumerate(sought.values()):
        found.append(checkpointed(_in_order(pairs).distinct().withColumn("source", F.lit(1 << number))))
        seconds.append(time.monotonic() - started)
        started = time.monotonic()
    together = checkpointed(reduce(DataFrame.unionByName, found).groupBy(*PAIR).agg(F.sum("source").alias("source")))
    counts = {row["source"]: row["count"] for row in together.groupBy("source").count().collect()}
    sources = tuple(
        CandidateSource(
            name=name,
            pairs=sum(count for source, count in counts.items() if source & 1 << number),
            found_alone=counts.get(1 << number, 0),
            seconds=round(seconds[number], 3),
        )
        for number, name in enumerate(sought)
    )
    between = together.where(F.col("source") != 1).select(F.col(PAIR[0]).alias("left"), F.col(PAIR[1]).alias("right"))
    nobody = local_frame(night.spark, [], STOOD_IN)
    return Candidates(together.select(*PAIR), stars, between, nobody, sources)


def _near_hashes(night: Night, photos: DataFrame, kept: KeptFeatures) -> DataFrame:
    """left, right: photos whose hash, of the whole or of the content, is near to one of the other's."""
    named = photos.select("image_id", "pdq_hash").join(kept.prints(photos), "image_id", "left").orderBy("image_id")
    table = named.select("image_id", "pdq_hash", "content_hash").toArrow()
    image_ids = table.column("image_id").to_pylist()
    contents = table.column("content_hash").to_pylist()
    with_content = [row for row, content in enumerate(contents) if content is not None]
    hex_hashes = [*table.column("pdq_hash").to_pylist(), *(contents[row].hex() for row in with_content)]
    owner = np.r_[np.arange(len(image_ids)), np.array(with_content, np.int64)]
    near = pdq_pairs(hashes_from_hex(hex_hashes), night.config.duplicates.max_pdq_hamming)
    pairs = np.sort(np.stack([owner[near.row_a], owner[near.row_b]], axis=1), axis=1)
    distinct = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    rows = [(image_ids[a], image_ids[b]) for a, b in distinct.tolist()]
    return local_frame(night.spark, rows, "left string, right string")


def _near_regions(night: Night, stars: Stars) -> DataFrame:
    """left, right: photos that the nearest neighbours of each photo's primary region and whole frame lie in; stand-ins alone."""
    settings = night.config.duplicates
    regions = night.table("detections").where("is_primary or kind = 'frame'")
    edges = night.table("neighbours").where(F.col("cosine_similarity") >= settings.min_cosine)
    return _nearest_photos(stars.stand_in_of(_photos_of(edges, regions, regions)), settings.max_neighbours)


def near_objects(regions: DataFrame, neighbours: DataFrame, stars: Stars) -> DataFrame:
    """left, right: scenes, and the photos whose product is nearest to an object in them, or their stand-ins.

    Smooth things that were pasted small share no codes with their photo. Light and ground differ: no cosine is asked for.
    """
    objects, products = (
        regions.where("not is_primary and kind = 'detection'"),
        regions.where("is_primary and kind <> 'frame'"),
    )
    found = stars.stand_in_of(_photos_of(neighbours, objects, products))
    nearest = Window.partitionBy("detection_id").orderBy(F.desc("cosine_similarity"), "right")
    best = found.withColumn("place", F.row_number().over(nearest)).where(F.col("place") <= _PHOTOS_AN_OBJECT)
    return _nearest_photos(best, _MAX_OBJECTS)


def _photos_of(edges: DataFrame, regions_a: DataFrame, regions_b: DataFrame) -> DataFrame:
    """The edges from one kind of regions to the other, with the photos that they lie in: left, right."""
    of_a = regions_a.select("detection_id", F.col("image_id").alias("left"))
    of_b = regions_b.select(F.col("detection_id").alias("neighbour_id"), F.col("image_id").alias("right"))
    return edges.join(of_a, "detection_id").join(of_b, "neighbour_id")


def _nearest_photos(edges: DataFrame, most: int) -> DataFrame:
    """left, right: of each photo the nearest others, by their nearest edge. edges: left, right, cosine_similarity."""
    nearest = Window.partitionBy("left").orderBy(F.desc("cosine_similarity"), "right")
    return (
        edges.groupBy("left", "right")
        .agg(F.max("cosine_similarity").alias("cosine_similarity"))
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= most)
        .select("left", "right")
    )


def _in_order(pairs: DataFrame) -> DataFrame:
    """left, right as image_id_a < image_id_b."""
    ordered = (F.least("left", "right").alias("image_id_a"), F.greatest("left", "right").alias("image_id_b"))
    return pairs.select(*ordered)
