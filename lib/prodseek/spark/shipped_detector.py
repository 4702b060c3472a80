"""Taking a detector from the driver to every Python worker."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from prodseek.errors import ConfigError
from prodseek.spark.gpus import check_slots, executors_have_gpus, held_gpu, is_local, may_have_gpu, no_gpus
from prodseek.vision.settings import DetectorSettings

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector


def check_device(spark: SparkSession, device: str) -> None:
    """Raise ConfigError where the network needs a GPU and there is none, or where more processes would share it than it holds."""
    has_gpus = runs_on_gpus(spark, device)
    if device == "cuda" and not has_gpus:
        raise ConfigError(f"embed.device is cuda, but {no_gpus(spark)}; or use --set embed.device=cpu")
    if has_gpus and is_local(spark):
        import torch

        check_slots(spark.sparkContext.defaultParallelism, torch.cuda.get_device_properties(0).total_memory)


def ship(spark: SparkSession, settings: DetectorSettings) -> DetectorSettings:
    """Send the weights with the job; the settings to be given to the workers, which run in tasks of `gpus.task_profile`.

    Raises as `check_device`.
    """
    check_device(spark, settings.device)
    spark.sparkContext.addFile(str(settings.weights_path))
    device = settings.device if runs_on_gpus(spark, settings.device) else "cpu"
    return replace(settings, weights_path=Path(settings.weights_path.name), device=device)


def runs_on_gpus(spark: SparkSession, device: str) -> bool:
    """Whether tasks run the network on GPUs: on a cluster those that Spark gives them, on one machine its own."""
    if device == "cpu":
        return False
    if not is_local(spark):
        return executors_have_gpus(spark)
    if not may_have_gpu():
        return False
    import torch

    return torch.cuda.is_available()


def arrived(shipped: DetectorSettings) -> DetectorSettings:
    """In a worker, the settings of what `ship` gave, with the weights where they are there."""
    return replace(shipped, weights_path=Path(SparkFiles.get(shipped.weights_path.name)), gpu=held_gpu() or 0)


def load_shipped(shipped: DetectorSettings) -> Detector:
    """In a worker, the detector of what `ship` gave; loaded once a process."""
    return _loaded(arrived(shipped))


@lru_cache(maxsize=1)
def _loaded(settings: DetectorSettings) -> Detector:
    from prodseek.vision.inference import load_detector

    detector = load_detector(settings)
    # After each task Spark has a worker look for garbage: a third of a second with the half million objects of torch, which stay.
    gc.collect()
    gc.freeze()
    return detector
