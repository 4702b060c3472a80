"""Stage cluster: curation groups of primary regions, from the neighbour graph, named and with ids that last.

Groups are fitted on the driver, on a bounded number of regions; the votes of neighbours, and everything that is counted, are
Spark's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prodseek.jobs.index import facet_vectors
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import base_uri, look, one_photo_an_image, shrunk_box
from prodseek.jobs.vectors import batch_of, ids_of, vectors_of
from prodseek.jobs.votes import COARSE, FINE, LABELS, LEVELS, is_noise, nearest_fitted, voted_for
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.cluster.colours import dominant_colour
from prodseek.cluster.groups import NOISE, Groups, coarse_size, hdbscan_groups, knn_matrix, search_knn, umap_coordinates
from prodseek.cluster.labels import Graph, Labels, carried, nested, settled, votes
from prodseek.cluster.quality import GroupQuality, group_quality
from prodseek.cluster.stable_ids import Content, LineageRow, match_groups
from prodseek.cluster.textures import texture_word
from prodseek.cluster.titles import GroupTitle, MemberFacts, group_titles
from prodseek.config import ClusterConfig, Config
from prodseek.errors import StoreError
from prodseek.images import ImageLimits
from prodseek.index.ivf import assign_cells
from prodseek.index.shards import quantizer_from_bytes
from prodseek.index.stored import FACET, read_trained
from prodseek.spark.tables import read_table, spark_schema, write_table
from prodseek.store import Run, Store, Summary
from prodseek.tables import table_schema

# A group is named by this many of its members; the photos of some are looked at, at this size.
_NAMED_MEMBERS = 12
_LOOKED_AT_MEMBERS = 6
_LOOK_SIDE_PX = 96
_PHOTOS_PER_PARTITION = 256

GroupKey = tuple[str, int]


@dataclass(frozen=True)
class FittedRegions:
    """The regions that groups are fitted on, ordered by id. vectors: (N, d). is_sample: there are more."""

    detection_ids: NDArray[np.int64]
    product_ids: list[str]
    vectors: NDArray[np.float32]
    is_sample: bool


class _Before(NamedTuple):
    """The groups of the last night. titles: by group_id.

    regions: detection_id, image_id, group_id, coarse_group_id, nearest_group_id, membership.
    """

    regions: DataFrame
    titles: dict[str, str]
    facts: dict[str, Any]


class _Fit(NamedTuple):
    """What the groups of this night were fitted on: this one's regions, or an earlier night's."""

    recipe: dict[str, Any]
    fitted_for: int
    changed_since: int


class _Grouped(NamedTuple):
    """A facet's groups. labelled: every primary region with fine, coarse and nearest label."""

    facet: str
    labelled: DataFrame
    ids: dict[GroupKey, str]
    lineage: list[tuple[str, LineageRow]]
    titles: dict[GroupKey, GroupTitle]
    quality: dict[GroupKey, GroupQuality]
    exemplars: dict[GroupKey, list[int]]
    parents: dict[int, int]
    facts: dict[str, Any]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Group, name, compare with the last run, and write the groups, their summary and lineage."""
    regions = _standing_regions(spark, store).cache()
    grouped: list[_Grouped] = []
    for facet in config.cluster.facets:
        taken = {title.title for other in grouped for title in other.titles.values()}
        grouped.append(_group(spark, config, store, regions, facet, taken))
    rows = {
        "curation_groups": _write_groups(spark, store, grouped),
        "curation_summary": _write_summary(spark, store, grouped),
        "group_lineage": _write_lineage(spark, store, grouped),
    }
    regions.unpersist()
    for one in grouped:
        one.labelled.unpersist()
    lines = tuple(
        f"{one.facet}: {one.facts['groups']} groups in {one.facts['coarse_groups']} coarse ones, of "
        f"{one.facts['grouped_regions']} primary regions, {one.facts['in_no_group']} in none; {one.facts['how']}"
        for one in grouped
    )
    facts = {one.facet: one.facts for one in grouped}
    return Summary("cluster", rows=rows, facts={**facts[FACET], "facets": facts}, lines=lines)


def _group(
    spark: SparkSession, config: Config, store: Run, regions: DataFrame, facet: str, taken: set[str]
) -> _Grouped:
    settings = config.cluster
    fitted = _collect(spark, store, regions, facet, settings)
    graph, groups = _fit_groups(spark, config, store, fitted, facet)
    before = _before(spark, store, facet)
    fit, known = _taken_over(config, store, regions, fitted, before, facet)
    last = None if known is None else _last_labels(fitted, known)
    fine, coarse = _labels(graph, groups, last, settings)
    labelled = _label_all(
        spark, store, regions, fitted, graph, groups, fine, coarse, facet, known, config.neighbours.k
    ).cache()
    long = _by_level(labelled).cache()
    ids, lineage = _ids(long, before, facet, store.run_id, settings)
    unchanged = {row.group_id for _, row in lineage if row.is_unchanged}
    kept = {key: before.titles[name] for key, name in ids.items() if before is not None and name in unchanged}
    titles = group_titles(_member_facts(spark, store, long, config.images.limits), kept, taken)
    quality = {
        (level, label): one
        for level, labels in ((FINE, fine), (COARSE, coarse))
        for label, one in group_quality(fitted.vectors, labels, fitted.product_ids, settings.exemplars).items()
    }
    n_regions, n_in_none = (int(value) for value in labelled.select(F.count("*"), F.count_if(is_noise(FINE))).first())
    facts = {
        **fit._asdict(),
        "grouped_regions": n_regions,
        "in_no_group": n_in_none,
        "fitted_regions": len(fitted.detection_ids),
        "groups": sum(level == FINE for level, _ in ids),
        "coarse_groups": sum(level == COARSE for level, _ in ids),
        "how": "fitted" if known is None else f"carried on, {fit.changed_since} regions changed since the fit",
    }
    exemplars = {key: [int(fitted.detection_ids[row]) for row in one.exemplars] for key, one in quality.items()}
    parents = {int(a): int(b) for a, b in zip(fine, coarse, strict=True) if a != NOISE}
    long.unpersist()
    return _Grouped(facet, labelled, ids, lineage, titles, quality, exemplars, parents, facts)


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
        primary.select("detection_id", "image_id", "class_name", "area_fraction", "x1_px", "y1_px", "x2_px", "y2_px")
        .join(photos, "image_id")
        .join(copies, "image_id", "left")
        .withColumn("standing_image_id", F.coalesce("standing_image_id", "image_id"))
    )


def _collect(spark: SparkSession, store: Run, regions: DataFrame, facet: str, settings: ClusterConfig) -> FittedRegions:
    standing = regions.where("image_id = standing_image_id").select("detection_id", "product_id")
    vectors = facet_vectors(spark, store, facet)
    is_sample = standing.count() > settings.fit_rows
    chosen = _sampled(spark, store, standing, settings.fit_rows) if is_sample else standing
    table = chosen.join(vectors, "detection_id").orderBy("detection_id").toArrow()
    return FittedRegions(
        ids_of(table.column("detection_id")),
        table.column("product_id").to_pylist(),
        vectors_of(table.column("vector")),
        is_sample,
    )


def _sampled(spark: SparkSession, store: Run, standing: DataFrame, n_rows: int) -> DataFrame:
    """n_rows of the regions, stratified by the cells of the index so that rare looks survive.

    Half of the places are dealt to all cells equally, the rest in proportion to what they hold. Ids are hashes: the lowest of a
    cell are a random sample, and the same one every time.
    """
    trained, manifest = read_trained(store)
    shared = spark.sparkContext.broadcast(trained)
    cells = standing.join(facet_vectors(spark, store, FACET), "detection_id").mapInArrow(
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


def _fit_groups(
    spark: SparkSession, config: Config, store: Run, fitted: FittedRegions, facet: str
) -> tuple[Graph, Groups]:
    """The graph of the fitted regions and the groups in it.

    The stage `neighbours` made the graph of `visual`. A sample tears it: of sixteen neighbours few are in the sample. Then, and
    for other facets, the neighbours among what is fitted are searched.
    """
    n_rows, settings, k = len(fitted.detection_ids), config.cluster, config.neighbours.k + 1
    if facet == FACET and not fitted.is_sample:
        graph = _stored_graph(spark, store, fitted)
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
    return graph, hdbscan_groups(coordinates, settings.min_cluster_size, coarse, settings.min_samples)


def _stored_graph(spark: SparkSession, store: Run, fitted: FittedRegions) -> Graph:
    ids = fitted.detection_ids
    among = spark.createDataFrame(pa.table({"detection_id": ids}))
    edges = (
        read_table(spark, store, "neighbours")
        .join(among, "detection_id", "left_semi")
        .join(among.withColumnRenamed("detection_id", "neighbour_id"), "neighbour_id", "left_semi")
        .select("detection_id", "neighbour_id", "cosine_similarity")
        .orderBy("detection_id", "neighbour_id")
        .toArrow()
    )
    rows, neighbours = (np.searchsorted(ids, ids_of(edges.column(name))) for name in ("detection_id", "neighbour_id"))
    return Graph(rows, neighbours, edges.column("cosine_similarity").to_numpy(), len(ids))


def _labels(
    graph: Graph, groups: Groups, last: dict[str, Labels] | None, settings: ClusterConfig
) -> tuple[Labels, Labels]:
    """Fine and coarse labels of the fitted regions."""
    fine, coarse = groups.fine, groups.coarse
    if last is not None:
        fine = carried(last[FINE], fine, settings.min_cluster_size)
        coarse = carried(last[COARSE], coarse, settings.min_cluster_size)
    fine = settled(graph, fine)
    return fine, settled(graph, nested(fine, coarse))


def _before(spark: SparkSession, store: Run, facet: str) -> _Before | None:
    try:
        latest = Store(store.root).latest()
    except StoreError:
        return None
    summary = latest.summary("cluster")
    facts = {} if summary is None else summary.facts.get("facets", {}).get(facet)
    if not facts:
        return None
    images = read_table(spark, latest, "detections").select("detection_id", "image_id")
    regions = read_table(spark, latest, "curation_groups").where(F.col("facet") == facet).join(images, "detection_id")
    titles = read_table(spark, latest, "curation_summary").where(F.col("facet") == facet)
    return _Before(
        regions.select("detection_id", "image_id", "group_id", "coarse_group_id", "nearest_group_id", "membership"),
        {row["group_id"]: row["title"] for row in titles.select("group_id", "title").collect()},
        facts,
    )


def _taken_over(
    config: Config, store: Run, regions: DataFrame, fitted: FittedRegions, before: _Before | None, facet: str
) -> tuple[_Fit, DataFrame | None]:
    """The fit that this night's groups go back to, and the regions of the last night with their labels, if groups go on.

    A fit of the whole catalogue moves groups about that nothing happened to. So groups go on, like the projection that their
    vectors come from, until the catalogue has become another.
    """
    settings = config.cluster.model_dump(mode="json", exclude={"facets", "exemplars", "refit_change", "id_overlap"})
    projected = store.summary("project")
    projection_id = None if projected is None else projected.facts.get("projection_id")
    recipe = {**settings, "k": config.neighbours.k, "seed": config.seed, "projection_id": projection_id}
    fresh = _Fit(recipe, len(fitted.detection_ids), 0)
    if before is None or before.facts["recipe"] != recipe:
        return fresh, None
    n_new = regions.join(before.regions, "detection_id", "left_anti").count()
    n_gone = before.regions.join(regions, "detection_id", "left_anti").count()
    fit = _Fit(recipe, before.facts["fitted_for"], before.facts["changed_since"] + n_new + n_gone)
    if fit.changed_since > config.cluster.refit_change * fit.fitted_for:
        return fresh, None
    standing = regions.where("image_id = standing_image_id").select("detection_id")
    there = before.regions.join(standing, "detection_id", "left_semi").cache()
    fine = _numbered(there, "group_id", fitted, config.cluster.min_cluster_size)
    coarse = _numbered(there, "coarse_group_id", fitted, config.cluster.min_cluster_size)
    known = (
        there.join(F.broadcast(fine.withColumnRenamed("label", FINE)), "group_id", "left")
        .join(F.broadcast(coarse.withColumnRenamed("label", COARSE)), "coarse_group_id", "left")
        .join(F.broadcast(fine.toDF("nearest_group_id", "nearest")), "nearest_group_id", "left")
        .fillna(NOISE, [*LEVELS, "nearest"])
    )
    # A region whose group is no more is as good as new.
    return fit, known.where(F.col("group_id").isNull() | ~is_noise(FINE)).select(*LABELS)


def _numbered(there: DataFrame, column: str, fitted: FittedRegions, min_size: int) -> DataFrame:
    """The groups of the last night that are still large enough and have a region in this night's fit: column, label."""
    spark = there.sparkSession
    is_fitted = spark.createDataFrame(
        pa.table({"detection_id": fitted.detection_ids, "is_fitted": np.ones(len(fitted.detection_ids), bool)})
    )
    sizes = there.join(is_fitted, "detection_id", "left").where(F.col(column).isNotNull()).groupBy(column)
    alive = sizes.agg(F.count("*").alias("n"), F.count("is_fitted").alias("n_fitted"))
    rows = alive.where((F.col("n") >= min_size) & (F.col("n_fitted") > 0)).select(column).collect()
    names = sorted(row[column] for row in rows)
    return spark.createDataFrame(list(zip(names, range(len(names)), strict=True)), f"{column} string, label int")


