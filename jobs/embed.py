"""Stage embed: one pass of the network over every photo that no earlier night has seen; regions and slices out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config
from prodseek.jobs.ingest import refuse_failing_storage, write_images_and_rejects
from prodseek.photos.decode import (
    ImageRejected,
    RejectReason,
    content_id,
    decode_image,
)
from prodseek.runs.ids import detection_id
from prodseek.runs.slice_layout import layout_to_dict
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import table_schema
from prodseek.spark.batch_cache import new_batch_uri, read_batches
from prodseek.spark.catalogue.poison_photos import Decoding, surviving_poison
from prodseek.spark.gpus import held_gpu, no_gpus, task_profile
from prodseek.spark.partitions import deal
from prodseek.spark.photos import photos_of, uris_of_images
from prodseek.spark.shipped_detector import load_shipped, runs_on_gpus, ship
from prodseek.spark.tables import computed_schema, read_table, write_table
from prodseek.spark.task_tallies import Stopwatch, Tally
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings, model_id, network_layout

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector, PreparedImage

_HALVINGS = "batches halved for lack of memory"
_ON_GPU = "in tasks that hold GPU "
_SECONDS = ("decode_seconds", "device_seconds", "wait_seconds")

_logger = logging.getLogger(__name__)


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Embed what is not in the cache, then publish the regions of this run's images."""
    settings = detector_settings(config)
    _say_device(spark, config.embed.device)
    photos = photos_of(config, run)
    images = uris_of_images(spark, run)
    cache_uri = run.cache_uri(model_id(settings))
    known = read_cache(spark, cache_uri).select("image_id").distinct()
    todo = images.join(known, "image_id", "left_anti")
    n_images, n_todo = images.count(), todo.count()
    failures = None
    tally, pass_seconds = Tally.of(spark), 0.0
    if n_todo:
        embed = partial(
            _embed_rows,
            settings=ship(spark, settings),
            photos=photos,
            read_threads=config.embed.read_threads,
            tally=tally,
        )
        batch_uri = new_batch_uri(cache_uri, run.run_id)
        dealt = deal(todo, "image_id", n_todo, config.embed.images_per_partition)
        started = time.monotonic()
        embedded = dealt.mapInArrow(embed, _cached_schema(), profile=task_profile(spark))
        embedded.write.parquet(files.spark_uri(batch_uri))
        pass_seconds = time.monotonic() - started
        tally.pass_on()
        batch = spark.read.schema(_cached_schema()).parquet(files.spark_uri(batch_uri))
        failures = batch.where("reason is not null").select("image_id", "reason", "detail")
    n_failed = failures.count() if failures is not None else 0
    counts = write_images_and_rejects(spark, run, failures if n_failed else None)
    refuse_failing_storage(spark, config, run, counts)
    published = read_table(spark, run, "images").select("image_id").distinct()
    regions = read_cache(spark, cache_uri).join(published, "image_id", "left_semi").drop("reason", "detail")
    counts["detections"] = write_table(
        deal(regions, "image_id", n_images, 16 * config.embed.images_per_partition), run, "detections"
    )
    rejected = read_table(spark, run, "rejects").groupBy("reason").count().collect()
    seen = tally.counts.value
    facts: dict[str, Any] = {
        "model_id": model_id(settings),
        "slice_layout": layout_to_dict(network_layout(settings)),
        "embedded_images": n_todo - n_failed,
        "cached_images": n_images - n_todo,
        "images_per_second": round((n_todo - n_failed) / pass_seconds, 2) if pass_seconds else None,
        # Photos by where and in what the network computed; a task that Spark ran again counts again, here and below.
        "computed_in": {
            name: int(n)
            for name, n in sorted(seen.items())
            if name not in (_HALVINGS, *_SECONDS) and not name.startswith(_ON_GPU)
        },
        "on_gpu": {name.removeprefix(_ON_GPU): int(n) for name, n in sorted(seen.items()) if name.startswith(_ON_GPU)},
        "batches_halved": int(seen[_HALVINGS]),
        # Of all threads that read and decode; of all tasks in the network, and waiting for photos.
        **{name: round(seen[name], 2) for name in _SECONDS},
        "rejected": {row["reason"]: row["count"] for row in sorted(rejected, key=lambda r: (-r["count"], r["reason"]))},
    }
    computed_in = f" ({', '.join(facts['computed_in'])})" if facts["computed_in"] else ""
    line = (
        f"{n_todo} photos through {config.network.name}{computed_in}, {n_images - n_todo} known; "
        f"{counts['detections']} regions"
    )
    return Summary("embed", rows=counts, facts=facts, lines=(line, *_why_all(run, facts["model_id"])))


