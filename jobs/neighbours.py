"""Stage neighbours: the nearest-neighbour graph, joined inside the index's cells.

Every vector goes to its home cell and asks in its `nprobe` nearest cells; the product is exact inside a cell. Primary
regions also ask among primary regions alone: the graph that groups products needs k of those, however many objects in
scenes look alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from prodseek.jobs.index import FACET, assigned_cells, index_cells
from prodseek.jobs.partitions import deal
from prodseek.jobs.vectors import ids_of, on_group, vectors_of
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.config import Config, NeighboursConfig
from prodseek.index.knn import Edges, cell_topk, merge_topk
from prodseek.spark.tables import read_table, write_table
from prodseek.store import Run, Summary

_EDGES_PER_PARTITION = 1_000_000
_EDGES = "detection_id long, neighbour_id long, rank int, cosine_similarity float"


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Find every region's nearest neighbours."""
    centroids, nprobe = index_cells(store)
    regions = read_table(spark, store, "detections").select("detection_id", "image_id", "is_primary")
    vectors = read_table(spark, store, "embeddings").select("detection_id", F.col(FACET).alias("vector"))
    cells = assigned_cells(vectors, centroids, nprobe).join(regions, "detection_id")
    n_vectors = vectors.count()
    among_all = _graph(cells, n_vectors, nprobe, config.neighbours)
    among_primary = _graph(cells.where("is_primary"), n_vectors, nprobe, config.neighbours)
    k = 2 * config.neighbours.k
    edges = _best(among_all.unionByName(among_primary), n_vectors * k, k)
    n_edges = write_table(edges, store, "neighbours")
    return Summary("neighbours", rows={"neighbours": n_edges}, lines=(f"{n_edges} edges, nprobe {nprobe}",))


def _graph(cells: DataFrame, n_vectors: int, nprobe: int, settings: NeighboursConfig) -> DataFrame:
    find = on_group(_cell_edges, k=settings.k, exclude_same_image=settings.exclude_same_image)
    found = cells.groupBy("cell").applyInArrow(find, _EDGES)
    return _best(found, n_vectors * nprobe * settings.k, settings.k)


def _best(edges: DataFrame, n_edges: int, k: int) -> DataFrame:
    """Each region's k nearest of all edges that were found for it, in whatever cells."""
    dealt = deal(edges, "detection_id", n_edges, _EDGES_PER_PARTITION)
    return dealt.mapInArrow(partial(_merge, k=k), _EDGES)


def _cell_edges(table: pa.Table, k: int, exclude_same_image: bool) -> pa.Table:
    ids = ids_of(table.column("detection_id"))
    vectors = vectors_of(table.column("vector"))
    images = np.asarray(table.column("image_id").to_numpy(zero_copy_only=False), str) if exclude_same_image else None
    home = table.column("is_home").to_numpy()
    return _table(
        cell_topk(
            ids,
            vectors,
            ids[home],
            vectors[home],
            k,
            query_groups=images,
            groups=None if images is None else images[home],
        )
    )


def _merge(batches: Iterator[pa.RecordBatch], k: int) -> Iterator[pa.RecordBatch]:
    found = [batch for batch in batches if batch.num_rows]
    if found:
        table = pa.Table.from_batches(found)
        best = merge_topk(
            ids_of(table.column("detection_id")),
            ids_of(table.column("neighbour_id")),
            table.column("cosine_similarity").to_numpy(),
            k,
        )
        yield from _table(best).to_batches()


def _table(edges: Edges) -> pa.Table:
    return pa.table(
        {
            "detection_id": edges.query_ids,
            "neighbour_id": edges.neighbour_ids,
            "rank": edges.rank.astype(np.int32),
            "cosine_similarity": edges.cosine.astype(np.float32),
        }
    )


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("neighbours")
