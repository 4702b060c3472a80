"""Stage embed: one pass of the network over every photo that no earlier night has seen; regions and slices out."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict

from pyspark.sql import DataFrame

from prodseek.runs.facts import EmbedFacts, regions_cache
from prodseek.runs.slice_layout import layout_to_dict
from prodseek.runs.store import Summary
from prodseek.spark.batch_cache import new_batch_uri, read_batches
from prodseek.spark.catalogue.ingested import refuse_failing_storage, write_images_and_rejects
from prodseek.spark.gpus import no_gpus
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import uris_of_images
from prodseek.spark.shipped_detector import runs_on_gpus
from prodseek.spark.task_tallies import TaskTallies
from prodseek.spark.vision.network_pass import counts_of, embedded_schema, pass_through_network
from prodseek.storage import files
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import model_id, network_layout

_logger = logging.getLogger(__name__)


def run(night: Night) -> Summary[EmbedFacts]:
    """Embed what is not in the cache, then publish the regions of this run's images."""
    spark, config = night.spark, night.config
    settings = detector_settings(config)
    _say_device(night)
    cache_uri = night.run.cache_uri(regions_cache(model_id(settings)))
    images = uris_of_images(night)
    known = _regions(night, cache_uri).select("image_id").distinct()
    todo = images.join(known, "image_id", "left_anti")
    n_images, n_todo = images.count(), todo.count()
    tallies, pass_seconds, failures, n_failed = TaskTallies.of(spark), 0.0, None, 0
    if n_todo:
        batch_uri = files.spark_uri(new_batch_uri(cache_uri, night.run.run_id))
        started = time.monotonic()
        dealt = deal(todo, "image_id", n_todo, config.embed.images_per_partition)
        pass_through_network(night, dealt, settings, tallies).write.parquet(batch_uri)
        pass_seconds = time.monotonic() - started
        tallies.pass_on()
        batch = spark.read.schema(embedded_schema()).parquet(batch_uri)
        failures = batch.where("reason is not null").select("image_id", "reason", "detail")
        n_failed = failures.count()
    rows = write_images_and_rejects(night, failures if n_failed else None)
    refuse_failing_storage(night, rows)
    published = night.table("images").select("image_id").distinct()
    regions = _regions(night, cache_uri).join(published, "image_id", "left_semi").drop("reason", "detail")
    dealt = deal(regions, "image_id", n_images, 16 * config.embed.images_per_partition)
    rows["detections"] = night.write_table(dealt, "detections")
    reasons = night.table("rejects").groupBy("reason").count().collect()
    counted = counts_of(tallies)
    facts = EmbedFacts(
        model_id=model_id(settings),
        slice_layout=layout_to_dict(network_layout(settings)),
        embedded_images=n_todo - n_failed,
        cached_images=n_images - n_todo,
        images_per_second=round((n_todo - n_failed) / pass_seconds, 2) if pass_seconds else None,
        computed_in=counted.computed_in,
        on_gpu=counted.on_gpu,
        batches_halved=counted.batches_halved,
        **asdict(counted.seconds),
        rejected={row["reason"]: row["count"] for row in sorted(reasons, key=lambda r: (-r["count"], r["reason"]))},
    )
    computed_in = f" ({', '.join(facts.computed_in)})" if facts.computed_in else ""
    line = (
        f"{n_todo} photos through {config.network.name}{computed_in}, {n_images - n_todo} known; "
        f"{rows['detections']} regions"
    )
    return Summary(facts, rows, (line, *_why_all(night, facts.model_id)))


def _regions(night: Night, cache_uri: str) -> DataFrame:
    """Regions that a model has found in any run, with null in reason and detail."""
    return read_batches(night.spark, cache_uri, embedded_schema()).where("reason is null")


def _say_device(night: Night) -> None:
    device = night.config.embed.device
    if device == "auto" and not runs_on_gpus(night.spark, device):
        _logger.warning("%s: the network runs on the CPU", no_gpus(night.spark))


def _why_all(night: Night, model_id: str) -> tuple[str, ...]:
    """Why no photo of the last run was known, if that is so."""
    last = night.last_run
    embedded = None if last is None else last.facts_if_done(EmbedFacts)
    if last is None or embedded is None or embedded.model_id == model_id:
        return ()
    return (f"the model is {model_id}, that of run {last.run_id} was {embedded.model_id}",)


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("embed")
