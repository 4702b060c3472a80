"""What curation groups are named after: what the catalogue says of all members, what was detected, outlines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from prodseek.cluster.group_facts import GroupFacts, Look
from prodseek.cluster.groups import GroupKey
from prodseek.cluster.named_columns import NamedColumns, named_columns
from prodseek.cluster.nouns import EVERYWHERE, Phrase
from prodseek.cluster.words import NAME, TITLE, said_of, storage_folders
from prodseek.spark.night import Night

# A phrase is weighed if it is said of at least this share of a group; of each kind so many at most, what all others say too last.
_WEIGHED_SHARE = 0.1
_WEIGHED_PHRASES = 12
# What products of a group share may be chance up to so many standard deviations of what chance gives.
_SURE_DEVIATIONS = 2.0
# A folder such as `Home` that this share of the catalogue lies in says where its photos are stored.
_NEARLY_ALL = 0.9
# A detection counts from this score on, and if it fills at least this share of the region that stands for the photo: a chair
# in a corner of a room is not what the photo is of.
_SURE_SCORE = 0.5
_SURE_SHARE = 0.5
# A region is tall if it is this many times as high as wide, and wide the other way round.
_ELONGATED = 1.5
# It is small or large if it fills less or more than these shares of its photo.
_SMALL_AREA, _LARGE_AREA = 0.15, 0.7
# Of a thing itself `large` would be understood.
_SIZES = {"small": "small in the photo", "large": "filling the photo"}

_SAID = "detection_id long, said_in string, key string, text string, is_leaf boolean, is_root boolean, place int"
_GROUP = ("level", "label")
_PHRASE = (*_GROUP, "said_in", "key")


@dataclass(frozen=True)
class CatalogueWords:
    """What the catalogue says of each primary region, and the columns that it comes from.

    said: detection_id and a `Said`, a row for each.
    """

    said: DataFrame
    columns: NamedColumns


def catalogue_words(regions: DataFrame, given: Collection[str]) -> CatalogueWords:
    """What is said of primary regions, all of them, in titles, categories, folders and names. given: as for `named_columns`."""
    values = regions.select(F.explode("attributes").alias("name", "value"))
    said_of_names = values.groupBy("name").agg(F.count_if(F.col("value").rlike(r"\p{L}")).alias("n")).collect()
    columns = named_columns({row["name"]: row["n"] for row in said_of_names}, given)
    asked = regions.select(
        "detection_id",
        attribute(columns.category).alias("category"),
        attribute(columns.title).alias("title"),
        attribute(columns.colour).alias("colour"),
        "uri",
        "product_id",
    )
    said = partial(_said, shared_folders=_shared_folders(regions))
    return CatalogueWords(asked.mapInArrow(said, _SAID), columns)


def _shared_folders(regions: DataFrame) -> frozenset[str]:
    counts = regions.select("uri").mapInArrow(_storage_folders, "folder string, n long")
    rows = counts.groupBy("folder").agg(F.sum("n").alias("n")).collect()
    n_all = regions.count() if rows else 0
    return frozenset(row["folder"] for row in rows if row["n"] >= _NEARLY_ALL * n_all)


def _storage_folders(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    counts: Counter[str] = Counter()
    for batch in batches:
        for uri in batch.column("uri").to_pylist():
            counts.update(storage_folders(uri))
    columns = {"folder": pa.array(list(counts), pa.string()), "n": pa.array(list(counts.values()), pa.int64())}
    yield pa.RecordBatch.from_pydict(columns)


def attribute(column: str | None) -> Column:
    """A column of the catalogue, null where it is not known."""
    return F.lit(None).cast("string") if column is None else F.col("attributes")[column]


def _said(batches: Iterator[pa.RecordBatch], shared_folders: Set[str]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema(
        [
            ("detection_id", pa.int64()),
            *((name, pa.string()) for name in ("said_in", "key", "text")),
            *((name, pa.bool_()) for name in ("is_leaf", "is_root")),
            ("place", pa.int32()),
        ]
    )
    for batch in batches:
        rows = [
            {"detection_id": row["detection_id"], **said._asdict()}
            for row in batch.to_pylist()
            for said in said_of(
                row["category"], row["title"], row["uri"], row["product_id"], shared_folders, row["colour"]
            )
        ]
        yield pa.RecordBatch.from_pylist(rows, schema)


def group_facts(
    night: Night, in_groups: DataFrame, words: CatalogueWords, looks: Mapping[GroupKey, Sequence[Look]]
) -> dict[GroupKey, GroupFacts]:
    """What titles are made from, for every group. in_groups: as `in_groups_by_level` gives it. looks: of a few members."""
    phrases = _phrases(in_groups, words.said)
    classes = _classes(night, in_groups)
    width, height = F.col("x2_px") - F.col("x1_px"), F.col("y2_px") - F.col("y1_px")
    counted = in_groups.groupBy(*_GROUP).agg(
        F.count("*").alias("n"),
        F.count_if(height >= _ELONGATED * width).alias("tall"),
        F.count_if(width >= _ELONGATED * height).alias("wide"),
        F.count_if(F.col("area_fraction") < _SMALL_AREA).alias("small"),
        F.count_if(F.col("area_fraction") > _LARGE_AREA).alias("large"),
    )
    facts = {}
    for row in counted.collect():
        key = row["level"], row["label"]
        facts[key] = GroupFacts(
            n_members=row["n"],
            phrases=tuple(phrases[key]),
            classes=classes[key],
            shapes={name: row[name] for name in ("tall", "wide") if row[name]},
            sizes={said: row[name] for name, said in _SIZES.items() if row[name]},
            looks=tuple(looks.get(key, ())),
        )
    return facts


def _phrases(in_groups: DataFrame, said: DataFrame) -> dict[GroupKey, list[Phrase]]:
    """The phrases that are said of many members of a group.

    Of members photos are counted, of what members share products: two photos of one share all that is said of it.
    """
    of_key = said.groupBy("said_in", "key", "text").count()
    # Of several ways to write it, what most of the catalogue has, else the one with the fewest capitals.
    texts = of_key.groupBy("said_in", "key").agg(F.max_by("text", F.struct("count", "text")).alias("text"))
    sizes = in_groups.groupBy(*_GROUP).agg(F.count("*").alias("size"), F.count_distinct("product_id").alias("products"))
    sizes = sizes.withColumn("size_of_level", F.sum("size").over(Window.partitionBy("level")))
    of_members = in_groups.select(*_GROUP, "detection_id", "product_id").join(said, "detection_id")
    saying = of_members.groupBy(*_GROUP, "said_in").agg(F.count_distinct("detection_id").alias("n_saying"))
    counts = (
        of_members.groupBy(*_PHRASE)
        .agg(
            F.count("*").alias("n"),
            F.count_distinct("product_id").alias("n_products"),
            F.count_if("is_leaf").alias("n_leaf"),
            F.count_if("is_root").alias("n_root"),
            F.avg("place").alias("place"),
        )
        .join(saying, [*_GROUP, "said_in"])
        .join(F.broadcast(sizes), list(_GROUP))
    )
    of_phrase = Window.partitionBy("level", "said_in", "key")
    n_others = F.col("size_of_level") - F.col("size")
    is_everywhere = F.col("n_all") - F.col("n") > EVERYWHERE * n_others
    of_kind = Window.partitionBy(*_GROUP, "said_in").orderBy(is_everywhere, F.desc("n"), "key")
    weighed = (
        _with_consistency(counts, sizes)
        .withColumns({"n_all": F.sum("n").over(of_phrase), "products_all": F.sum("n_products").over(of_phrase)})
        .where(F.col("n") >= _WEIGHED_SHARE * F.col("size"))
        .withColumn("rank", F.row_number().over(of_kind))
        .where(F.col("rank") <= _WEIGHED_PHRASES)
        .cache()
    )
    best = F.max_by("key", F.struct(F.col("products_all") * F.col("consistency"), "key"))
    of_words = weighed.where(F.col("said_in").isin(TITLE, NAME)).select(*_PHRASE, "products_all", "consistency")
    as_best = (
        of_members.join(of_words, list(_PHRASE))
        .groupBy(*_GROUP, "said_in", "detection_id")
        .agg(best.alias("key"))
        .groupBy(*_PHRASE)
        .agg(F.count("*").alias("n_best"))
    )
    named = weighed.join(as_best, list(_PHRASE), "left").join(texts, ["said_in", "key"])
    rows = named.orderBy(*_GROUP, "said_in", "rank").collect()
    weighed.unpersist()
    found: dict[GroupKey, list[Phrase]] = defaultdict(list)
    for row in rows:
        others = row["size_of_level"] - row["size"]
        found[row["level"], row["label"]].append(
            Phrase(
                said_in=row["said_in"],
                text=row["text"],
                n_members=row["n"],
                n_leaf=row["n_best"] or row["n_leaf"],
                n_root=row["n_root"],
                place=row["place"],
                n_everywhere=row["products_all"],
                others_share=(row["n_all"] - row["n"]) / others if others else 0.0,
                consistency=row["consistency"],
                n_saying=row["n_saying"],
            )
        )
    return found


def _with_consistency(counts: DataFrame, sizes: DataFrame) -> DataFrame:
    """Add the consistency of each phrase at its level; of the other level where it may be chance at its own, else 0.

    counts: level, said_in, key, n_products and products, a row for each phrase of a group. sizes: products of each group.
    """
    size = F.col("products")
    several = size > 1  # products share nothing in a group of one
    spread = F.sqrt(F.sum(2 * size / (size - 1))) / F.sum(size)
    # What chance alone gives, if products are dealt to the groups: pairs of them are all but independent then.
    dealt = sizes.where(several).groupBy("level").agg(F.sum(size).alias("dealt"), spread.alias("deviation"))
    of_phrase, of_levels = Window.partitionBy("level", "said_in", "key"), Window.partitionBy("said_in", "key")
    saying = F.sum(F.when(several, F.col("n_products"))).over(of_phrase)
    pairs = F.col("n_products") * (F.col("n_products") - 1) / (size - 1)
    by_chance = saying / F.col("dealt")
    above_chance = (F.sum(F.when(several, pairs)).over(of_phrase) / saying - by_chance) / (1 - by_chance)
    # Rounded, because the order in which a sum is made shows in its last digit.
    found = F.when(by_chance < 1, F.round(above_chance, 6))
    return (
        counts.join(F.broadcast(dealt), "level", "left")
        .withColumn("consistency", F.when(found >= _SURE_DEVIATIONS * F.col("deviation"), found))
        .withColumn("consistency", F.coalesce("consistency", F.max("consistency").over(of_levels), F.lit(0.0)))
        .drop("dealt", "deviation")
    )


def _classes(night: Night, in_groups: DataFrame) -> dict[GroupKey, dict[str, int]]:
    """The classes of which the network is sure, and of how many members, by group."""
    surest = F.max_by(F.struct("class_name", "area_fraction"), F.struct("score", "detection_id"))
    detected = (
        night.table("detections")
        .where((F.col("kind") == "detection") & (F.col("score") >= _SURE_SCORE))
        .groupBy("image_id")
        .agg(surest.alias("detected"))
    )
    sure = in_groups.join(detected, "image_id").where(
        F.col("detected.area_fraction") >= _SURE_SHARE * F.col("area_fraction")
    )
    found: dict[GroupKey, dict[str, int]] = defaultdict(dict)
    for row in sure.groupBy(*_GROUP, F.col("detected.class_name").alias("class_name")).count().collect():
        found[row["level"], row["label"]][row["class_name"]] = row["count"]
    return found
