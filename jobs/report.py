"""Stage report: one static HTML page of what the night found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
from prodseek.jobs.partitions import deal
from prodseek.jobs.photos import base_uri, look
from prodseek.jobs.stages import STAGES
from pyspark.sql import DataFrame, Row, SparkSession, Window
from pyspark.sql import functions as F

from prodseek import __version__, files
from prodseek.config import Config
from prodseek.duplicates.verdicts import MERGING
from prodseek.images import ImageLimits, RejectReason
from prodseek.index.stored import FACET
from prodseek.report.model import (
    Copy,
    CurationGroup,
    DuplicateGroup,
    Duplicates,
    Evidence,
    FacetGroups,
    IndexQuality,
    Intake,
    Member,
    PairApart,
    Photo,
    RejectedRows,
    RejectExample,
    Report,
    RunFacts,
    StageTime,
    TableFile,
)
from prodseek.report.page import render_report
from prodseek.report.thumbnails import thumbnail
from prodseek.spark.tables import read_table
from prodseek.store import Run, Summary
from prodseek.tables import TABLES, table_schema

PAGE = "report/index.html"
_REJECT_EXAMPLES = 3
_PHOTOS_PER_PARTITION = 64
# Enough for a sharp crop of a region that fills a fifth of its photo.
_DECODE_FACTOR = 4
_UPRIGHT = "identity"
_EVIDENCE_LABELS = {
    "pdq_hamming": "PDQ bits apart",
    "orientation": "turned",
    "n_matches": "matching details",
    "structural_similarity": "structural similarity",
    "cosine_visual": "visual cosine",
    "ciede2000": "colour difference (CIEDE2000)",
}
REASON_MEANINGS = {
    RejectReason.INVALID_ROW: "The row names no photo or no product. Complete it in the catalogue.",
    RejectReason.DUPLICATE_ROW: "The same product and photo stand in an earlier row. Remove one of the two.",
    RejectReason.UNSUPPORTED_URI: "The photo lies on a kind of storage that is not read. Copy it to a disk or bucket.",
    RejectReason.MISSING: "There is no file of this name. Upload it, or correct the name.",
    RejectReason.UNREADABLE: "The file is there but cannot be read. Check its permissions and the storage.",
    RejectReason.EMPTY: "The file has no content. Upload it again.",
    RejectReason.TOO_MANY_BYTES: "The file is larger than images.max_bytes. Shrink it, or raise the limit.",
    RejectReason.NOT_AN_IMAGE: "The file is no image, whatever its name says; often an error page saved as .jpg.",
    RejectReason.UNSUPPORTED_FORMAT: "The file is an image in a format that is not read. Convert it to JPEG or PNG.",
    RejectReason.TRUNCATED: "The file ends too early; an upload broke off. Upload it again.",
    RejectReason.CORRUPT: "The file is damaged. Export it again.",
    RejectReason.TOO_SMALL: "The photo has fewer pixels a side than images.min_side_px; often a tracking pixel.",
    RejectReason.TOO_MANY_PIXELS: "The photo has more pixels than images.max_pixels. Shrink it, or raise the limit.",
    RejectReason.CHANGED: "The file was replaced while the run went on. The next run takes it.",
}

Box = tuple[float, float, float, float]
PhotoKey = tuple[str, Box | None]


def run(spark: SparkSession, config: Config, store: Run) -> Summary:
    """Choose what is shown, make its thumbnails in Spark, and write the page."""
    summaries = {name: summary for name in STAGES if (summary := store.summary(name)) is not None}
    shown = _ShownRows(spark, store, config)
    photos = _photos(spark, store, shown.wanted(), config)
    rows = {table: count for summary in summaries.values() for table, count in summary.rows.items()}
    report = Report(
        run=RunFacts(
            run_id=store.run_id,
            finished=datetime.now(UTC),
            catalogue=summaries["ingest"].facts["catalog"],
            model=summaries["embed"].facts["model_id"],
            prodseek_version=__version__,
        ),
        intake=_intake(spark, store, summaries["ingest"].facts["input_rows"], rows),
        duplicates=shown.duplicates(photos, summaries["duplicates"].facts["groups"], rows),
        curation=(shown.curation(photos, summaries["cluster"].facts),),
        index=_index_quality(summaries["index"].facts),
        stages=tuple(StageTime(name, summary.seconds) for name, summary in summaries.items()),
        tables=tuple(
            TableFile(name, rows[name], store.table_uri(name), table_schema(name).grain)
            for name in TABLES
            if name in rows
        ),
    )
    page = render_report(report)
    files.write_bytes(store.path(PAGE), page)
    return Summary("report", facts={"n_bytes": len(page)}, lines=(f"{store.path(PAGE)}, {len(page) / 1e6:.1f} MB",))


class _ShownRows:
    """The rows that the page shows, chosen and capped in Spark."""

    def __init__(self, spark: SparkSession, store: Run, config: Config) -> None:
        self._per_group = config.report.max_images_per_group
        max_groups = config.report.max_groups
        images = read_table(spark, store, "images")
        attributes = images.select(
            "product_id", "uri", "width_px", "height_px", F.col("attributes")["title"].alias("title")
        )
        pairs = read_table(spark, store, "near_duplicates")
        groups = read_table(spark, store, "duplicate_groups")
        self.n_cross_product_groups = (
            groups.groupBy("group_id").agg(F.count_distinct("product_id").alias("n")).where("n > 1").count()
        )
        largest = groups.where("is_representative").orderBy(F.desc("group_size"), "group_id").limit(max_groups)
        self.copies = _by_group(
            _first_of_each(
                groups.join(largest.select("group_id"), "group_id").join(attributes, ["product_id", "uri"]),
                ["group_id"],
                [F.desc("is_representative"), F.desc("similarity_to_representative"), F.col("uri")],
                self._per_group,
            )
        )
        self.group_order = [row["group_id"] for row in largest.collect()]
        self.evidence = self._evidence_of(pairs, [row for rows in self.copies.values() for row in rows])
        apart = pairs.where(~F.col("verdict").isin(*sorted(verdict.value for verdict in MERGING)))
        self.n_apart = apart.count()
        self.apart = _with_photos(apart.orderBy(F.desc("confidence"), "uri_a", "uri_b").limit(max_groups), attributes)
        self._choose_curation(spark, store, attributes, max_groups)

    def _choose_curation(self, spark: SparkSession, store: Run, attributes: DataFrame, max_groups: int) -> None:
        summary = read_table(spark, store, "curation_summary").where(
            (F.col("facet") == FACET) & (F.col("level") == "fine")
        )
        self.summary = summary.orderBy(F.desc("n_regions"), "group_id").limit(max_groups).collect()
        one_photo = Window.partitionBy("image_id").orderBy("product_id", "uri")
        photo = (
            read_table(spark, store, "images")
            .withColumn("place", F.row_number().over(one_photo))
            .where("place = 1")
            .select("image_id", "product_id", "uri")
            .join(attributes, ["product_id", "uri"])
        )
        members = (
            read_table(spark, store, "curation_groups")
            .where(F.col("facet") == FACET)
            .join(read_table(spark, store, "detections").drop("slice"), "detection_id")
            .join(photo, "image_id")
        )
        shown_ids = [row["group_id"] for row in self.summary]
        grouped = members.where(F.col("group_id").isin(*shown_ids)) if shown_ids else members.limit(0)
        order = [F.desc("is_exemplar"), F.desc("membership"), F.col("detection_id")]
        self.members = _by_group(_first_of_each(grouped, ["group_id"], order, self._per_group))
        odd = members.where("group_id is null").orderBy(F.desc("outlier_score"), "detection_id")
        self.odd = odd.limit(2 * self._per_group).collect()

    def wanted(self) -> set[PhotoKey]:
        """Photos, whole or cut to a region, that need a thumbnail."""
        keys: set[PhotoKey] = {(row["uri"], None) for rows in self.copies.values() for row in rows}
        keys |= {(row[f"uri_{side}"], None) for row in self.apart for side in ("a", "b")}
        regions = [row for rows in self.members.values() for row in rows] + list(self.odd)
        return keys | {(row["uri"], _box(row)) for row in regions}

    def duplicates(self, photos: dict[PhotoKey, bytes], n_groups: int, rows: dict[str, int]) -> Duplicates:
        groups = []
        for group_id in self.group_order:
            shown = [row for row in self.copies.get(group_id, []) if (row["uri"], None) in photos]
            if not shown or not shown[0]["is_representative"]:
                continue
            head, *others = shown
            copies = tuple(Copy(_photo(row, None, photos), *self._judged(head, row)) for row in others)
            groups.append(DuplicateGroup(group_id, head["group_size"], _photo(head, None, photos), copies))
        apart = [row for row in self.apart if all((row[f"uri_{side}"], None) in photos for side in ("a", "b"))]
        return Duplicates(
            n_groups=n_groups,
            n_photos=rows["duplicate_groups"],
            groups=tuple(groups),
            n_cross_product_groups=self.n_cross_product_groups,
            n_pairs_apart=self.n_apart,
            pairs_apart=tuple(
                PairApart(
                    _photo(row, None, photos, "_a"),
                    _photo(row, None, photos, "_b"),
                    row["verdict"],
                    row["confidence"],
                    _evidence(row["evidence"]),
                )
                for row in apart
            ),
        )

    def curation(self, photos: dict[PhotoKey, bytes], facts: dict[str, Any]) -> FacetGroups:
        groups = tuple(
            CurationGroup(
                row["group_id"],
                row["title"],
                row["n_regions"],
                row["n_products"],
                row["cohesion"],
                _members(filter(lambda m: m["is_exemplar"], self.members[row["group_id"]]), photos),
                _members(filter(lambda m: not m["is_exemplar"], self.members[row["group_id"]]), photos),
            )
            for row in self.summary
        )
        return FacetGroups(
            facet=FACET,
            n_groups=facts["groups"],
            n_regions=facts["grouped_regions"],
            n_ungrouped=facts["in_no_group"],
            groups=groups,
            odd_ones_out=_members(self.odd, photos),
        )

    def _evidence_of(self, pairs: DataFrame, shown: list[Row]) -> dict[frozenset[str], Row]:
        image_ids = sorted({row["image_id"] for row in shown})
        if not image_ids:
            return {}
        among = pairs.where(F.col("image_id_a").isin(*image_ids) & F.col("image_id_b").isin(*image_ids))
        return {frozenset((row["image_id_a"], row["image_id_b"])): row for row in among.collect()}

    def _judged(self, head: Row, copy: Row) -> tuple[str, float, tuple[Evidence, ...]]:
        if head["image_id"] == copy["image_id"]:
            return "identical_bytes", 1.0, ()
        pair = self.evidence[frozenset((head["image_id"], copy["image_id"]))]
        return pair["verdict"], pair["confidence"], _evidence(pair["evidence"])


def _first_of_each(rows: DataFrame, key: list[str], order: list[Any], count: int) -> DataFrame:
    place = F.row_number().over(Window.partitionBy(*key).orderBy(*order))
    return rows.withColumn("place", place).where(F.col("place") <= count)


def _by_group(rows: DataFrame) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows.orderBy("group_id", "place").collect():
        found[row["group_id"]].append(row)
    return found


def _with_photos(pairs: DataFrame, attributes: DataFrame) -> list[Row]:
    for side in ("a", "b"):
        pairs = pairs.join(
            attributes.select(*(F.col(name).alias(f"{name}_{side}") for name in attributes.columns)),
            [f"product_id_{side}", f"uri_{side}"],
        )
    return pairs.orderBy(F.desc("confidence"), "uri_a", "uri_b").collect()


def _photos(spark: SparkSession, store: Run, wanted: set[PhotoKey], config: Config) -> dict[PhotoKey, bytes]:
    rows = [(uri, None if box is None else list(box)) for uri, box in sorted(wanted, key=repr)]
    frame = spark.createDataFrame(rows, "uri string, box array<float>")
    make = partial(
        _thumbnails, folder_uri=base_uri(store), limits=config.images.limits, side_px=config.report.thumbnail_px
    )
    made = deal(frame, "uri", len(rows), _PHOTOS_PER_PARTITION).mapInArrow(
        make, "uri string, box array<float>, thumbnail binary"
    )
    return {
        (row["uri"], None if row["box"] is None else tuple(row["box"])): bytes(row["thumbnail"])
        for row in made.collect()
    }


def _thumbnails(
    batches: Iterator[pa.RecordBatch], folder_uri: str, limits: ImageLimits, side_px: int
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([("uri", pa.string()), ("box", pa.list_(pa.float32())), ("thumbnail", pa.binary())])
    for batch in batches:
        made = []
        for row in batch.to_pylist():
            image = look(row["uri"], folder_uri, limits, _DECODE_FACTOR * side_px)
            if image is None:
                continue
            size = (image.width_px, image.height_px)
            data = thumbnail(image.pixels, side_px, row["box"], "crop", photo_size_px=size)
            made.append({**row, "thumbnail": data})
        yield pa.RecordBatch.from_pylist(made, schema)


def _intake(spark: SparkSession, store: Run, n_rows_in: int, rows: dict[str, int]) -> Intake:
    rejects = read_table(spark, store, "rejects")
    counts = {row["reason"]: row["count"] for row in rejects.groupBy("reason").count().collect()}
    examples: dict[str, list[RejectExample]] = defaultdict(list)
    chosen = _first_of_each(rejects, ["reason"], [F.col("uri"), F.col("product_id")], _REJECT_EXAMPLES)
    for row in chosen.orderBy("reason", "place").collect():
        examples[row["reason"]].append(RejectExample(row["uri"] or "", row["detail"], row["product_id"] or ""))
    return Intake(
        n_rows_in=n_rows_in,
        n_images=rows["images"],
        n_distinct_images=read_table(spark, store, "images").select("image_id").distinct().count(),
        n_regions=rows["detections"],
        rejects=tuple(
            RejectedRows(reason, REASON_MEANINGS[RejectReason(reason)], count, tuple(examples[reason]))
            for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _index_quality(facts: dict[str, Any]) -> IndexQuality:
    return IndexQuality(
        facts["description"], facts["recall_k"], facts["recall"], facts["recall_target"], facts["recall_queries"]
    )


def _members(rows: Iterable[Row], photos: dict[PhotoKey, bytes]) -> tuple[Member, ...]:
    return tuple(
        Member(row["detection_id"], _photo(row, _box(row), photos), row["class_name"] or "")
        for row in rows
        if (row["uri"], _box(row)) in photos
    )


def _box(row: Row) -> Box:
    return (row["x1_px"], row["y1_px"], row["x2_px"], row["y2_px"])


def _photo(row: Row, box: Box | None, photos: dict[PhotoKey, bytes], suffix: str = "") -> Photo:
    values = [row[f"{name}{suffix}"] for name in ("image_id", "product_id", "uri", "width_px", "height_px")]
    return Photo(*values, photos[(row[f"uri{suffix}"], box)], row[f"title{suffix}"] or "")


def _evidence(evidence: Row) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(label, evidence[name])
        for name, label in _EVIDENCE_LABELS.items()
        if evidence[name] not in (None, _UPRIGHT)
    )


if __name__ == "__main__":
    from prodseek.jobs.stages import main

    main("report")
