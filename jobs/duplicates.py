"""Stage duplicates: candidate pairs, a verdict on each from the pixels, groups of copies.

Candidates share their pixels, nearly their PDQ hash, codes of local features, or a likeness of regions. Local features are
extracted once, lie on the executors' disks while the stage runs, and travel to the pairs; pixels are looked at again only
where the features of two photos agree, or their hashes do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import look, one_photo_an_image, photos_of
from prodseek.jobs.vectors import ids_of, on_group
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.config import Config, DuplicatesConfig
from prodseek.duplicates.candidates import heaviest_pairs, pairs_by_codes
from prodseek.duplicates.features import WORKING_SIDE_PX, LocalFeatures, extract_features, feature_codes
from prodseek.duplicates.geometry import align
from prodseek.duplicates.grouping import GroupRow, Photo, VerifiedPair, group_duplicates, missing_pairs
from prodseek.duplicates.hashes import Orientation, best_orientation, hashes_from_hex, pdq_pairs
from prodseek.duplicates.verdicts import MERGING, Evidence, PhotoFacts, Verdict, judge
from prodseek.duplicates.verification import Comparison, View, at_working_size, measure_aligned, worth_measuring
from prodseek.embedding.facets import FACETS
from prodseek.photo_source import PhotoSource
from prodseek.spark.tables import computed_schema, read_table, spark_schema, write_table
from prodseek.store import Run, Summary
from prodseek.tables import table_schema

_PAIRS = "image_id_a string, image_id_b string"
_SIDES = ("a", "b")
# Photos whose pixels are kept: pairs of one photo follow one another.
_KEPT_PHOTOS = 128
# So many codes, or more, a pair of photos must share before it is looked at.
_MIN_SHARED_CODES = 4
# And it must be so much more alike than the best pair that is not looked at: photos share some codes by chance.
_MIN_LEAD = 1.3
# Photos whose codes make one bucket: some ten million codes that are asked for.
_PHOTOS_A_BUCKET = 2048
# Of a photo's pairs in one bucket, those that are handed on; each bucket sees a share of its codes.
_PARTNERS_A_BUCKET = 64
_FEATURES = "image_id string, points binary, histograms binary"
_CODES = "bucket int, photo long, n_features int, codes array<long>, asked array<long>"
_CODE_PAIRS = "photo_a long, photo_b long, n_a int, n_b int, n_shared long, weight long"
_JUDGED_EXTRAS = [pa.field("overlaid_side", pa.string())]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Find, verify and group copies of photos."""
    photos = one_photo_an_image(spark, store).cache()
    features = _local_features(photos, store, config).persist(StorageLevel.DISK_ONLY)
    candidates = _candidates(spark, store, photos, features, config.duplicates).cache()
    judged = _judge_all(spark, store, candidates, photos, features, config).cache()
    n_candidates, n_judged = candidates.count(), judged.count()
    same_bytes = _identical_bytes(spark, store)
    rule = config.duplicates.representative
    members, pairs = _members_and_pairs(spark, store, judged, same_bytes, config.duplicates)
    missing = missing_pairs(members, pairs, rule)
    if missing:
        image_ids = {photo.key: photo.image_id for photo in members}
        wanted = sorted({tuple(sorted((image_ids[a], image_ids[b]))) for a, b in missing})
        second = _judge_all(spark, store, spark.createDataFrame(wanted, _PAIRS), photos, features, config)
        judged = judged.unionByName(second).dropDuplicates(["image_id_a", "image_id_b"]).cache()
        members, pairs = _members_and_pairs(spark, store, judged, same_bytes, config.duplicates)
    groups = group_duplicates(members, pairs, rule)
    columns = table_schema("near_duplicates").column_names
    counts = {
        "near_duplicates": write_table(
            judged.select(*columns).unionByName(same_bytes.select(*columns)), store, "near_duplicates"
        ),
        "duplicate_groups": _write_groups(spark, store, members, groups),
    }
    features.unpersist()
    n_groups = len({row.group_id for row in groups})
    facts = {
        "candidates": n_candidates + len(missing),
        "pairs_judged_copies": n_judged,
        "pairs_kept_apart": judged.where(~is_merging("verdict")).count(),
        "groups": n_groups,
    }
    n_verified = counts["near_duplicates"]
    line = f"{n_candidates} candidate pairs, {n_verified} verified, {n_groups} groups of {len(groups)} photos"
    return Summary("duplicates", rows=counts, facts=facts, lines=(line,))