def _last_labels(fitted: FittedRegions, known: DataFrame) -> dict[str, Labels]:
    """Each level's labels of the fitted regions where groups go on from."""
    among = known.sparkSession.createDataFrame(pa.table({"detection_id": fitted.detection_ids}))
    rows = known.join(among, "detection_id", "left_semi").select("detection_id", *LEVELS).toArrow()
    place = np.searchsorted(fitted.detection_ids, ids_of(rows.column("detection_id")))
    found = {}
    for level in LEVELS:
        found[level] = np.full(len(fitted.detection_ids), NOISE, np.int32)
        found[level][place] = rows.column(level).to_numpy()
    return found


def _label_all(
    spark: SparkSession,
    store: Run,
    regions: DataFrame,
    fitted: FittedRegions,
    graph: Graph,
    groups: Groups,
    fine: Labels,
    coarse: Labels,
    facet: str,
    known: DataFrame | None,
    k: int,
) -> DataFrame:
    """All primary regions with labels: fitted, carried on, voted for, or those of their original."""
    cast = votes(graph, fine)
    is_alone = np.bincount(graph.rows, minlength=graph.n_rows) == 0
    membership = np.where(fine == NOISE, 0.0, np.where(is_alone, 1.0, cast.own_share)).astype(np.float32)
    decided = spark.createDataFrame(
        pa.table(
            {
                "detection_id": fitted.detection_ids,
                "fine": fine,
                "coarse": coarse,
                "nearest": np.where(fine == NOISE, cast.label, NOISE),
                "membership": membership,
                "outlier_score": groups.outlier_score,
            }
        ),
        "detection_id long, fine int, coarse int, nearest int, membership float, outlier_score float",
    )
    standing = regions.where("image_id = standing_image_id").select("detection_id", "standing_image_id")
    if fitted.is_sample:
        unfitted = standing.select("detection_id").join(decided, "detection_id", "left_anti")
        edges = (
            read_table(spark, store, "neighbours")
            if facet == FACET
            else nearest_fitted(
                facet_vectors(spark, store, facet).join(unfitted, "detection_id", "left_semi"),
                fitted.detection_ids,
                fitted.vectors,
                k,
            )
        )
        parents = sorted({(int(a), int(b)) for a, b in zip(fine, coarse, strict=True) if a != NOISE})
        decided = decided.unionByName(voted_for(spark, edges, unfitted, decided, known, parents))
    of_image = standing.join(decided, "detection_id").drop("detection_id")
    return regions.join(of_image, "standing_image_id")


