"""Verdicts on pairs of photos, from their pixels. Each is kept: a pair is looked at once, whichever night."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from prodseek.duplicates.features import LocalFeatures
from prodseek.duplicates.guards import Doubt
from prodseek.duplicates.hashes import ROTATIONS, Orientation, best_orientation, hashes_from_hex
from prodseek.duplicates.measuring import evidence_of, with_better
from prodseek.duplicates.proof import Photos
from prodseek.duplicates.verdicts import Decision, Evidence, PhotoFacts, judge, verdicts_recipe
from prodseek.runs.columns import BOX_EDGES, FACETS
from prodseek.runs.facts import CacheFolder
from prodseek.runs.tables import schema_versions, table_schema
from prodseek.spark.batch_cache import new_batch_uri, read_batches
from prodseek.spark.duplicates.compared_photos import ComparedPhotos
from prodseek.spark.duplicates.local_features import KeptFeatures
from prodseek.spark.night import Night
from prodseek.spark.partitions import with_shares
from prodseek.spark.photos import WorkingPhotos
from prodseek.spark.tables import computed_schema
from prodseek.storage import files

SIDES = ("a", "b")
_TURNED = [way.value for way in ROTATIONS]
_MIRRORED = [way.value for way in Orientation if way not in (Orientation.IDENTITY, *ROTATIONS)]
# What names a pair of photos.
PAIR = ["image_id_a", "image_id_b"]
# What depends on the night, not on the two photos.
_NAMES = [f"{name}_{side}" for side in SIDES for name in ("product_id", "uri")]
# Pairs of one photo that stay in one task. A photo may have thousands of copies, and no task should have them all.
_PAIRS_TOGETHER = 32
# Photos whose pixels are kept: pairs of one photo follow one another.
_KEPT_PHOTOS = 64
_KEPT_DETAILED_PHOTOS = 8
_LIKELY = 0.5
# The columns of the kept local features.
_FEATURES = ("points", "histograms", "content_box")


def is_copy(column: str = "decision") -> Column:
    """Whether a column of decisions says: copies of one photo, which make a group."""
    return F.col(column) == Decision.COPY.value


def may_be_chance() -> Column:
    """Whether nothing but the model's own doubt, or faint traces such as encoders leave, keeps a pair from being proved."""
    doubt = F.col("evidence.doubt")
    return doubt.isNull() | (doubt == Doubt.FAINT.value)


def is_likely_copy() -> Column:
    """Whether a pair is more likely a copy than not, and nothing but what may be chance keeps it from being proved."""
    return (F.col("decision") == Decision.LOOK.value) & (F.col("confidence") >= _LIKELY) & may_be_chance()


def differ_in_margins_alone() -> Column:
    """Whether two photos were proved to show the same within their margins, and these differ."""
    return F.coalesce(F.col("evidence.doubt") == Doubt.MARGIN.value, F.lit(False))


def is_published(min_confidence: float) -> Column:
    """Whether a pair is worth a row: it is decided, or a person can be asked to look at it."""
    return (F.col("decision") != Decision.LOOK.value) | (F.col("confidence") >= min_confidence)


