"""The catalogue's rows as a DataFrame: product_id, uri and every other column as attributes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.catalogue.columns import ABSENT, ID_FACTS
from prodseek.catalogue.folder import PassedOver, list_photos, passed_over_in_words
from prodseek.catalogue.manifest_reading import Manifest, has_rows, read_manifest
from prodseek.catalogue.manifests import FAULT, CatalogueSource, find_catalogue, product_of
from prodseek.catalogue.parquet_table import field_type
from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.catalogue.shaped_rows import split_names
from prodseek.catalogue.web import WebAccess
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError, ConfigError
from prodseek.photos.decode import ImageLimits
from prodseek.spark.catalogue.manifest_rows import PLACE, parquet_rows, text_rows
from prodseek.spark.tables import naming_damaged_files, only_row
from prodseek.storage.read_ahead import map_ahead
from prodseek.storage.retries import RetryPolicy

# Up to here every whole number is a float, and from here on Java writes floats with a power of ten.
_EXACT = 2.0**53
_AS_POWER = 1e7
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
    """rows: see `catalogue_rows`. passed_over: files of a folder that are no rows, by why, and folders not entered."""

    rows: DataFrame
    passed_over: dict[PassedOver, int]


def catalogue_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> CatalogueRows:
    """product_id, uri, attributes (map of strings), _fault; one row for each row of the catalogue.

    Values that are absent in a manifest are null. Where it holds the photos, their bytes are not among the columns, and
    _place says where they are: file_path, row_index, and the file's file_size and mtime_ns. Raises
    CatalogueError for a catalogue that is damaged, without rows or without the columns that the configuration names.
    """
    if source.kind == "folder" and config.bytes_column is None:
        return _folder_rows(spark, source, config)
    manifest = read_manifest(source, config)
    if not has_rows(manifest):
        raise CatalogueError(f"the catalogue {source.uri!r} has no rows; there is nothing to do")
    with naming_damaged_files():
        return CatalogueRows(_manifest_rows(spark, manifest, config), {})


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
    return CatalogueRows(rows, listing.passed_over)


def _manifest_rows(spark: SparkSession, manifest: Manifest, config: CatalogConfig) -> DataFrame:
    columns = manifest.columns
    if manifest.text is not None:
        rows = text_rows(spark, manifest.text, columns)
        found = rows.select("product_id", "uris", "attributes", F.col("fault").alias(FAULT))
    else:
        found = _parquet_manifest_rows(spark, manifest)
    if config.uri_separators and columns.photo is None:
        separators, photos = config.uri_separators, _photos(manifest.source, config)
        found = found.withColumn(
            "uris", F.udf(lambda uris: split_names(uris, separators, photos), "array<string>")("uris")
        )
    named_after = config.product_id_from
    others = [name for name in found.columns if name not in ("product_id", "uris")]
    rows = found.select("product_id", F.explode_outer("uris").alias("uri"), *others)
    if columns.product_id is None:
        product = F.udf(lambda name: None if name is None else product_of(name, named_after), "string")
        rows = rows.withColumn("product_id", product("uri"))
    return rows


def _parquet_manifest_rows(spark: SparkSession, manifest: Manifest) -> DataFrame:
    """product_id, uris, attributes and _fault of a Parquet manifest; _place too if it holds the photos."""
    columns, schema = manifest.columns, manifest.schema or pa.schema([])
    rows = parquet_rows(spark, manifest.parts, schema)

    def value(name: str, is_id: bool = False) -> Column:
        return _text(_column(schema, name), field_type(schema, name), is_id)

    nothing = F.lit(None).cast("string")
    uris = F.array(nothing)
    if columns.uri is not None:
        is_list = pa.types.is_list(field_type(schema, columns.uri)) and columns.photo is None
        uris = _texts(_column(schema, columns.uri)) if is_list else _listed(_present(value(columns.uri)))
    pairs = [part for key, name in columns.kept for part in (F.lit(key), value(name, key in ID_FACTS))]
    # Once for all values, because a manifest may have a thousand columns.
    kept = F.transform_values(F.create_map(*pairs), lambda _, text: _present(text)) if pairs else _no_attributes()
    attributes = F.map_filter(kept, lambda _, text: text.isNotNull())
    return rows.select(
        (_present(value(columns.product_id, is_id=True)) if columns.product_id else nothing).alias("product_id"),
        uris.alias("uris"),
        attributes.alias("attributes"),
        nothing.alias(FAULT),
        *([PLACE] if columns.photo else []),
    )


def _column(schema: pa.Schema, name: str) -> Column:
    """A column of `parquet_rows`, or a field of the structs in it."""
    first, *fields = [name] if name in schema.names else name.split(".")
    column = F.col(f"c{schema.names.index(first)}")
    for field in fields:
        column = column.getField(field)
    return column


def _texts(lists: Column) -> Column:
    """The values of a list as text."""
    return F.filter(F.transform(lists, lambda one: _present(one.cast("string"))), lambda one: one.isNotNull())


def _listed(text: Column) -> Column:
    """The photo that a cell names, as a list; the photos of one that is itself a list, as JSON writes it."""
    several = F.when(text.startswith('["'), F.from_json(text, "array<string>"))
    return F.coalesce(several, F.array(text))


def _photos(source: CatalogueSource, config: CatalogConfig) -> PhotoSource:
    retry_policy = RetryPolicy(config.read_attempts, config.read_timeout_seconds)
    web = WebAccess(config.http_hosts, config.http_timeout_seconds)
    return PhotoSource(source.base_uri, config.allowed_roots, ImageLimits(), retry_policy, web)


def _no_attributes() -> Column:
    return F.create_map().cast("map<string,string>")


def _text(column: Column, kind: pa.DataType | None, is_id: bool) -> Column:
    """A manifest's value as text.

    Whole numbers that pandas made floats, because some are missing, are written as the ids that they are.
    """
    text = column.cast("string")
    if kind is not None and pa.types.is_floating(kind):
        is_whole = (column % 1 == 0) & (F.abs(column) < _EXACT)
        is_long = F.abs(column) >= _AS_POWER
        digits = column.try_cast("decimal(20,0)").cast("string")
        text = F.when(is_whole if is_id else is_whole & is_long, digits).otherwise(text)
    return text


def _present(text: Column) -> Column:
    """Text without blanks around it; null for what says that there is no value."""
    trimmed = F.trim(text)
    return F.when(~trimmed.isin(*ABSENT), trimmed)


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
