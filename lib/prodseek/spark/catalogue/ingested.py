"""Ingested rows: those of `images` and `rejects` together, until embed has said which photos can still be read."""

from __future__ import annotations

import shlex

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.errors import CatalogueError
from prodseek.photos.decode import RejectReason
from prodseek.runs.gates import refuse_unread_share
from prodseek.runs.store import WORK
from prodseek.runs.tables import table_schema
from prodseek.spark.night import Night
from prodseek.spark.tables import only_row
from prodseek.storage import files

_INGESTED = f"{WORK}/ingested"


def write_ingested(night: Night, rows: DataFrame) -> None:
    """Keep the rows of both tables. rows: columns of `images`, reason and detail; reason is null for an image."""
    rows.write.mode("overwrite").parquet(files.spark_uri(night.run.path(_INGESTED)))


def read_ingested(night: Night) -> DataFrame:
    """What `write_ingested` has kept."""
    return night.spark.read.parquet(files.spark_uri(night.run.path(_INGESTED)))


def write_images_and_rejects(night: Night, failures: DataFrame | None = None) -> dict[str, int]:
    """Divide the ingested rows into the two tables; returns rows written.

    failures: image_id, reason, detail of photos that a later stage could not read again; their rows become rejects.
    """
    ingested = read_ingested(night)
    images = ingested.where("reason is null").drop("reason", "detail")
    rejects = ingested.where("reason is not null").withColumn("stage", F.lit("ingest"))
    columns = table_schema("rejects").column_names
    if failures is not None:
        failed = F.broadcast(failures)
        late = images.join(failed, "image_id").withColumn("stage", F.lit("embed"))
        images = images.join(failed, "image_id", "left_anti")
        rejects = rejects.select(*columns).unionByName(late.select(*columns))
    n_images = night.write_table(images, "images")
    n_rejects = night.write_table(rejects.select(*columns), "rejects")
    return {"images": n_images, "rejects": n_rejects}


def refuse_empty_catalogue(night: Night, uri: str, counts: dict[str, int]) -> None:
    """Raise CatalogueError where no row is a photo that can be used. uri: of the catalogue; counts: rows of both tables."""
    if counts["images"]:
        return
    reasons = read_ingested(night).groupBy("reason").agg(F.count(F.lit(1)).alias("n"), F.min("detail").alias("detail"))
    raise CatalogueError(
        f"none of the {counts['rejects']} rows of the catalogue {uri!r} is a photo that can be used: "
        + "; ".join(
            f"{row['n']} {row['reason']}, such as: {row['detail']}"
            for row in reasons.orderBy(F.desc("n"), "reason").collect()
        )
        + f". `{shlex.join(['prodseek', 'check', uri, '--root', night.run.root])}` shows how it is read, and what to set"
    )


def refuse_failing_storage(night: Night, counts: dict[str, int]) -> None:
    """Stop a stage that found more photos unreadable than a night may have rejects, before it counts as done.

    It is the storage's fault, not the catalogue's: the same command is to try again. counts: rows of `images` and
    `rejects`. Raises StoreError.
    """
    limit = night.config.gates.max_reject_share
    if limit is None or not counts["rejects"]:
        return
    unreadable = night.table("rejects").where(F.col("reason") == RejectReason.UNREADABLE.value)
    n_unreadable, example = only_row(unreadable.agg(F.count(F.lit(1)), F.min(F.concat_ws(": ", "uri", "detail"))))
    refuse_unread_share(n_unreadable, counts["images"] + counts["rejects"], limit, example)
