"""Stage duplicates: candidate pairs by hash and neighbourhood, a verdict on each from the pixels, groups of copies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import base_uri, look, one_photo_an_image
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.config import Config
from prodseek.duplicates.grouping import GroupRow, Photo, VerifiedPair, group_duplicates, missing_pairs
from prodseek.duplicates.hashes import Orientation, best_orientation, hashes_from_hex, pdq_pairs
from prodseek.duplicates.verdicts import MERGING, Evidence, PhotoFacts, Verdict, judge
from prodseek.duplicates.verification import WORKING_SIDE_PX, compare_photos
from prodseek.embedding.facets import FACETS
from prodseek.images import DecodedImage, ImageLimits
from prodseek.spark.tables import computed_schema, read_table, spark_schema, write_table
from prodseek.store import Run, Summary
from prodseek.tables import table_schema

_PAIRS = "image_id_a string, image_id_b string"
_SIDES = ("a", "b")
# Photos of a partition's pairs that are kept decoded: pairs are in order of their first photo.
_DECODED_PHOTOS = 64
_JUDGED_EXTRAS = [pa.field("overlaid_side", pa.string())]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Find, verify and group copies of photos."""
    photos = one_photo_an_image(spark, store).cache()
    candidates = _candidates(spark, store, photos, config)
    judged = _judge_all(spark, store, candidates, photos, config).cache()
    n_candidates, n_judged = candidates.count(), judged.count()
    same_bytes = _identical_bytes(spark, store)
    members, pairs = _members_and_pairs(spark, store, judged, same_bytes)
    missing = missing_pairs(members, pairs)
    if missing:
        image_ids = {photo.key: photo.image_id for photo in members}
        wanted = sorted({tuple(sorted((image_ids[a], image_ids[b]))) for a, b in missing})
        second = _judge_all(spark, store, spark.createDataFrame(wanted, _PAIRS), photos, config)
        judged = judged.unionByName(second).dropDuplicates(["image_id_a", "image_id_b"]).cache()
        members, pairs = _members_and_pairs(spark, store, judged, same_bytes)
    groups = group_duplicates(members, pairs)
    columns = table_schema("near_duplicates").column_names
    counts = {
        "near_duplicates": write_table(
            judged.select(*columns).unionByName(same_bytes.select(*columns)), store, "near_duplicates"
        ),
        "duplicate_groups": _write_groups(spark, store, members, groups),
    }
    n_groups = len({row.group_id for row in groups})
    facts = {"candidates": n_candidates + len(missing), "pairs_judged_copies": n_judged, "groups": n_groups}
    n_verified = counts["near_duplicates"]
    line = f"{n_candidates} candidate pairs, {n_verified} verified, {n_groups} groups of {len(groups)} photos"
    return Summary("duplicates", rows=counts, facts=facts, lines=(line,))


def _candidates(spark: SparkSession, store: Run, photos: DataFrame, config: Config) -> DataFrame:
    """Pairs of different images that may be copies: equal pixels, near PDQ hashes, or near neighbours."""
    by_pixels = _with_first(photos, "pixel_hash", ["image_id"])
    found = by_pixels.select(F.col("first.image_id").alias("image_id_a"), F.col("image_id").alias("image_id_b"))
    hashed = photos.select("image_id", "pdq_hash").orderBy("image_id").toArrow()
    image_ids = hashed.column("image_id").to_pylist()
    near = pdq_pairs(hashes_from_hex(hashed.column("pdq_hash").to_pylist()), config.duplicates.max_pdq_hamming)
    rows = [(image_ids[a], image_ids[b]) for a, b in zip(near.row_a.tolist(), near.row_b.tolist(), strict=True)]
    found = found.unionByName(spark.createDataFrame(rows, _PAIRS))
    regions = read_table(spark, store, "detections").where("is_primary or kind = 'frame'")
    of_a = regions.select("detection_id", F.col("image_id").alias("left"))
    of_b = regions.select(F.col("detection_id").alias("neighbour_id"), F.col("image_id").alias("right"))
    nearest = Window.partitionBy("left").orderBy(F.desc("cosine_similarity"), "right")
    alike = (
        read_table(spark, store, "neighbours")
        .where(F.col("cosine_similarity") >= config.duplicates.min_cosine)
        .join(of_a, "detection_id")
        .join(of_b, "neighbour_id")
        .where("left <> right")
        .groupBy("left", "right")
        .agg(F.max("cosine_similarity").alias("cosine_similarity"))
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= config.duplicates.max_neighbours)
        .select(F.least("left", "right").alias("image_id_a"), F.greatest("left", "right").alias("image_id_b"))
    )
    return found.unionByName(alike).distinct()


