"""Local features of photos, and the pairs that share codes of them. Both are kept: a photo is looked at once for all nights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Observation, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from prodseek.duplicates.candidates import buckets_of, heaviest_pairs, pairs_by_codes
from prodseek.duplicates.features import (
    PROBED_BITS,
    FeatureCodes,
    code_bits,
    codes_recipe,
    extract_features,
    feature_codes,
)
from prodseek.runs.store import Run
from prodseek.spark.arrow import batch_of, ids_of, packed_runs, unpacked
from prodseek.spark.batch_cache import new_batch_uri, read_batches
from prodseek.spark.partitions import deal
from prodseek.spark.photos import WorkingPhotos
from prodseek.storage import files

# So many codes, or more, a pair of photos must share before it is looked at.
_MIN_SHARED_CODES = 4
# And it must be so much more alike than the best pair that is not looked at: photos share some codes by chance.
_MIN_LEAD = 1.3
# Photos whose codes make one bucket: some ten million codes that are asked for.
_PHOTOS_A_BUCKET = 2048
# Of a photo's pairs in one bucket, those that are handed on; each bucket sees a share of its codes.
_PARTNERS_A_BUCKET = 64

# Codes are the few bytes of a photo that every night reads; points and histograms, the many, are read for photos in new pairs.
_CODES = ("image_id", "codes", "nearest_bits")
_FEATURES = ("image_id", "points", "histograms")
_STORED_ARROW = pa.schema([("image_id", pa.string()), *((name, pa.binary()) for name in (*_CODES[1:], *_FEATURES[1:]))])
_STORED = StructType([StructField(field.name, from_arrow_type(field.type)) for field in _STORED_ARROW])
_DEALT = "bucket int, photo long, n_features int, codes binary, asked binary"
_CODE_PAIRS = "photo_a long, photo_b long, n_a int, n_b int, n_shared long, weight long"


class KeptFeatures(NamedTuple):
    """Local features of the photos that can be read.

    stored: image_id, codes, nearest_bits, points, histograms of these photos and others, some twice. n_fresh: photos they were
    extracted from this night. n_unread: those that had none yet and could not be read. cache: the folder's kind and key.
    """

    stored: DataFrame
    n_fresh: int
    n_unread: int
    cache: tuple[str, str]

    def codes(self, image_ids: DataFrame) -> DataFrame:
        """image_id, codes, nearest_bits of the photos that have some. image_ids: image_id."""
        return self._of(image_ids, _CODES)

    def features(self, image_ids: DataFrame) -> DataFrame:
        """Likewise image_id, points, histograms."""
        return self._of(image_ids, _FEATURES)

    def _of(self, image_ids: DataFrame, columns: tuple[str, ...]) -> DataFrame:
        # An attempt that died after its batch was whole has kept some twice, the same.
        there = self.stored.select(*columns).join(image_ids.select("image_id"), "image_id", "left_semi")
        return there.dropDuplicates(["image_id"])


def kept_features(
    spark: SparkSession, run: Run, photos: DataFrame, n_photos: int, read: WorkingPhotos, photos_per_partition: int
) -> KeptFeatures:
    """Features and codes of the photos, made and kept for those that no earlier night has seen. photos: image_id, uri."""
    n_bits = code_bits(n_photos)
    cache = ("local_features", f"recipe={codes_recipe(n_bits)}")
    cache_uri = run.cache_folder(*cache)
    known = read_batches(spark, cache_uri, _STORED)
    todo = photos.select("image_id", "uri").join(known.select("image_id"), "image_id", "left_anti").cache()
    n_todo = todo.count()
    n_unread = 0
    if n_todo:
        observed = Observation()
        made = deal(todo, "image_id", n_todo, photos_per_partition).mapInArrow(
            partial(_stored_rows, read=read, n_bits=n_bits), _STORED
        )
        made = made.observe(observed, F.count(F.lit(1)).alias("n"))
        made.write.parquet(files.spark_uri(new_batch_uri(cache_uri, run.run_id)))
        n_unread = n_todo - observed.get["n"]
        known = read_batches(spark, cache_uri, _STORED)
    todo.unpersist()

    return KeptFeatures(known, n_todo - n_unread, n_unread, cache)


def pairs_sharing_codes(codes: DataFrame, photos: DataFrame, n_photos: int, max_partners: int) -> DataFrame:
    """The images that share most codes with each: left, right. An object in another scene is found by them.

    codes: as `KeptFeatures.codes` gives them. photos: image_id.
    """
    n_buckets = -(-n_photos // _PHOTOS_A_BUCKET)
    shared = (
        codes.mapInArrow(partial(_dealt_rows, n_buckets=n_buckets), _DEALT)
        .repartitionById(n_buckets, F.col("bucket"))
        .mapInArrow(partial(_code_pairs, n_photos=n_photos), _CODE_PAIRS)
        .groupBy("photo_a", "photo_b", "n_a", "n_b")
        .agg(F.sum("n_shared").alias("n_shared"), F.sum("weight").alias("weight"))
        .where(F.col("n_shared") >= _MIN_SHARED_CODES)
        .withColumn("likeness", F.col("weight") / F.sqrt(F.col("n_a") * F.col("n_b")))
    )
    # Each pair is looked at from both sides; a union of the two would find all pairs twice.
    sides = [
        F.struct(F.col(f"photo_{one}").alias("left"), F.col(f"photo_{other}").alias("right"), "likeness")
        for one, other in (("a", "b"), ("b", "a"))
    ]
    nearest = Window.partitionBy("left").orderBy(F.desc("likeness"), "right")
    next_best = F.nth_value("likeness", max_partners + 1).over(
        nearest.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    )
    chosen = (
        shared.select(F.inline(F.array(*sides)))
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


def _stored_rows(batches: Iterator[pa.RecordBatch], read: WorkingPhotos, n_bits: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = []
        for photo in batch.to_pylist():
            pixels = read(photo["uri"], photo["image_id"])
            if pixels is not None:
                found = extract_features(pixels)
                values = (*feature_codes(found.descriptors, n_bits).to_bytes(), *found.to_bytes())
                rows.append(dict(zip(_STORED_ARROW.names, (photo["image_id"], *values), strict=True)))
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
    """Whole numbers, so many a row, as binary values: Spark moves those whole, lists value by value."""
    return packed_runs(np.asarray(values, np.int64), np.r_[0, np.cumsum(lengths)] * np.int64().nbytes)


def _code_pairs(batches: Iterator[pa.RecordBatch], n_photos: int) -> Iterator[pa.RecordBatch]:
    """The pairs of one bucket: of each photo those that share most."""
    gathered = [batch for batch in batches if batch.num_rows]
    if not gathered:
        return
    table = pa.Table.from_batches(gathered).combine_chunks().sort_by("photo").combine_chunks()
    photos, n_features = ids_of(table.column("photo")), ids_of(table.column("n_features"))
    owners, codes = [], []
    for name in ("codes", "asked"):
        values, n_bytes = unpacked(table.column(name).chunk(0), np.int64)
        owners.append(np.repeat(np.arange(len(photos)), n_bytes // np.int64().nbytes))
        codes.append(values)
    pairs = pairs_by_codes(owners[0], codes[0], owners[1], codes[1], n_photos)
    pairs = heaviest_pairs(pairs, _PARTNERS_A_BUCKET)
    yield batch_of(
        photo_a=photos[pairs.row_a],
        photo_b=photos[pairs.row_b],
        n_a=n_features[pairs.row_a].astype(np.int32),
        n_b=n_features[pairs.row_b].astype(np.int32),
        n_shared=pairs.n_shared,
        weight=pairs.weight,
    )