def is_merging(column: str) -> Column:
    """Whether a column of verdicts says: copies of one photo, which make a group."""
    return F.col(column).isin(*sorted(verdict.value for verdict in MERGING))


def _local_features(photos: DataFrame, store: Run, config: Config) -> DataFrame:
    """The local features of each photo that can still be read."""
    read = _PhotoReader(photos_of(config, store))
    rows_each = config.duplicates.photos_per_partition
    dealt = deal(photos.select("image_id", "uri"), "image_id", photos.count(), rows_each)
    return dealt.mapInArrow(partial(_feature_rows, read=read), _FEATURES)


def _candidates(
    spark: SparkSession, store: Run, photos: DataFrame, features: DataFrame, settings: DuplicatesConfig
) -> DataFrame:
    """Pairs of different images that may be copies."""
    by_pixels = _with_first(photos, "pixel_hash", ["image_id"])
    found = by_pixels.select(F.col("first.image_id").alias("image_id_a"), F.col("image_id").alias("image_id_b"))
    for more in (
        _near_hashes(spark, photos, settings.max_pdq_hamming),
        _near_regions(spark, store, settings),
        _sharing_codes(photos, features, settings.max_code_partners),
    ):
        found = found.unionByName(more)
    return found.distinct()


def _near_hashes(spark: SparkSession, photos: DataFrame, max_hamming: int) -> DataFrame:
    hashed = photos.select("image_id", "pdq_hash").orderBy("image_id").toArrow()
    image_ids = hashed.column("image_id").to_pylist()
    near = pdq_pairs(hashes_from_hex(hashed.column("pdq_hash").to_pylist()), max_hamming)
    rows = [(image_ids[a], image_ids[b]) for a, b in zip(near.row_a.tolist(), near.row_b.tolist(), strict=True)]
    return spark.createDataFrame(rows, _PAIRS)


def _near_regions(spark: SparkSession, store: Run, settings: DuplicatesConfig) -> DataFrame:
    """The images that the nearest neighbours of each image's primary region and whole frame lie in.

    Objects within scenes are left to the codes, which find more of them among fewer pairs.
    """
    regions = read_table(spark, store, "detections").where("is_primary or kind = 'frame'")
    of_a = regions.select("detection_id", F.col("image_id").alias("left"))
    of_b = regions.select(F.col("detection_id").alias("neighbour_id"), F.col("image_id").alias("right"))
    nearest = Window.partitionBy("left").orderBy(F.desc("cosine_similarity"), "right")
    alike = (
        read_table(spark, store, "neighbours")
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


def _sharing_codes(photos: DataFrame, features: DataFrame, max_partners: int) -> DataFrame:
    """The images that share most codes of local features with each: an object in another scene is found by them."""
    n_photos = photos.count()
    n_buckets = -(-n_photos // _PHOTOS_A_BUCKET)
    coded = features.mapInArrow(partial(_code_rows, n_photos=n_photos, n_buckets=n_buckets), _CODES)
    shared = (
        coded.groupBy("bucket")
        .applyInArrow(on_group(_code_pairs, n_photos=n_photos), _CODE_PAIRS)
        .groupBy("photo_a", "photo_b", "n_a", "n_b")
        .agg(F.sum("n_shared").alias("n_shared"), F.sum("weight").alias("weight"))
        .where(F.col("n_shared") >= _MIN_SHARED_CODES)
        .withColumn("likeness", F.col("weight") / F.sqrt(F.col("n_a") * F.col("n_b")))
    )
    # Each pair is looked at from both sides.
    sides = [
        shared.select(F.col(f"photo_{one}").alias("left"), F.col(f"photo_{other}").alias("right"), "likeness")
        for one, other in (("a", "b"), ("b", "a"))
    ]
    nearest = Window.partitionBy("left").orderBy(F.desc("likeness"), "right")
    next_best = F.nth_value("likeness", max_partners + 1).over(
        nearest.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    )
    chosen = (
        sides[0]
        .unionByName(sides[1])
        .withColumns({"place": F.row_number().over(nearest), "next_best": next_best})
        .where(F.col("place") <= max_partners)
        .where(F.col("likeness") >= _MIN_LEAD * F.coalesce("next_best", F.lit(0.0)))
    )
    for side in ("left", "right"):
        names = photos.select(_photo_number(F.col("image_id")).alias(side), F.col("image_id").alias(f"{side}_id"))
        chosen = chosen.join(names, side).drop(side).withColumnRenamed(f"{side}_id", side)
    return _in_order(chosen.where("left <> right"))


def _in_order(pairs: DataFrame) -> DataFrame:
    ordered = (F.least("left", "right").alias("image_id_a"), F.greatest("left", "right").alias("image_id_b"))
    return pairs.select(*ordered)


def _photo_number(image_id: Column) -> Column:
    """The first 60 bits of a photo's id: shorter to shuffle. Should two be equal, one pair more is looked at."""
    return F.conv(F.substring(image_id, 1, 15), 16, 10).cast("long")


@dataclass(frozen=True)
class _PhotoReader:
    """Reads photos of a catalogue at working size."""

    photos: PhotoSource

    def __call__(self, uri: str) -> NDArray[np.uint8] | None:
        image = look(uri, self.photos, WORKING_SIDE_PX)
        return None if image is None else at_working_size(image.pixels)


def _feature_rows(batches: Iterator[pa.RecordBatch], read: _PhotoReader) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("image_id", pa.string()), ("points", pa.binary()), ("histograms", pa.binary())])
    for batch in batches:
        rows = []
        for photo in batch.to_pylist():
            pixels = read(photo["uri"])
            if pixels is not None:
                points, histograms = extract_features(pixels).to_bytes()
                rows.append({"image_id": photo["image_id"], "points": points, "histograms": histograms})
        yield pa.RecordBatch.from_pylist(rows, schema)


