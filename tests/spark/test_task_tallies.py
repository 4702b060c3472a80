"""What tasks count and warn of reaches the driver, with the partition."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from prodseek.spark.task_tallies import Stopwatch, TaskTallies


def test_counts_and_warnings_of_all_tasks(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    tallies = TaskTallies.of(spark)

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with tallies.listening():
            for batch in batches:
                logging.getLogger("prodseek.somewhere").warning("rows: %d", batch.num_rows)
                tallies.counts.add(Counter({"rows": batch.num_rows, "seconds": 0.5}))
                yield batch

    assert spark.range(12, numPartitions=3).mapInArrow(task, "id long").count() == 12
    assert tallies.counts.value == {"rows": 12, "seconds": 1.5}
    tallies.pass_on()
    said = [(record.name, record.message, record.partition) for record in caplog.records]  # type: ignore[attr-defined]
    assert said == [("prodseek.somewhere", "rows: 4", partition) for partition in range(3)]


def test_a_stopwatch_counts_getting_items_and_not_what_is_done_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("prodseek.spark.task_tallies.time.perf_counter", lambda: now[0])

    def slow() -> Iterator[int]:
        for item in range(3):
            now[0] += 2
            yield item
        now[0] += 1

    through, around = Stopwatch(), Stopwatch()
    for _ in through.through(slow()):
        now[0] += 100
    assert through.seconds == 7

    def fails(seconds: float) -> None:
        now[0] += seconds
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            around.around(fails)(5.0)
    assert around.seconds == 10
