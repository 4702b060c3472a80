"""After any sequence of nights the tables are those of a night that computes everything on the last catalogue."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from prodseek.runner.progress import Console
from prodseek.runner.publishing import build_manifest
from prodseek.runner.stages import run_stage
from prodseek.runs.facts import STAGES, ClusterFacts, DuplicatesFacts, EmbedFacts, IngestFacts, NeighboursFacts
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import TABLES, table_schema
from prodseek.spark.night import Night

# More nights or another walk: PRODSEEK_NIGHTS=8 PRODSEEK_SEED=3.
N_NIGHTS = int(os.environ.get("PRODSEEK_NIGHTS", "3" if os.environ.get("PRODSEEK_SLOW_TESTS") else "1"))
SEED = int(os.environ.get("PRODSEEK_SEED", "0"))
N_PHOTOS = 14
N_CHANGES = 4
COMPUTING = STAGES[: STAGES.index("gates")]
TIMES = "verification_ms"


class Catalogue:
    """A folder of photos and its manifest, to which things happen."""

    def __init__(self, folder: Path, photos: list[Path], seed: int) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.waiting = list(photos)
        self.rows: list[tuple[str, str, str]] = []
        self.n_named = 0
        folder.mkdir()
        for _ in range(N_PHOTOS):
            self.add()

    def happen(self) -> str:
        change = [self.add, self.remove, self.alter, self.move, self.list_twice, self.damage, self.describe, self.copy]
        chosen = change[int(self.rng.integers(len(change)))]
        chosen()
        return chosen.__name__

    def write(self) -> Path:
        path = self.folder / "catalog.csv"
        with path.open("w", newline="") as handle:
            csv.writer(handle).writerows([("product_id", "uri", "category"), *self.rows])
        return path

    def add(self) -> None:
        self._list(shutil.copy(self.waiting.pop(), self._name(".jpg")))

    def remove(self) -> None:
        _, uri, _ = self.rows.pop(self._row())
        if uri not in {row[1] for row in self.rows}:
            (self.folder / uri).unlink()

    def alter(self) -> None:
        """Another photo under the same name."""
        shutil.copy(self.waiting.pop(), self.folder / self.rows[self._row()][1])

    def move(self) -> None:
        row = self._row()
        product_id, uri, category = self.rows[row]
        self.rows[row] = product_id, Path(shutil.copy(self.folder / uri, self._name(".jpg"))).name, category

    def copy(self) -> None:
        """A mirrored copy of a photo, under a product of its own."""
        with Image.open(self.folder / self.rows[self._row()][1]) as photo:
            photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(name := self._name(".jpg"), quality=90)
        self._list(name)

    def list_twice(self) -> None:
        _, uri, category = self.rows[self._row()]
        self.rows.append((f"product {len(self.rows)} again", uri, category))

    def damage(self) -> None:
        name = self._name(".jpg")
        name.write_bytes((self.folder / self.rows[self._row()][1]).read_bytes()[:2000])
        self.rows.append((f"product of {name.stem}", name.name, "Damaged"))

    def describe(self) -> None:
        row = self._row()
        self.rows[row] = *self.rows[row][:2], "Other"

    def _row(self) -> int:
        """One that shows a whole photo."""
        return int(self.rng.choice([i for i, row in enumerate(self.rows) if row[2] != "Damaged"]))

    def _name(self, suffix: str) -> Path:
        self.n_named += 1
        return self.folder / f"photo {self.n_named}{suffix}"

    def _list(self, path: Path | str) -> None:
        self.rows.append((f"product of {Path(path).stem}", Path(path).name, "Thing"))


@pytest.fixture
def night_of(spark: SparkSession, make_config, tiny_weights: Path):  # type: ignore[no-untyped-def]
    """One night without gates and report, published."""

    def run_night(catalogue: Path, root: Path, day: int) -> Run:
        run = Store.at(str(root)).run(f"202601{day:02d}T000000Z-{day:08d}")
        settings = (
            "project.refit_growth=9",
            "cluster.refit_change=9",
            "cluster.min_cluster_size=2",
            "project.nuisance_images=4",
            # On some processors the last bits of a convolution depend on the batch, which in a full night is another.
            "embed.batch_size=1",
        )
        config = make_config(catalogue, root, *settings)
        night = Night.of(spark, config, run)
        summaries = [run_stage(night, stage, Console()) for stage in COMPUTING]
        Store(run.root).publish(run, build_manifest(night, "fingerprint", summaries, ()))
        return run

    return run_night


def content(run: Run) -> dict[str, list[dict[str, Any]]]:
    """All tables as rows in order of their keys, without the time that things took."""
    found = {}
    for name in TABLES:
        if not Path(run.table_uri(name)).exists():
            continue
        rows = pq.read_table(run.table_uri(name)).to_pylist()
        for row in rows:
            row.get("evidence", {}).pop(TIMES, None)
            if "attributes" in row:
                row["attributes"] = sorted(row["attributes"])
        key = table_schema(name).key or table_schema(name).column_names
        found[name] = sorted(rows, key=lambda row: [str(row[column]) for column in key])
    return found


def test_any_sequence_of_nights_ends_where_a_full_night_does(night_of, sample_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos = sorted((sample_folder / "images").glob("*.jpg"))
    np.random.default_rng(SEED).shuffle(photos)  # type: ignore[arg-type]
    catalogue = Catalogue(tmp_path / "photos", photos, SEED)
    root = tmp_path / "root"
    run = night_of(catalogue.write(), root, 1)
    for day in range(2, N_NIGHTS + 2):
        happened = [catalogue.happen() for _ in range(N_CHANGES)]
        # The same last night, with nothing of what it could carry on: no cache, and no photos and edges of the night before.
        forgetful = tmp_path / f"forgetful {day}"
        shutil.copytree(root, forgetful)
        shutil.rmtree(forgetful / "cache")
        for table in ("images", "neighbours"):
            shutil.rmtree(Store.at(str(forgetful)).run(run.run_id).table_uri(table))
        manifest = catalogue.write()
        run = night_of(manifest, root, day)
        n_images = len({row["image_id"] for row in content(run)["images"]})
        assert run.facts(EmbedFacts).embedded_images <= N_CHANGES, happened
        assert run.facts(IngestFacts).decoded_photos <= 2 * N_CHANGES, happened
        assert run.facts(DuplicatesFacts).photos_looked_at <= N_CHANGES, happened
        assert run.facts(NeighboursFacts).carried_on_from and run.facts(ClusterFacts).visual.carried_on
        if day < N_NIGHTS + 1:
            shutil.rmtree(forgetful)
            continue
        full = night_of(manifest, forgetful, day)
        computed = full.facts(EmbedFacts).embedded_images, full.facts(DuplicatesFacts).photos_looked_at
        assert computed == (n_images, n_images) and full.facts(NeighboursFacts).carried_on_from is None
        carried, anew = content(run), content(full)
        assert carried.keys() == anew.keys() >= {"images", "near_duplicates", "curation_groups", "group_lineage"}
        for table in carried:
            assert carried[table] == anew[table], (table, happened)
