"""The pairs of photos that share codes of local features, found bucket by bucket of the codes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from prodseek.duplicates.candidates import CodeRows, buckets_of, heaviest_pairs, pairs_by_codes
from prodseek.duplicates.features import PROBED_BITS, FeatureCodes, with_poses, without_poses
from prodseek.spark.arrow import batch_of, ids_of, packed_runs, unpacked
from prodseek.spark.duplicates.compared_photos import ComparedPhotos

# Minimum shared codes, turned and scaled alike, before a pair is compared.
_MIN_SHARED_CODES = 4
# A compared pair is this many times as alike as the photo's best pair that is not, because photos share some codes by chance.
_MIN_LEAD = 1.3
# Nothing shares so many by chance. Without it, a photo of many copies would lead none of them.
_SURE_SHARED_CODES = 16
# Photos per bucket: together they ask for some ten million codes.
_PHOTOS_A_BUCKET = 2048
# The pairs of a photo that one bucket hands on; each bucket sees a share of its codes.
_PARTNERS_A_BUCKET = 64

_DEALT = "bucket int, photo long, n_features int, codes binary, asked binary"
_CODE_PAIRS = "photo_a long, photo_b long, n_a int, n_b int, pose long, n_shared long, weight long"


def pairs_sharing_codes(codes: DataFrame, photos: ComparedPhotos, max_partners: int) -> DataFrame:
    """The images that share most codes with each: left, right. An object in another scene is found by them.

    codes: as `KeptFeatures.codes` gives them.
    """
    n_buckets = -(-photos.n_photos // _PHOTOS_A_BUCKET)
    shared = (
        codes.mapInArrow(partial(_dealt_rows, n_buckets=n_buckets), _DEALT)
        .repartitionById(n_buckets, F.col("bucket"))
        .mapInArrow(partial(_code_pairs, n_photos=photos.n_photos), _CODE_PAIRS)
        .groupBy("photo_a", "photo_b", "n_a", "n_b", "pose")
        .agg(F.sum("n_shared").alias("n_shared"), F.sum("weight").alias("weight"))
        .where(F.col("n_shared") >= _MIN_SHARED_CODES)
        .groupBy("photo_a", "photo_b", "n_a", "n_b")
        .agg(F.max("weight").alias("weight"), F.max("n_shared").alias("n_shared"))
        .withColumn("likeness", F.col("weight") / F.sqrt(F.col("n_a") * F.col("n_b")))
    )
    # Each pair is looked at from both sides; a union of the two would find all pairs twice.
    sides = [
        F.struct(F.col(f"photo_{one}").alias("left"), F.col(f"photo_{other}").alias("right"), "likeness", "n_shared")
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
        .where(
            (F.col("n_shared") >= _SURE_SHARED_CODES)
            | (F.col("likeness") >= _MIN_LEAD * F.coalesce("next_best", F.lit(0.0)))
        )
    )
    for side in ("left", "right"):
        names = photos.rows.select(_photo_number(F.col("image_id")).alias(side), F.col("image_id").alias(f"{side}_id"))
        chosen = chosen.join(names, side).drop(side).withColumnRenamed(f"{side}_id", side)
    return chosen.where("left <> right").select("left", "right")


def _photo_number(image_id: Column) -> Column:
    """The first 60 bits of a photo's id: shorter to shuffle. Should two be equal, one more pair is looked at."""
    return F.conv(F.substring(image_id, 1, 15), 16, 10).cast("long")


def _dealt_rows(batches: Iterator[pa.RecordBatch], n_buckets: int) -> Iterator[pa.RecordBatch]:
    """Each photo's codes, dealt to buckets: a row for each photo and bucket in which it asks for some."""
    for batch in batches:
        photos = np.array([int(image_id[:15], 16) for image_id in batch.column("image_id").to_pylist()], np.int64)
        posed, n_bytes = unpacked(batch.column("codes"), np.int64)
        n_features = n_bytes // np.int64().nbytes
        codes, poses = without_poses(posed)
        nearest_bits, _ = unpacked(batch.column("nearest_bits"), np.uint8)
        asked = FeatureCodes(codes, nearest_bits.reshape(-1, PROBED_BITS), poses).asked.ravel()
        posed_asked = with_poses(asked, np.repeat(poses, 2**PROBED_BITS))
        owner = np.repeat(np.arange(len(photos)), n_features)
        asking = np.repeat(owner, 2**PROBED_BITS)
        of_asked, of_codes = buckets_of(asked, n_buckets), buckets_of(codes, n_buckets)
        for bucket in range(n_buckets):
            asks, has = of_asked == bucket, of_codes == bucket
            of_photo = np.bincount(asking[asks], minlength=len(photos))
            rows = np.flatnonzero(of_photo)
            kept = np.isin(owner[has], rows)
            yield batch_of(
                bucket=np.full(len(rows), bucket, np.int32),
                photo=photos[rows],
                n_features=n_features[rows].astype(np.int32),
                codes=_packed_lists(posed[has][kept], np.bincount(owner[has], minlength=len(photos))[rows]),
                asked=_packed_lists(posed_asked[asks], of_photo[rows]),
            )


def _packed_lists(values: NDArray[np.int64], lengths: NDArray[np.intp]) -> pa.Array:
    """Whole numbers, `lengths` of them a row, as binary values: Spark moves those whole, lists value by value."""
    return packed_runs(np.asarray(values, np.int64), np.r_[0, np.cumsum(lengths)] * np.int64().nbytes)


def _code_pairs(batches: Iterator[pa.RecordBatch], n_photos: int) -> Iterator[pa.RecordBatch]:
    """The pairs of one bucket: of each photo those that share most."""
    gathered = [batch for batch in batches if batch.num_rows]
    if not gathered:
        return
    table = pa.Table.from_batches(gathered).combine_chunks().sort_by("photo").combine_chunks()
    photos, n_features = ids_of(table.column("photo")), ids_of(table.column("n_features"))
    has, asks = (_code_rows(table.column(name).chunk(0)) for name in ("codes", "asked"))
    pairs = heaviest_pairs(pairs_by_codes(has, asks, n_photos), _PARTNERS_A_BUCKET)
    yield batch_of(
        photo_a=photos[pairs.row_a],
        photo_b=photos[pairs.row_b],
        n_a=n_features[pairs.row_a].astype(np.int32),
        n_b=n_features[pairs.row_b].astype(np.int32),
        pose=pairs.pose,
        n_shared=pairs.n_shared,
        weight=pairs.weight,
    )


def _code_rows(column: pa.Array) -> CodeRows:
    """The codes of photos, packed one photo a row."""
    values, n_bytes = unpacked(column, np.int64)
    codes, poses = without_poses(values)
    return CodeRows(np.repeat(np.arange(len(column)), n_bytes // np.int64().nbytes), codes, poses)
