"""Local features of photos. They are kept: a photo is looked at once for all nights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.duplicates.features import FEATURES_SIDE_PX, code_bits, codes_recipe, feature_codes, photo_features
from prodseek.duplicates.prints import photo_prints
from prodseek.runs.facts import CacheFolder
from prodseek.spark.batch_cache import new_batch_uri, read_batches
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import look
from prodseek.storage import files

# Every night reads the codes and prints, a few bytes a photo. Points and histograms are many bytes; they are read for photos in
# new pairs.
_CODES = ("image_id", "codes", "nearest_bits")
_FEATURES = ("image_id", "points", "histograms", "content_box")
_PRINTS = ("image_id", "content_hash", "colours")
_STORED_ARROW = pa.schema(
    [("image_id", pa.string()), *((name, pa.binary()) for name in (*_CODES[1:], *_FEATURES[1:], *_PRINTS[1:]))]
)
_STORED = StructType([StructField(field.name, from_arrow_type(field.type)) for field in _STORED_ARROW])


class KeptFeatures(NamedTuple):
    """Local features of the photos that can be read.

    stored: image_id, codes, nearest_bits, points, histograms, content_box, content_hash, colours of these photos and others, some
    twice. n_fresh: photos they were extracted from this night. n_unread: those that had none yet and could not be read.
    """

    stored: DataFrame
    n_fresh: int
    n_unread: int
    cache: CacheFolder

    def codes(self, image_ids: DataFrame) -> DataFrame:
        """image_id, codes, nearest_bits of the photos that have some. image_ids: image_id."""
        return self._of(image_ids, _CODES)

    def features(self, image_ids: DataFrame) -> DataFrame:
        """Likewise image_id, points, histograms, content_box: what `LocalFeatures.from_bytes` takes."""
        return self._of(image_ids, _FEATURES)

    def prints(self, image_ids: DataFrame) -> DataFrame:
        """Likewise image_id, content_hash, colours: `PhotoPrints` as bytes; the hash is null where there is none."""
        return self._of(image_ids, _PRINTS)

    def _of(self, image_ids: DataFrame, columns: tuple[str, ...]) -> DataFrame:
        # An attempt that died after its batch was whole has kept some twice, the same.
        there = self.stored.select(*columns).join(image_ids.select("image_id"), "image_id", "left_semi")
        return there.dropDuplicates(["image_id"])


def kept_features(night: Night, photos: ComparedPhotos) -> KeptFeatures:
    """Features and codes of the photos, made and kept for those that no earlier night has seen."""
    n_bits = code_bits(photos.n_photos)
    cache = CacheFolder("local_features", f"recipe={codes_recipe(n_bits)}")
    cache_uri = night.run.cache_uri(cache)
    known = read_batches(night.spark, cache_uri, _STORED)
    todo = photos.rows.select("image_id", "uri").join(known.select("image_id"), "image_id", "left_anti").cache()
    n_todo = todo.count()
    n_unread = 0
    if n_todo:
        observed = Observation()
        made = deal(todo, "image_id", n_todo, night.config.duplicates.photos_per_partition).mapInArrow(
            partial(_stored_rows, photos=night.photos, n_bits=n_bits), _STORED
        )
        made = made.observe(observed, F.count(F.lit(1)).alias("n"))
        made.write.parquet(files.spark_uri(new_batch_uri(cache_uri, night.run.run_id)))
        n_unread = n_todo - observed.get["n"]
        known = read_batches(night.spark, cache_uri, _STORED)
    todo.unpersist()
    return KeptFeatures(known, n_todo - n_unread, n_unread, cache)


def _stored_rows(batches: Iterator[pa.RecordBatch], photos: PhotoSource, n_bits: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = []
        for photo in batch.to_pylist():
            image = look(photo["uri"], photo["image_id"], photos, FEATURES_SIDE_PX)
            if image is not None:
                found = photo_features(image.pixels)
                prints = photo_prints(image.pixels, found.local.content_box)
                values = (*feature_codes(found, n_bits).to_bytes(), *found.local.to_bytes(), *prints.to_bytes())
                rows.append(dict(zip(_STORED_ARROW.names, (photo["image_id"], *values), strict=True)))
        yield pa.RecordBatch.from_pylist(rows, _STORED_ARROW)
