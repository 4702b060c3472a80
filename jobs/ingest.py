"""Stage ingest: every row of the catalogue becomes a row of `images` or a row of `rejects`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark import Accumulator
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.catalogue.manifests import FAULT
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config
from prodseek.errors import CatalogueError, StoreError
from prodseek.photos.decode import (
    ImageLimits,
    ImageRejected,
    RejectReason,
    content_id,
    decode_image,
    decoder,
    pixel_hash,
)
from prodseek.photos.hashes import pdq_hash
from prodseek.runs.store import WORK, Run, Store, Summary
from prodseek.runs.tables import table_schema
from prodseek.spark.catalogue.held_photos import copy_held_photos
from prodseek.spark.catalogue.poison_photos import Decoding, surviving_poison
from prodseek.spark.catalogue.rows import catalogue_rows, open_catalogue
from prodseek.spark.partitions import deal
from prodseek.spark.tables import computed_schema, read_table, write_table
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead
from prodseek.storage.retries import n_retries

# Rows of both tables, until embed has had its say about which photos can still be read.
INGESTED = f"{WORK}/ingested"
# The same before decoding: rows that cannot be used, and those whose photo has its content's hash and nothing else yet.
_HASHED = f"{WORK}/hashed"
# What copying has found of a photo that the manifest holds; of others nothing is known before they are read.
_COPIED_COLUMNS = {"image_id": "string", "n_bytes": "long", "reason": "string", "detail": "string"}
_REASON_COLUMNS = [("reason", pa.string()), ("detail", pa.string())]
# What decoding a photo gives, beside its place among the rows: the same for the same bytes and decoder.
_DECODED_COLUMNS = ("width_px", "height_px", "format", "pdq_hash", "pixel_hash")


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Read, check and hash every photo of the catalogue; decode those whose content the last run did not have."""
    source = open_catalogue(config.catalog)
    rows = catalogue_rows(spark, source, config.catalog)
    n_rows = rows.count()
    n_copied, n_decoded, n_retried = (spark.sparkContext.accumulator(0) for _ in range(3))
    photos = PhotoSource.of(config, source.base_uri, run.root)
    if photos.copies is not None:
        rows = copy_held_photos(spark, rows, config, run, n_copied)
    read = partial(
        _read_rows,
        photos=photos,
        read_threads=config.ingest.read_threads,
        n_retried=n_retried,
    )
    schema = computed_schema("images", "reason", "detail")
    todo = deal(_checked(rows), "uri", n_rows, config.ingest.rows_per_partition)
    before, why_unknown = _last_run(run)
    done = None
    if before is not None and not why_unknown:
        todo.mapInArrow(read, schema).write.mode("overwrite").parquet(files.spark_uri(run.path(_HASHED)))
        done, todo = _divided(spark, run, before, config.images.limits)
        todo = deal(todo, "uri", todo.count(), config.ingest.rows_per_partition)
    decoded = todo.mapInArrow(partial(read, n_decoded=n_decoded), schema)
    ingested = decoded if done is None else done.unionByName(decoded)
    ingested.write.mode("overwrite").parquet(files.spark_uri(run.path(INGESTED)))
    counts = write_images_and_rejects(spark, run)
    if counts["images"] == 0:
        told = (
            read_ingested(spark, run)
            .groupBy("reason")
            .agg(F.count(F.lit(1)).alias("n"), F.min("detail").alias("detail"))
        )
        raise CatalogueError(
            f"none of the {n_rows} rows of the catalogue {source.uri!r} is a photo that can be used: "
            + "; ".join(
                f"{row['n']} {row['reason']}, such as: {row['detail']}"
                for row in told.orderBy(F.desc("n"), "reason").collect()
            )
        )
    refuse_failing_storage(spark, config, run, counts)
    changes = _changes(spark, run, before) if before is not None else {}
    facts: dict[str, Any] = {
        "input_rows": n_rows,
        "catalog": source.uri,
        "base_uri": source.base_uri,
        "decoder": decoder(),
        # A task that Spark ran again counts again.
        "copied_photos": n_copied.value,
        "decoded_photos": n_decoded.value,
        "retried_reads": n_retried.value,
        "compared_with": before and before.run_id,
        "changes": changes,
    }
    lines = [
        f"{n_rows} rows in, {counts['images']} images, {counts['rejects']} rejected",
        f"every photo was decoded: {why_unknown}" if why_unknown else f"{n_decoded.value} photos decoded",
    ]
    if photos.copies is not None:
        lines.append(f"{n_copied.value} photos copied out of the manifest to {photos.copies}")
    if before is not None:
        lines.append(f"since run {before.run_id}: " + ", ".join(f"{n} {change}" for change, n in changes.items()))
    if n_retried.value:
        lines.append(f"the storage failed {n_retried.value} times and was asked again")
    return Summary("ingest", rows=counts, facts=facts, lines=tuple(lines))


