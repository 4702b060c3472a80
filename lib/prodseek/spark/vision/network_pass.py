"""Photos through the network in Spark's tasks: regions and slices out, or why a photo could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.photos.decode import ImageRejected, RejectReason, content_id, decode_image
from prodseek.runs.ids import detection_id
from prodseek.runs.tables import table_schema
from prodseek.spark.catalogue.poison_photos import Decoding, surviving_poison
from prodseek.spark.gpus import held_gpu, task_profile
from prodseek.spark.night import Night
from prodseek.spark.shipped_detector import load_shipped, ship
from prodseek.spark.tables import computed_schema
from prodseek.spark.task_tallies import Stopwatch, TaskTallies
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.settings import DetectorSettings

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector, PreparedImage

# Names of counts that tasks add up; the last two are followed by where or on which GPU photos were computed.
_BATCHES_HALVED = "batches_halved"
_COMPUTED_IN = "computed_in:"
_ON_GPU = "on_gpu:"


@dataclass(frozen=True)
class PassSeconds:
    """decode: of all threads that read and decode photos. device, wait: of all tasks, in the network and waiting for photos."""

    decode_seconds: float
    device_seconds: float
    wait_seconds: float


@dataclass(frozen=True)
class PassCounts:
    """What tasks counted; a task that Spark ran again counts again.

    computed_in: photos by device and precision; on_gpu: photos by GPU. batches_halved: for lack of memory.
    """

    computed_in: dict[str, int]
    on_gpu: dict[str, int]
    batches_halved: int
    seconds: PassSeconds


def embedded_schema() -> StructType:
    """Columns of `detections`, reason and detail; reason is null for a region, and else all but image_id and detail are."""
    return computed_schema("detections", "reason", "detail")


def pass_through_network(
    night: Night, images: DataFrame, settings: DetectorSettings, tallies: TaskTallies
) -> DataFrame:
    """The regions of photos with their slices, as `embedded_schema`. images: image_id, uri, dealt to partitions."""
    embed = partial(
        _embed_rows,
        settings=ship(night.spark, settings),
        photos=night.photos,
        read_threads=night.config.embed.read_threads,
        tallies=tallies,
    )
    return images.mapInArrow(embed, embedded_schema(), profile=task_profile(night.spark))


def counts_of(tallies: TaskTallies) -> PassCounts:
    """What the tasks of a pass have counted, once it is over."""
    counts = tallies.counts.value

    def named(prefix: str) -> dict[str, int]:
        return {name.removeprefix(prefix): int(n) for name, n in sorted(counts.items()) if name.startswith(prefix)}

    seconds = PassSeconds(*(round(counts[field.name], 2) for field in fields(PassSeconds)))
    return PassCounts(named(_COMPUTED_IN), named(_ON_GPU), int(counts[_BATCHES_HALVED]), seconds)


def _embed_rows(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    read_threads: int,
    tallies: TaskTallies,
) -> Iterator[pa.RecordBatch]:
    with tallies.listening():
        yield from _embedded(batches, settings, photos, read_threads, tallies)


def _embedded(
    batches: Iterator[pa.RecordBatch],
    settings: DetectorSettings,
    photos: PhotoSource,
    read_threads: int,
    tallies: TaskTallies,
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

    schema = _embedded_arrow_schema()
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
    seconds = PassSeconds(decoding.seconds, passing.seconds - waiting.seconds, waiting.seconds)
    tallies.counts.add(_counted(detector, n_embedded, detector.n_halvings - n_halvings_before, seconds))
    if failed:
        yield pa.RecordBatch.from_pylist(
            [
                {"image_id": image_id, "reason": rejected.reason.value, "detail": rejected.detail}
                for image_id, rejected in failed
            ],
            schema,
        )


def _counted(detector: Detector, n_embedded: int, n_halvings: int, seconds: PassSeconds) -> Counter[str]:
    device = "GPU" if detector.device.type == "cuda" else "CPU"
    counts = Counter({f"{_COMPUTED_IN}{device}, {detector.precision}": n_embedded, _BATCHES_HALVED: n_halvings})
    gpu = held_gpu()
    if gpu is not None:
        counts[f"{_ON_GPU}{gpu}"] = n_embedded
    counts.update(vars(seconds))
    return counts


def _embedded_arrow_schema() -> pa.Schema:
    columns = [field.with_nullable(True) for field in table_schema("detections").arrow]
    return pa.schema([*columns, pa.field("reason", pa.string()), pa.field("detail", pa.string())])


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
