"""The last night's images beside tonight's: what need not be decoded again, and what has changed."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.photos.decode import ImageLimits, decoder
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run
from prodseek.spark.night import Night
from prodseek.spark.tables import read_table
from prodseek.storage import files

# What decoding a photo gives, beside its place among the rows: the same for the same bytes and decoder.
_DECODED_COLUMNS = ("width_px", "height_px", "format", "pdq_hash", "pixel_hash", "taken_at", "colour_profile")


class LastImages(NamedTuple):
    """run: the last night's, where it still has its images. why_decode_all: why nothing that it decoded can be taken over;
    empty where it can."""

    run: Run | None
    why_decode_all: str


def last_images(night: Night) -> LastImages:
    """What the last night has decoded."""
    last = night.last_run
    if last is None:
        return LastImages(None, "there is no earlier run with tables of the same schemas")
    if not files.exists(last.table_uri("images")):
        return LastImages(None, f"run {last.run_id} has no table images any more")
    then, now = last.manifest().facts(IngestFacts).decoder, decoder()
    changed = [
        f"{name} was {then.get(name, 'not noted')} and is {now.get(name, 'gone')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if changed:
        return LastImages(last, f"the decoder is another one than that of run {last.run_id}: {', '.join(changed)}")
    return LastImages(last, "")


def decoded_and_not(night: Night, hashed: DataFrame, last: Run, limits: ImageLimits) -> tuple[DataFrame, DataFrame]:
    """The hashed rows that need no decoding, complete, and those that do, to be read again.

    What is beyond tonight's limits is left to the decoder, which says so before it decodes anything.
    """
    pixels = F.col("width_px").cast("long") * F.col("height_px")
    is_within = (pixels <= limits.max_pixels) & (F.least("width_px", "height_px") >= limits.min_side_px)
    images = read_table(night.spark, last, "images").where(is_within)
    known = images.select("image_id", *_DECODED_COLUMNS).dropDuplicates(["image_id"])
    joined = hashed.drop(*_DECODED_COLUMNS).join(known, "image_id", "left").select(*hashed.columns)
    is_done = F.col("reason").isNotNull() | F.col("pixel_hash").isNotNull()
    return joined.where(is_done), joined.where(~is_done)


def count_changes(night: Night, last: Run) -> dict[str, int]:
    """Rows of `images` by what became of the photo since the last run, and those of that run whose name is gone."""
    now = night.table("images").select("uri", "image_id")
    then = read_table(night.spark, last, "images").select("uri", "image_id")
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
