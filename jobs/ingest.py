"""Stage ingest: every row of the catalogue becomes a row of `images` or a row of `rejects`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from prodseek.jobs.catalogue import catalog_rows, open_catalog
from prodseek.jobs.partitions import deal
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek import files
from prodseek.catalog import FAULT
from prodseek.config import Config
from prodseek.duplicates.hashes import pdq_hash
from prodseek.errors import CatalogError
from prodseek.images import ImageRejected, RejectReason, content_id, decode_image, pixel_hash
from prodseek.photo_source import PhotoSource
from prodseek.pipeline import map_ahead
from prodseek.spark.tables import computed_schema, write_table
from prodseek.store import WORK, Run, Summary
from prodseek.tables import table_schema

# Rows of both tables, until embed has had its say about which photos can still be read.
INGESTED = f"{WORK}/ingested"
_REASON_COLUMNS = [("reason", pa.string()), ("detail", pa.string())]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Read, check, decode and hash every photo of the catalogue."""
    source = open_catalog(config.catalog)
    rows = catalog_rows(spark, source, config.catalog)
    n_rows = rows.count()
    read = partial(
        _read_rows,
        photos=PhotoSource.of(config, source.base_uri),
        read_threads=config.ingest.read_threads,
    )
    schema = computed_schema("images", "reason", "detail")
    dealt = deal(_checked(rows), "uri", n_rows, config.ingest.rows_per_partition)
    dealt.mapInArrow(read, schema).write.mode("overwrite").parquet(files.spark_uri(store.path(INGESTED)))
    counts = write_images_and_rejects(spark, store)
    if counts["images"] == 0:
        told = (
            read_ingested(spark, store)
            .groupBy("reason")
            .agg(F.count(F.lit(1)).alias("n"), F.min("detail").alias("detail"))
        )
        raise CatalogError(
            f"none of the {n_rows} rows of the catalogue {source.uri!r} is a photo that can be used: "
            + "; ".join(
                f"{row['n']} {row['reason']}, such as: {row['detail']}"
                for row in told.orderBy(F.desc("n"), "reason").collect()
            )
        )
    return Summary(
        "ingest",
        rows=counts,
        facts={"input_rows": n_rows, "catalog": source.uri, "base_uri": source.base_uri},
        lines=(f"{n_rows} rows in, {counts['images']} images, {counts['rejects']} rejected",),
    )


def read_ingested(spark: SparkSession, store: Run) -> DataFrame:
    """The rows of `images` and `rejects` together; `reason` is null for an image."""
    return spark.read.parquet(files.spark_uri(store.path(INGESTED)))


def write_images_and_rejects(spark: SparkSession, store: Run, failures: DataFrame | None = None) -> dict[str, int]:
    """Divide the ingested rows into the two tables; returns rows written.

    failures: image_id, reason, detail of photos that a later stage could not read again; their rows become rejects.
    """
    ingested = read_ingested(spark, store)
    images = ingested.where("reason is null").drop("reason", "detail")
    rejects = ingested.where("reason is not null").withColumn("stage", F.lit("ingest"))
    if failures is not None:
        failed = F.broadcast(failures)
        late = images.join(failed, "image_id").withColumn("stage", F.lit("embed"))
        images = images.join(failed, "image_id", "left_anti")
        columns = table_schema("rejects").column_names
        rejects = rejects.select(*columns).unionByName(late.select(*columns))
    n_images = write_table(images, store, "images")
    n_rejects = write_table(rejects.select(*table_schema("rejects").column_names), store, "rejects")
    return {"images": n_images, "rejects": n_rejects}


def _checked(rows: DataFrame) -> DataFrame:
    """Add reason and detail where a row cannot be used whatever its photo holds."""
    same_row = Window.partitionBy("product_id", "uri").orderBy(F.to_json("attributes"))
    faults = (
        F.when(F.col(FAULT).isNotNull(), F.col(FAULT))
        .when(F.col("uri").isNull() & F.col("product_id").isNull(), "the row names neither uri nor product_id")
        .when(F.col("uri").isNull(), "the row names no uri")
        .when(F.col("product_id").isNull(), "the row names no product_id")
    )
    repeats = F.row_number().over(same_row) > 1
    return (
        rows.withColumn("fault", faults)
        .withColumn("repeats", repeats)
        .select(
            "product_id",
            "uri",
            "attributes",
            F.when(F.col("fault").isNotNull(), RejectReason.INVALID_ROW.value)
            .when(F.col("repeats"), RejectReason.DUPLICATE_ROW.value)
            .alias("reason"),
            F.coalesce("fault", F.when(F.col("repeats"), "product_id and uri stand in an earlier row")).alias("detail"),
        )
    )


def _read_rows(batches: Iterator[pa.RecordBatch], photos: PhotoSource, read_threads: int) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([field.with_nullable(True) for field in table_schema("images").arrow])
    for name, arrow_type in _REASON_COLUMNS:
        schema = schema.append(pa.field(name, arrow_type))
    read = partial(_read_row, photos=photos)
    for batch in batches:
        yield pa.RecordBatch.from_pylist(list(map_ahead(read, batch.to_pylist(), read_threads)), schema)


def _read_row(row: dict[str, Any], photos: PhotoSource) -> dict[str, Any]:
    if row["reason"] is not None:
        return row
    try:
        data = photos.read(row["uri"])
        image = decode_image(data, photos.limits)
    except ImageRejected as rejected:
        return {**row, "reason": rejected.reason.value, "detail": rejected.detail}
    pdq_hex, _ = pdq_hash(image.pixels)
    return {
        **row,
        "image_id": content_id(data),
        "width_px": image.width_px,
        "height_px": image.height_px,
        "n_bytes": len(data),
        "format": image.format,
        "pdq_hash": pdq_hex,
        "pixel_hash": pixel_hash(image.pixels),
    }


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("ingest")
