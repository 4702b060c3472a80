"""Catalogues in which copies were planted, and the tables that the night's stages publish about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from bench_embedding import LabelledSet
from catalogue import rows_of
from PIL import Image, ImageDraw, ImageFont
from pyspark.sql import SparkSession

from prodseek.config import load_config
from prodseek.duplicates.planting.copies import ALTERATIONS, altered
from prodseek.duplicates.planting.files import encoded, opened, resized
from prodseek.duplicates.planting.pairs import Photo, same_photo
from prodseek.photos.decode import content_id
from prodseek.runner.open_run import open_run
from prodseek.runner.progress import Console as Progress
from prodseek.runner.stages import run_stage
from prodseek.runs.facts import STAGES, DuplicatesFacts
from prodseek.runs.store import Run
from prodseek.spark.night import Night

EXACT = "exact"
_ORIGINALS_SHARE = 0.7
_TRIES = 20
_PLACEHOLDER_PX = 600
_VERSION_KINDS = (
    "cropped to 16:9", "cropped to 3:4", "cropped to 1:1", "margin", "margin on some sides", "squared", "another ground",
    "jpeg", "webp", "palette", "downscaled", "upscaled",
)  # fmt: skip


@dataclass(frozen=True)
class Query:
    """A query photo: how it was altered, the photo it was made from, None if that is not in the catalogue; and which is kept."""

    uri: str
    alteration: str
    reference: str | None
    worse: str | None
    scene: int | None


@dataclass(frozen=True)
class Planted:
    """What was planted. originals: uris. source_of: uri -> the photo that it shows, a number."""

    originals: tuple[str, ...]
    queries: tuple[Query, ...]
    source_of: Mapping[str, int]


@dataclass(frozen=True)
class Computed:
    """A finished catalogue. seconds: of the stage duplicates."""

    run: Run
    facts: DuplicatesFacts
    seconds: float


def photos_of(labelled: LabelledSet) -> list[Photo]:
    """A labelled set's photos that can be read, in its order; where it says so, those alone that are no planted copies."""
    found = []
    for row, path in rows_of(labelled.manifest, labelled.uri_column):
        is_planted = "source_uri" in row and row["kind"] != "view"
        if path.exists() and not is_planted:
            found.append(Photo(path.read_bytes(), row[labelled.label_column], labelled.name))
    return list({photo.data: photo for photo in found}.values())


def plant(folder: Path, photos: Sequence[Photo], seed: int, most: int, n_each: int) -> Planted:
    """Write most of the photos, and queries: of each alteration n_each whose original is among them, and as many others.

    Which photos are in the catalogue, their bytes decide. Of those that show the very same, the first alone is used.
    """
    used = [row for row, first in enumerate(_sources(photos)) if row == first]
    is_inside = {row: hashlib.sha256(photos[row].data).digest()[0] < 256 * _ORIGINALS_SHARE for row in used}
    inside = [row for row in used if is_inside[row]][:most]
    outside = [row for row in used if not is_inside[row]]
    source_of: dict[str, int] = {}
    originals: list[str] = []
    for row in inside:
        uri = f"original-{row:05d}.jpg"
        (folder / uri).write_bytes(photos[row].data)
        source_of[uri] = row
        originals.append(uri)
    queries = []
    for kind, name in enumerate([EXACT, *ALTERATIONS]):
        for number in range(2 * n_each):
            rng = np.random.default_rng([seed, kind, number])
            pool = inside if number < n_each else outside
            for _ in range(_TRIES):
                row, scene = (int(rows[int(rng.integers(len(rows)))]) for rows in (pool, outside))
                copy = altered(name, photos[row].data, opened(photos[scene].data), rng) if row != scene else None
                if copy is not None:
                    break
            else:
                continue
            uri = f"query-{kind:02d}-{number:04d}.jpg"
            (folder / uri).write_bytes(copy.data)
            source_of[uri] = row
            pasted = scene if copy.family in ("paste", "combined") else None
            reference = f"original-{row:05d}.jpg" if number < n_each else None
            queries.append(Query(uri, name, reference, copy.worse, pasted))
    return Planted(tuple(originals), tuple(queries), source_of)


def _sources(photos: Sequence[Photo]) -> list[int]:
    """Of each photo: the first one that shows the very same."""
    ids = [content_id(photo.data) for photo in photos]
    return [next(first for first, other in enumerate(ids) if same_photo(other, one)) for one in ids]


