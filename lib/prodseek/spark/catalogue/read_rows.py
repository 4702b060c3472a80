"""Rows of the catalogue with what their photos give: checked, read, hashed and decoded in Spark's tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import Accumulator
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.catalogue.manifests import FAULT
from prodseek.catalogue.photo_rows import REPEATED
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import ImageRejected, RejectReason, content_id, decode_image
from prodseek.photos.hashes import pdq_hash, pixel_hash
from prodseek.runs.tables import table_schema
from prodseek.spark.catalogue.held_photos import copy_held_photos
from prodseek.spark.catalogue.poison_photos import Decoding, surviving_poison
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.tables import computed_schema
from prodseek.spark.task_tallies import TaskTallies
from prodseek.storage.read_ahead import map_ahead
from prodseek.storage.retries import n_retries

# What copying has found of a photo that the manifest holds; of others nothing is known before they are read.
_COPIED_COLUMNS = {"image_id": "string", "n_bytes": "long", "reason": "string", "detail": "string"}
_REASON_COLUMNS = [("reason", pa.string()), ("detail", pa.string())]


@dataclass(frozen=True)
class RowReader:
    """Reads the photos of rows in tasks. Counts are sums over all tasks; a task that Spark ran again counts again."""

    photos: PhotoSource
    read_threads: int
    rows_per_partition: int
    n_copied: Accumulator[int]
    n_decoded: Accumulator[int]
    n_retried: Accumulator[int]
    spellings: Accumulator[Counter[str]]

    @classmethod
    def of(cls, night: Night, photos: PhotoSource) -> RowReader:
        settings = night.config.ingest
        copied, decoded, retried = (night.spark.sparkContext.accumulator(0) for _ in range(3))
        spellings = TaskTallies.of(night.spark).counts
        return cls(photos, settings.read_threads, settings.rows_per_partition, copied, decoded, retried, spellings)

    def checked(self, night: Night, rows: DataFrame) -> DataFrame:
        """The catalogue's rows with reason and detail where they cannot be used whatever their photo holds.

        Photos that the manifest holds are copied out of it first.
        """
        if self.photos.copies is not None:
            rows = copy_held_photos(night, rows, self.n_copied)
        return checked(rows)

    def hashed(self, rows: DataFrame, n_rows: int) -> DataFrame:
        """Rows with the hash and the size of their photo's bytes."""
        return self._read(rows, n_rows, None)

    def decoded(self, rows: DataFrame, n_rows: int) -> DataFrame:
        """Rows with all that their photo gives."""
        return self._read(rows, n_rows, self.n_decoded)

    def _read(self, rows: DataFrame, n_rows: int, n_decoded: Accumulator[int] | None) -> DataFrame:
        read = partial(
            _read_rows,
            photos=self.photos,
            read_threads=self.read_threads,
            n_retried=self.n_retried,
            spellings=self.spellings,
            n_decoded=n_decoded,
        )
        dealt = deal(rows, "uri", n_rows, self.rows_per_partition)
        return dealt.mapInArrow(read, computed_schema("images", "reason", "detail"))


def checked(rows: DataFrame) -> DataFrame:
    """Add reason and detail where a row cannot be used whatever its photo holds."""
    if not _COPIED_COLUMNS.keys() <= set(rows.columns):
        rows = rows.withColumns({name: F.lit(None).cast(kind) for name, kind in _COPIED_COLUMNS.items()})
    is_usable = F.col("reason").isNull() & F.col(FAULT).isNull()
    same_row = Window.partitionBy("product_id", "uri", is_usable).orderBy(F.to_json("attributes"), "image_id")
    repeats = is_usable & (F.row_number().over(same_row) > 1)
    return rows.withColumn("repeats", repeats).select(
        "product_id",
        "uri",
        "attributes",
        "image_id",
        "n_bytes",
        F.when(F.col(FAULT).isNotNull(), RejectReason.INVALID_ROW.value)
        .when(F.col("reason").isNotNull(), F.col("reason"))
        .when(F.col("repeats"), RejectReason.DUPLICATE_ROW.value)
        .alias("reason"),
        F.coalesce(FAULT, "detail", F.when(F.col("repeats"), F.lit(REPEATED))).alias("detail"),
    )


