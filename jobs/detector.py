"""The detector that the configuration describes, on the driver and in every Python worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from prodseek.config import Config
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import obtain_weights

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector


def detector_settings(config: Config) -> DetectorSettings:
    """The detector that the configuration describes; its weights are fetched when they are not there yet."""
    weights = config.network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    return DetectorSettings(
        weights_path=path,
        weights_sha256=weights.sha256,
        network=config.network.name,
        input_px=config.network.input_px,
        batch_size=config.embed.batch_size,
        score_threshold=config.embed.score_threshold,
        nms_iou_threshold=config.embed.nms_iou_threshold,
        max_detections=config.embed.max_detections,
        torch_threads=config.embed.torch_threads,
        device=config.embed.device,
        precision=config.embed.precision,
    )


def ship(spark: SparkSession, settings: DetectorSettings) -> DetectorSettings:
    """Send the weights with the job; the settings to be given to the workers."""
    spark.sparkContext.addFile(str(settings.weights_path))
    return replace(settings, weights_path=Path(settings.weights_path.name))


def load_shipped(shipped: DetectorSettings) -> Detector:
    """In a worker, the detector of what `ship` gave; loaded once a process."""
    from prodseek.vision.inference import load_detector

    return load_detector(replace(shipped, weights_path=Path(SparkFiles.get(shipped.weights_path.name))))
