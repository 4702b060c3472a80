"""The fit of curation groups on a bounded number of regions, on the driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.cluster.fitting import groups_of
from prodseek.cluster.groups import Groups, Nearest, search_knn
from prodseek.cluster.labels import Graph
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import read_trained
from prodseek.runs.columns import LIKENESS
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import facet_vectors


@dataclass(frozen=True)
class FittedRegions:
    """The regions that a facet's groups are fitted on, ordered by id. vectors: (N, d). is_sample: there are more."""

    facet: str
    detection_ids: NDArray[np.int64]
    product_ids: list[str]
    vectors: NDArray[np.float32]
    is_sample: bool

    @property
    def n_rows(self) -> int:
        return len(self.detection_ids)

    def id_frame(self, spark: SparkSession) -> DataFrame:
        """Their detection_id."""
        return spark.createDataFrame(pa.table({"detection_id": self.detection_ids}))


@dataclass(frozen=True)
class Fit:
    """Groups of regions, the graph that they were found in, and the same graph row by row, `nearest`."""

    regions: FittedRegions
    graph: Graph
    nearest: Nearest
    groups: Groups


def fit_groups(night: Night, regions: DataFrame, facet: str) -> Fit:
    """The groups of one region for each photo and its copies: of all of them, or of a sample of `cluster.fit_rows`.

    regions: as `primary_regions` gives them.
    """
    fitted = _fitted_regions(night, regions, facet)
    settings, seed = night.config.cluster, night.config.seed
    # Neighbours in the table are of `likeness`, and whether two things are of one kind is another question.
    nearest = search_knn(fitted.vectors, night.config.neighbours.k + 1, seed)
    groups = groups_of(nearest, fitted.vectors, settings, seed)
    return Fit(fitted, Graph.of_nearest(nearest), nearest, groups)


def _fitted_regions(night: Night, regions: DataFrame, facet: str) -> FittedRegions:
    n_rows = night.config.cluster.fit_rows
    whole = standing_regions(regions).select("detection_id", "product_id")
    vectors = facet_vectors(night.spark, night.run, facet)
    is_sample = whole.count() > n_rows
    chosen = sampled(night, whole, n_rows) if is_sample else whole
    table = chosen.join(vectors, "detection_id").orderBy("detection_id").toArrow()
    return FittedRegions(
        facet,
        ids_of(table.column("detection_id")),
        table.column("product_id").to_pylist(),
        vectors_of(table.column("vector")),
        is_sample,
    )


def sampled(night: Night, whole: DataFrame, n_rows: int) -> DataFrame:
    """n_rows of the regions, stratified by the cells of the index so that rare looks survive.

    Half of the places are dealt to all cells equally, the rest in proportion to what they hold. Ids are hashes: the
    lowest of a cell are a random sample, and the same one every time. whole: detection_id, product_id.
    """
    trained, manifest = read_trained(night.run)
    shared = night.spark.sparkContext.broadcast(trained)
    cells = whole.join(facet_vectors(night.spark, night.run, LIKENESS), "detection_id").mapInArrow(
        partial(_cells, shared=shared), "detection_id long, cell int"
    )
    of_cell = Window.partitionBy("cell")
    place = F.row_number().over(of_cell.orderBy("detection_id"))
    share = max(1, n_rows // (2 * manifest.nlist))
    is_dealt = F.col("place") <= share
    return (
        cells.withColumn("place", place)
        .withColumn("size", F.count(F.lit(1)).over(of_cell))
        .orderBy(F.when(is_dealt, 0.0).otherwise(F.col("place") / F.col("size")), "place", "detection_id")
        .limit(n_rows)
        .join(whole, "detection_id")
        .select("detection_id", "product_id")
    )


def _cells(batches: Iterator[pa.RecordBatch], shared: Broadcast[bytes]) -> Iterator[pa.RecordBatch]:
    quantizer = quantizer_from_bytes(shared.value)
    for batch in batches:
        if batch.num_rows:
            cells = assign_cells(vectors_of(batch.column("vector")), quantizer, 1).cells[:, 0]
            yield batch_of(detection_id=batch.column("detection_id"), cell=cells)
