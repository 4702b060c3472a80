"""Answers of several tasks merged to the edges of each region."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from prodseek.index.graph import merge_answers
from prodseek.spark.arrow import batch_of, ids_of
from prodseek.spark.neighbours.packed_answers import unpack_answers
from prodseek.spark.partitions import deal

_ANSWERS_PER_PARTITION = 400_000
_MERGED_AT_ONCE = 65_536

_EDGES = "detection_id long, neighbour_id long, rank int, cosine_similarity float"


def merge_to_edges(answers: DataFrame, n_vectors: int, k: int) -> DataFrame:
    """Rows of `neighbours`: the k best of each region's answers. answers: rows of ANSWERS."""
    gathered = deal(answers, "detection_id", 2 * n_vectors, _ANSWERS_PER_PARTITION)
    return gathered.mapInArrow(partial(_edges, k=k), _EDGES)


def _edges(batches: Iterator[pa.RecordBatch], k: int) -> Iterator[pa.RecordBatch]:
    """The best of each region's answers, which come one after the other: in order of detection_id."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        waiting.append(batch)
        n_waiting += batch.num_rows
        if n_waiting >= _MERGED_AT_ONCE:
            ids = ids_of(batch.column("detection_id"))
            # The last region's other answers may be in the next batch.
            start_of_last = int(np.searchsorted(ids, ids[-1]))
            if start_of_last:
                yield _merged([*waiting[:-1], batch.slice(0, start_of_last)], k)
                waiting, n_waiting = [batch.slice(start_of_last)], batch.num_rows - start_of_last
    if waiting:
        yield _merged(waiting, k)


def _merged(batches: list[pa.RecordBatch], k: int) -> pa.RecordBatch:
    best = merge_answers(*unpack_answers(batches), k)
    return batch_of(
        detection_id=best.query_ids,
        neighbour_id=best.neighbour_ids,
        rank=best.rank.astype(np.int32),
        cosine_similarity=best.cosine.astype(np.float32),
    )
