"""The map of primary regions: laid out when groups are fitted, kept from night to night, new regions beside their nearest."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from prodseek.cluster.layout import map_layout, turned_like
from prodseek.spark.arrow import ids_of
from prodseek.spark.checkpoints import checkpointed
from prodseek.spark.cluster.fit import Fit
from prodseek.spark.cluster.primary_regions import standing_regions
from prodseek.spark.night import Night
from prodseek.spark.tables import only_row, read_table
from prodseek.storage import files

_TABLE = "region_map"
_PLACES = "detection_id long, x float, y float"
# Rounds of placing: a region whose neighbours have no place yet waits until they have one.
_ROUNDS = 4
# How far a region is put from the one that it is put beside, and how far out those without any: in parts of the map's radius.
_BESIDE, _RIM = 0.004, 1.08
_TURN_STEPS = 3600


def write_map(night: Night, regions: DataFrame, fit: Fit, carried_on: bool) -> int:
    """Give every primary region its place, and write the table `region_map`; returns its rows.

    regions: detection_id, image_id, standing_image_id. carried_on: groups go on from the last night, and so does the map.
    """
    last_map = _last_map(night)
    standing = standing_regions(regions).select("detection_id", "standing_image_id")
    if carried_on and last_map is not None:
        known = last_map.join(standing.select("detection_id"), "detection_id", "left_semi")
    else:
        known = _laid_out(night, fit, last_map)
    placed = _all_placed(night.table("neighbours"), standing.select("detection_id"), known)
    of_image = standing.join(placed, "detection_id").drop("detection_id")
    return night.write_table(regions.join(of_image, "standing_image_id").select("detection_id", "x", "y"), _TABLE)


def _last_map(night: Night) -> DataFrame | None:
    """The last night's map; None when there is none."""
    last = night.last_run
    if last is None or not files.exists(last.table_uri(_TABLE)):
        return None
    return read_table(night.spark, last, _TABLE)


def _laid_out(night: Night, fit: Fit, last_map: DataFrame | None) -> DataFrame:
    """The fitted regions with their places, turned so that they lie as in the last night's map where there is one."""
    fitted, spark = fit.regions, night.spark
    layout = map_layout(*fit.nearest, fitted.vectors, night.config.seed)
    if last_map is not None:
        among = fitted.id_frame(spark)
        known = last_map.join(among, "detection_id", "left_semi").orderBy("detection_id").toArrow()
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
    centre_x, centre_y, radius = only_row(
        known.select(
            F.coalesce(F.avg("x"), F.lit(0.0)),
            F.coalesce(F.avg("y"), F.lit(0.0)),
            F.coalesce(F.greatest(F.max("x") - F.min("x"), F.max("y") - F.min("y")) / 2, F.lit(1.0)),
        )
    )
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
        beside = checkpointed(
            reached.groupBy("detection_id")
            .agg(best.alias("best"))
            .select(
                "detection_id",
                (F.col("best.x") + _BESIDE * radius * F.cos(angle)).cast("float").alias("x"),
                (F.col("best.y") + _BESIDE * radius * F.sin(angle)).cast("float").alias("y"),
            )
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
