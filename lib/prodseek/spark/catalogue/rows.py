"""The catalogue's rows as a DataFrame: product_id, uri and every other column as attributes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.catalogue.folder import PassedOver, list_photos, passed_over_in_words
from prodseek.catalogue.manifest_reading import Manifest, read_manifest, refuse_without_rows
from prodseek.catalogue.manifests import FAULT, CatalogueSource, find_catalogue, product_of
from prodseek.catalogue.photo_rows import RowRules
from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError, ConfigError
from prodseek.spark.catalogue.feed_rows import rows_of_products
from prodseek.spark.catalogue.manifest_rows import PLACE, parquet_rows, text_rows
from prodseek.spark.catalogue.reading_tallies import ReadingTallies
from prodseek.spark.tables import naming_damaged_files, only_row
from prodseek.storage.read_ahead import map_ahead

_FOLDER_SCHEMA = pa.schema([("product_id", pa.string()), ("uri", pa.string())])
_STAMPED_SCHEMA = "product_id string, uri string, attributes string, n_bytes long, mtime_ns long, tag string"


def open_catalogue(config: CatalogConfig) -> CatalogueSource:
    """The catalogue that the configuration names. Raises ConfigError where it names none, CatalogueError if it is not there."""
    if config.uri is None:
        raise ConfigError(
            "catalog.uri: missing; name a folder of photos, or a manifest (CSV, TSV, JSON lines, Parquet): --catalog ..."
        )
    return find_catalogue(config.uri)


class CatalogueRows(NamedTuple):
    """rows: see `catalogue_rows`. passed_over: files of a folder that are no rows, by why, and folders not entered. tallies: of
    the tasks that read the rows; who has read them all asks whether the manifest is damaged."""

    rows: DataFrame
    passed_over: dict[PassedOver, int]
    tallies: ReadingTallies


def catalogue_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> CatalogueRows:
    """product_id, uri, attributes (map of strings), _fault; one row for each row of the catalogue.

    Values that are absent in a manifest are null. Where it holds the photos, their bytes are not among the columns, and
    _place says where they are: file_path, row_index, and the file's file_size and mtime_ns. Raises
    CatalogueError for a catalogue that is damaged, without rows or without the columns that the configuration names.
    """
    if source.kind == "folder" and config.bytes_column is None:
        return _folder_rows(spark, source, config)
    manifest = read_manifest(source, config)
    refuse_without_rows(manifest)
    with naming_damaged_files():
        tallies = ReadingTallies.of(spark)
        return CatalogueRows(_manifest_rows(spark, manifest, config, tallies), {}, tallies)


def catalogue_fingerprint(rows: DataFrame, photos: PhotoSource, read_threads: int) -> str:
    """SHA-256 over all rows and their photos' sizes and times of change, whatever the rows' order.

    Of a photo on a web server a HEAD request tells size, time and ETag, a fraction of what reading it takes. Of a photo
    in the manifest they are those of the manifest's file. read_threads: photos that a task asks about at a time.
    """
    columns = [F.col("product_id"), F.col("uri"), F.to_json("attributes").alias("attributes")]
    if photos.copies is None:
        stamp = partial(_stamp_rows, photos=photos, read_threads=read_threads)
        stamped = rows.select(*columns).mapInArrow(stamp, _STAMPED_SCHEMA)
    else:
        stamped = rows.select(*columns, f"{PLACE}.file_size", f"{PLACE}.mtime_ns")
    # Equal rows cancel out in one exclusive or; the sum of the other half of the bits does not let them.
    digest = F.md5(F.concat_ws("\x1f", *(F.coalesce(F.col(c).cast("string"), F.lit("\x00")) for c in stamped.columns)))
    high, low = (F.conv(F.substring(digest, start, 15), 16, 10).cast("decimal(38,0)") for start in (1, 16))
    total = only_row(stamped.agg(F.count(F.lit(1)), F.sum(high), F.sum(low)))
    return hashlib.sha256("|".join(str(value) for value in total).encode()).hexdigest()


def _folder_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> CatalogueRows:
    listing = list_photos(source, config.allowed_roots, config.exclude, config.any_ending)
    if not listing.uris:
        what = "no photos (files ending in .jpg, .png, .webp ...)"
        if listing.passed_over:
            counts = {why.value: n for why, n in listing.passed_over.items()}
            what += f", but files and folders {passed_over_in_words(counts)}"
        raise CatalogueError(f"the catalogue {source.uri!r} has {what}; there is nothing to do")
    products = [product_of(uri, config.product_id_from) for uri in listing.uris]
    listed = spark.createDataFrame(pa.table([products, listing.uris], schema=_FOLDER_SCHEMA))
    rows = listed.withColumn("attributes", _no_attributes()).withColumn(FAULT, F.lit(None).cast("string"))
    return CatalogueRows(rows, listing.passed_over, ReadingTallies.of(spark))


def _manifest_rows(
    spark: SparkSession, manifest: Manifest, config: CatalogConfig, tallies: ReadingTallies
) -> DataFrame:
    rules = RowRules.of(manifest.columns, config, manifest.source.base_uri)
    if manifest.texts:
        rows = text_rows(spark, manifest.texts, rules, tallies)
    else:
        rows = parquet_rows(spark, manifest.parts, manifest.schema or pa.schema([]), rules, tallies)
    if manifest.columns.has_other_rows:
        rows = rows_of_products(rows, manifest.columns.product_facts)
    return rows.drop("role")


def _no_attributes() -> Column:
    return F.create_map().cast("map<string,string>")


def _stamp_rows(batches: Iterator[pa.RecordBatch], photos: PhotoSource, read_threads: int) -> Iterator[pa.RecordBatch]:
    def stamp(uri: str | None) -> FileStamp | None:
        return photos.stamp(uri) if uri else None

    for batch in batches:
        stamps = list(map_ahead(stamp, batch.column("uri").to_pylist(), read_threads))
        yield pa.RecordBatch.from_arrays(
            [
                *batch.columns,
                pa.array([s and s.n_bytes for s in stamps], pa.int64()),
                pa.array([s and s.mtime_ns for s in stamps], pa.int64()),
                pa.array([s and s.tag for s in stamps], pa.string()),
            ],
            names=[*batch.schema.names, "n_bytes", "mtime_ns", "tag"],
        )
