"""What tasks tell of a manifest beside its rows: that it is damaged, and how many rows have no photo."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pyspark import Accumulator
from pyspark.sql import SparkSession

from prodseek.errors import CatalogueError
from prodseek.spark.task_tallies import TaskTallies
from prodseek.storage import files
from prodseek.storage.retries import is_transient

T = TypeVar("T")

# What readers say of a file's content, whoever has stored it.
_OF_CONTENT = re.compile(r"compress|inflate|corrupt|checksum|zstd|bz2|end of stream|deserialize", re.IGNORECASE)


@dataclass(frozen=True)
class ReadingTallies:
    """Sums over all tasks that have read the manifest, as often as they have.

    damage: why a file cannot be read to its end -> tasks that say so. n_without_photo: rows that are none of the catalogue.
    """

    damage: Accumulator[Counter[str]]
    n_without_photo: Accumulator[int]

    @classmethod
    def of(cls, spark: SparkSession) -> ReadingTallies:
        return cls(TaskTallies.of(spark).counts, spark.sparkContext.accumulator(0))

    def until_damage(self, items: Iterator[T], uri: str) -> Iterator[T]:
        """In a task: what is read of a file, until it turns out to be damaged.

        A task does not fail for that, because Spark would try it again, to no end, and print a trace each time. What storage
        may answer to another time is raised.
        """
        try:
            yield from items
        except CatalogueError as error:
            cause = error.__cause__
            is_of_storage = isinstance(cause, OSError) and is_transient(cause, bool(files.storage_of(uri)))
            if is_of_storage and not _OF_CONTENT.search(str(cause)):
                raise
            self.damage.add(Counter([str(error)]))

    def refuse_damage(self) -> None:
        """On the driver, once all rows were read: raise CatalogueError that says what could not be.

        What is read of a damaged manifest is no catalogue, because the products that are missing would look as if they were gone.
        """
        found = sorted(self.damage.value)
        if found:
            more = f" ({len(found) - 1:,} more of its files are damaged too)" if len(found) > 1 else ""
            raise CatalogueError(found[0] + more)