@dataclass(frozen=True)
class PairJudge:
    """Passes verdicts on pairs of tonight's photos. kept: their local features."""

    night: Night
    photos: ComparedPhotos
    kept: KeptFeatures

    @property
    def cache(self) -> CacheFolder:
        """Where verdicts are kept."""
        recipe = verdicts_recipe(self.night.config.duplicates.max_pdq_hamming)
        return CacheFolder("pair_verdicts", f"recipe={recipe},schema={schema_versions()['near_duplicates']}")

    def judge(self, pairs: DataFrame) -> tuple[DataFrame, int]:
        """The pairs on which a verdict is passed, as rows of `near_duplicates`, published or not; and how many were new.

        pairs: image_id_a, image_id_b, each pair once.
        """
        spark, cache_uri = self.night.spark, self.night.run.cache_uri(self.cache)
        known = read_batches(spark, cache_uri, _stored_schema())
        todo = pairs.join(known.select(*PAIR), PAIR, "left_anti").cache()
        n_todo = todo.count()
        if n_todo:
            judged = self._look_at(todo, n_todo)
            judged.write.parquet(files.spark_uri(new_batch_uri(cache_uri, self.night.run.run_id)))
            known = read_batches(spark, cache_uri, _stored_schema())
        todo.unpersist()
        return self._named(self._decided(known.join(pairs, PAIR, "left_semi"))), n_todo

    def _decided(self, judged: DataFrame) -> DataFrame:
        """The pairs with a verdict, and the settings' say in what to do about them."""
        settings = self.night.config.duplicates
        unsure = F.col("confidence") < settings.merge_confidence
        for setting, ways in ((settings.mirrored, _MIRRORED), (settings.turned, _TURNED)):
            if Decision(setting) == Decision.LOOK:
                unsure |= F.col("evidence.orientation").isin(*ways)
        decision = F.when(is_copy() & unsure, F.lit(Decision.LOOK.value)).otherwise(F.col("decision"))
        return judged.withColumn("decision", decision).where("decision is not null")

    def _look_at(self, pairs: DataFrame, n_pairs: int) -> DataFrame:
        settings, photos = self.night.config.duplicates, self.photos.rows
        # A few hundred pairs keep a core busy for a minute: no core waits while another has them all.
        n_cores = self.night.spark.sparkContext.defaultParallelism
        n_partitions = max(min(n_cores, n_pairs), -(-n_pairs // settings.pairs_per_partition))
        described = with_shares(pairs, "image_id_b", "image_id_a", _PAIRS_TOGETHER)
        for side in SIDES:
            facts = [F.col(name).alias(f"{name}_{side}") for name in photos.columns if name != "attributes"]
            described = described.join(photos.select(*facts), f"image_id_{side}")
        features = self.kept.features(pairs.select(F.explode(F.array(*PAIR)).alias("image_id")).distinct())
        # A photo that can no longer be read has no features; the next night tries its pairs again.
        for side, keys in zip(SIDES, (["image_id_a"], ["image_id_b", "share"]), strict=True):
            seen = features.select(*(F.col(name).alias(f"{name}_{side}") for name in features.columns))
            seen = seen.join(described.select(*keys).distinct(), f"image_id_{side}")
            described = described.repartition(n_partitions, *keys).join(seen.repartition(n_partitions, *keys), keys)
        judge_pairs = partial(_judge_rows, read=self.photos.read, max_pdq_hamming=settings.max_pdq_hamming)
        return described.mapInArrow(judge_pairs, _stored_schema())

    def _named(self, judged: DataFrame) -> DataFrame:
        named = judged
        for side in SIDES:
            names = [F.col(name).alias(f"{name}_{side}") for name in ("image_id", "product_id", "uri")]
            named = named.join(self.photos.rows.select(*names), f"image_id_{side}")
        named = named.join(self._cosines(judged.select(*PAIR)), PAIR, "left")
        evidence = F.col("evidence")
        for facet in FACETS:
            evidence = evidence.withField(f"cosine_{facet}", F.col(f"cosine_{facet}"))
        return named.withColumn("evidence", evidence).select(*table_schema("near_duplicates").column_names)

    def _cosines(self, pairs: DataFrame) -> DataFrame:
        """Cosine similarity of the photos' primary regions, by facet."""
        primary = self.night.table("detections").where("is_primary").select("detection_id", "image_id")
        vectors = primary.join(self.night.table("embeddings"), "detection_id")
        for side in SIDES:
            renamed = [F.col(name).alias(f"{name}_{side}") for name in ("image_id", *FACETS)]
            pairs = pairs.join(vectors.select(*renamed), f"image_id_{side}")
        cosines = [_dot(F.col(f"{facet}_a"), F.col(f"{facet}_b")).alias(f"cosine_{facet}") for facet in FACETS]
        return pairs.select(*PAIR, *cosines)


def _dot(a: Column, b: Column) -> Column:
    products = F.zip_with(a, b, lambda x, y: (x * y).cast("double"))
    return F.aggregate(products, F.lit(0.0), lambda total, product: total + product).cast("float")


def _stored_schema() -> StructType:
    """`near_duplicates` without what depends on the night; without verdict where the two share nothing."""
    fields = [field for field in computed_schema("near_duplicates").fields if field.name not in _NAMES]
    return StructType([StructField(field.name, field.dataType) for field in fields])


def _stored_arrow_schema() -> pa.Schema:
    fields = [field.with_nullable(True) for field in table_schema("near_duplicates").arrow if field.name not in _NAMES]
    return pa.schema(fields)


class _Photos:
    """Reads the photos of pairs at both sizes. Those read last are kept, because pairs of one photo follow one another."""

    def __init__(self, read: WorkingPhotos) -> None:
        self._coarse, self._detailed = (
            lru_cache(_KEPT_PHOTOS)(read.coarse),
            lru_cache(_KEPT_DETAILED_PHOTOS)(read.detailed),
        )

    def coarse(self, pair: dict[str, Any]) -> Photos | None:
        return self._both(self._coarse, pair)

    def detailed(self, pair: dict[str, Any]) -> Photos | None:
        return self._both(self._detailed, pair)

    def _both(self, read: Callable[[str, str], NDArray[np.uint8] | None], pair: dict[str, Any]) -> Photos | None:
        """None if one of the two can no longer be read."""
        a, b = (read(pair[f"uri_{side}"], pair[f"image_id_{side}"]) for side in SIDES)
        return None if a is None or b is None else (a, b)


def _judge_rows(
    batches: Iterator[pa.RecordBatch], read: WorkingPhotos, max_pdq_hamming: int
) -> Iterator[pa.RecordBatch]:
    photos = _Photos(read)
    schema = _stored_arrow_schema()
    for batch in batches:
        judged = (_judged(pair, photos, max_pdq_hamming) for pair in batch.to_pylist())
        yield pa.RecordBatch.from_pylist([row for row in judged if row is not None], schema)


def _judged(pair: dict[str, Any], photos: _Photos, max_pdq_hamming: int) -> dict[str, Any] | None:
    """What is kept of a pair; None where one of the two can no longer be read."""
    facts_a, facts_b = (_photo_facts(pair, side) for side in SIDES)
    started = time.process_time()
    nearest = best_orientation(*hashes_from_hex([pair["pdq_hash_a"], pair["pdq_hash_b"]]))
    evidence: Evidence | None = Evidence(nearest[1])
    if facts_a.pixel_hash != facts_b.pixel_hash:
        a, b = (LocalFeatures.from_bytes(*(pair[f"{name}_{side}"] for name in _FEATURES)) for side in SIDES)
        read = partial(photos.coarse, pair), partial(photos.detailed, pair)
        evidence = evidence_of(a, b, nearest, max_pdq_hamming, *read)
    if evidence is None:
        return None
    judgement = judge(evidence, facts_a, facts_b)
    kept = {name: pair[name] for name in PAIR}
    if judgement is None:
        return kept
    if judgement.decision != Decision.VARIANT and evidence.comparison is not None and evidence.proof is not None:
        both = photos.detailed(pair)
        if both is None:
            return None
        evidence = with_better(evidence, both)
    if evidence.comparison is not None:
        evidence = replace(evidence, verification_ms=1000 * (time.process_time() - started))
    values = evidence.to_dict()
    return {
        **kept,
        "verdict": judgement.verdict.value,
        "decision": judgement.decision.value,
        "confidence": judgement.confidence,
        "evidence": values,
        **_box_px("a", evidence.box_a, facts_a),
        **_box_px("b", evidence.box_b, facts_b),
    }


def _photo_facts(pair: dict[str, Any], side: str) -> PhotoFacts:
    names = ("image_id", "pixel_hash", "width_px", "height_px", "n_bytes")
    return PhotoFacts(*(pair[f"{name}_{side}"] for name in names))


def _box_px(side: str, box: tuple[float, float, float, float], photo: PhotoFacts) -> dict[str, float]:
    sizes = (photo.width_px, photo.height_px, photo.width_px, photo.height_px)
    return {f"{edge}_{side}_px": part * size for edge, part, size in zip(BOX_EDGES, box, sizes, strict=True)}
