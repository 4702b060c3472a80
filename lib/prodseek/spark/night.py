"""What every stage of a night works with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame, SparkSession

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.config import Config
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run, Store
from prodseek.spark.tables import read_table, write_table


@dataclass(frozen=True)
class Night:
    """Spark, the settings, tonight's run, and the run of the last night.

    last_run: the newest finished run before tonight's, where its tables have today's schemas; None where there is none, and
    then nothing is taken over.
    """

    spark: SparkSession
    config: Config
    run: Run
    last_run: Run | None

    @classmethod
    def of(cls, spark: SparkSession, config: Config, run: Run) -> Night:
        """The night of `run`, the last night found in its root."""
        return cls(spark, config, run, Store(run.root).before(run))

    def table(self, name: str) -> DataFrame:
        """A table of tonight's run. Raises StoreError when no stage has written it."""
        return read_table(self.spark, self.run, name)

    def write_table(self, frame: DataFrame, name: str) -> int:
        """Write a table of tonight's run, checked against its schema; returns the number of rows."""
        return write_table(frame, self.run, name)

    @cached_property
    def photos(self) -> PhotoSource:
        """Where the photos of tonight's catalogue are read. Raises StoreError before `ingest` is done."""
        return PhotoSource.of(self.config, self.run.facts(IngestFacts).base_uri, self.run.root)
