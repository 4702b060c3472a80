"""What came in and what was set aside, as the report's first page tells it."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from prodseek.report.overview_model import Intake, RejectedRows, RejectExample
from prodseek.runs.store import Run
from prodseek.spark.report.counted_examples import found_by
from prodseek.spark.tables import read_table

_EXAMPLES = 3


def intake(spark: SparkSession, run: Run, n_rows_in: int) -> Intake:
    """Count a run's rows, photos and regions, and its rejects by reason."""
    images = read_table(spark, run, "images")
    n_images, n_distinct_images = (int(n) for n in images.select(F.count("*"), F.count_distinct("image_id")).first())
    return Intake(
        n_rows_in=n_rows_in,
        n_images=n_images,
        n_distinct_images=n_distinct_images,
        n_regions=read_table(spark, run, "detections").count(),
        rejects=rejects_by_reason(read_table(spark, run, "rejects")),
    )


def rejects_by_reason(rejects: DataFrame) -> tuple[RejectedRows, ...]:
    """Rows of `rejects`, the most frequent reason first, with a few examples of each."""
    found = found_by(rejects, ["reason"], ["uri", "product_id", "detail"], _EXAMPLES)
    return tuple(
        RejectedRows(reason, rows.n, tuple(_example(row) for row in rows.examples))
        for (reason,), rows in sorted(found.items(), key=lambda item: (-item[1].n, item[0]))
    )


def _example(row: Row) -> RejectExample:
    return RejectExample(row["uri"] or "", row["detail"], row["product_id"] or "")