def _code_rows(batches: Iterator[pa.RecordBatch], n_photos: int, n_buckets: int) -> Iterator[pa.RecordBatch]:
    """Each photo's codes, dealt to buckets."""
    for batch in batches:
        rows: dict[str, list[Any]] = {"bucket": [], "photo": [], "n_features": [], "codes": [], "asked": []}
        for photo in batch.to_pylist():
            features = LocalFeatures.from_bytes(photo["points"], photo["histograms"])
            codes, asked = feature_codes(features.descriptors, n_photos)
            asked = asked.ravel()
            for bucket in range(n_buckets):
                part = asked[asked % n_buckets == bucket]
                if len(part):
                    rows["bucket"].append(bucket)
                    rows["photo"].append(int(photo["image_id"][:15], 16))
                    rows["n_features"].append(len(codes))
                    rows["codes"].append(codes[codes % n_buckets == bucket])
                    rows["asked"].append(part)
        types = (pa.int32(), pa.int64(), pa.int32(), pa.list_(pa.int64()), pa.list_(pa.int64()))
        columns = [pa.array(values, kind) for values, kind in zip(rows.values(), types, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, names=list(rows))


def _code_pairs(table: pa.Table, n_photos: int) -> pa.Table:
    """The pairs of one bucket: of each photo those that share most."""
    table = table.combine_chunks().sort_by("photo")
    photos, n_features = ids_of(table.column("photo")), ids_of(table.column("n_features"))
    owners, codes = [], []
    for name in ("codes", "asked"):
        lists = table.column(name).combine_chunks()
        owners.append(np.repeat(np.arange(len(photos)), np.diff(lists.offsets.to_numpy())))
        codes.append(lists.flatten().to_numpy())
    pairs = pairs_by_codes(owners[0], codes[0], owners[1], codes[1], n_photos)
    pairs = heaviest_pairs(pairs, _PARTNERS_A_BUCKET)
    return pa.table(
        {
            "photo_a": photos[pairs.row_a],
            "photo_b": photos[pairs.row_b],
            "n_a": n_features[pairs.row_a].astype(np.int32),
            "n_b": n_features[pairs.row_b].astype(np.int32),
            "n_shared": pairs.n_shared,
            "weight": pairs.weight,
        }
    )


def _judge_all(
    spark: SparkSession, store: Run, candidates: DataFrame, photos: DataFrame, features: DataFrame, config: Config
) -> DataFrame:
    """The candidates on which a verdict is passed, as rows of `near_duplicates` with overlaid_side."""
    settings = config.duplicates
    described = candidates.join(_cosines(spark, store, candidates), ["image_id_a", "image_id_b"], "left")
    n_partitions = max(1, -(-candidates.count() // settings.pairs_per_partition))
    for side in _SIDES:
        facts = [F.col(name).alias(f"{name}_{side}") for name in photos.columns if name != "attributes"]
        seen = [F.col(name).alias(f"{name}_{side}") for name in features.columns]
        key = f"image_id_{side}"
        described = described.join(photos.select(*facts), key).repartition(n_partitions, key)
        described = described.join(features.select(*seen).repartition(n_partitions, key), key, "left")
    judge_pairs = partial(
        _judge_rows,
        read=_PhotoReader(photos_of(config, store)),
        max_pdq_hamming=settings.max_pdq_hamming,
        min_confidence=settings.min_confidence,
    )
    schema = computed_schema("near_duplicates", "overlaid_side")
    return described.mapInArrow(judge_pairs, schema)


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
    batches: Iterator[pa.RecordBatch], read: _PhotoReader, max_pdq_hamming: int, min_confidence: float
) -> Iterator[pa.RecordBatch]:
    pixels_of = lru_cache(_KEPT_PHOTOS)(read)
    fields = [field.with_nullable(True) for field in table_schema("near_duplicates").arrow]
    schema = pa.schema([*fields, *_JUDGED_EXTRAS])
    for batch in batches:
        judged = []
        for pair in batch.to_pylist():
            facts_a, facts_b = (_photo_facts(pair, side) for side in _SIDES)
            hash_a, hash_b = hashes_from_hex([pair["pdq_hash_a"], pair["pdq_hash_b"]])
            orientation, hamming = best_orientation(hash_a, hash_b)
            comparison, took_ms = None, None
            if facts_a.pixel_hash != facts_b.pixel_hash:
                started = time.process_time()
                # The best of eight unlike hashes says nothing about how a photo was turned.
                turned = orientation if hamming <= max_pdq_hamming else None
                comparison = _compare(pair, turned, pixels_of)
                took_ms = 1000 * (time.process_time() - started)
            cosines = {facet: pair[f"cosine_{facet}"] for facet in FACETS}
            evidence = Evidence(hamming, comparison, cosines, took_ms)
            judgement = judge(evidence, facts_a, facts_b)
            if judgement is not None and judgement.confidence >= min_confidence:
                values = evidence.to_dict()
                judged.append(
                    {
                        **{name: pair[name] for name in schema.names if name in pair},
                        "verdict": judgement.verdict.value,
                        "confidence": judgement.confidence,
                        "evidence": values,
                        "overlaid_side": values.get("overlaid_side"),
                        **_box_px("a", evidence.box_a, facts_a),
                        **_box_px("b", evidence.box_b, facts_b),
                    }
                )
        yield pa.RecordBatch.from_pylist(judged, schema)


def _compare(
    pair: dict[str, Any], orientation: Orientation | None, pixels_of: Callable[[str], NDArray[np.uint8] | None]
) -> Comparison | None:
    if pair["points_a"] is None or pair["points_b"] is None:
        return None  # One of them can no longer be read.
    features = [LocalFeatures.from_bytes(pair[f"points_{side}"], pair[f"histograms_{side}"]) for side in _SIDES]
    found = align(*features)
    if not worth_measuring(found, orientation):
        return None
    pixels = [pixels_of(pair[f"uri_{side}"]) for side in _SIDES]
    if pixels[0] is None or pixels[1] is None:
        return None
    return measure_aligned(View(pixels[0], features[0]), View(pixels[1], features[1]), found, orientation)


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
    spark: SparkSession, store: Run, judged: DataFrame, same_bytes: DataFrame, settings: DuplicatesConfig
) -> tuple[list[Photo], list[VerifiedPair]]:
    """The photos that have a copy, and the pairs among them; only these come to the driver."""
    merging = judged.where(is_merging("verdict") & (F.col("confidence") >= settings.merge_confidence))
    image_ids = (
        merging.select(F.col("image_id_a").alias("image_id"))
        .union(merging.select("image_id_b"))
        .union(same_bytes.select("image_id_a"))
        .distinct()
    )
    rows = read_table(spark, store, "images").join(image_ids, "image_id", "left_semi").collect()
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
