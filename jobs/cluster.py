"""Stage cluster: curation groups of primary regions, from the neighbour graph, named and with ids that last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import base_uri, look, one_photo_an_image, shrunk_box
from prodseek.jobs.vectors import ids_of, vectors_of
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek import files
from prodseek.cluster.colours import dominant_colour
from prodseek.cluster.groups import (
    NOISE,
    Groups,
    cohesion,
    exemplars,
    hdbscan_groups,
    knn_matrix,
    umap_coordinates,
)
from prodseek.cluster.stable_ids import LineageRow, match_groups
from prodseek.cluster.titles import GroupTitle, MemberFacts, group_titles
from prodseek.config import ClusterConfig, Config
from prodseek.images import ImageLimits
from prodseek.index.stored import FACET
from prodseek.spark.tables import read_table, spark_schema, write_table
from prodseek.store import LATEST, Run, Store, Summary
from prodseek.tables import table_schema

# Colours are looked at in this many members of a group, at this size: enough to name it.
_COLOUR_MEMBERS = 12
_COLOUR_SIDE_PX = 96
_PHOTOS_PER_PARTITION = 256


@dataclass(frozen=True)
class FittedRegions:
    """The regions that groups are fitted on, ordered by id. vectors: (N, d); edges: row indices, cosine, (E,) each."""

    detection_ids: NDArray[np.int64]
    product_ids: list[str]
    vectors: NDArray[np.float32]
    edge_rows: NDArray[np.int64]
    edge_neighbour_rows: NDArray[np.int64]
    cosine: NDArray[np.float32]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Group, name, compare with the last run, and write the groups, their summary and lineage."""
    regions = _standing_regions(spark, store)
    regions.cache()
    fitted = _collect(spark, store, regions, config.cluster)
    groups = _fit(fitted, config)
    central = exemplars(fitted.vectors, groups.labels, fitted.product_ids, config.cluster.exemplars)
    labelled = _label_all(spark, store, regions, fitted, groups).cache()
    images = _image_sets(labelled)
    ids, lineage = match_groups(images, _previous_groups(spark, store), FACET, store.run_id, config.cluster.id_overlap)
    titles = group_titles(_member_facts(spark, store, labelled, config.images.limits))
    rows = {
        "curation_groups": _write_groups(spark, store, labelled, ids, fitted, central),
        "curation_summary": _write_summary(spark, store, labelled, ids, titles, fitted, groups, central),
        "group_lineage": _write_lineage(spark, store, lineage),
    }
    n_regions = labelled.count()
    n_in_none = labelled.where(F.col("label") == NOISE).count()
    regions.unpersist()
    labelled.unpersist()
    facts = {
        "grouped_regions": n_regions,
        "in_no_group": n_in_none,
        "fitted_regions": len(fitted.detection_ids),
    }
    line = f"{len(ids)} groups of {n_regions} primary regions, {n_in_none} in none"
    return Summary("cluster", rows=rows, facts=facts, lines=(line,))


def _standing_regions(spark: SparkSession, store: Run) -> DataFrame:
    """Primary regions with the image that stands for theirs: copies of a photo are fitted once."""
    in_groups = read_table(spark, store, "duplicate_groups")
    representative = in_groups.where("is_representative").select(
        "group_id", F.col("image_id").alias("standing_image_id")
    )
    copies = (
        in_groups.join(representative, "group_id")
        .groupBy("image_id")
        .agg(F.min("standing_image_id").alias("standing_image_id"))
    )
    photos = one_photo_an_image(spark, store)
    primary = read_table(spark, store, "detections").where("is_primary")
    return (
        primary.select("detection_id", "image_id", "class_name", "x1_px", "y1_px", "x2_px", "y2_px")
        .join(photos, "image_id")
        .join(copies, "image_id", "left")
        .withColumn("standing_image_id", F.coalesce("standing_image_id", "image_id"))
    )


def _collect(spark: SparkSession, store: Run, regions: DataFrame, settings: ClusterConfig) -> FittedRegions:
    # The ids are hashes: the lowest of them are a random sample, and the same one every time.
    standing = regions.where("image_id = standing_image_id").select("detection_id", "product_id")
    chosen = standing.orderBy("detection_id").limit(settings.fit_rows)
    embeddings = read_table(spark, store, "embeddings").select("detection_id", F.col(FACET).alias("vector"))
    table = chosen.join(embeddings, "detection_id").orderBy("detection_id").toArrow()
    ids = ids_of(table.column("detection_id"))
    among = chosen.select("detection_id")
    edges = (
        read_table(spark, store, "neighbours")
        .join(among, "detection_id", "left_semi")
        .join(among.withColumnRenamed("detection_id", "neighbour_id"), "neighbour_id", "left_semi")
        .select("detection_id", "neighbour_id", "cosine_similarity")
        .orderBy("detection_id", "neighbour_id")
        .toArrow()
    )
    return FittedRegions(
        ids,
        table.column("product_id").to_pylist(),
        vectors_of(table.column("vector")),
        np.searchsorted(ids, ids_of(edges.column("detection_id"))),
        np.searchsorted(ids, ids_of(edges.column("neighbour_id"))),
        edges.column("cosine_similarity").to_numpy(),
    )


