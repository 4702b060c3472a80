"""Taking a detector from the driver to every Python worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from prodseek.vision.settings import DetectorSettings

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector


def ship(spark: SparkSession, settings: DetectorSettings) -> DetectorSettings:
    """Send the weights with the job; the settings to be given to the workers."""
    spark.sparkContext.addFile(str(settings.weights_path))
    return replace(settings, weights_path=Path(settings.weights_path.name))


def arrived(shipped: DetectorSettings) -> DetectorSettings:
    """In a worker, the settings of what `ship` gave, with the weights where they are there."""
    return replace(shipped, weights_path=Path(SparkFiles.get(shipped.weights_path.name)))


def load_shipped(shipped: DetectorSettings) -> Detector:
    """In a worker, the detector of what `ship` gave; loaded once a process."""
    from prodseek.vision.inference import load_detector

    return load_detector(arrived(shipped))
