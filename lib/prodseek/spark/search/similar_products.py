"""Similar products of every product: the same thing, from the neighbour graph that the night has made already; or what is alike
in another facet, by searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from prodseek.embedding.confidence import RIVALS, Calibration, likeness_score
from prodseek.runs.columns import BOX_PX, LIKENESS
from prodseek.runs.facts import ProjectFacts
from prodseek.runs.store import Run
from prodseek.runs.tables import table_schema
from prodseek.search.folding import fold
from prodseek.search.hits import Floor
from prodseek.search.likeness import Likeness
from prodseek.spark.search.answers import BatchQuestion, hit_row, opened
from prodseek.spark.search.summary import BatchSummary
from prodseek.spark.tables import computed_schema, read_table, spark_schema, write_table_at
from prodseek.storage import files

_PRODUCTS_PER_PARTITION = 4096
_SEARCHED_PER_PARTITION = 256


def similar_products(
    spark: SparkSession, run: Run, out: str, question: BatchQuestion, usual_floor: float
) -> BatchSummary:
    """For every product the k other products most like it: `search_results` whose query_id is the product.

    usual_floor: see `Floor.of`. Raises PromptError for a facet that cannot be searched.
    """
    images = read_table(spark, run, "images").select("image_id", "product_id", "uri")
    n_products = images.select("product_id").distinct().count()
    floor = Floor.of(question.min_confidence, usual_floor)
    if question.facet == LIKENESS:
        hits = _the_same_thing(spark, run, images, n_products, question.k, floor)
    else:
        hits = _alike_in_facet(spark, run, images, n_products, question)
    rows = {"search_results": write_table_at(hits, files.join(out, "search_results"), "search_results")}
    written = spark.read.schema(spark_schema("search_results")).parquet(
        files.spark_uri(files.join(out, "search_results"))
    )
    n_with = written.where("rank = 1").count()
    facts = {
        "run_id": run.run_id,
        "products": n_products,
        "with_similar": n_with,
        "k": question.k,
        "facet": str(Likeness.parse(question.facet)),
        "min_confidence": floor.min_confidence,
    }
    line = (
        f"{n_products} products, {n_products - n_with} of them unlike all others; {rows['search_results']} rows; {out}"
    )
    summary = BatchSummary(facts, rows, line)
    summary.write(out)
    return summary


def _the_same_thing(
    spark: SparkSession, run: Run, images: DataFrame, n_products: int, k: int, floor: Floor
) -> DataFrame:
    """Hits by `likeness`, from `neighbours` alone, edges between primary regions.

    A product has as many as they lead to, at most `neighbours.k` for each of its photos. What shows a copy of one of its own
    photos is left out, and so is what is below the floor; a room is similar to scenes alone.
    """
    calibration = Calibration.of_facts(run.facts(ProjectFacts).likeness_calibration)
    copies = read_table(spark, run, "duplicate_groups").select("image_id", "group_id").distinct()
    listed = images.join(copies, "image_id", "left").withColumn("original", F.coalesce("group_id", "image_id"))
    primary = read_table(spark, run, "detections").where("is_primary").select("detection_id", "image_id", *BOX_PX)
    shown = primary.join(listed.drop("group_id"), "image_id")
    embedded = read_table(spark, run, "embeddings").select("detection_id", "hubness", "is_scene", "is_room")
    asking = shown.join(embedded, "detection_id").select(
        F.col("product_id").alias("query_id"),
        F.col("detection_id").alias("asking_id"),
        F.col("is_scene").alias("asks_scene"),
    )
    edges = read_table(spark, run, "neighbours").select(
        F.col("detection_id").alias("asking_id"), F.col("neighbour_id").alias("detection_id"), "cosine_similarity"
    )
    own = listed.select(F.col("product_id").alias("query_id"), "original").distinct()
    candidates = (
        edges.join(asking, "asking_id")
        .drop("asking_id")
        .join(shown, "detection_id")
        .join(embedded, "detection_id")
        .where("asks_scene or not is_room")
        .withColumn("score", likeness_score(F.col("cosine_similarity"), F.col("hubness")))
        .where((F.col("cosine_similarity") > 0) & (F.col("product_id") != F.col("query_id")))
        .join(own, ["query_id", "original"], "left_anti")
    )
    order = [F.col("query_id"), F.desc("score"), F.col("detection_id"), F.col("product_id"), F.col("uri")]
    n_partitions = max(1, -(-n_products // _PRODUCTS_PER_PARTITION))
    dealt = candidates.repartition(n_partitions, "query_id").sortWithinPartitions(*order)
    # Of few products each has all others among its edges, else edges end before its rivals do.
    answer = partial(
        _fold_products,
        k=k,
        calibration=calibration,
        floor=floor,
        are_cut_off=n_products > RIVALS,
    )
    return dealt.mapInArrow(answer, computed_schema("search_results"))


def _alike_in_facet(
    spark: SparkSession, run: Run, images: DataFrame, n_products: int, question: BatchQuestion
) -> DataFrame:
    """Hits by another facet or a mix: each photo of a product is searched with, and the best of all its hits are kept."""
    primary = read_table(spark, run, "detections").where("is_primary").select("detection_id", "image_id")
    asking = primary.join(images.select("image_id", "product_id").distinct(), "image_id")
    n_partitions = max(1, -(-n_products // _SEARCHED_PER_PARTITION))
    dealt = asking.repartition(n_partitions, "product_id").sortWithinPartitions("product_id", "detection_id")
    search = partial(_search_products, root=run.root, run_id=run.run_id, question=question)
    return dealt.mapInArrow(search, computed_schema("search_results"))


def _search_products(
    batches: Iterator[pa.RecordBatch], root: str, run_id: str, question: BatchQuestion
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([field.with_nullable(True) for field in table_schema("search_results").arrow])
    searchable = opened(root, run_id, None)
    regions = (row for batch in batches for row in batch.to_pylist())
    for product, own in groupby(regions, key=itemgetter("product_id")):
        found = [
            hit
            for row in own
            for hit in searchable.nearest(
                searchable.query_of(row["detection_id"]), question.k, question.facet, exclude_same_product=True
            )
            if hit.product_id != product
        ]
        found.sort(key=lambda hit: (-hit.cosine_similarity, hit.detection_id, hit.product_id))
        shown = searchable.regions
        originals = [int(shown.originals[shown.images[searchable.place(hit.detection_id)]]) for hit in found]
        kept = fold(((hit.product_id, original) for hit, original in zip(found, originals, strict=True)), question.k)
        hits = [hit_row(product, replace(found[place], rank=rank)) for rank, place in enumerate(kept, start=1)]
        if hits:
            yield pa.RecordBatch.from_pylist(hits, schema)


def _fold_products(
    batches: Iterator[pa.RecordBatch],
    k: int,
    calibration: Calibration | None,
    floor: Floor,
    are_cut_off: bool,
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([field.with_nullable(True) for field in table_schema("search_results").arrow])
    candidates = (row for batch in batches for row in batch.to_pylist())
    for _, group in groupby(candidates, key=itemgetter("query_id")):
        rows = list(group)
        kept = fold(((row["product_id"], row["original"]) for row in rows), max(k, RIVALS))
        chances: list[float | None] = [None] * len(kept)
        is_sure = [True] * len(kept)
        if calibration is not None:
            scores, rest = np.array([rows[place]["score"] for place in kept]), rows[-1]["score"] if are_cut_off else 0.0
            chances = calibration.chances(scores, rest).tolist()
            is_sure = (
                (scores >= calibration.least_score(scores, floor.min_confidence, rest))
                | (np.arange(len(scores)) < floor.n_unsure)
            ).tolist()
        hits = [
            {
                **rows[place],
                "rank": rank,
                "likeness_similarity": rows[place]["cosine_similarity"],
                "confidence": chance,
            }
            for rank, (place, chance, sure) in enumerate(zip(kept[:k], chances, is_sure, strict=False), start=1)
            if sure
        ]
        if hits:
            yield pa.RecordBatch.from_pylist(hits, schema)
