"""The rows of the catalogue and what was read of them, as the report's first page tells it."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from prodseek.catalogue.folder import passed_over_in_words
from prodseek.report.overview_model import RejectedRows, RejectExample, RowsIn
from prodseek.runs.facts import IngestFacts
from prodseek.spark.night import Night
from prodseek.spark.report.counted_examples import found_by
from prodseek.spark.tables import only_row

_EXAMPLES = 3


def count_rows_in(night: Night, ingested: IngestFacts) -> RowsIn:
    """Count a night's photos and regions, and its rejects by reason."""
    images = night.table("images")
    n_images, n_distinct_images = only_row(images.select(F.count("*"), F.count_distinct("image_id")))
    return RowsIn(
        n_rows=ingested.input_rows,
        n_images=int(n_images),
        n_distinct_images=int(n_distinct_images),
        n_regions=night.table("detections").count(),
        rejects=rejects_by_reason(night.table("rejects")),
        passed_over=passed_over_in_words(ingested.passed_over),
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
