"""The most similar objects of each object that the report shows, by each facet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from prodseek.report.galleries import NONE
from prodseek.report.records import OBJECTS_PER_SHARD, Neighbours
from prodseek.runs.columns import FACETS
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.report.objects import ShownObjects
from prodseek.spark.report.shards import Row, ShardKind, write_shards

N_NEIGHBOURS = 8
_ASKED_TOGETHER = 4096


@dataclass(frozen=True)
class _Originals:
    """The objects that may be neighbours, in the order of their numbers.

    numbers, duplicates: (N,) int64. vectors: facet -> (N, d) float32.
    """

    numbers: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    vectors: dict[str, NDArray[np.float32]]


def write_neighbours(night: Night, objects: ShownObjects) -> None:
    """Write the shards of neighbours, copies of one photo once. The search is exact, because what is shown is bounded."""
    embeddings = night.table("embeddings").join(_with_originals(objects.rows), "detection_id")
    vectors = embeddings.select("number", "duplicates", "is_original", *FACETS)
    known = vectors.where("is_original").orderBy("number").toArrow()
    originals = _Originals(
        ids_of(known.column("number")),
        ids_of(known.column("duplicates")),
        {facet: vectors_of(known.column(facet)) for facet in FACETS},
    )
    shared = night.spark.sparkContext.broadcast(originals)
    neighbour = "array<struct<number:long,cosine:float>>"
    # Last bits of a product depend on what else is multiplied: the same rows go together wherever this runs.
    dealt = deal(vectors, "number", objects.n, _ASKED_TOGETHER)
    found = dealt.mapInArrow(
        partial(_nearest, shared=shared), "number long, " + ", ".join(f"{facet} {neighbour}" for facet in FACETS)
    )
    write_shards(night.run, _NEIGHBOURS, found, objects.n)


def _with_originals(objects: DataFrame) -> DataFrame:
    """`objects` with is_original: the first object shown of each group of copies, and every object in none."""
    first = Window.partitionBy("duplicates").orderBy("number")
    copies = objects.where(F.col("duplicates") != NONE).withColumn("is_original", F.row_number().over(first) == 1)
    return copies.unionByName(objects.where(F.col("duplicates") == NONE).withColumn("is_original", F.lit(True)))


def _nearest(batches: Iterator[pa.RecordBatch], shared: Broadcast[_Originals]) -> Iterator[pa.RecordBatch]:
    originals = shared.value
    # Spark's tasks share the cores already.
    faiss.omp_set_num_threads(1)
    for batch in batches:
        for start in range(0, batch.num_rows, _ASKED_TOGETHER):
            asked = batch.slice(start, _ASKED_TOGETHER)
            found = {facet: _nearest_by(facet, asked, originals) for facet in FACETS}
            yield batch_of(number=asked.column("number"), **found)


def _nearest_by(facet: str, asked: pa.RecordBatch, originals: _Originals) -> pa.Array:
    own, group = ids_of(asked.column("number")), ids_of(asked.column("duplicates"))
    # Itself, or the original that it is a copy of, is among them and left out.
    k = min(N_NEIGHBOURS + 2, len(originals.numbers))
    vectors = vectors_of(asked.column(facet))
    cosines, rows = faiss.knn(vectors, originals.vectors[facet], k, faiss.METRIC_INNER_PRODUCT)
    lists = []
    for number, copies, cosine, row in zip(own, group, np.round(cosines, 4), rows, strict=True):
        numbers = originals.numbers[row]
        is_own = (numbers == number) | ((copies != NONE) & (originals.duplicates[row] == copies))
        numbers, cosine = numbers[~is_own], cosine[~is_own]
        order = np.lexsort((numbers, -cosine))[:N_NEIGHBOURS]
        lists.append([{"number": int(numbers[i]), "cosine": float(cosine[i])} for i in order])
    return pa.array(lists, pa.list_(pa.struct([("number", pa.int64()), ("cosine", pa.float32())])))


def _neighbours_record(row: Row) -> Neighbours:
    return {facet: [(one["number"], round(one["cosine"], 4)) for one in row[facet]] for facet in FACETS}


_NEIGHBOURS = ShardKind("neighbours", OBJECTS_PER_SHARD, _neighbours_record)
