"""Frames that are cut off from how they were made, so that plans do not grow from round to round."""

from __future__ import annotations

from pyspark import StorageLevel
from pyspark.sql import DataFrame


def checkpointed(frame: DataFrame) -> DataFrame:
    """The frame's rows, computed now and held by two executors: a lost one takes its part with it, and nothing can make
    that again."""
    return frame.localCheckpoint(storageLevel=StorageLevel.MEMORY_AND_DISK_2)
