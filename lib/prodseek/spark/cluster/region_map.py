"""The map of primary regions: laid out when groups are fitted, kept from night to night, new regions beside their nearest."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.cluster.layout import map_layout, turned_like
from prodseek.errors import StoreError
from prodseek.runs.store import Run, Store
from prodseek.spark.arrow import ids_of
from prodseek.spark.cluster.fit import FittedRegions, Nearest
from prodseek.spark.tables import read_table, write_table
from prodseek.storage import files

_TABLE = "region_map"
_PLACES = "detection_id long, x float, y float"
# Regions whose neighbours have no place yet wait for them, this often.
_ROUNDS = 4
# How far a region is put from the one that it is put beside, and how far out those without any: in parts of the map's radius.
_BESIDE, _RIM = 0.004, 1.08
_TURN_STEPS = 3600
# A lost executor takes its part of a local checkpoint with it, and nothing can make that again.
_TWO_COPIES = StorageLevel.MEMORY_AND_DISK_2


def write_map(
    spark: SparkSession,
    run: Run,
    regions: DataFrame,
    fitted: FittedRegions,
    nearest: Nearest,
    goes_on: bool,
    seed: int,
) -> int:
    """Give every primary region its place, and write the table `region_map`; returns its rows.

    regions: detection_id, image_id, standing_image_id. nearest: the neighbours of the fitted regions as `knn_matrix` gives them.
    goes_on: groups go on from the last night, and so does the map.
    """
    before = _before(spark, run)
    standing = regions.where("image_id = standing_image_id").select("detection_id", "standing_image_id")
    if goes_on and before is not None:
        known = before.join(standing.select("detection_id"), "detection_id", "left_semi")
    else:
        known = _laid_out(spark, fitted, nearest, before, seed)
    placed = _all_placed(read_table(spark, run, "neighbours"), standing.select("detection_id"), known)
    of_image = standing.join(placed, "detection_id").drop("detection_id")
    return write_table(regions.join(of_image, "standing_image_id").select("detection_id", "x", "y"), run, _TABLE)


def _before(spark: SparkSession, run: Run) -> DataFrame | None:
    """The last night's map; None when there is none."""
    try:
        latest = Store(run.root).latest_readable()
    except StoreError:
        return None
    return read_table(spark, latest, _TABLE) if files.exists(latest.table_uri(_TABLE)) else None


def _laid_out(
    spark: SparkSession,
    fitted: FittedRegions,
    nearest: Nearest,
    before: DataFrame | None,
    seed: int,
) -> DataFrame:
    layout = map_layout(*nearest, fitted.vectors, seed)
    if before is not None:
        among = spark.createDataFrame(pa.table({"detection_id": fitted.detection_ids}))
        known = before.join(among, "detection_id", "left_semi").orderBy("detection_id").toArrow()
        rows = np.searchsorted(fitted.detection_ids, ids_of(known.column("detection_id")))
        there = np.stack([known.column(name).to_numpy() for name in ("x", "y")], axis=1)
        layout = turned_like(layout, rows, there)
    columns = {"detection_id": fitted.detection_ids, "x": layout[:, 0], "y": layout[:, 1]}
    return spark.createDataFrame(pa.table(columns), _PLACES)


def _all_placed(edges: DataFrame, standing: DataFrame, known: DataFrame) -> DataFrame:
    """The regions with their places: known ones, others beside the nearest that has one, the rest on the rim.

    Beside, not amid its neighbours: halfway between two groups there is nothing that it looks like.
    """
    known = known.cache()
    centre_x, centre_y, radius = known.select(
        F.coalesce(F.avg("x"), F.lit(0.0)),
        F.coalesce(F.avg("y"), F.lit(0.0)),
        F.coalesce(F.greatest(F.max("x") - F.min("x"), F.max("y") - F.min("y")) / 2, F.lit(1.0)),
    ).first()
    # Ids are hashes: the same region always lies on the same side.
    angle = (F.pmod("detection_id", F.lit(_TURN_STEPS)) * (2 * np.pi / _TURN_STEPS)).alias("angle")
    made, placed = [known], known
    unplaced = standing.join(known, "detection_id", "left_anti")
    n_left = unplaced.count()
    for _ in range(_ROUNDS):
        if not n_left:
            break
        reached = edges.join(unplaced, "detection_id", "left_semi").join(
            placed.withColumnRenamed("detection_id", "neighbour_id"), "neighbour_id"
        )
        best = F.max_by(F.struct("x", "y"), F.struct("cosine_similarity", (-F.col("neighbour_id")).alias("id")))
        beside = (
            reached.groupBy("detection_id")
            .agg(best.alias("best"))
            .select(
                "detection_id",
                (F.col("best.x") + _BESIDE * radius * F.cos(angle)).cast("float").alias("x"),
                (F.col("best.y") + _BESIDE * radius * F.sin(angle)).cast("float").alias("y"),
            )
            .localCheckpoint(storageLevel=_TWO_COPIES)
        )
        n_placed = beside.count()
        if not n_placed:
            break
        n_left -= n_placed
        made.append(beside)
        placed = placed.unionByName(beside)
        unplaced = unplaced.join(beside, "detection_id", "left_anti")
    rim = unplaced.select(
        "detection_id",
        (centre_x + _RIM * radius * F.cos(angle)).cast("float").alias("x"),
        (centre_y + _RIM * radius * F.sin(angle)).cast("float").alias("y"),
    )
    return reduce(DataFrame.unionByName, [*made, rim])
