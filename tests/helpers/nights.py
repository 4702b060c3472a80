"""Small nights as a person starts them, and what they leave."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from prodseek.config import Config
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Copies, a few views of the same things, a room, photos that cannot be read.
TINY = (
    "images/oak chair 01.jpg",
    "images/chair-oak-2.jpg",
    "images/chair-antique-1.jpg",
    "images/chair-antique-2.jpg",
    "images/chair-deck-1.jpg",
    "images/chair-deck-2.jpg",
    "images/nordhus_4000.jpg",
    "images/sofa-futon-1.jpg",
    "images/casabella_4052.jpg",
    "images/room-04.jpg",
    "images/bad-truncated-half.jpg",
    "images/bad-missing.jpg",
)

# Views of photos, each a pass of the network, of fewer of them than a night takes: figures that depend on it have a lower floor.
IS_SLOW = bool(os.environ.get("PRODSEEK_SLOW_TESTS"))
SAMPLE_SETTINGS = () if IS_SLOW else ("project.nuisance_images=40",)

# A partition for every few photos, so that there is something to share out in every stage.
TINY_SETTINGS = (
    "ingest.rows_per_partition=3",
    "embed.images_per_partition=3",
    "duplicates.photos_per_partition=3",
    "duplicates.pairs_per_partition=3",
    "cluster.min_cluster_size=2",
    "project.nuisance_images=4",
)


def make_catalogue(sample: Path, folder: Path, uris: tuple[str, ...] = TINY) -> Path:
    """A manifest of those rows of the sample, with their photos."""
    with (sample / "catalog.csv").open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = [row for row in reader if row["uri"] in uris]
    (folder / "images").mkdir(parents=True)
    with (folder / "catalog.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, reader.fieldnames or [])
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if (sample / row["uri"]).exists():
            shutil.copy(sample / row["uri"], folder / row["uri"])
    return folder / "catalog.csv"


def whole_night(spark: SparkSession, config: Config, accept: bool = False) -> Run:
    """One night in this process's Spark session, as `prodseek run nightly` runs it."""
    from prodseek.runner.night import run_night
    from prodseek.runner.open_run import open_run
    from prodseek.runner.progress import Console
    from prodseek.spark.night import Night

    opened = open_run(spark, config)
    return run_night(Night.of(spark, config, opened.run), opened, Console(), accept)


def tables_of(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table of the latest run, order aside, without what tells one run from another."""
    latest = Store.at(str(root)).latest()
    found = {
        name: pq.read_table(latest.table_uri(name)).to_pylist()
        for name in TABLES
        if Path(latest.table_uri(name)).exists()
    }
    for row in found["near_duplicates"]:
        row["evidence"].pop("verification_ms")
    # A new group's id holds the run's, which holds the time.
    names = {row["group_id"]: row["title"] for row in found["curation_summary"]}
    for name in ("curation_groups", "curation_summary", "group_lineage"):
        for row in found[name]:
            for column in {"group_id", "coarse_group_id", "nearest_group_id"} & row.keys():
                row[column] = names.get(row[column])
    for rows in found.values():
        rows.sort(key=repr)
    return found
