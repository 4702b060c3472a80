"""Samples of vectors that are the same whenever they are drawn."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_RESOLUTION = 1 << 40


def sampled_vectors(vectors: DataFrame, n_vectors: int, n_rows: int, salt: str) -> DataFrame:
    """About n_rows of the rows, chosen by their detection_id: the same ones every time, others for another salt.

    n_vectors: how many rows there are.
    """
    if n_vectors <= n_rows:
        return vectors
    drawn = F.pmod(F.xxhash64("detection_id", F.lit(salt)), F.lit(_RESOLUTION))
    return vectors.where(drawn < int(_RESOLUTION * n_rows / n_vectors))
