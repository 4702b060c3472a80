"""How many rows there are of each kind, and a few of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from prodseek.report.overview_model import CountedExamples


def found_by(
    rows: DataFrame, key: Sequence[str], order: Sequence[str | Column], n_examples: int
) -> dict[tuple[str, ...], CountedExamples[Row]]:
    """Of each value of `key` how many rows there are, and the first `n_examples` of them by `order`."""
    is_kept = rows.is_cached
    rows.cache()
    counts = {tuple(row[name] for name in key): row["count"] for row in rows.groupBy(*key).count().collect()}
    place = F.row_number().over(Window.partitionBy(*key).orderBy(*order))
    first = rows.withColumn("place", place).where(F.col("place") <= n_examples)
    examples: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in sorted(first.collect(), key=lambda row: row["place"]):
        examples[tuple(row[name] for name in key)].append(row)
    if not is_kept:
        rows.unpersist()
    return {value: CountedExamples(n, tuple(examples[value])) for value, n in counts.items()}