def _judge_all(spark: SparkSession, store: Run, candidates: DataFrame, photos: DataFrame, config: Config) -> DataFrame:
    """The candidates on which a verdict is passed, as rows of `near_duplicates` with overlaid_side."""
    described = candidates
    for side in _SIDES:
        renamed = [F.col(name).alias(f"{name}_{side}") for name in photos.columns if name != "attributes"]
        described = described.join(photos.select(*renamed), f"image_id_{side}")
    described = described.join(_cosines(spark, store, candidates), ["image_id_a", "image_id_b"], "left")
    judge_pairs = partial(
        _judge_rows,
        folder_uri=base_uri(store),
        limits=config.images.limits,
        max_pdq_hamming=config.duplicates.max_pdq_hamming,
    )
    schema = computed_schema("near_duplicates", "overlaid_side")
    dealt = deal(described, "image_id_a", candidates.count(), config.duplicates.pairs_per_partition)
    return dealt.mapInArrow(judge_pairs, schema)


def _cosines(spark: SparkSession, store: Run, candidates: DataFrame) -> DataFrame:
    """Cosine similarity of the candidates' primary regions, by facet."""
    primary = read_table(spark, store, "detections").where("is_primary").select("detection_id", "image_id")
    vectors = primary.join(read_table(spark, store, "embeddings"), "detection_id")
    paired = candidates
    for side in _SIDES:
        renamed = [F.col(name).alias(f"{name}_{side}") for name in ("image_id", *FACETS)]
        paired = paired.join(vectors.select(*renamed), f"image_id_{side}")
    cosines = [_dot(F.col(f"{facet}_a"), F.col(f"{facet}_b")).alias(f"cosine_{facet}") for facet in FACETS]
    return paired.select("image_id_a", "image_id_b", *cosines)


def _dot(a: Column, b: Column) -> Column:
    products = F.zip_with(a, b, lambda x, y: (x * y).cast("double"))
    return F.aggregate(products, F.lit(0.0), lambda total, product: total + product).cast("float")


def _judge_rows(
    batches: Iterator[pa.RecordBatch], folder_uri: str, limits: ImageLimits, max_pdq_hamming: int
) -> Iterator[pa.RecordBatch]:
    @lru_cache(_DECODED_PHOTOS)
    def photo(uri: str) -> DecodedImage | None:
        return look(uri, folder_uri, limits, WORKING_SIDE_PX)

    fields = [field.with_nullable(True) for field in table_schema("near_duplicates").arrow]
    schema = pa.schema([*fields, *_JUDGED_EXTRAS])
    for batch in batches:
        judged = []
        for pair in batch.to_pylist():
            facts_a, facts_b = (_photo_facts(pair, side) for side in _SIDES)
            hash_a, hash_b = hashes_from_hex([pair["pdq_hash_a"], pair["pdq_hash_b"]])
            orientation, hamming = best_orientation(hash_a, hash_b)
            if hamming > max_pdq_hamming:
                # The best of eight unlike hashes says nothing about how a photo was turned.
                orientation = Orientation.IDENTITY
            comparison = None
            if facts_a.pixel_hash != facts_b.pixel_hash:
                image_a, image_b = photo(pair["uri_a"]), photo(pair["uri_b"])
                if image_a is None or image_b is None:
                    continue
                comparison = compare_photos(image_a.pixels, image_b.pixels, orientation)
            cosines = [pair[f"cosine_{facet}"] for facet in FACETS]
            evidence = Evidence.of(comparison, hamming, *cosines)
            judgement = judge(evidence, facts_a, facts_b)
            if judgement is not None:
                judged.append(
                    {
                        **{name: pair[name] for name in schema.names if name in pair},
                        "verdict": judgement.verdict.value,
                        "confidence": judgement.confidence,
                        "evidence": evidence.to_dict(),
                        "overlaid_side": evidence.overlaid_side,
                        **_box_px("a", evidence.box_a, facts_a),
                        **_box_px("b", evidence.box_b, facts_b),
                    }
                )
        yield pa.RecordBatch.from_pylist(judged, schema)