def _by_level(labelled: DataFrame) -> DataFrame:
    """Every region in a group, once for each level: level, label."""
    levels = [labelled.withColumns({"level": F.lit(level), "label": F.col(level)}) for level in LEVELS]
    return reduce(DataFrame.unionByName, levels).where(~is_noise("label"))


def _ids(
    long: DataFrame, before: _Before | None, facet: str, run_id: str, settings: ClusterConfig
) -> tuple[dict[GroupKey, str], list[tuple[str, LineageRow]]]:
    current: dict[str, dict[int, Content]] = {level: {} for level in LEVELS}
    for row in long.groupBy("level", "label").agg(F.count("*").alias("n"), F.min("image_id").alias("first")).collect():
        current[row["level"]][row["label"]] = Content(row["n"], row["first"])
    previous: dict[str, dict[str, int]] = {level: {} for level in LEVELS}
    shared: dict[str, dict[tuple[int, str], int]] = {level: {} for level in LEVELS}
    if before is not None:
        columns = ((FINE, "group_id"), (COARSE, "coarse_group_id"))
        was = reduce(
            DataFrame.unionByName,
            [
                before.regions.select(F.lit(level).alias("level"), "image_id", F.col(name).alias("was"))
                for level, name in columns
            ],
        ).where("was is not null")
        for row in was.groupBy("level", "was").count().collect():
            previous[row["level"]][row["was"]] = row["count"]
        both = long.select("level", "label", "image_id").join(was, ["level", "image_id"])
        for row in both.groupBy("level", "label", "was").count().collect():
            shared[row["level"]][row["label"], row["was"]] = row["count"]
    ids: dict[GroupKey, str] = {}
    lineage: list[tuple[str, LineageRow]] = []
    for level in LEVELS:
        matched, rows = match_groups(
            current[level], previous[level], shared[level], f"{facet}-{level}", run_id, settings.id_overlap
        )
        ids |= {(level, label): name for label, name in matched.items()}
        lineage += [(level, row) for row in rows]
    return ids, lineage