def _fit(fitted: FittedRegions, config: Config) -> Groups:
    settings = config.cluster
    k = min(settings.n_neighbors, max(2, config.neighbours.k + 1))
    indices, distances = knn_matrix(
        fitted.edge_rows, fitted.edge_neighbour_rows, fitted.cosine, len(fitted.detection_ids), k
    )
    coordinates = umap_coordinates(
        indices, distances, fitted.vectors, settings.n_components, k, settings.min_dist, config.seed
    )
    return hdbscan_groups(coordinates, settings.min_cluster_size, settings.min_samples)


def _label_all(spark: SparkSession, store: Run, regions: DataFrame, fitted: FittedRegions, groups: Groups) -> DataFrame:
    """All primary regions with label, membership and outlier_score: fitted, voted for, or those of their original."""
    labels = spark.createDataFrame(
        pa.table(
            {
                "detection_id": fitted.detection_ids,
                "label": groups.labels,
                "membership": groups.membership,
                "outlier_score": groups.outlier_score,
            }
        ),
        "detection_id long, label int, membership float, outlier_score float",
    )
    standing = regions.where("image_id = standing_image_id").select("detection_id", "standing_image_id")
    unfitted = standing.join(labels, "detection_id", "left_anti")
    decided = standing.join(labels, "detection_id").unionByName(_voted(spark, store, unfitted, labels))
    of_image = decided.drop("detection_id")
    return regions.join(of_image, "standing_image_id")


def _voted(spark: SparkSession, store: Run, unfitted: DataFrame, labels: DataFrame) -> DataFrame:
    """The group with most cosine similarity among a region's fitted neighbours; noise wins with more than half."""
    neighbour_labels = labels.select(F.col("detection_id").alias("neighbour_id"), "label")
    votes = (
        read_table(spark, store, "neighbours")
        .join(unfitted, "detection_id")
        .join(neighbour_labels, "neighbour_id")
        .groupBy("detection_id", "label")
        .agg(F.sum(F.greatest("cosine_similarity", F.lit(0.0))).alias("votes"))
    )
    of_region = Window.partitionBy("detection_id")
    share = F.col("votes") / F.nullif(F.sum("votes").over(of_region), F.lit(0.0))
    eligible = (F.col("label") != NOISE) | (F.col("share") > 0.5)
    best = Window.partitionBy("detection_id").orderBy(
        F.desc(F.when(F.col("label") == NOISE, 2.0).otherwise(F.col("share"))), "label"
    )
    winners = (
        votes.withColumn("share", share)
        .where(eligible)
        .withColumn("place", F.row_number().over(best))
        .where("place = 1")
        .select(
            "detection_id",
            "label",
            F.when(F.col("label") == NOISE, 0.0).otherwise(F.col("share")).cast("float").alias("membership"),
        )
    )
    return (
        unfitted.join(winners, "detection_id", "left")
        .withColumn("label", F.coalesce("label", F.lit(NOISE)))
        .withColumn("membership", F.coalesce("membership", F.lit(0.0)).cast("float"))
        .withColumn("outlier_score", (1 - F.col("membership")).cast("float"))
        .select("detection_id", "standing_image_id", "label", "membership", "outlier_score")
    )


def _image_sets(labelled: DataFrame) -> dict[int, set[str]]:
    grouped = labelled.where(F.col("label") != NOISE).groupBy("label").agg(F.collect_set("image_id").alias("images"))
    return {row["label"]: set(row["images"]) for row in grouped.collect()}


def _previous_groups(spark: SparkSession, store: Run) -> dict[str, set[str]]:
    if not files.exists(files.join(store.root, LATEST)):
        return {}
    previous = Store(store.root).latest()
    grouped = (
        read_table(spark, previous, "curation_groups")
        .where((F.col("facet") == FACET) & F.col("group_id").isNotNull())
        .join(read_table(spark, previous, "detections").select("detection_id", "image_id"), "detection_id")
        .groupBy("group_id")
        .agg(F.collect_set("image_id").alias("images"))
    )
    return {row["group_id"]: set(row["images"]) for row in grouped.collect()}