def read_ingested(spark: SparkSession, run: Run) -> DataFrame:
    """The rows of `images` and `rejects` together; `reason` is null for an image."""
    return spark.read.parquet(files.spark_uri(run.path(INGESTED)))


def write_images_and_rejects(spark: SparkSession, run: Run, failures: DataFrame | None = None) -> dict[str, int]:
    """Divide the ingested rows into the two tables; returns rows written.

    failures: image_id, reason, detail of photos that a later stage could not read again; their rows become rejects.
    """
    ingested = read_ingested(spark, run)
    images = ingested.where("reason is null").drop("reason", "detail")
    rejects = ingested.where("reason is not null").withColumn("stage", F.lit("ingest"))
    if failures is not None:
        failed = F.broadcast(failures)
        late = images.join(failed, "image_id").withColumn("stage", F.lit("embed"))
        images = images.join(failed, "image_id", "left_anti")
        columns = table_schema("rejects").column_names
        rejects = rejects.select(*columns).unionByName(late.select(*columns))
    n_images = write_table(images, run, "images")
    n_rejects = write_table(rejects.select(*table_schema("rejects").column_names), run, "rejects")
    return {"images": n_images, "rejects": n_rejects}


def refuse_failing_storage(spark: SparkSession, config: Config, run: Run, counts: dict[str, int]) -> None:
    """Stop a stage that found more photos unreadable than a night may have rejects, before it counts as done.

    It is the storage's fault, not the catalogue's: the same command is to try again. counts: rows of `images` and
    `rejects`. Raises StoreError.
    """
    limit = config.gates.max_reject_share
    if limit is None or not counts["rejects"]:
        return
    unreadable = read_table(spark, run, "rejects").where(F.col("reason") == RejectReason.UNREADABLE.value)
    n_unreadable, example = unreadable.agg(F.count(F.lit(1)), F.min(F.concat_ws(": ", "uri", "detail"))).first()
    n_rows = counts["images"] + counts["rejects"]
    if n_unreadable > limit * n_rows:
        raise StoreError(
            f"{n_unreadable} of {n_rows} photos cannot be read, more than gates.max_reject_share = {limit:g} allows; their "
            f"storage seems to fail, such as: {example}. Start the same command again when it works"
        )


