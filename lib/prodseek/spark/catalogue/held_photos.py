"""Photos that a Parquet manifest holds, copied to where later stages read single ones; their bytes go through no shuffle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark import Accumulator
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.catalogue.manifests import FAULT
from prodseek.catalogue.photo_copies import copies_folder, held_photos, keep_copy
from prodseek.errors import CatalogueError
from prodseek.photos.decode import ImageLimits, ImageRejected, RejectReason, check_size, content_id
from prodseek.runs.store import WORK
from prodseek.runs.tables import table_schema
from prodseek.spark.catalogue.manifest_rows import PLACE
from prodseek.spark.catalogue.reading_tallies import ReadingTallies
from prodseek.spark.night import Night
from prodseek.spark.tables import computed_schema
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

# Rows of the manifest without their photos, whose contents are known by then.
_HELD = f"{WORK}/held"
# Digits of the image_id that tell the photos of a product apart.
_NAME_DIGITS = 16
_BATCH_ROWS = 1024
_TEXTS = (FAULT, "reason", "detail")


def copy_held_photos(night: Night, rows: DataFrame, n_copied: Accumulator[int]) -> DataFrame:
    """The rows of `catalogue_rows` with image_id and n_bytes, or reason and detail, in place of where the photo stands.

    Photos that are not among the copies yet are added to them. Where no column names the photos, each is called like its
    product, and those of a product that has several `product_id#first digits of image_id`: whatever the order of the rows
    is, a photo keeps its name. Raises CatalogueError for a manifest that is damaged.
    """
    catalog = night.config.catalog
    if catalog.bytes_column is None:
        raise ValueError("catalog.bytes_column is null: the manifest holds no photos to copy")
    tallies = ReadingTallies.of(night.spark)
    copy = partial(
        _copied,
        column=catalog.bytes_column,
        folder=copies_folder(night.run.root),
        limits=night.config.images.limits,
        threads=night.config.ingest.read_threads,
        n_copied=n_copied,
        tallies=tallies,
        manifest=catalog.uri or "",
    )
    placed = rows.withColumn(PLACE, F.struct(f"{PLACE}.file_path", f"{PLACE}.row_index"))
    uri = files.spark_uri(night.run.path(_HELD))
    placed.mapInArrow(copy, computed_schema("images", *_TEXTS)).write.mode("overwrite").parquet(uri)
    tallies.refuse_damage()
    held = night.spark.read.parquet(uri)
    if catalog.uri_column is not None:
        return held
    n_photos = F.count(F.lit(1)).over(Window.partitionBy("product_id"))
    number = F.when(n_photos > 1, F.substring("image_id", 1, _NAME_DIGITS))
    return held.withColumn("uri", F.when(F.col("product_id").isNotNull(), F.concat_ws("#", "product_id", number)))


def _copied(
    batches: Iterator[pa.RecordBatch],
    column: str,
    folder: str,
    limits: ImageLimits,
    threads: int,
    n_copied: Accumulator[int],
    tallies: ReadingTallies,
    manifest: str,
) -> Iterator[pa.RecordBatch]:
    def copy(row_and_photo: tuple[dict[str, Any], bytes | None]) -> dict[str, Any]:
        row, photo = row_and_photo
        try:
            if photo is None:
                raise ImageRejected(RejectReason.MISSING, f"the row holds no photo in its column {column!r}")
            check_size(len(photo), limits)
        except ImageRejected as rejected:
            return {**row, "reason": rejected.reason.value, "detail": rejected.detail}
        image_id = content_id(photo)
        if keep_copy(folder, image_id, photo):
            copied.append(image_id)
        return {**row, "image_id": image_id, "n_bytes": len(photo)}

    copied: list[str] = []
    fields = [field.with_nullable(True) for field in table_schema("images").arrow]
    schema = pa.schema([*fields, *(pa.field(name, pa.string()) for name in _TEXTS)])
    rows = map_ahead(copy, tallies.until_damage(_with_photos(batches, column), manifest), threads)
    while some := list(islice(rows, _BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(some, schema)
    n_copied.add(len(copied))


def _with_photos(batches: Iterator[pa.RecordBatch], column: str) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """Each row with its photo. A task's rows stand one after the other in their file, which is read along with them."""
    photos: Iterator[bytes | None] = iter(())
    reached = None
    for row in (row for batch in batches for row in batch.to_pylist()):
        place = row.pop(PLACE)
        path, number = place["file_path"], place["row_index"]
        if (path, number) != reached:
            photos = held_photos(path, column, number)
        try:
            photo = next(photos)
        except StopIteration:
            raise CatalogueError(f"{path} was replaced while it was read; start the same command again") from None
        yield row, photo
        reached = path, number + 1
