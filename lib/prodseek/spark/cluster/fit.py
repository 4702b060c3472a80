"""The regions that curation groups are fitted on, and the fit: what of the stage cluster is bounded, and on the driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.cluster.groups import Groups, coarse_size, hdbscan_groups, knn_matrix, search_knn, umap_coordinates
from prodseek.cluster.labels import Graph
from prodseek.config import ClusterConfig, Config
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import read_trained
from prodseek.jobs.index import facet_vectors
from prodseek.runs.columns import VISUAL
from prodseek.runs.store import Run
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.tables import read_table

# A graph as `knn_matrix` gives it: indices and cosine distances.
Nearest = tuple[NDArray[np.int32], NDArray[np.float32]]


class Fitted(NamedTuple):
    """Groups and the graph they are in, which `nearest` holds row by row."""

    graph: Graph
    groups: Groups
    nearest: Nearest


@dataclass(frozen=True)
class FittedRegions:
    """The regions that groups are fitted on, ordered by id. vectors: (N, d). is_sample: there are more."""

    detection_ids: NDArray[np.int64]
    product_ids: list[str]
    vectors: NDArray[np.float32]
    is_sample: bool


def collect(spark: SparkSession, run: Run, regions: DataFrame, facet: str, settings: ClusterConfig) -> FittedRegions:
    """One region for each photo and its copies: all of them, or a sample of `fit_rows`."""
    standing = regions.where("image_id = standing_image_id").select("detection_id", "product_id")
    vectors = facet_vectors(spark, run, facet)
    is_sample = standing.count() > settings.fit_rows
    chosen = _sampled(spark, run, standing, settings.fit_rows) if is_sample else standing
    table = chosen.join(vectors, "detection_id").orderBy("detection_id").toArrow()
    return FittedRegions(
        ids_of(table.column("detection_id")),
        table.column("product_id").to_pylist(),
        vectors_of(table.column("vector")),
        is_sample,
    )


def _sampled(spark: SparkSession, run: Run, standing: DataFrame, n_rows: int) -> DataFrame:
    """n_rows of the regions, stratified by the cells of the index so that rare looks survive.

    Half of the places are dealt to all cells equally, the rest in proportion to what they hold. Ids are hashes: the lowest of a
    cell are a random sample, and the same one every time.
    """
    trained, manifest = read_trained(run)
    shared = spark.sparkContext.broadcast(trained)
    cells = standing.join(facet_vectors(spark, run, VISUAL), "detection_id").mapInArrow(
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
        .join(standing, "detection_id")
        .select("detection_id", "product_id")
    )


def _cells(batches: Iterator[pa.RecordBatch], shared: Any) -> Iterator[pa.RecordBatch]:
    quantizer = quantizer_from_bytes(shared.value)
    for batch in batches:
        if batch.num_rows:
            cells = assign_cells(vectors_of(batch.column("vector")), quantizer, 1).cells[:, 0]
            yield batch_of(detection_id=batch.column("detection_id"), cell=cells)


def fit_groups(spark: SparkSession, config: Config, run: Run, fitted: FittedRegions, facet: str) -> Fitted:
    """The graph of the fitted regions and the groups in it.

    The stage `neighbours` made the graph of `visual`. A sample tears it: of sixteen neighbours few are in the sample. Then, and
    for other facets, the neighbours among what is fitted are searched.
    """
    n_rows, settings, k = len(fitted.detection_ids), config.cluster, config.neighbours.k + 1
    if facet == VISUAL and not fitted.is_sample:
        graph = _stored_graph(spark, run, fitted)
        indices, distances = knn_matrix(graph.rows, graph.neighbours, graph.cosine, n_rows, k)
    else:
        indices, distances = search_knn(fitted.vectors, k, config.seed)
        place = np.nonzero((indices >= 0) & (indices != np.arange(n_rows)[:, None]))
        graph = Graph(place[0], indices[place].astype(np.int64), 1 - distances[place], n_rows)
    coordinates = umap_coordinates(
        indices,
        distances,
        fitted.vectors,
        settings.n_components,
        min(settings.n_neighbors, k),
        settings.min_dist,
        config.seed,
    )
    coarse = coarse_size(n_rows, settings.min_cluster_size, settings.coarse_min_cluster_size)
    groups = hdbscan_groups(coordinates, settings.min_cluster_size, coarse, settings.min_samples)
    return Fitted(graph, groups, (indices, distances))


def _stored_graph(spark: SparkSession, run: Run, fitted: FittedRegions) -> Graph:
    ids = fitted.detection_ids
    among = spark.createDataFrame(pa.table({"detection_id": ids}))
    edges = (
        read_table(spark, run, "neighbours")
        .join(among, "detection_id", "left_semi")
        .join(among.withColumnRenamed("detection_id", "neighbour_id"), "neighbour_id", "left_semi")
        .select("detection_id", "neighbour_id", "cosine_similarity")
        .orderBy("detection_id", "neighbour_id")
        .toArrow()
    )
    rows, neighbours = (np.searchsorted(ids, ids_of(edges.column(name))) for name in ("detection_id", "neighbour_id"))
    return Graph(rows, neighbours, edges.column("cosine_similarity").to_numpy(), len(ids))