def _last_run(run: Run) -> tuple[Run | None, str]:
    """The last published run that still has its images, and why nothing that it decoded can be taken over; empty if it can."""
    before = Store(run.root).before(run)
    if before is None:
        return None, "there is no earlier run with tables of the same schemas"
    if not files.exists(before.table_uri("images")):
        return None, f"run {before.run_id} has no table images any more"
    then = before.manifest()["stages"]["ingest"].get("decoder", {})
    now = decoder()
    changed = [
        f"{name} was {then.get(name, 'not noted')} and is {now.get(name, 'gone')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if changed:
        return before, f"the decoder is another one than that of run {before.run_id}: {', '.join(changed)}"
    return before, ""


def _divided(spark: SparkSession, run: Run, before: Run, limits: ImageLimits) -> tuple[DataFrame, DataFrame]:
    """The hashed rows that need no decoding, complete, and those that do, to be read again.

    What is beyond tonight's limits is left to the decoder, which says so before it decodes anything.
    """
    pixels = F.col("width_px").cast("long") * F.col("height_px")
    is_within = (pixels <= limits.max_pixels) & (F.least("width_px", "height_px") >= limits.min_side_px)
    images = read_table(spark, before, "images").where(is_within)
    known = images.select("image_id", *_DECODED_COLUMNS).dropDuplicates(["image_id"])
    hashed = spark.read.parquet(files.spark_uri(run.path(_HASHED)))
    joined = hashed.drop(*_DECODED_COLUMNS).join(known, "image_id", "left").select(*hashed.columns)
    is_done = F.col("reason").isNotNull() | F.col("pixel_hash").isNotNull()
    return joined.where(is_done), joined.where(~is_done)


def _changes(spark: SparkSession, run: Run, before: Run) -> dict[str, int]:
    """Rows of `images` by what became of the photo since the run before, and those of that run whose name is gone."""
    now, then = (read_table(spark, one, "images").select("uri", "image_id") for one in (run, before))
    contents = then.select(F.col("image_id").alias("was_image_id")).distinct()
    by_name = then.groupBy("uri").agg(F.collect_set("image_id").alias("were"))
    change = (
        F.when(F.array_contains("were", F.col("image_id")), "unchanged")
        .when(F.col("were").isNotNull(), "changed")
        .when(F.col("was_image_id").isNotNull(), "moved")
        .otherwise("new")
    )
    rows = now.join(by_name, "uri", "left").join(contents, F.col("image_id") == F.col("was_image_id"), "left")
    found = {row["change"]: row["count"] for row in rows.groupBy(change.alias("change")).count().collect()}
    found["gone"] = then.join(now, "uri", "left_anti").count()
    return {name: found.get(name, 0) for name in ("unchanged", "new", "changed", "moved", "gone")}


def _checked(rows: DataFrame) -> DataFrame:
    """Add reason and detail where a row cannot be used whatever its photo holds."""
    if not _COPIED_COLUMNS.keys() <= set(rows.columns):
        rows = rows.withColumns({name: F.lit(None).cast(kind) for name, kind in _COPIED_COLUMNS.items()})
    is_usable = F.col("reason").isNull()
    same_row = Window.partitionBy("product_id", "uri", is_usable).orderBy(F.to_json("attributes"), "image_id")
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
            "image_id",
            "n_bytes",
            F.when(F.col("fault").isNotNull(), RejectReason.INVALID_ROW.value)
            .when(~is_usable, F.col("reason"))
            .when(F.col("repeats"), RejectReason.DUPLICATE_ROW.value)
            .alias("reason"),
            F.coalesce("fault", "detail", F.when(F.col("repeats"), "product_id and uri stand in an earlier row")).alias(
                "detail"
            ),
        )
    )


def _read_rows(
    batches: Iterator[pa.RecordBatch],
    photos: PhotoSource,
    read_threads: int,
    n_retried: Accumulator[int],
    n_decoded: Accumulator[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read and hash the rows' photos; decode them too, and count them, where `n_decoded` is given."""
    n_retries_before = n_retries()
    schema = pa.schema([field.with_nullable(True) for field in table_schema("images").arrow])
    for name, arrow_type in _REASON_COLUMNS:
        schema = schema.append(pa.field(name, arrow_type))
    decoded: list[str] | None = None if n_decoded is None else []
    with surviving_poison(photos.limits) as decoding:
        read = partial(_read_row, photos=photos, decoding=decoding, decoded=decoded)
        for batch in batches:
            yield pa.RecordBatch.from_pylist(list(map_ahead(read, batch.to_pylist(), read_threads)), schema)
    n_retried.add(n_retries() - n_retries_before)
    if n_decoded is not None and decoded:
        n_decoded.add(len(decoded))


def _read_row(
    row: dict[str, Any], photos: PhotoSource, decoding: Decoding, decoded: list[str] | None
) -> dict[str, Any]:
    """A row with what its photo gives; the id of one that is decoded joins `decoded`, and without that none is."""
    if row["reason"] is not None or (decoded is None and row["image_id"] is not None):
        return row
    try:
        data = photos.read(row["uri"], row["image_id"])
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
        "pixel_hash": pixel_hash(image.pixels),
    }


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("ingest")
