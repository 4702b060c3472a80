"""Candidates: pairs of photos that may be copies, found cheaply among all pairs.

They share their pixels, nearly their PDQ hash, codes of local features, or regions that look alike.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.duplicates.hashes import hashes_from_hex, pdq_pairs
from prodseek.spark.duplicates.code_pairs import pairs_sharing_codes
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.identical import identical_pixels
from prodseek.spark.duplicates.local_features import KeptFeatures
from prodseek.spark.night import Night
from prodseek.spark.tables import local_frame

PAIRS = "image_id_a string, image_id_b string"


def candidate_pairs(night: Night, photos: ComparedPhotos, kept: KeptFeatures) -> DataFrame:
    """Pairs of different images that may be copies, each once: image_id_a, image_id_b."""
    found = identical_pixels(photos.rows)
    by_codes = pairs_sharing_codes(kept.codes(photos.rows), photos, night.config.duplicates.max_code_partners)
    for more in (_near_hashes(night, photos.rows), _near_regions(night), _in_order(by_codes)):
        found = found.unionByName(more)
    return found.distinct()


def _near_hashes(night: Night, photos: DataFrame) -> DataFrame:
    hashed = photos.select("image_id", "pdq_hash").orderBy("image_id").toArrow()
    image_ids = hashed.column("image_id").to_pylist()
    hashes = hashes_from_hex(hashed.column("pdq_hash").to_pylist())
    near = pdq_pairs(hashes, night.config.duplicates.max_pdq_hamming)
    rows = [(image_ids[a], image_ids[b]) for a, b in zip(near.row_a.tolist(), near.row_b.tolist(), strict=True)]
    return local_frame(night.spark, rows, PAIRS)


def _near_regions(night: Night) -> DataFrame:
    """The images that the nearest neighbours of each image's primary region and whole frame lie in.

    Objects within scenes are left to the codes, which find more of them among fewer pairs.
    """
    settings = night.config.duplicates
    regions = night.table("detections").where("is_primary or kind = 'frame'")
    of_a = regions.select("detection_id", F.col("image_id").alias("left"))
    of_b = regions.select(F.col("detection_id").alias("neighbour_id"), F.col("image_id").alias("right"))
    nearest = Window.partitionBy("left").orderBy(F.desc("cosine_similarity"), "right")
    alike = (
        night.table("neighbours")
        .where(F.col("cosine_similarity") >= settings.min_cosine)
        .join(of_a, "detection_id")
        .join(of_b, "neighbour_id")
        .where("left <> right")
        .groupBy("left", "right")
        .agg(F.max("cosine_similarity").alias("cosine_similarity"))
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= settings.max_neighbours)
    )
    return _in_order(alike)


def _in_order(pairs: DataFrame) -> DataFrame:
    """left, right as image_id_a < image_id_b."""
    ordered = (F.least("left", "right").alias("image_id_a"), F.greatest("left", "right").alias("image_id_b"))
    return pairs.select(*ordered)