def _photo_facts(pair: dict[str, Any], side: str) -> PhotoFacts:
    names = ("image_id", "pixel_hash", "width_px", "height_px", "n_bytes")
    return PhotoFacts(*(pair[f"{name}_{side}"] for name in names))


def _box_px(side: str, box: tuple[float, float, float, float], photo: PhotoFacts) -> dict[str, float]:
    sizes = (photo.width_px, photo.height_px, photo.width_px, photo.height_px)
    names = ("x1", "y1", "x2", "y2")
    return {f"{name}_{side}_px": part * size for name, part, size in zip(names, box, sizes, strict=True)}


def _with_first(rows: DataFrame, key: str, order: list[str]) -> DataFrame:
    """Every row but the first of those that share `key`, with that first row as `first`."""
    same = Window.partitionBy(key).orderBy(*order)
    first = F.first(F.struct(*(name for name in rows.columns if name != "attributes"))).over(same)
    return rows.withColumn("first", first).withColumn("place", F.row_number().over(same)).where("place > 1")


def _identical_bytes(spark: SparkSession, store: Run) -> DataFrame:
    """Rows that share their bytes, each paired with the first: linear, however many there are."""
    rows = _with_first(read_table(spark, store, "images"), "image_id", ["product_id", "uri"])
    nothing = F.lit(None)
    fields = spark_schema("near_duplicates")["evidence"].dataType.fields
    measured = {"pdq_hamming": F.lit(0), "orientation": F.lit(Orientation.IDENTITY.value)}
    evidence = F.struct(*(measured.get(f.name, nothing).cast(f.dataType).alias(f.name) for f in fields))
    zero, width, height = (F.col(name).cast("float") for name in ("zero_px", "width_px", "height_px"))
    corners = {"x1": zero, "y1": zero, "x2": width, "y2": height}
    return rows.withColumn("zero_px", F.lit(0.0)).select(
        F.col("image_id").alias("image_id_a"),
        F.col("image_id").alias("image_id_b"),
        F.col("first.product_id").alias("product_id_a"),
        F.col("first.uri").alias("uri_a"),
        F.col("product_id").alias("product_id_b"),
        F.col("uri").alias("uri_b"),
        F.lit(Verdict.IDENTICAL_BYTES.value).alias("verdict"),
        F.lit(1.0).cast("float").alias("confidence"),
        evidence.alias("evidence"),
        *(value.alias(f"{corner}_{side}_px") for side in _SIDES for corner, value in corners.items()),
    )


def _members_and_pairs(
    spark: SparkSession, store: Run, judged: DataFrame, same_bytes: DataFrame
) -> tuple[list[Photo], list[VerifiedPair]]:
    """The photos that have a copy, and the pairs among them; only these come to the driver."""
    merging = judged.where(F.col("verdict").isin(*sorted(verdict.value for verdict in MERGING)))
    image_ids = (
        merging.select(F.col("image_id_a").alias("image_id"))
        .union(merging.select("image_id_b"))
        .union(same_bytes.select("image_id_a"))
        .distinct()
    )
    rows = read_table(spark, store, "images").join(image_ids, "image_id", "left_semi").collect()
    photos = [
        Photo(_key(row["product_id"], row["uri"]), row["image_id"], row["width_px"], row["height_px"], row["n_bytes"])
        for row in rows
    ]
    pairs = []
    for row in merging.orderBy("image_id_a", "image_id_b").collect():
        keys = {side: _key(row[f"product_id_{side}"], row[f"uri_{side}"]) for side in _SIDES}
        verdict = Verdict(row["verdict"])
        overlaid_key = keys.get(row["overlaid_side"]) if verdict == Verdict.OVERLAID else None
        pairs.append(VerifiedPair(keys["a"], keys["b"], verdict, row["confidence"], overlaid_key))
    return sorted(photos, key=lambda photo: photo.key), pairs


def _key(product_id: str, uri: str) -> str:
    return f"{product_id}\x1f{uri}"


def _write_groups(spark: SparkSession, store: Run, members: list[Photo], groups: list[GroupRow]) -> int:
    image_ids = {photo.key: photo.image_id for photo in members}
    rows = [
        (
            group.group_id,
            image_ids[group.key],
            *group.key.split("\x1f", 1),
            group.is_representative,
            group.group_size,
            group.similarity_to_representative,
        )
        for group in groups
    ]
    return write_table(spark.createDataFrame(rows, spark_schema("duplicate_groups")), store, "duplicate_groups")


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("duplicates")
