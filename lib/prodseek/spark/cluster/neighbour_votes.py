"""Votes of neighbours, in Spark: how regions that were not fitted come into groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial, reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.groups import NOISE
from prodseek.runs.columns import COARSE, FINE, LEVELS
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.tables import local_frame

LABELS = ("detection_id", FINE, COARSE, "nearest", "membership")
# Rounds of votes: a region whose neighbours were not fitted either waits until those have been voted for.
_VOTE_ROUNDS = 4
_ASKED_AT_ONCE = 1024
# A cosine similarity of 1 in votes: whole numbers have the same sum in any order.
COSINE_UNITS = 1_000_000


def voted_for(
    edges: DataFrame,
    unfitted: DataFrame,
    fitted: DataFrame,
    known: DataFrame | None,
    parents: Mapping[int, int],
) -> DataFrame:
    """The regions that were not fitted: where they were last night, else in the group of most of their neighbours.

    edges: detection_id, neighbour_id, cosine_similarity. unfitted: detection_id. fitted: detection_id, fine, coarse. known: the
    LABELS of last night's regions, if groups go on. parents: fine label -> coarse label. Gives LABELS and outlier_score.
    """
    parent = F.broadcast(local_frame(edges.sparkSession, parents.items(), "fine int, parent int"))

    def in_parent(frame: DataFrame) -> DataFrame:
        nested_in = F.coalesce("parent", COARSE)
        return frame.join(parent, FINE, "left").withColumn(COARSE, nested_in).select(*LABELS)

    made, undecided = [], unfitted
    decided = fitted.select("detection_id", *LEVELS)
    if known is not None:
        stay = known.join(unfitted, "detection_id", "left_semi")
        made.append(in_parent(stay))
        undecided = unfitted.join(stay, "detection_id", "left_anti")
        decided = decided.unionByName(made[0].select("detection_id", *LEVELS))
    n_left = undecided.count()
    for _ in range(_VOTE_ROUNDS):
        if not n_left:
            break
        cast = edges.join(undecided, "detection_id", "left_semi").join(
            decided.withColumnRenamed("detection_id", "neighbour_id"), "neighbour_id"
        )
        of_coarse = _winners(cast, COARSE).select("detection_id", COARSE)
        won = checkpointed(in_parent(_winners(cast, FINE).join(of_coarse, "detection_id")))
        n_won = won.count()
        if not n_won:
            break
        n_left -= n_won
        made.append(won)
        decided = decided.unionByName(won.select("detection_id", *LEVELS))
        undecided = undecided.join(won, "detection_id", "left_anti")
    alone = undecided.withColumns({name: F.lit(NOISE) for name in (*LEVELS, "nearest")})
    made.append(alone.withColumn("membership", F.lit(0.0).cast("float")).select(*LABELS))
    return reduce(DataFrame.unionByName, made).withColumn("outlier_score", (1 - F.col("membership")).cast("float"))


def _winners(cast: DataFrame, level: str) -> DataFrame:
    """Each region's label: that with most cosine similarity among its neighbours; noise wins with more than half.

    The lower label wins a tie. nearest: the label that is best when noise won. membership: the winner's share.
    """
    weight = F.round(F.greatest("cosine_similarity", F.lit(0.0)) * COSINE_UNITS).cast("long")
    by_label = cast.groupBy("detection_id", level).agg(F.sum(weight).alias("votes"))
    is_group = ~is_noise(level)
    counted = by_label.groupBy("detection_id").agg(
        F.sum("votes").alias("total"),
        F.sum(F.when(is_group, 0).otherwise(F.col("votes"))).alias("noise"),
        F.max(F.when(is_group & (F.col("votes") > 0), F.struct("votes", (-F.col(level)).alias("place")))).alias("best"),
    )
    wins = F.col("best").isNotNull() & (2 * F.col("noise") <= F.col("total"))
    best = F.coalesce(-F.col("best.place"), F.lit(NOISE))
    return counted.select(
        "detection_id",
        F.when(wins, best).otherwise(NOISE).alias(level),
        F.when(wins, NOISE).otherwise(best).alias("nearest"),
        F.when(wins, F.col("best.votes") / F.col("total")).otherwise(0.0).cast("float").alias("membership"),
    )


def nearest_fitted(
    vectors: DataFrame, fitted_ids: NDArray[np.int64], fitted_vectors: NDArray[np.float32], k: int
) -> DataFrame:
    """Edges to the k nearest of the fitted regions, by exact products, for facets that have no graph.

    vectors: detection_id, vector.
    """
    shared = vectors.sparkSession.sparkContext.broadcast((fitted_ids, fitted_vectors))
    return vectors.mapInArrow(
        partial(_exact_nearest, shared=shared, k=k), "detection_id long, neighbour_id long, cosine_similarity float"
    )


def _exact_nearest(
    batches: Iterator[pa.RecordBatch], shared: Broadcast[tuple[NDArray[np.int64], NDArray[np.float32]]], k: int
) -> Iterator[pa.RecordBatch]:
    fitted_ids, fitted_vectors = shared.value
    for batch in batches:
        for start in range(0, batch.num_rows, _ASKED_AT_ONCE):
            asked = batch.slice(start, _ASKED_AT_ONCE)
            # Rounded, because the last bits depend on what else is in the batch.
            cosine = np.round(vectors_of(asked.column("vector")) @ fitted_vectors.T, 5)
            nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
            yield batch_of(
                detection_id=np.repeat(ids_of(asked.column("detection_id")), nearest.shape[1]),
                neighbour_id=fitted_ids[nearest].ravel(),
                cosine_similarity=np.take_along_axis(cosine, nearest, axis=1).ravel(),
            )


def is_noise(column: str) -> Column:
    """Whether a column of labels says: in no group."""
    return F.col(column) == NOISE
