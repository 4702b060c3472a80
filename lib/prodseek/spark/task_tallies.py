"""What tasks tell the driver beside their rows: counts and seconds, and what their loggers warned of."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pyspark import Accumulator, AccumulatorParam, TaskContext
from pyspark.sql import SparkSession

Item = TypeVar("Item")
Result = TypeVar("Result")


class Warned(NamedTuple):
    """What a logger said in a task."""

    partition: int
    logger: str
    level: int
    message: str


@dataclass(frozen=True)
class TaskTallies:
    """Sums over all tasks that were given it. A task that failed adds nothing, one that Spark ran again may add twice."""

    counts: Accumulator[Counter[str]]
    warned: Accumulator[list[Warned]]

    @classmethod
    def of(cls, spark: SparkSession) -> TaskTallies:
        context = spark.sparkContext
        return cls(context.accumulator(Counter(), _Counts()), context.accumulator([], _Lists()))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """In a task: keep what prodseek's loggers say until the block ends."""
        context = TaskContext.get()
        heard = _Collector(-1 if context is None else context.partitionId())
        logger = logging.getLogger("prodseek")
        before = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(heard)
        try:
            yield
        finally:
            logger.removeHandler(heard)
            logger.setLevel(before)
            self.warned.add(heard.records)

    def pass_on(self) -> None:
        """On the driver: say it again, each with its partition."""
        for one in sorted(set(self.warned.value)):
            logging.getLogger(one.logger).log(one.level, "%s", one.message, extra={"partition": one.partition})


class Stopwatch:
    """Adds up seconds, of any number of threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._adding = threading.Lock()

    def around(self, function: Callable[[Item], Result]) -> Callable[[Item], Result]:
        """`function`, the time that its calls take counted."""

        def timed(item: Item) -> Result:
            started = time.perf_counter()
            try:
                return function(item)
            finally:
                self._add(time.perf_counter() - started)

        return timed

    def through(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield `items`; count the time spent waiting for each, not the time that the caller spends on it."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._add(time.perf_counter() - started)
            yield item

    def _add(self, seconds: float) -> None:
        with self._adding:
            self.seconds += seconds


class _Collector(logging.Handler):
    def __init__(self, partition: int) -> None:
        super().__init__()
        self.records: list[Warned] = []
        self._partition = partition

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(Warned(self._partition, record.name, record.levelno, record.getMessage()))


class _Counts(AccumulatorParam[Counter[str]]):
    def zero(self, value: Counter[str]) -> Counter[str]:
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:  # noqa: N802
        value1.update(value2)
        return value1


class _Lists(AccumulatorParam[list[Warned]]):
    def zero(self, value: list[Warned]) -> list[Warned]:
        return []

    def addInPlace(self, value1: list[Warned], value2: list[Warned]) -> list[Warned]:  # noqa: N802
        value1.extend(value2)
        return value1
