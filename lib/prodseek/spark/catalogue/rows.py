"""The catalogue's rows as a DataFrame: product_id, uri and every other column as attributes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StructType

from prodseek.catalogue.folder import PassedOver, list_photos, passed_over_in_words
from prodseek.catalogue.manifests import (
    FAULT,
    CatalogueSource,
    find_catalogue,
    product_of,
    read_csv_manifest,
)
from prodseek.catalogue.photo_source import FileStamp, PhotoSource
from prodseek.config import CatalogConfig
from prodseek.errors import CatalogueError, ConfigError, StoreError
from prodseek.spark.tables import naming_damaged_files, only_row
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

# Where a row stands in a manifest that holds the photos: what Spark's Parquet reader tells of a row's file.
PLACE = "_place"
_FOLDER_SCHEMA = pa.schema([("product_id", pa.string()), ("uri", pa.string())])
_STAMPED_SCHEMA = "product_id string, uri string, attributes string, n_bytes long, mtime_ns long, tag string"


def open_catalogue(config: CatalogConfig) -> CatalogueSource:
    """The catalogue that the configuration names. Raises ConfigError where it names none, CatalogueError if it is not there."""
    if config.uri is None:
        raise ConfigError("catalog.uri: missing; name a folder of photos, or a CSV or Parquet manifest")
    return find_catalogue(config.uri)


class CatalogueRows(NamedTuple):
    """rows: see `catalogue_rows`. passed_over: files of a folder that are no rows, by why, and folders not entered."""

    rows: DataFrame
    passed_over: dict[PassedOver, int]


def catalogue_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> CatalogueRows:
    """product_id, uri, attributes (map of strings), _fault; one row for each row of the catalogue.

    Values that are absent in a manifest are null. Where it holds the photos, their bytes are not among the columns, and
    _place says where they are: file_path, row_index, and the file's file_size and file_modification_time. Raises
    CatalogueError for a catalogue that is damaged, without rows or without the columns that the configuration names.
    """
    if config.bytes_column and source.kind != "parquet":
        raise CatalogueError(
            f"the catalogue {source.uri!r} is no Parquet manifest, and only that can hold photos; set catalog.bytes_column "
            f"= {config.bytes_column!r} to null"
        )
    try:
        with naming_damaged_files():
            if source.kind == "folder":
                found = _folder_rows(spark, source, config)
            else:
                found = CatalogueRows(_manifest_rows(spark, source, config), {})
            is_empty = found.rows.isEmpty()
    except StoreError as error:
        raise CatalogueError(str(error)) from error
    except AnalysisException as error:
        raise CatalogueError(f"the manifest {source.uri!r} cannot be read: {str(error).splitlines()[0]}") from error
    if is_empty:
        what = "no photos (files ending in .jpg, .png, .webp ...)" if source.kind == "folder" else "no rows"
        if found.passed_over:
            what += f", but files and folders {passed_over_in_words({why.value: n for why, n in found.passed_over.items()})}"
        raise CatalogueError(f"the catalogue {source.uri!r} has {what}; there is nothing to do")
    return found


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
        stamped = rows.select(*columns, f"{PLACE}.file_size", f"{PLACE}.file_modification_time")
    # Equal rows cancel out in one exclusive or; the sum of the other half of the bits does not let them.
    digest = F.md5(F.concat_ws("\x1f", *(F.coalesce(F.col(c).cast("string"), F.lit("\x00")) for c in stamped.columns)))
    high, low = (F.conv(F.substring(digest, start, 15), 16, 10).cast("decimal(38,0)") for start in (1, 16))
    total = only_row(stamped.agg(F.count(F.lit(1)), F.sum(high), F.sum(low)))
    return hashlib.sha256("|".join(str(value) for value in total).encode()).hexdigest()


def _folder_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> CatalogueRows:
    listing = list_photos(source, config.allowed_roots, config.exclude, config.any_ending)
    products = [product_of(uri, config.product_id_from) for uri in listing.uris]
    listed = spark.createDataFrame(pa.table([products, listing.uris], schema=_FOLDER_SCHEMA))
    rows = listed.withColumn("attributes", _no_attributes()).withColumn(FAULT, F.lit(None).cast("string"))
    return CatalogueRows(rows, listing.passed_over)


def _manifest_rows(spark: SparkSession, source: CatalogueSource, config: CatalogConfig) -> DataFrame:
    if source.kind == "parquet":
        manifest = spark.read.parquet(files.spark_pattern(source.uri)).withColumn(FAULT, F.lit(None).cast("string"))
    else:
        manifest = spark.createDataFrame(read_csv_manifest(source))
    schema = manifest.schema
    columns = {
        "catalog.uri_column": config.uri_column,
        "catalog.product_id_column": config.product_id_column,
        "catalog.bytes_column": config.bytes_column,
    }
    wanted = {key: name for key, name in columns.items() if name}
    absent = [f"{name!r} ({key})" for key, name in wanted.items() if _type_of(schema, name) is None]
    if absent:
        raise CatalogueError(
            f"the manifest {source.uri!r} has no column {' and no column '.join(absent)}; it has "
            f"{', '.join(c for c in manifest.columns if c != FAULT) or 'none'}. Name them with --set catalog.uri_column=... and "
            "--set catalog.product_id_column=... (null: every photo is its own product)"
        )
    held = config.bytes_column and _type_of(schema, config.bytes_column)
    if held and not isinstance(held, BinaryType):
        raise CatalogueError(
            f"the column {config.bytes_column!r} of the manifest {source.uri!r} is {held.simpleString()}, not binary, and holds "
            "no photos; name another with catalog.bytes_column, or the names of photos with catalog.uri_column"
        )
    uri = _text(schema, config.uri_column) if config.uri_column else F.lit(None).cast("string")
    if config.product_id_column:
        product_id = _text(schema, config.product_id_column)
    else:
        named_after = config.product_id_from
        product_id = F.udf(lambda name: None if name is None else product_of(name, named_after), "string")(uri)
    named = {_path(schema, name)[0] for name in wanted.values()}
    others = [c for c in manifest.columns if c not in (*named, FAULT)]
    pairs = [part for c in others for part in (F.lit(c), _text(schema, c))]
    attributes = F.map_filter(F.create_map(*pairs), lambda _, value: value.isNotNull()) if pairs else _no_attributes()
    place = [manifest.metadataColumn("_metadata").alias(PLACE)] if held else []
    return manifest.select(
        product_id.alias("product_id"), uri.alias("uri"), attributes.alias("attributes"), F.col(FAULT), *place
    )


def _no_attributes() -> Column:
    return F.create_map().cast("map<string,string>")


def _path(schema: StructType, name: str) -> list[str]:
    """The parts of a column's name: one, or where no column is called so those of a field of a struct, as in `image.bytes`."""
    return [name] if name in schema.names else name.split(".")


def _type_of(schema: StructType, name: str) -> DataType | None:
    """The type of a column, or of a field of a struct; None where there is none."""
    found: DataType = schema
    for part in _path(schema, name):
        if not isinstance(found, StructType) or part not in found.names:
            return None
        found = found[part].dataType
    return found


def _text(schema: StructType, name: str) -> Column:
    """A manifest's value as text; null where there is nothing but white space."""
    quoted = (part.replace("`", "``") for part in _path(schema, name))
    return F.nullif(F.trim(F.col(".".join(f"`{part}`" for part in quoted)).cast("string")), F.lit(""))


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