def _why_all(run: Run, model_id: str) -> tuple[str, ...]:
    """Why no photo of the last run was known, if that is so."""
    before = Store(run.root).before(run)
    embedded = None if before is None else before.summary("embed")
    if before is None or embedded is None or embedded.facts["model_id"] == model_id:
        return ()
    return (f"the model is {model_id}, that of run {before.run_id} was {embedded.facts['model_id']}",)


def read_cache(spark: SparkSession, cache_uri: str) -> DataFrame:
    """Regions that a model has found in any run."""
    return read_batches(spark, cache_uri, _cached_schema()).where("reason is null")


def _cached_schema() -> StructType:
    return computed_schema("detections", "reason", "detail")


def _say_device(spark: SparkSession, device: str) -> None:
    if device == "auto" and not runs_on_gpus(spark, device):
        _logger.warning("%s: the network runs on the CPU", no_gpus(spark))


def _embed_rows(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    read_threads: int,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    with tally.listening():
        yield from _embedded(batches, settings, photos, read_threads, tally)


def _embedded(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    read_threads: int,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    decoding, waiting, passing = Stopwatch(), Stopwatch(), Stopwatch()
    detector = load_shipped(settings)
    n_halvings_before = detector.n_halvings
    rows = (row for batch in batches for row in batch.to_pylist())
    failed: list[tuple[str, ImageRejected]] = []
    n_embedded = 0

    def readable(photos: Iterator[PreparedImage | tuple[str, ImageRejected]]) -> Iterator[PreparedImage]:
        for photo in photos:
            if isinstance(photo, tuple):
                failed.append(photo)
            else:
                yield photo

    schema = _cached_arrow_schema()
    with surviving_poison(photos.limits, detector.enough_side_px) as decode:
        read = decoding.around(partial(_read, photos=photos, detector=detector, decoding=decode))
        prepared = readable(waiting.through(map_ahead(read, rows, read_threads, ahead=settings.batch_size)))
        for image in passing.through(detector.embed_prepared(prepared)):
            n_embedded += 1
            yield pa.RecordBatch.from_pylist(
                [
                    {
                        "detection_id": detection_id(image.image_id, region.kind, region.class_name, region.box),
                        "image_id": image.image_id,
                        "kind": region.kind,
                        "class_name": region.class_name,
                        "score": region.score,
                        "x1_px": region.x1_px,
                        "y1_px": region.y1_px,
                        "x2_px": region.x2_px,
                        "y2_px": region.y2_px,
                        "area_fraction": region.area_fraction,
                        "is_primary": region.is_primary,
                        "model_id": detector.model_id,
                        "slice": values.astype("<f2").tobytes(),
                    }
                    for region, values in zip(image.regions, image.slices, strict=True)
                ],
                schema,
            )
    place = "GPU" if detector.device.type == "cuda" else "CPU"
    counts = {f"{place}, {detector.precision}": n_embedded, _HALVINGS: detector.n_halvings - n_halvings_before}
    gpu = held_gpu()
    if gpu is not None:
        counts[f"{_ON_GPU}{gpu}"] = n_embedded
    seconds = (decoding.seconds, passing.seconds - waiting.seconds, waiting.seconds)
    tally.counts.add(Counter(counts | dict(zip(_SECONDS, seconds, strict=True))))
    if failed:
        yield pa.RecordBatch.from_pylist(
            [
                {"image_id": image_id, "reason": rejected.reason.value, "detail": rejected.detail}
                for image_id, rejected in failed
            ],
            schema,
        )


def _cached_arrow_schema() -> pa.Schema:
    fields = [field.with_nullable(True) for field in table_schema("detections").arrow]
    return pa.schema([*fields, pa.field("reason", pa.string()), pa.field("detail", pa.string())])


def _read(
    row: dict[str, Any], photos: PhotoSource, detector: Detector, decoding: Decoding
) -> PreparedImage | tuple[str, ImageRejected]:
    try:
        data = photos.read(row["uri"], row["image_id"])
        if content_id(data) != row["image_id"]:
            raise ImageRejected(RejectReason.CHANGED, "the file was replaced while the run went on")
        with decoding(data):
            image = decode_image(data, photos.limits, enough_side_px=detector.enough_side_px)
    except ImageRejected as rejected:
        return row["image_id"], rejected
    return detector.prepare(row["image_id"], image)


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("embed")