def _member_facts(
    spark: SparkSession, store: Run, labelled: DataFrame, limits: ImageLimits
) -> dict[int, list[MemberFacts]]:
    """Class, category and title of every member; the colour of the first few of each group."""
    members = labelled.where(F.col("label") != NOISE)
    best = Window.partitionBy("image_id").orderBy(F.desc("score"), "detection_id")
    detected = (
        read_table(spark, store, "detections")
        .where("kind = 'detection'")
        .withColumn("place", F.row_number().over(best))
        .where("place = 1")
        .select("image_id", F.col("class_name").alias("detected"))
    )
    first = Window.partitionBy("label").orderBy("detection_id")
    looked_at = members.withColumn("place", F.row_number().over(first)).where(F.col("place") <= _COLOUR_MEMBERS)
    see = partial(_colours, folder_uri=base_uri(store), limits=limits)
    columns = ["detection_id", "uri", "x1_px", "y1_px", "x2_px", "y2_px"]
    dealt = deal(looked_at.select(*columns), "detection_id", looked_at.count(), _PHOTOS_PER_PARTITION)
    colours = {
        row["detection_id"]: tuple(row["rgb"])
        for row in dealt.mapInArrow(see, "detection_id long, rgb array<int>").collect()
    }
    facts: dict[int, list[MemberFacts]] = {}
    described = members.join(detected, "image_id", "left").select(
        "label",
        "detection_id",
        F.coalesce("class_name", "detected").alias("class_name"),
        F.col("attributes")["category"].alias("category"),
        F.col("attributes")["title"].alias("title"),
    )
    for row in described.orderBy("label", "detection_id").collect():
        member = MemberFacts(row["class_name"], colours.get(row["detection_id"]), row["category"], row["title"])
        facts.setdefault(row["label"], []).append(member)
    return facts


def _colours(batches: Iterator[pa.RecordBatch], folder_uri: str, limits: ImageLimits) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("detection_id", pa.int64()), ("rgb", pa.list_(pa.int32()))])
    for batch in batches:
        seen = []
        for row in batch.to_pylist():
            image = look(row["uri"], folder_uri, limits, _COLOUR_SIDE_PX)
            if image is not None:
                x1, y1, x2, y2 = shrunk_box(image, (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"]))
                rgb = dominant_colour(image.pixels[y1:y2, x1:x2])
                seen.append({"detection_id": row["detection_id"], "rgb": list(rgb)})
        yield pa.RecordBatch.from_pylist(seen, schema)


def _group_ids(spark: SparkSession, ids: dict[int, str]) -> DataFrame:
    return spark.createDataFrame(list(ids.items()), "label int, group_id string")


def _write_groups(
    spark: SparkSession,
    store: Run,
    labelled: DataFrame,
    ids: dict[int, str],
    fitted: FittedRegions,
    central: dict[int, list[int]],
) -> int:
    exemplar_ids = [(int(fitted.detection_ids[row]), True) for rows in central.values() for row in rows]
    marked = spark.createDataFrame(exemplar_ids, "detection_id long, is_exemplar boolean")
    rows = (
        labelled.join(F.broadcast(_group_ids(spark, ids)), "label", "left")
        .join(F.broadcast(marked), "detection_id", "left")
        .withColumn("is_exemplar", F.coalesce("is_exemplar", F.lit(False)))
        .withColumn("facet", F.lit(FACET))
    )
    return write_table(rows.select(*table_schema("curation_groups").column_names), store, "curation_groups")


def _write_summary(
    spark: SparkSession,
    store: Run,
    labelled: DataFrame,
    ids: dict[int, str],
    titles: dict[int, GroupTitle],
    fitted: FittedRegions,
    groups: Groups,
    central: dict[int, list[int]],
) -> int:
    counted = labelled.where(F.col("label") != NOISE).groupBy("label")
    sizes = counted.agg(F.count(F.lit(1)).alias("regions"), F.count_distinct("product_id").alias("products")).collect()
    rows = [
        (
            FACET,
            ids[row["label"]],
            titles[row["label"]].title,
            row["regions"],
            row["products"],
            cohesion(fitted.vectors, np.flatnonzero(groups.labels == row["label"]).tolist(), central[row["label"]]),
            titles[row["label"]].dominant_class,
            titles[row["label"]].dominant_colour,
            [int(fitted.detection_ids[member]) for member in central[row["label"]]],
        )
        for row in sorted(sizes, key=lambda row: row["label"])
    ]
    return write_table(spark.createDataFrame(rows, spark_schema("curation_summary")), store, "curation_summary")


def _write_lineage(spark: SparkSession, store: Run, lineage: list[LineageRow]) -> int:
    rows = [(FACET, row.group_id, row.previous_group_id, row.event, row.overlap) for row in lineage]
    return write_table(spark.createDataFrame(rows, spark_schema("group_lineage")), store, "group_lineage")


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("cluster")
