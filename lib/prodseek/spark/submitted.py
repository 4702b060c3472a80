"""Whether spark-submit has started this process. Imports nothing, because the command line asks before Spark is there."""

from __future__ import annotations

import os


def is_spark_submitted() -> bool:
    """Whether spark-submit has started this process, and so has chosen master, memory and executors."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