def _read_rows(
    batches: Iterator[pa.RecordBatch],
    photos: PhotoSource,
    read_threads: int,
    n_retried: Accumulator[int],
    spellings: Accumulator[Counter[str]],
    n_decoded: Accumulator[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read and hash the rows' photos; decode them too, and count them, where `n_decoded` is given."""
    n_retries_before = n_retries()
    schema = pa.schema([field.with_nullable(True) for field in table_schema("images").arrow])
    for name, arrow_type in _REASON_COLUMNS:
        schema = schema.append(pa.field(name, arrow_type))
    decoded: list[str] | None = None if n_decoded is None else []
    spelled: list[str] = []
    with surviving_poison(photos.limits) as decoding:
        read = partial(_read_row, photos=photos, decoding=decoding, decoded=decoded, spelled=spelled)
        known: dict[tuple[str | None, str | None], dict[str, Any]] = {}
        for batch in batches:
            rows = batch.to_pylist()
            # A photo that many rows name is read once, because all of them are in this task: rows are dealt by their photo.
            heads: dict[tuple[str | None, str | None], dict[str, Any]] = {}
            for row in rows:
                if row["reason"] is None:
                    heads.setdefault(_photo_of(row), row)
            todo = {photo: row for photo, row in heads.items() if photo not in known}
            found = dict(zip(todo, map_ahead(read, todo.values(), read_threads), strict=True))
            found |= {photo: row for photo, row in known.items() if photo in heads}
            made = [row if row["reason"] is not None else _as_read(row, found[_photo_of(row)]) for row in rows]
            yield pa.RecordBatch.from_pylist(made, schema)
            known = found
    n_retried.add(n_retries() - n_retries_before)
    spellings.add(Counter(spelled))
    if n_decoded is not None and decoded:
        n_decoded.add(len(decoded))


def _photo_of(row: dict[str, Any]) -> tuple[str | None, str | None]:
    return row["uri"], row["image_id"]


def _as_read(row: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    """A row with what another one of the same photo has been given."""
    return {**read, "product_id": row["product_id"], "attributes": row["attributes"]}


def _read_row(
    row: dict[str, Any], photos: PhotoSource, decoding: Decoding, decoded: list[str] | None, spelled: list[str]
) -> dict[str, Any]:
    """A row with what its photo gives; the id of one that is decoded joins `decoded`, and without that none is.

    In what its name differs from the file's joins `spelled`, the first time that the photo is read.
    """
    if row["reason"] is not None or (decoded is None and row["image_id"] is not None):
        return row
    try:
        found = photos.read_near(row["uri"], row["image_id"])
        data = found.data
        if found.spelling is not None and row["image_id"] is None:
            spelled.append(found.spelling.value)
        read = {**row, "image_id": content_id(data), "n_bytes": len(data)}
        if decoded is None:
            return read
        if photos.copies is not None and read["image_id"] != row["image_id"]:
            raise ImageRejected(
                RejectReason.CHANGED, f"its copy in {photos.copies} is damaged; `prodseek verify` names it"
            )
        decoded.append(read["image_id"])
        with decoding(data):
            image = decode_image(data, photos.limits)
            pdq_hex, _ = pdq_hash(image.pixels)
    except ImageRejected as rejected:
        return {**row, "reason": rejected.reason.value, "detail": rejected.detail}
    return {
        **read,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "format": image.format,
        "pdq_hash": pdq_hex,
        "pixel_hash": pixel_hash(image.pixels, image.alpha, image.moving_id),
        "taken_at": image.taken_at,
        "colour_profile": image.colour_profile.value,
    }
