"""Stage duplicates: candidate pairs, a verdict on each from the pixels, groups of copies.

Candidates share their pixels, nearly their PDQ hash, codes of local features, or a likeness of regions. Features and verdicts are
kept from night to night: photos are looked at when they are new, and pairs when one of the two is.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.config import Config, DuplicatesConfig
from prodseek.duplicates.grouping import GroupRow, Photo, VerifiedPair, group_duplicates, missing_pairs
from prodseek.duplicates.hashes import Orientation, hashes_from_hex, pdq_pairs
from prodseek.duplicates.verdicts import MERGING, Verdict
from prodseek.errors import StoreError
from prodseek.runs.store import Run, Store, Summary
from prodseek.runs.tables import table_schema
from prodseek.spark.duplicates.local_features import KeptFeatures, kept_features, pairs_sharing_codes
from prodseek.spark.duplicates.pair_verdicts import SIDES, Judges
from prodseek.spark.photos import WorkingPhotos, one_photo_an_image, photos_of
from prodseek.spark.tables import local_frame, read_table, spark_schema, write_table

_PAIRS = "image_id_a string, image_id_b string"


def run(spark: SparkSession, config: Config, run: Run) -> Summary:
    """Find, verify and group copies of photos."""
    settings = config.duplicates
    photos = one_photo_an_image(spark, run).cache()
    n_photos = photos.count()
    read = WorkingPhotos(photos_of(config, run))
    kept = kept_features(spark, run, photos, n_photos, read, settings.photos_per_partition)
    _refuse_failing_storage(config, kept.n_unread, n_photos)
    candidates = _candidates(spark, run, photos, n_photos, kept, settings).cache()
    judges = Judges(spark, run, settings, photos, kept, read)
    judged, n_looked_at = judges.judge(candidates)
    judged = judged.cache()
    same_bytes = _identical_bytes(spark, run)
    members, pairs = _members_and_pairs(spark, run, judged, same_bytes, settings)
    missing = missing_pairs(members, pairs, settings.representative)
    if missing:
        image_ids = {photo.key: photo.image_id for photo in members}
        wanted = sorted({tuple(sorted((image_ids[a], image_ids[b]))) for a, b in missing})
        second, n_more = judges.judge(local_frame(spark, wanted, _PAIRS))
        n_looked_at += n_more
        judged = judged.unionByName(second).dropDuplicates(["image_id_a", "image_id_b"]).cache()
        members, pairs = _members_and_pairs(spark, run, judged, same_bytes, settings)
    groups = group_duplicates(members, pairs, settings.representative)
    columns = table_schema("near_duplicates").column_names
    counts = {
        "near_duplicates": write_table(
            judged.select(*columns).unionByName(same_bytes.select(*columns)), run, "near_duplicates"
        ),
        "duplicate_groups": _write_groups(spark, run, members, groups),
    }
    n_groups = len({row.group_id for row in groups})
    n_candidates = candidates.count() + len(missing)
    facts = {
        "candidates": n_candidates,
        "pairs_looked_at": n_looked_at,
        "photos_looked_at": kept.n_fresh,
        "photos_unread": kept.n_unread,
        "pairs_judged_copies": judged.count(),
        "pairs_kept_apart": judged.where(~is_merging("verdict")).count(),
        "groups": n_groups,
        "caches": [kept.cache, judges.cache],
    }
    line = (
        f"{n_candidates} candidate pairs, {n_looked_at} of them new; {counts['near_duplicates']} verified, "
        f"{n_groups} groups of {len(groups)} photos"
    )
    lines = [line, *_why_anew(run, facts["caches"])]
    if kept.n_unread:
        lines.append(f"{kept.n_unread} photos could no longer be read: only their hashes and regions were compared")
    return Summary("duplicates", rows=counts, facts=facts, lines=tuple(lines))


def _refuse_failing_storage(config: Config, n_unread: int, n_photos: int) -> None:
    """Stop a night whose photos went away while it ran, before what it did not see is taken for no copy."""
    limit = config.gates.max_reject_share
    if limit is not None and n_unread > limit * n_photos:
        raise StoreError(
            f"{n_unread} of {n_photos} photos can no longer be read, more than gates.max_reject_share = {limit:g} allows; their "
            "storage seems to fail. Start the same command again when it works"
        )


def _why_anew(run: Run, caches: list[tuple[str, str]]) -> tuple[str, ...]:
    """Why photos or pairs of the last run were looked at again, if that is so."""
    before = Store(run.root).before(run)
    summary = None if before is None else before.summary("duplicates")
    if before is None or summary is None:
        return ()
    known = {tuple(cache) for cache in summary.facts.get("caches", ())}
    reasons = {
        "local_features": "local features are made anew, for OpenCV, the code or the length that the catalogue's size asks for",
        "pair_verdicts": "pairs are judged anew, for OpenCV, the code, the confidence model or duplicates.max_pdq_hamming",
    }
    return tuple(
        f"{reasons[kind]} has changed since run {before.run_id}" for kind, key in caches if (kind, key) not in known
    )


def is_merging(column: str) -> Column:
    """Whether a column of verdicts says: copies of one photo, which make a group."""
    return F.col(column).isin(*sorted(verdict.value for verdict in MERGING))


def _candidates(
    spark: SparkSession, run: Run, photos: DataFrame, n_photos: int, kept: KeptFeatures, settings: DuplicatesConfig
) -> DataFrame:
    """Pairs of different images that may be copies."""
    by_pixels = _with_first(photos, "pixel_hash", ["image_id"])
    found = by_pixels.select(F.col("first.image_id").alias("image_id_a"), F.col("image_id").alias("image_id_b"))
    by_codes = pairs_sharing_codes(kept.codes(photos), photos, n_photos, settings.max_code_partners)
    for more in (
        _near_hashes(spark, photos, settings.max_pdq_hamming),
        _near_regions(spark, run, settings),
        _in_order(by_codes),
    ):
        found = found.unionByName(more)
    return found.distinct()


def _near_hashes(spark: SparkSession, photos: DataFrame, max_hamming: int) -> DataFrame:
    hashed = photos.select("image_id", "pdq_hash").orderBy("image_id").toArrow()
    image_ids = hashed.column("image_id").to_pylist()
    near = pdq_pairs(hashes_from_hex(hashed.column("pdq_hash").to_pylist()), max_hamming)
    rows = [(image_ids[a], image_ids[b]) for a, b in zip(near.row_a.tolist(), near.row_b.tolist(), strict=True)]
    return local_frame(spark, rows, _PAIRS)


def _near_regions(spark: SparkSession, run: Run, settings: DuplicatesConfig) -> DataFrame:
    """The images that the nearest neighbours of each image's primary region and whole frame lie in.

    Objects within scenes are left to the codes, which find more of them among fewer pairs.
    """
    regions = read_table(spark, run, "detections").where("is_primary or kind = 'frame'")
    of_a = regions.select("detection_id", F.col("image_id").alias("left"))
    of_b = regions.select(F.col("detection_id").alias("neighbour_id"), F.col("image_id").alias("right"))
    nearest = Window.partitionBy("left").orderBy(F.desc("cosine_similarity"), "right")
    alike = (
        read_table(spark, run, "neighbours")
        .where(F.col("cosine_similarity") >= settings.min_cosine)
        .join(of_a, "detection_id")
        .join(of_b, "neighbour_id")
        .where("left <> right")
        .groupBy("left", "right")
        .agg(F.max("cosine_similarity").alias("cosine_similarity"))
        .withColumn("place", F.row_number().over(nearest))
        .where(F.col("place") <= settings.max_neighbours)
    )
    return _in_order(alike)


def _in_order(pairs: DataFrame) -> DataFrame:
    ordered = (F.least("left", "right").alias("image_id_a"), F.greatest("left", "right").alias("image_id_b"))
    return pairs.select(*ordered)


def _with_first(rows: DataFrame, key: str, order: list[str]) -> DataFrame:
    """Every row but the first of those that share `key`, with that first row as `first`."""
    same = Window.partitionBy(key).orderBy(*order)
    first = F.first(F.struct(*(name for name in rows.columns if name != "attributes"))).over(same)
    return rows.withColumn("first", first).withColumn("place", F.row_number().over(same)).where("place > 1")


def _identical_bytes(spark: SparkSession, run: Run) -> DataFrame:
    """Rows that share their bytes, each paired with the first: linear, however many there are."""
    rows = _with_first(read_table(spark, run, "images"), "image_id", ["product_id", "uri"])
    nothing = F.lit(None)
    fields = spark_schema("near_duplicates")["evidence"].dataType.fields
    measured = {"pdq_hamming": F.lit(0), "orientation": F.lit(Orientation.IDENTITY.value)}
    evidence = F.struct(*(measured.get(f.name, nothing).cast(f.dataType).alias(f.name) for f in fields))
    zero, width, height = (F.col(name).cast("float") for name in ("zero_px", "width_px", "height_px"))
    corners = {"x1": zero, "y1": zero, "x2": width, "y2": height}
    return rows.withColumn("zero_px", F.lit(0.0)).select(
        F.col("image_id").alias("image_id_a"),
        F.col("image_id").alias("image_id_b"),
        F.col("first.product_id").alias("product_id_a"),
        F.col("first.uri").alias("uri_a"),
        F.col("product_id").alias("product_id_b"),
        F.col("uri").alias("uri_b"),
        F.lit(Verdict.IDENTICAL_BYTES.value).alias("verdict"),
        F.lit(1.0).cast("float").alias("confidence"),
        evidence.alias("evidence"),
        *(value.alias(f"{corner}_{side}_px") for side in SIDES for corner, value in corners.items()),
    )


def _members_and_pairs(
    spark: SparkSession, run: Run, judged: DataFrame, same_bytes: DataFrame, settings: DuplicatesConfig
) -> tuple[list[Photo], list[VerifiedPair]]:
    """The photos that have a copy, and the pairs among them; only these come to the driver."""
    merging = judged.where(is_merging("verdict") & (F.col("confidence") >= settings.merge_confidence))
    image_ids = (
        merging.select(F.col("image_id_a").alias("image_id"))
        .union(merging.select("image_id_b"))
        .union(same_bytes.select("image_id_a"))
        .distinct()
    )
    rows = read_table(spark, run, "images").join(image_ids, "image_id", "left_semi").collect()
    photos = [
        Photo(
            _key(row["product_id"], row["uri"]),
            row["image_id"],
            row["width_px"],
            row["height_px"],
            row["n_bytes"],
            row["attributes"].get(settings.age_column, ""),
        )
        for row in rows
    ]
    pairs = []
    for row in merging.orderBy("image_id_a", "image_id_b").collect():
        keys = {side: _key(row[f"product_id_{side}"], row[f"uri_{side}"]) for side in SIDES}
        verdict = Verdict(row["verdict"])
        overlaid_key = keys.get(row["overlaid_side"]) if verdict == Verdict.OVERLAID else None
        pairs.append(VerifiedPair(keys["a"], keys["b"], verdict, row["confidence"], overlaid_key))
    return sorted(photos, key=lambda photo: photo.key), pairs


def _key(product_id: str, uri: str) -> str:
    return f"{product_id}\x1f{uri}"


def _write_groups(spark: SparkSession, run: Run, members: list[Photo], groups: list[GroupRow]) -> int:
    image_ids = {photo.key: photo.image_id for photo in members}
    rows = [
        (
            group.group_id,
            image_ids[group.key],
            *group.key.split("\x1f", 1),
            group.is_representative,
            group.group_size,
            group.similarity_to_representative,
        )
        for group in groups
    ]
    return write_table(local_frame(spark, rows, spark_schema("duplicate_groups")), run, "duplicate_groups")


if __name__ == "__main__":
    from prodseek.runner.start import main

    main("duplicates")
