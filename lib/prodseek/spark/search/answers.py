"""A table of prompts, answered in Spark's tasks from a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from prodseek.catalogue.column_names import match
from prodseek.catalogue.columns import every_column
from prodseek.catalogue.manifests import FAULT, find_catalogue
from prodseek.catalogue.photo_rows import RowRules
from prodseek.catalogue.text_manifest import text_tables
from prodseek.config import load_config
from prodseek.errors import PromptError, ReconciliationError
from prodseek.runs.columns import BOX_PX, LIKENESS
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import table_schema
from prodseek.search.hits import Hit, nothing_found
from prodseek.search.likeness import Likeness
from prodseek.search.prompts import Box, PromptFault, check_box, parse_box
from prodseek.search.run_settings import config_of, settings_of
from prodseek.search.searchable import DEFAULT_K, Photo, SearchableRun
from prodseek.spark.catalogue.manifest_rows import text_rows
from prodseek.spark.catalogue.reading_tallies import ReadingTallies
from prodseek.spark.gpus import task_profile
from prodseek.spark.partitions import deal
from prodseek.spark.search.summary import BatchSummary
from prodseek.spark.shipped_detector import arrived, ship
from prodseek.spark.tables import computed_schema, write_table_at
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.settings import DetectorSettings

_WORK = "_work"
_PROMPTS_PER_PARTITION = 256
_READ_THREADS = 2

_ASKED = ("asked_uri", "asked_box", "asked_region", "reason", "detail")
_ANSWERS = computed_schema("search_results", *_ASKED)
_ANSWERS_ARROW = pa.schema(
    [
        *(field.with_nullable(True) for field in table_schema("search_results").arrow),
        *(pa.field(name, pa.string()) for name in _ASKED),
    ]
)

Row = dict[str, Any]


@dataclass(frozen=True)
class BatchQuestion:
    """What is asked of every prompt, see `SearchableRun.search`."""

    k: int = DEFAULT_K
    facet: str = LIKENESS
    exclude_same_product: bool = False
    min_confidence: float | None = None


def answer_prompts(
    spark: SparkSession,
    run: Run,
    prompts: str,
    out: str,
    question: BatchQuestion,
    allowed_roots: tuple[str, ...] = (),
) -> BatchSummary:
    """Answer every prompt, or say in `rejected_prompts` why not.

    prompts: CSV or Parquet with uri and x1_px, y1_px, x2_px, y2_px, or detection_id; query_id where the rows have names.
    A relative uri starts from the catalogue's folder, as in `images`. allowed_roots: where photos may lie beside those that
    the run's catalogue could name. Raises PromptError for a file that is no such table.
    """
    tallies = ReadingTallies.of(spark)
    given = read_prompts(spark, prompts, tallies)
    n_prompts = given.count()
    tallies.refuse_damage()
    settings = None
    if not given.where("uri is not null").isEmpty():
        manifest = run.manifest()
        torch_threads = config_of(run, manifest).embed.torch_threads
        settings = replace(ship(spark, settings_of(run, manifest)), torch_threads=torch_threads)
    answer = partial(
        _answer,
        root=run.root,
        run_id=run.run_id,
        settings=settings,
        question=question,
        allowed_roots=allowed_roots,
    )
    # Prompts of one photo lie together: it is read once, and passes the network once.
    keyed = given.withColumn("key", F.coalesce("uri", "detection_id", F.lit("")))
    work = files.join(out, _WORK)
    dealt = deal(keyed, "key", n_prompts, _PROMPTS_PER_PARTITION)
    profile = None if settings is None else task_profile(spark)
    dealt.mapInArrow(answer, _ANSWERS, profile=profile).write.mode("overwrite").parquet(files.spark_uri(work))
    answers = spark.read.schema(_ANSWERS).parquet(files.spark_uri(work))
    rejected = answers.where("reason is not null").select(
        "query_id",
        F.col("asked_uri").alias("uri"),
        F.col("asked_box").alias("box"),
        F.col("asked_region").alias("detection_id"),
        "reason",
        "detail",
    )
    hits = answers.where("reason is null").select(*table_schema("search_results").column_names)
    rows = {
        "search_results": write_table_at(hits, files.join(out, "search_results"), "search_results"),
        "rejected_prompts": write_table_at(rejected, files.join(out, "rejected_prompts"), "rejected_prompts"),
    }
    n_answered = hits.where("rank = 1").count()
    if n_answered + rows["rejected_prompts"] != n_prompts:
        raise ReconciliationError(
            f"{n_prompts} prompts came in, but {n_answered} were answered and {rows['rejected_prompts']} rejected; "
            f"what lies in {out} is not finished"
        )
    reasons = {row["reason"]: row["count"] for row in rejected.groupBy("reason").count().orderBy("reason").collect()}
    files.delete_dir(work)
    counted = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    line = f"{n_prompts} prompts: {n_answered} answered, {rows['rejected_prompts']} rejected{counted}; {out}"
    facts = {
        "run_id": run.run_id,
        "prompts": n_prompts,
        "answered": n_answered,
        "rejected": reasons,
        **asdict(replace(question, facet=str(Likeness.parse(question.facet)))),
    }
    summary = BatchSummary(facts, rows, line)
    summary.write(out)
    return summary


def read_prompts(spark: SparkSession, uri: str, tallies: ReadingTallies) -> DataFrame:
    """query_id, uri, box, detection_id as text, as they were given, and fault. A prompt without a query_id is named
    after what it asks for. tallies: say whether the table is damaged, once it was read. Raises CatalogueError and PromptError for
    what is no table of prompts."""
    if not files.exists(files.absolute(uri)):
        raise PromptError(PromptFault.INVALID_PROMPT, f"there is no file of prompts at {files.absolute(uri)!r}")
    source = find_catalogue(uri)
    if source.kind == "folder":
        raise PromptError(PromptFault.INVALID_PROMPT, f"{uri!r} is a folder; name a CSV or Parquet file of prompts")
    if source.kind == "parquet":
        table = spark.read.parquet(files.spark_pattern(source.uri))
        names: tuple[str, ...] = tuple(table.columns)
        fault = F.lit(None).cast("string")
    else:
        settings = load_config().catalog
        written, _ = text_tables(source, settings)
        names = tuple(dict.fromkeys(name for each in written for name in each.columns))
        table = text_rows(spark, written, RowRules.of(every_column(names), settings, source.base_uri), tallies)
        fault = F.col(FAULT)
    has_boxes = all(match(name, names) for name in ("uri", *BOX_PX))
    if not has_boxes and match("detection_id", names) is None:
        raise PromptError(
            PromptFault.INVALID_PROMPT,
            f"{uri!r} has the columns {', '.join(names) or 'none'}; prompts need uri and {', '.join(BOX_PX)}, or detection_id",
        )

    def text(name: str) -> Column:
        own = match(name, names)
        if own is None:
            return F.lit(None).cast("string")
        column = F.col(f"`{own}`").cast("string") if source.kind == "parquet" else F.col("attributes")[own]
        return F.nullif(F.trim(column), F.lit(""))

    edges = [F.coalesce(text(edge), F.lit("")) for edge in BOX_PX]
    has_box = F.coalesce(*(text(edge) for edge in BOX_PX)).isNotNull()
    given = table.select(
        text("query_id").alias("query_id"),
        text("uri").alias("uri"),
        F.when(has_box, F.concat_ws(",", *edges)).alias("box"),
        text("detection_id").alias("detection_id"),
        fault.alias("fault"),
    )
    named = F.coalesce("query_id", "detection_id", F.concat_ws("#", "uri", "box"))
    ordered = Window.partitionBy("query_id").orderBy("fault", "uri", "box", "detection_id")
    placed = given.withColumn("query_id", named).withColumn("place", F.row_number().over(ordered))
    again = F.lit("the query_id stands in another row already; give every prompt its own")
    is_again = (F.col("place") > 1) & F.col("fault").isNull()
    return placed.withColumn("is_again", is_again).withColumn(
        "fault", F.when(is_again, again).otherwise(F.col("fault"))
    )


def _answer(
    batches: Iterator[pa.RecordBatch],
    root: str,
    run_id: str,
    settings: DetectorSettings | None,
    question: BatchQuestion,
    allowed_roots: tuple[str, ...],
) -> Iterator[pa.RecordBatch]:
    """Answer the prompts of one partition, those of a photo one after another."""
    searchable = opened(root, run_id, None if settings is None else arrived(settings))
    asked_for = (question.k, question.facet, question.exclude_same_product)
    floor = question.min_confidence
    prompts = (row for batch in batches for row in batch.to_pylist())
    by_key = (sorted(rows, key=lambda row: row["query_id"]) for _, rows in groupby(prompts, key=itemgetter("key")))
    for rows, photo in map_ahead(partial(_read, searchable, allowed_roots), by_key, _READ_THREADS):
        answers: list[Row] = []
        asked = [(row, _checked(row, photo)) for row in rows]
        boxes = [box for _, box in asked if isinstance(box, tuple)]
        in_boxes = iter(searchable.embed(photo, boxes) if isinstance(photo, Photo) and boxes else [])
        for row, what in asked:
            try:
                if isinstance(what, PromptError):
                    raise what
                query = searchable.query_of(what) if isinstance(what, int) else next(in_boxes)
                hits = searchable.nearest(query, *asked_for, floor)
                if not hits:
                    nearest = searchable.nearest(query, 1, *asked_for[1:], 0.0)
                    raise PromptError(PromptFault.NOTHING_FOUND, nothing_found(nearest))
                answers += [hit_row(row["query_id"], hit) for hit in hits]
            except PromptError as error:
                answers.append(_rejected_row(row, error))
        yield pa.RecordBatch.from_pylist(answers, _ANSWERS_ARROW)


def _read(
    searchable: SearchableRun, allowed_roots: tuple[str, ...], rows: list[Row]
) -> tuple[list[Row], Photo | PromptError | None]:
    """The photo of prompts that share one; None where they name a region."""
    uri = rows[0]["uri"]
    if uri is None or not any(row["box"] and not row["fault"] for row in rows):
        return rows, None
    try:
        return rows, searchable.read_named(uri, allowed_roots)
    except PromptError as error:
        return rows, error


def _checked(row: Row, photo: Photo | PromptError | None) -> Box | int | PromptError:
    """What a prompt asks for: a box inside its photo, or a region; or why it cannot be answered."""
    if row["fault"]:
        reason = PromptFault.DUPLICATE_QUERY if row["is_again"] else PromptFault.INVALID_PROMPT
        return PromptError(reason, row["fault"])
    if (row["uri"] is None) == (row["detection_id"] is None):
        return PromptError(PromptFault.INVALID_PROMPT, "give either a uri with its box, or a detection_id")
    try:
        if row["detection_id"] is not None:
            return int(row["detection_id"])
        if row["box"] is None:
            return PromptError(PromptFault.INVALID_PROMPT, f"the row has no box; give {', '.join(BOX_PX)}")
        if not isinstance(photo, Photo):
            return photo or PromptError(PromptFault.INVALID_PROMPT, "the row names no photo")
        return check_box(parse_box(row["box"]), photo.image.width_px, photo.image.height_px)
    except PromptError as error:
        return error
    except ValueError:
        return PromptError(
            PromptFault.INVALID_PROMPT, f"detection_id is {row['detection_id']!r}; it must be a whole number"
        )


def hit_row(query_id: str, hit: Hit) -> Row:
    return {
        "query_id": query_id,
        "rank": hit.rank,
        "detection_id": hit.detection_id,
        "image_id": hit.image_id,
        "product_id": hit.product_id,
        "uri": hit.uri,
        **dict(zip(BOX_PX, hit.box_px, strict=True)),
        "cosine_similarity": hit.cosine_similarity,
        "confidence": hit.confidence,
        **{f"{facet}_similarity": cosine for facet, cosine in hit.facets.items()},
    }


def _rejected_row(row: Row, error: PromptError) -> Row:
    return {
        "query_id": row["query_id"],
        "asked_uri": row["uri"],
        "asked_box": row["box"],
        "asked_region": row["detection_id"],
        "reason": str(error.reason),
        "detail": str(error),
    }


@lru_cache(maxsize=1)
def opened(root: str, run_id: str, settings: DetectorSettings | None) -> SearchableRun:
    """The run, opened once a process, with its network where photos are asked about."""
    searchable = SearchableRun(Store.at(root).run(run_id), settings)
    if settings is not None:
        _ = searchable.detector  # before threads that read photos ask for it
    return searchable