def _member_facts(
    spark: SparkSession, store: Run, long: DataFrame, limits: ImageLimits
) -> dict[GroupKey, list[MemberFacts]]:
    """Class, category, title, colour, texture and size of a few members of every group."""
    first = Window.partitionBy("level", "label").orderBy("detection_id")
    members = long.withColumn("place", F.row_number().over(first)).where(F.col("place") <= _NAMED_MEMBERS).cache()
    best = Window.partitionBy("image_id").orderBy(F.desc("score"), "detection_id")
    detected = (
        read_table(spark, store, "detections")
        .where("kind = 'detection'")
        .withColumn("place", F.row_number().over(best))
        .where("place = 1")
        .select("image_id", F.col("class_name").alias("detected"))
    )
    see = partial(_looks, folder_uri=base_uri(store), limits=limits)
    columns = ["detection_id", "uri", "x1_px", "y1_px", "x2_px", "y2_px"]
    looked_at = members.where(F.col("place") <= _LOOKED_AT_MEMBERS).select(*columns).distinct()
    dealt = deal(looked_at, "detection_id", looked_at.count(), _PHOTOS_PER_PARTITION)
    looks = {
        row["detection_id"]: (tuple(row["rgb"]), row["texture"])
        for row in dealt.mapInArrow(see, "detection_id long, rgb array<int>, texture string").collect()
    }
    facts: dict[GroupKey, list[MemberFacts]] = defaultdict(list)
    described = members.join(detected, "image_id", "left").select(
        "level",
        "label",
        "detection_id",
        "area_fraction",
        F.coalesce("class_name", "detected").alias("class_name"),
        F.col("attributes")["category"].alias("category"),
        F.col("attributes")["title"].alias("title"),
    )
    for row in described.orderBy("level", "label", "detection_id").collect():
        rgb, texture = looks.get(row["detection_id"], (None, None))
        facts[row["level"], row["label"]].append(
            MemberFacts(row["class_name"], rgb, row["category"], row["title"], texture, row["area_fraction"])
        )
    members.unpersist()
    return facts


