"""Objects of the report: which are shown, their numbers, and the shards of their facts, neighbours and pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial, reduce
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.report.galleries import NONE
from prodseek.report.records import (
    OBJECTS_PER_SHARD,
    PHOTO_THUMBS_PER_SHARD,
    REGION_THUMBS_PER_SHARD,
    CataloguePhoto,
    OtherRegion,
    ShownObject,
)
from prodseek.runs.columns import BOX_PX, FACETS, VISUAL
from prodseek.runs.store import Run
from prodseek.spark.arrow import batch_of, ids_of, vectors_of
from prodseek.spark.partitions import deal
from prodseek.spark.report.copies import ChosenCopies
from prodseek.spark.report.shards import write_shards
from prodseek.spark.tables import read_table

N_NEIGHBOURS = 8
# Of bytes that a thousand products share, and of a photo full of things, so many are listed.
_MAX_PHOTOS, _MAX_OTHERS = 50, 20
_ASKED_TOGETHER = 4096


def choose_objects(spark: SparkSession, run: Run, copies: ChosenCopies, most: int) -> DataFrame:
    """Primary regions that are shown: those with copies and look-alikes first, then exemplars, then any.

    Gives detection_id, image_id, the columns of their visual group, and the place where they lie in `copies`: duplicates, pairs.
    """
    regions = read_table(spark, run, "detections").where("is_primary").select("detection_id", "image_id")
    groups = read_table(spark, run, "curation_groups").where(F.col("facet") == VISUAL).drop("facet")
    in_groups = (
        read_table(spark, run, "duplicate_groups")
        .join(copies.groups, "group_id")
        .groupBy("image_id")
        .agg(F.min("number").alias("duplicates"))
    )
    in_pairs = reduce(
        DataFrame.unionByName,
        [copies.pairs.select(F.col(f"image_id_{side}").alias("image_id"), "number") for side in ("a", "b")],
    )
    in_pairs = in_pairs.groupBy("image_id").agg(F.sort_array(F.collect_set("number")).alias("pairs"))
    known = (
        regions.join(groups, "detection_id")
        .join(in_groups, "image_id", "left")
        .join(in_pairs, "image_id", "left")
        .fillna(NONE, ["duplicates"])
        .withColumn("pairs", F.coalesce("pairs", F.array().cast("array<long>")))
    )
    in_cards = copies.members.select("image_id").distinct().withColumn("is_in_card", F.lit(True))
    known = known.join(in_cards, "image_id", "left")
    is_first = F.coalesce("is_in_card", F.size("pairs") > 0)
    return known.orderBy(F.desc(is_first), F.desc("is_exemplar"), "detection_id").limit(most).drop("is_in_card")


def write_objects(spark: SparkSession, run: Run, objects: DataFrame, n_objects: int) -> None:
    """Write the shards of facts. objects: `choose_objects` with number, and places `group` and `coarse`."""
    regions = read_table(spark, run, "detections").drop("slice", "image_id")
    images = read_table(spark, run, "images")
    photo = F.struct("product_id", "uri", F.coalesce(F.col("attributes")["title"], F.lit("")).alias("title"))
    photos = images.groupBy("image_id").agg(
        F.first("width_px").alias("width_px"),
        F.first("height_px").alias("height_px"),
        F.slice(F.sort_array(F.collect_list(photo)), 1, _MAX_PHOTOS).alias("photos"),
    )
    others = (
        read_table(spark, run, "detections")
        .where("kind = 'detection' and not is_primary")
        .withColumn("other", F.struct((-F.col("score")).alias("order"), "class_name", "score", *BOX_PX))
        .groupBy("image_id")
        .agg(F.slice(F.sort_array(F.collect_list("other")), 1, _MAX_OTHERS).alias("others"))
    )
    described = objects.join(regions, "detection_id").join(photos, "image_id").join(others, "image_id", "left")
    write_shards(described, run, "data", "objects", OBJECTS_PER_SHARD, n_objects, _object_record)


def write_pictures(run: Run, numbers: DataFrame, pictures: DataFrame, n_objects: int) -> None:
    """Write the shards of pictures. numbers: detection_id, number; pictures: detection_id, region, photo."""
    shown = numbers.select("detection_id", "number").join(pictures, "detection_id", "left")
    for kind, per_shard in (("region", REGION_THUMBS_PER_SHARD), ("photo", PHOTO_THUMBS_PER_SHARD)):
        rows = shown.select("number", F.col(kind).alias("picture"))
        write_shards(rows, run, "thumbs", f"{kind}s", per_shard, n_objects, _picture_record)


def write_neighbours(spark: SparkSession, run: Run, numbers: DataFrame, n_objects: int) -> None:
    """Write the shards of neighbours: the most similar of the objects shown by each facet, copies of one photo once.

    numbers: detection_id, number, duplicates, is_original: not a copy of another object shown. Exact: what is shown is bounded.
    """
    embeddings = read_table(spark, run, "embeddings").join(numbers, "detection_id")
    vectors = embeddings.select("number", "duplicates", "is_original", *FACETS)
    known = vectors.where("is_original").orderBy("number").toArrow()
    of_facet = {facet: vectors_of(known.column(facet)) for facet in FACETS}
    shared = spark.sparkContext.broadcast(
        (ids_of(known.column("number")), ids_of(known.column("duplicates")), of_facet)
    )
    neighbour = "array<struct<number:long,cosine:float>>"
    # Last bits of a product depend on what else is multiplied: the same rows go together wherever this runs.
    dealt = deal(vectors, "number", n_objects, _ASKED_TOGETHER)
    found = dealt.mapInArrow(
        partial(_nearest, shared=shared), "number long, " + ", ".join(f"{facet} {neighbour}" for facet in FACETS)
    )
    write_shards(found, run, "data", "neighbours", OBJECTS_PER_SHARD, n_objects, _neighbours_record)


def with_originals(objects: DataFrame) -> DataFrame:
    """`objects` with is_original: the first object shown of each group of copies, and every object in none."""
    first = Window.partitionBy("duplicates").orderBy("number")
    copies = objects.where(F.col("duplicates") != NONE).withColumn("is_original", F.row_number().over(first) == 1)
    return copies.unionByName(objects.where(F.col("duplicates") == NONE).withColumn("is_original", F.lit(True)))


def _nearest(batches: Iterator[pa.RecordBatch], shared: Any) -> Iterator[pa.RecordBatch]:
    numbers, copies_of, vectors = shared.value

    def nearest(asked: pa.RecordBatch, facet: str) -> pa.Array:
        own, group = ids_of(asked.column("number")), ids_of(asked.column("duplicates"))
        # Itself, or the original that it is a copy of, is among them and left out.
        k = min(N_NEIGHBOURS + 2, len(numbers))
        cosines, rows = faiss.knn(vectors_of(asked.column(facet)), vectors[facet], k, faiss.METRIC_INNER_PRODUCT)
        lists = []
        for number, copies, cosine, row in zip(own, group, np.round(cosines, 4), rows, strict=True):
            is_own = (numbers[row] == number) | ((copies != NONE) & (copies_of[row] == copies))
            kept = row[~is_own], cosine[~is_own]
            order = np.lexsort((numbers[kept[0]], -kept[1]))[:N_NEIGHBOURS]
            lists.append([{"number": int(numbers[kept[0][i]]), "cosine": float(kept[1][i])} for i in order])
        return pa.array(lists, pa.list_(pa.struct([("number", pa.int64()), ("cosine", pa.float32())])))

    # Spark's tasks share the cores already.
    faiss.omp_set_num_threads(1)
    for batch in batches:
        for start in range(0, batch.num_rows, _ASKED_TOGETHER):
            asked = batch.slice(start, _ASKED_TOGETHER)
            yield batch_of(number=asked.column("number"), **{facet: nearest(asked, facet) for facet in FACETS})


def _object_record(row: dict[str, Any]) -> ShownObject:
    return ShownObject(
        detection_id=str(row["detection_id"]),
        image_id=row["image_id"],
        kind=row["kind"],
        class_name=row["class_name"] or "",
        width_px=row["width_px"],
        height_px=row["height_px"],
        box_px=_box(row),
        photos=[CataloguePhoto(product_id=p["product_id"], uri=p["uri"], title=p["title"]) for p in row["photos"]],
        others=[
            OtherRegion(class_name=one["class_name"] or "", score=round(one["score"], 3), box_px=_box(one))
            for one in row["others"] or []
        ],
        group=row["group"],
        coarse=row["coarse"],
        membership=round(row["membership"], 4),
        outlier_score=round(row["outlier_score"], 4),
        duplicates=row["duplicates"],
        pairs=list(row["pairs"]),
    )


def _box(row: dict[str, Any]) -> list[float]:
    return [round(row[name], 1) for name in BOX_PX]


def _picture_record(row: dict[str, Any]) -> str:
    return "" if row["picture"] is None else base64.b64encode(row["picture"]).decode("ascii")


def _neighbours_record(row: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    return {facet: [(one["number"], round(one["cosine"], 4)) for one in row[facet]] for facet in FACETS}