def plant_placeholder(folder: Path, photos: Sequence[Photo], n_copies: int, seed: int) -> dict[str, int]:
    """Photos and n_copies of a placeholder, each encoded and scaled in its own way: uri -> the photo that it shows, or 0."""
    rng = np.random.default_rng([seed, n_copies])
    source_of = {}
    placeholder = _placeholder()
    for row, photo in enumerate(photos, start=1):
        (folder / f"photo-{row:05d}.jpg").write_bytes(photo.data)
        source_of[f"photo-{row:05d}.jpg"] = row
    for number in range(n_copies):
        scale = float(rng.uniform(0.7, 1.2))
        (folder / f"placeholder-{number:05d}.jpg").write_bytes(encoded(resized(placeholder, scale, scale, rng), rng))
        source_of[f"placeholder-{number:05d}.jpg"] = 0
    return source_of


def _placeholder() -> Image.Image:
    """What shops show where a photo is missing: a frame, a lens and a line of text."""
    image = Image.new("RGB", (_PLACEHOLDER_PX, _PLACEHOLDER_PX), (238, 238, 238))
    draw, ink = ImageDraw.Draw(image), (160, 160, 160)
    draw.rounded_rectangle((180, 180, 420, 350), radius=20, outline=ink, width=8)
    draw.ellipse((250, 215, 350, 315), outline=ink, width=8)
    draw.text((300, 420), "No image available", fill=ink, anchor="mm", font=ImageFont.load_default(size=40))
    return image


def plant_versions(folder: Path, photos: Sequence[Photo], n_photos: int, n_versions: int, seed: int) -> dict[str, int]:
    """Versions of some photos, each with its own crop, margin, ground and encoding; the others as they are."""
    rng = np.random.default_rng(seed)
    source_of = {}
    scene = opened(photos[0].data)
    for row, photo in enumerate(photos):
        for number in range(n_versions if row < n_photos else 1):
            uri = f"photo-{row:05d}-{number:03d}.jpg"
            made = None
            while row < n_photos and made is None:
                made = altered(str(rng.choice(_VERSION_KINDS)), photo.data, scene, rng)
            (folder / uri).write_bytes(photo.data if made is None else made.data)
            source_of[uri] = row
    return source_of


def computed(spark: SparkSession, folder: Path, root: Path) -> Computed:
    """The stages from ingest to duplicates, every pair that was judged published."""
    config = load_config("local", settings=["duplicates.min_confidence=0"], catalog=str(folder), root=str(root))
    night, console = Night.of(spark, config, open_run(spark, config).run), Progress()
    for stage in STAGES[: STAGES.index("duplicates") + 1]:
        summary = run_stage(night, stage, console)
    assert isinstance(summary.facts, DuplicatesFacts)
    return Computed(night.run, summary.facts, summary.seconds)


def read(run: Run, name: str) -> pd.DataFrame:
    """A table, with the last part of each uri alone."""
    table = pq.read_table(run.table_uri(name))
    for column in [name for name in table.column_names if name in ("uri", "keep_uri")]:
        names = pa.array([Path(uri).name for uri in table.column(column).to_pylist()])
        table = table.set_column(table.column_names.index(column), column, names)
    return table.to_pandas()


@dataclass(frozen=True)
class JudgedPair:
    """A row of `near_duplicates`, for every two photos that have these bytes."""

    uris: frozenset[str]
    verdict: str
    decision: str
    confidence: float


def judged_pairs(run: Run) -> list[JudgedPair]:
    uris = read(run, "images").groupby("image_id")["uri"].apply(list)
    found = []
    for row in read(run, "near_duplicates").drop_duplicates(["image_id_a", "image_id_b"]).itertuples():
        for a, b in product(uris[row.image_id_a], uris[row.image_id_b]):
            if a != b:
                found.append(JudgedPair(frozenset((a, b)), row.verdict, row.decision, row.confidence))
    return found


def groups_of(run: Run) -> pd.DataFrame:
    return read(run, "duplicate_groups")


def mixed_groups(groups: pd.DataFrame, source_of: Mapping[str, int]) -> list[list[str]]:
    """Groups that hold photos of two sources: their uris."""
    sources = groups.assign(source=groups["uri"].map(source_of))
    return [part["uri"].tolist() for _, part in sources.groupby("group_id") if part["source"].nunique() > 1]


def largest_share(groups: pd.DataFrame, source_of: Mapping[str, int], sources: Iterable[int]) -> list[float]:
    """Of the photos that show each source: the share that is in one group."""
    group_of = dict(zip(groups["uri"], groups["group_id"], strict=True))
    shares = []
    for source in sources:
        uris = [uri for uri, shown in source_of.items() if shown == source]
        counts: dict[str, int] = {}
        for uri in uris:
            if uri in group_of:
                counts[group_of[uri]] = counts.get(group_of[uri], 0) + 1
        shares.append(max(counts.values(), default=0) / len(uris))
    return shares
