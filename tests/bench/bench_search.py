"""One search at a time in a run of 100,000 regions: how long until the first answer, and then for each; beside numpy's
full comparison of the same vectors.

The vectors are made up, so that what is found says nothing; photos, network and slices are those of the sample.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from clustered import clustered
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from synthetic_run import write_listing, write_run

from prodseek.config import load_config
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import PROJECTION
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.index.stored import open_index
from prodseek.jobs import index
from prodseek.photos.decode import decode_image
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store
from prodseek.runs.tables import schema_versions
from prodseek.search.searchable import SearchableRun
from prodseek.spark.night import Night
from prodseek.spark.session import start_session
from prodseek.storage import files
from prodseek.vision.configured import detector_settings
from prodseek.vision.inference import load_detector

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
_PROMPTS = 60
_ASKED = 20
_COLD = """
import sys, time
started = time.perf_counter()
from prodseek.search.searchable import SearchableRun
searchable = SearchableRun.open(sys.argv[1])
opened = time.perf_counter()
if sys.argv[2] == "photo":
    searchable.search(sys.argv[3], (100, 100, 300, 300))
else:
    searchable.search_region(int(sys.argv[3]))
print(opened - started, time.perf_counter() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="regions")
    options = parser.parse_args()
    photos = sorted(str(path) for path in (SAMPLE / "images").glob("room-*.jpg"))
    with tempfile.TemporaryDirectory() as root:
        # A search runs in a process of its own. Beside a JVM and what trained an index it is half as fast.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            run, ids, vectors = process.submit(_prepare, root, options.rows, photos).result()
        _cold(run, photos[0], int(ids[0]))
        _warm(run, photos, ids, vectors)


def _prepare(root: str, n: int, photos: list[str]) -> tuple[Run, NDArray[np.int64], NDArray[np.float32]]:
    config = load_config("local", root=root)
    settings = detector_settings(config)
    detector = load_detector(settings)
    decoded = (decode_image(Path(photo).read_bytes()) for photo in photos)
    slices = np.concatenate([found.slices for found in detector.embed(("", image) for image in decoded)])
    projection = fit_projection(Measured.of_packshots(slices, Moments.empty(detector.layout)))
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 2**62, n)
    vectors = clustered(n, 128)
    others = {facet: clustered(n, d, seed=1) for facet, d in projection.dims.items() if facet != "likeness"}
    images = rng.integers(0, n // 2, n)
    run = write_run(root, ids, vectors, images=images, n_files=max(1, n // 4096), facets=others)
    every = np.arange(n // 2)
    write_listing(
        run, every, [f"product {image // 2}" for image in every], {image: f"{image // 9}" for image in every[:9000]}
    )
    files.write_bytes(run.path(PROJECTION), projection.to_bytes())
    spark = start_session(config.spark)
    index.run(Night.of(spark, config, run))
    spark.stop()
    stages = {"ingest": {"input_rows": len(every), "base_uri": str(SAMPLE)}, "embed": {"model_id": detector.model_id}}
    Store(run.root).publish(
        run,
        Manifest(
            run_id=run.run_id,
            schema_versions=schema_versions(),
            config=config.model_dump(mode="json"),
            stages=stages,
        ),
    )
    return run, ids, vectors


def _cold(run: Run, photo: str, region: int) -> None:
    table = Table("", "opened, s", "first answer, s", title=f"a fresh process, {_threads()}")
    for name, argument in (("photo", photo), ("region", str(region))):
        command = [sys.executable, "-c", _COLD, run.root, name, argument]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        opened, answered = (float(seconds) for seconds in done.stdout.split())
        table.add_row("a box in a photo" if name == "photo" else "a region", f"{opened:.2f}", f"{answered:.2f}")
    Console().print(table)


def _warm(run: Run, photos: list[str], ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
    searchable = SearchableRun.open(run.root)
    opened = open_index(run)
    rng = np.random.default_rng(4)
    prompts = [(photos[number % len(photos)], _box(rng)) for number in range(_PROMPTS)]
    asked = rng.choice(len(ids), _PROMPTS, replace=False)
    transposed = np.ascontiguousarray(vectors.T)

    def photo(number: int, facet: str = "likeness") -> None:
        searchable.search(*prompts[number], k=_ASKED, facet=facet)

    def compare(number: int) -> NDArray[np.int64]:
        cosine = vectors[asked[number]] @ transposed
        best = np.argpartition(-cosine, 10 * _ASKED)[: 10 * _ASKED]
        return ids[best[np.lexsort((ids[best], -cosine[best]))]]

    def look_up(number: int) -> NDArray[np.int64]:
        return opened.search(vectors[asked[number]][None], 10 * _ASKED)[0][0]

    rows: list[tuple[str, Callable[[int], object]]] = [
        ("a box in a photo", photo),
        ("a box in a photo, mix=visual:0.5,colour:0.5", lambda number: photo(number, "mix=visual:0.5,colour:0.5")),
        ("a region", lambda number: searchable.search_region(int(ids[asked[number]]), k=_ASKED)),
        (
            "of which network, slice and projection",
            lambda number: searchable.embed(searchable.read(prompts[number][0]), [prompts[number][1]]),
        ),
        ("of which the index, 200 regions", look_up),
        ("numpy, full comparison, 200 regions", compare),
    ]
    table = Table(
        "",
        "median ms",
        "95 % ms",
        title=f"{len(ids)} regions, {opened.manifest.factory}, k = {_ASKED}, {_PROMPTS} prompts after as many to warm up, "
        f"{_threads()}, {searchable.detector.precision}",
    )
    for name, search in rows:
        spent = []
        for number in [*range(_PROMPTS), *range(_PROMPTS)]:
            started = time.perf_counter()
            search(number)
            spent.append(1000 * (time.perf_counter() - started))
        warm = spent[_PROMPTS:]
        table.add_row(name, f"{statistics.median(warm):.1f}", f"{np.percentile(warm, 95):.1f}")
    found = [len(set(look_up(number)[:10]) & set(compare(number)[:10])) for number in range(_PROMPTS)]
    table.caption = f"the index finds {sum(found) / (10 * _PROMPTS):.3f} of numpy's first 10 regions"
    Console().print(table)


def _box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    x1, y1 = rng.integers(0, 300, 2)
    width, height = rng.integers(60, 250, 2)
    return float(x1), float(y1), float(x1 + width), float(y1 + height)


def _threads() -> str:
    threads = os.environ.get("OMP_NUM_THREADS")
    return f"OMP_NUM_THREADS={threads}" if threads else f"{os.cpu_count()} cores"


if __name__ == "__main__":
    main()
