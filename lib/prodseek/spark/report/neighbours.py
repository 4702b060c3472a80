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

from prodseek.embedding.confidence import Calibration, likeness_score
from prodseek.report.galleries import NONE
from prodseek.report.records import OBJECTS_PER_SHARD, Neighbours
from prodseek.runs.columns import FACETS, LIKENESS
from prodseek.runs.facts import ProjectFacts
from prodseek.spark.arrow import batch_of, flags_of, ids_of, vectors_of
from prodseek.spark.night import Night
from prodseek.spark.partitions import deal
from prodseek.spark.photos import one_photo_an_image
from prodseek.spark.report.objects import ShownObjects
from prodseek.spark.report.shards import Row, ShardKind, write_shards

N_NEIGHBOURS = 8
# More objects looked at by likeness, because some are rooms, and hubs rank lower than their cosine says.
_SPARE = 24
_ASKED_TOGETHER = 4096


@dataclass(frozen=True)
class _Originals:
    """The objects that may be neighbours, in the order of their numbers.

    numbers, duplicates: (N,) int64. products: (N,) int64, hashes of product ids. vectors: facet -> (N, d) float32. hubness,
    is_room: (N,). calibration, min_confidence: what answers of likeness must be as sure as; None if nothing was fitted.
    """

    numbers: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    products: NDArray[np.int64]
    vectors: dict[str, NDArray[np.float32]]
    hubness: NDArray[np.float32]
    is_room: NDArray[np.bool_]
    calibration: Calibration | None
    min_confidence: float


def write_neighbours(night: Night, objects: ShownObjects) -> None:
    """Write the shards of neighbours, copies of one photo once. The search is exact, because what is shown is bounded."""
    embeddings = night.table("embeddings").join(_with_originals(objects.rows), "detection_id")
    products = one_photo_an_image(night).select("image_id", F.xxhash64("product_id").alias("product"))
    facts = ("number", "duplicates", "product", "is_original", "hubness", "is_scene", "is_room")
    vectors = embeddings.join(products, "image_id").select(*facts, *FACETS)
    calibration = Calibration.of_facts(night.run.facts(ProjectFacts).likeness_calibration)
    known = vectors.where("is_original").orderBy("number").toArrow()
    originals = _Originals(
        ids_of(known.column("number")),
        ids_of(known.column("duplicates")),
        ids_of(known.column("product")),
        {facet: vectors_of(known.column(facet)) for facet in FACETS},
        known.column("hubness").to_numpy(),
        known.column("is_room").to_numpy(),
        calibration,
        night.config.search.min_confidence,
    )
    shared = night.spark.sparkContext.broadcast(originals)
    neighbour = "array<struct<number:long,score:float>>"
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
    is_scene = flags_of(asked.column("is_scene"))
    n = len(originals.numbers)
    # Itself, or the original that it is a copy of, is among them and left out; so are rooms and hubs.
    k = min(N_NEIGHBOURS + 2 + (_SPARE if facet == LIKENESS else 0), n)
    vectors = vectors_of(asked.column(facet))
    cosines, rows = faiss.knn(vectors, originals.vectors[facet], k, faiss.METRIC_INNER_PRODUCT)
    lists = []
    for number, copies, scene, cosine, row in zip(own, group, is_scene, np.round(cosines, 4), rows, strict=True):
        numbers = originals.numbers[row]
        left = (numbers != number) & ((copies == NONE) | (originals.duplicates[row] != copies))
        score = likeness_score(cosine, originals.hubness[row]) if facet == LIKENESS else cosine
        if facet == LIKENESS:
            left &= (scene | ~originals.is_room[row]) & (cosine > 0)
        order = np.lexsort((numbers[left], -score[left]))
        if facet == LIKENESS and originals.calibration is not None:
            best = score[left][order]
            of_products = best[np.sort(np.unique(originals.products[row][left][order], return_index=True)[1])]
            rest = float(best[-1]) if k < n and len(best) else 0.0
            least = originals.calibration.least_score(of_products, originals.min_confidence, rest)
            order = order[best >= least]
        order = order[:N_NEIGHBOURS]
        found = zip(numbers[left][order].tolist(), score[left][order].tolist(), strict=True)
        lists.append([{"number": of, "score": value} for of, value in found])
    return pa.array(lists, pa.list_(pa.struct([("number", pa.int64()), ("score", pa.float32())])))


def _neighbours_record(row: Row) -> Neighbours:
    return {facet: [(one["number"], round(one["score"], 4)) for one in row[facet]] for facet in FACETS}


_NEIGHBOURS = ShardKind("neighbours", OBJECTS_PER_SHARD, _neighbours_record)