def _looks(batches: Iterator[pa.RecordBatch], folder_uri: str, limits: ImageLimits) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("detection_id", pa.int64()), ("rgb", pa.list_(pa.int32())), ("texture", pa.string())])
    for batch in batches:
        seen = []
        for row in batch.to_pylist():
            image = look(row["uri"], folder_uri, limits, _LOOK_SIDE_PX)
            if image is not None:
                x1, y1, x2, y2 = shrunk_box(image, (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"]))
                box = image.pixels[y1:y2, x1:x2]
                rgb = list(dominant_colour(box))
                seen.append({"detection_id": row["detection_id"], "rgb": rgb, "texture": texture_word(box)})
        yield pa.RecordBatch.from_pylist(seen, schema)


def _write_groups(spark: SparkSession, store: Run, grouped: list[_Grouped]) -> int:
    frames = []
    for one in grouped:
        named = {level: [(label, name) for (at, label), name in one.ids.items() if at == level] for level in LEVELS}
        fine = spark.createDataFrame(named[FINE], "fine int, group_id string")
        coarse = spark.createDataFrame(named[COARSE], "coarse int, coarse_group_id string")
        nearest = fine.select(F.col("fine").alias("nearest"), F.col("group_id").alias("nearest_group_id"))
        marked = [(row, True) for (level, _), rows in one.exemplars.items() if level == FINE for row in rows]
        exemplars = spark.createDataFrame(marked, "detection_id long, is_exemplar boolean")
        frames.append(
            one.labelled.join(F.broadcast(fine), "fine", "left")
            .join(F.broadcast(coarse), "coarse", "left")
            .join(F.broadcast(nearest), "nearest", "left")
            .join(F.broadcast(exemplars), "detection_id", "left")
            .withColumn("is_exemplar", F.coalesce("is_exemplar", F.lit(False)))
            .withColumn("facet", F.lit(one.facet))
            .select(*table_schema("curation_groups").column_names)
        )
    return write_table(reduce(DataFrame.unionByName, frames), store, "curation_groups")


def _write_summary(spark: SparkSession, store: Run, grouped: list[_Grouped]) -> int:
    rows = []
    for one in grouped:
        counted = _by_level(one.labelled).groupBy("level", "label")
        sizes = counted.agg(F.count("*").alias("regions"), F.count_distinct("product_id").alias("products")).collect()
        categories = _largest_categories(_by_level(one.labelled))
        for row in sorted(sizes):
            key = (row["level"], row["label"])
            is_fine = row["level"] == FINE
            category, share = categories.get(key, (None, None))
            rows.append(
                {
                    "facet": one.facet,
                    "level": row["level"],
                    "group_id": one.ids[key],
                    "coarse_group_id": one.ids[COARSE, one.parents[row["label"]]] if is_fine else None,
                    "title": one.titles[key].title,
                    "n_regions": row["regions"],
                    "n_products": row["products"],
                    "cohesion": one.quality[key].cohesion,
                    "separation": one.quality[key].separation,
                    "category": category,
                    "category_share": share,
                    "dominant_class": one.titles[key].dominant_class,
                    "dominant_colour": one.titles[key].dominant_colour,
                    "exemplar_ids": one.exemplars[key],
                }
            )
    schema = spark_schema("curation_summary")
    values = [tuple(row[name] for name in schema.names) for row in rows]
    return write_table(spark.createDataFrame(values, schema), store, "curation_summary")


def _largest_categories(long: DataFrame) -> dict[GroupKey, tuple[str, float]]:
    """The most frequent category of each group that has one, and its share of those that have one."""
    category = F.col("attributes")["category"].alias("category")
    counts = (
        long.select("level", "label", category).where("category <> ''").groupBy("level", "label", "category").count()
    )
    of_group = Window.partitionBy("level", "label")
    ranked = counts.withColumn("n", F.sum("count").over(of_group)).withColumn(
        "place", F.row_number().over(of_group.orderBy(F.desc("count"), "category"))
    )
    return {
        (row["level"], row["label"]): (row["category"], row["count"] / row["n"])
        for row in ranked.where("place = 1").collect()
    }


def _write_lineage(spark: SparkSession, store: Run, grouped: list[_Grouped]) -> int:
    rows = [
        (one.facet, level, row.group_id, row.previous_group_id, row.event, row.overlap)
        for one in grouped
        for level, row in one.lineage
    ]
    return write_table(spark.createDataFrame(rows, spark_schema("group_lineage")), store, "group_lineage")


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("cluster")
