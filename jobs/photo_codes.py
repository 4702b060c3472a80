"""Local features of photos, and the pairs that share codes of them. Codes are kept: a photo is looked at once for all nights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from prodseek.jobs.batches import new_batch_uri, read_batches
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import WorkingPhotos
from prodseek.jobs.vectors import ids_of, on_group, unpacked
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Observation, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from prodseek import files
from prodseek.duplicates.candidates import buckets_of, heaviest_pairs, pairs_by_codes
from prodseek.duplicates.features import (
    PROBED_BITS,
    FeatureCodes,
    LocalFeatures,
    code_bits,
    codes_recipe,
    extract_features,
    feature_codes,
)
from prodseek.store import Run

# So many codes, or more, a pair of photos must share before it is looked at.
_MIN_SHARED_CODES = 4
# And it must be so much more alike than the best pair that is not looked at: photos share some codes by chance.
_MIN_LEAD = 1.3
# Photos whose codes make one bucket: some ten million codes that are asked for.
_PHOTOS_A_BUCKET = 2048
# Of a photo's pairs in one bucket, those that are handed on; each bucket sees a share of its codes.
_PARTNERS_A_BUCKET = 64

_FEATURES = "image_id string, points binary, histograms binary"
_STORED = StructType().add("image_id", "string").add("codes", "binary").add("nearest_bits", "binary")
_STORED_ARROW = pa.schema([("image_id", pa.string()), ("codes", pa.binary()), ("nearest_bits", pa.binary())])
_DEALT = "bucket int, photo long, n_features int, codes array<long>, asked array<long>"
_CODE_PAIRS = "photo_a long, photo_b long, n_a int, n_b int, n_shared long, weight long"


class PhotoCodes(NamedTuple):
    """Codes of all photos that can be read: image_id, codes, nearest_bits. fresh: features of those that had none yet.

    fresh: image_id, points, histograms, on the executors' disks. n_unread: of those that had none, how many could not be read.
    cache: the folder's kind and key.
    """

    stored: DataFrame
    fresh: DataFrame
    n_fresh: int
    n_unread: int
    cache: tuple[str, str]


def local_features(photos: DataFrame, n_photos: int, read: WorkingPhotos, photos_per_partition: int) -> DataFrame:
    """The local features of each photo that can still be read: image_id, points, histograms. photos: image_id, uri."""
    dealt = deal(photos.select("image_id", "uri"), "image_id", n_photos, photos_per_partition)
    return dealt.mapInArrow(partial(_feature_rows, read=read), _FEATURES)


def photo_codes(
    spark: SparkSession, store: Run, photos: DataFrame, n_photos: int, read: WorkingPhotos, photos_per_partition: int
) -> PhotoCodes:
    """Codes of the photos, made and kept for those that no earlier night has seen. photos: image_id, uri."""
    n_bits = code_bits(n_photos)
    cache = ("photo_codes", f"recipe={codes_recipe(n_bits)}")
    cache_uri = store.cache_folder(*cache)
    known = read_batches(spark, cache_uri, _STORED)
    todo = photos.join(known.select("image_id"), "image_id", "left_anti").cache()
    n_todo = todo.count()
    fresh = local_features(todo, n_todo, read, photos_per_partition).persist(StorageLevel.DISK_ONLY)
    n_unread = 0
    if n_todo:
        observed = Observation()
        coded = fresh.mapInArrow(partial(_stored_rows, n_bits=n_bits), _STORED)
        coded = coded.observe(observed, F.count(F.lit(1)).alias("n"))
        coded.write.parquet(files.spark_uri(new_batch_uri(cache_uri, store.run_id)))
        n_unread = n_todo - observed.get["n"]
        known = read_batches(spark, cache_uri, _STORED)
    todo.unpersist()
    # An attempt that died after its batch was whole has kept some twice, the same.
    stored = known.join(photos.select("image_id"), "image_id", "left_semi").dropDuplicates(["image_id"])
    return PhotoCodes(stored, fresh, n_todo - n_unread, n_unread, cache)


def pairs_sharing_codes(codes: DataFrame, photos: DataFrame, n_photos: int, max_partners: int) -> DataFrame:
    """The images that share most codes with each: left, right. An object in another scene is found by them.

    codes: as `PhotoCodes.stored`. photos: image_id.
    """
    n_buckets = -(-n_photos // _PHOTOS_A_BUCKET)
    shared = (
        codes.mapInArrow(partial(_dealt_rows, n_buckets=n_buckets), _DEALT)
        .groupBy("bucket")
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
    return chosen.where("left <> right").select("left", "right")


def _photo_number(image_id: Column) -> Column:
    """The first 60 bits of a photo's id: shorter to shuffle. Should two be equal, one pair more is looked at."""
    return F.conv(F.substring(image_id, 1, 15), 16, 10).cast("long")


def _feature_rows(batches: Iterator[pa.RecordBatch], read: WorkingPhotos) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("image_id", pa.string()), ("points", pa.binary()), ("histograms", pa.binary())])
    for batch in batches:
        rows = []
        for photo in batch.to_pylist():
            pixels = read(photo["uri"], photo["image_id"])
            if pixels is not None:
                points, histograms = extract_features(pixels).to_bytes()
                rows.append({"image_id": photo["image_id"], "points": points, "histograms": histograms})
        yield pa.RecordBatch.from_pylist(rows, schema)


def _stored_rows(batches: Iterator[pa.RecordBatch], n_bits: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = []
        for photo in batch.to_pylist():
            features = LocalFeatures.from_bytes(photo["points"], photo["histograms"])
            codes, nearest_bits = feature_codes(features.descriptors, n_bits).to_bytes()
            rows.append({"image_id": photo["image_id"], "codes": codes, "nearest_bits": nearest_bits})
        yield pa.RecordBatch.from_pylist(rows, _STORED_ARROW)


def _dealt_rows(batches: Iterator[pa.RecordBatch], n_buckets: int) -> Iterator[pa.RecordBatch]:
    """Each photo's codes, dealt to buckets: a row a photo and bucket in which it asks for some."""
    for batch in batches:
        photos = np.array([int(image_id[:15], 16) for image_id in batch.column("image_id").to_pylist()], np.int64)
        codes, n_bytes = unpacked(batch.column("codes"), np.int64)
        n_features = n_bytes // 8
        nearest_bits, _ = unpacked(batch.column("nearest_bits"), np.uint8)
        asked = FeatureCodes(codes, nearest_bits.reshape(-1, PROBED_BITS)).asked.ravel()
        owner = np.repeat(np.arange(len(photos)), n_features)
        asking = np.repeat(owner, 2**PROBED_BITS)
        of_asked, of_codes = buckets_of(asked, n_buckets), buckets_of(codes, n_buckets)
        for bucket in range(n_buckets):
            asks, has = of_asked == bucket, of_codes == bucket
            of_photo = np.bincount(asking[asks], minlength=len(photos))
            rows = np.flatnonzero(of_photo)
            kept = np.isin(owner[has], rows)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(np.full(len(rows), bucket, np.int32)),
                    pa.array(photos[rows]),
                    pa.array(n_features[rows].astype(np.int32)),
                    _lists(codes[has][kept], np.bincount(owner[has], minlength=len(photos))[rows]),
                    _lists(asked[asks], of_photo[rows]),
                ],
                names=["bucket", "photo", "n_features", "codes", "asked"],
            )


def _lists(values: np.ndarray, lengths: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(np.r_[0, np.cumsum(lengths)].astype(np.int32), np.asarray(values, np.int64))


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
