"""The index and the neighbour graph at a million regions, beside plain faiss over the very same inverted file.

Three tables: the graph and single queries against faiss; how time grows with the catalogue; four million regions with
executors whose Python may hold 2 GiB. `--only graph` and a smaller `--rows` make it short.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
from clustered import clustered
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table
from synthetic_run import PeakMemory, write_run

from prodseek.config import Config, load_config
from prodseek.index.search import ShardedIndex
from prodseek.index.stored import index_manifest, open_index
from prodseek.jobs import index, neighbours
from prodseek.runs.store import Run
from prodseek.spark.night import Night
from prodseek.spark.session import start_session

_JUDGED_QUERIES = 1000
_SINGLE_QUERIES = 400
_LIMITED_MASTER = "local-cluster[2,1,2048]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="regions of the first table")
    parser.add_argument("--spread", type=float, default=0.9, help="how wide kinds of goods are; wider is harder")
    parser.add_argument("--only", choices=("graph", "growth", "limited"))
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sections = {"graph": graph, "growth": growth, "limited": limited}
    if options.in_process:
        sections[options.only](options.rows, options.spread)
        return
    for name in [options.only] if options.only else sections:
        # A process each: none inherits the memory or the session of another.
        flags = ["--only", name, "--rows", str(options.rows), "--spread", str(options.spread)]
        subprocess.run([sys.executable, __file__, *flags, "--in-process"], check=True)


def graph(n: int, spread: float) -> None:
    """Against one faiss `search` call over the same inverted file with the same nprobe."""
    with tempfile.TemporaryDirectory() as root:
        config = load_config("local")
        k = config.neighbours.k
        run, vectors, ids = _prepare(root, n, 128, spread)
        spark = start_session(config.spark)
        seconds, peak_bytes = _stages(spark, config, run)
        spark.stop()
        judged = np.random.default_rng(1).choice(n, min(n, _JUDGED_QUERIES), replace=False)
        exact = faiss.IndexFlatIP(vectors.shape[1])
        exact.add(vectors)
        true_rows = _others(exact.search(vectors[judged], k + 1)[1], judged, k)
        del exact
        ours = _edges_of(run, ids[judged], k)
        opened = open_index(run)
        plain = opened.merged()
        plain.nprobe = opened.manifest.graph_nprobe
        started = time.perf_counter()
        _, found = plain.search(vectors, k + 1)
        plain_seconds = time.perf_counter() - started
        manifest = opened.manifest
        plain_ids = _others(found[judged], ids[judged], k)
        table = Table(
            "",
            "seconds",
            "x faiss",
            f"recall@{k}",
            "peak MiB",
            title=f"{n} x {vectors.shape[1]}-d, {manifest.factory}, nprobe {manifest.graph_nprobe}, k = {k}, "
            f"{faiss.omp_get_max_threads()} cores; recall on {len(judged)} queries",
            caption="peak: largest resident set of any Python process",
        )
        for name, spent, found_ids, peak in (
            ("faiss search, one call", plain_seconds, plain_ids, None),
            ("prodseek neighbours, table written", seconds["neighbours"], ours, peak_bytes["neighbours"]),
            ("prodseek index, built and measured", seconds["index"], None, peak_bytes["index"]),
        ):
            recall = "" if found_ids is None else f"{_share(found_ids, ids[true_rows]):.3f}"
            peak_text = "" if peak is None else f"{peak / 2**20:.0f}"
            table.add_row(name, f"{spent:.1f}", f"{spent / plain_seconds:.2f}", recall, peak_text)
        Console().print(table)
        _single_queries(opened, plain, vectors, k)


def _single_queries(opened: ShardedIndex, plain: faiss.IndexIVF, vectors: NDArray[np.float32], k: int) -> None:
    asked = vectors[np.random.default_rng(2).choice(len(vectors), _SINGLE_QUERIES, replace=False)]
    plain.nprobe = opened.manifest.nprobe
    table = Table(
        "",
        "median ms",
        "95 % ms",
        title=f"one query at a time, nprobe {plain.nprobe}, k = {k}, {_SINGLE_QUERIES} after as many to warm up",
    )
    for name, search in (("faiss, in memory", plain.search), ("prodseek, memory-mapped", opened.search)):
        spent = []
        for query in np.concatenate([asked, asked]):
            started = time.perf_counter()
            search(query[None], k)
            spent.append(1000 * (time.perf_counter() - started))
        warm = spent[len(asked) :]
        table.add_row(name, f"{statistics.median(warm):.2f}", f"{np.percentile(warm, 95):.2f}")
    Console().print(table)


def growth(n: int, spread: float) -> None:
    """Time per vector while the catalogue doubles."""
    table = Table(
        "vectors",
        "nlist",
        "nprobe",
        *(text for name in ("index", "neighbours", "both") for text in (name, "x half")),
        title="d = 64: microseconds per vector, and times those of half as many vectors",
    )
    before: dict[str, float] = {}
    for rows in (n // 4, n // 2, n, 2 * n):
        with tempfile.TemporaryDirectory() as root:
            config = load_config("local")
            run, vectors, _ = _prepare(root, rows, 64, spread)
            del vectors
            spark = start_session(config.spark)
            seconds, _ = _stages(spark, config, run)
            spark.stop()
            manifest = index_manifest(run)
        each = {name: 1e6 * spent / rows for name, spent in (*seconds.items(), ("both", sum(seconds.values())))}
        cells = [(f"{value:.1f}", f"{value / before[name]:.2f}" if before else "") for name, value in each.items()]
        table.add_row(
            str(rows), str(manifest.nlist), str(manifest.graph_nprobe), *(text for pair in cells for text in pair)
        )
        before = each
    Console().print(table)


def limited(n: int, spread: float) -> None:
    """Four times the regions, in executors whose Python processes may take 2 GiB of address space each."""
    with tempfile.TemporaryDirectory() as root:
        config = load_config("local")
        run, vectors, _ = _prepare(root, 4 * n, 64, spread)
        del vectors
        limits = {"spark.executor.pyspark.memory": "2g"}
        settings = config.spark.model_copy(update={"master": _LIMITED_MASTER, "conf": limits})
        spark = start_session(settings)
        seconds, peak_bytes = _stages(spark, config, run)
        n_edges = sum(pq.read_metadata(file).num_rows for file in Path(run.table_uri("neighbours")).glob("*.parquet"))
        spark.stop()
        table = Table(
            "",
            "seconds",
            "peak MiB",
            title=f"{4 * n} x 64-d, {_LIMITED_MASTER}, 2 GiB of Python memory an executor",
            caption=f"{n_edges} edges; peak: largest resident set of any Python process",
        )
        for name, spent in seconds.items():
            table.add_row(name, f"{spent:.1f}", f"{peak_bytes[name] / 2**20:.0f}")
        Console().print(table)


def _prepare(root: str, n: int, d: int, spread: float) -> tuple[Run, NDArray[np.float32], NDArray[np.int64]]:
    vectors = clustered(n, d, spread=spread)
    ids = np.random.default_rng(3).integers(0, 2**62, n)
    return write_run(root, ids, vectors), vectors, ids


def _stages(spark: SparkSession, config: Config, run: Run) -> tuple[dict[str, float], dict[str, int]]:
    seconds, peak_bytes = {}, {}
    spark.range(1).count()
    for name, stage in (("index", index), ("neighbours", neighbours)):
        with PeakMemory() as memory:
            started = time.perf_counter()
            stage.run(Night.of(spark, config, run))
            seconds[name] = time.perf_counter() - started
        peak_bytes[name] = memory.peak_bytes
    return seconds, peak_bytes


def _others(found: NDArray[np.int64], own: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """(Q, k) of (Q, k + 1): without the query itself, or without the last where it is not among them."""
    order = np.argsort(found == own[:, None], axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)[:, :k]


def _edges_of(run: Run, ids: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    edges = pq.read_table(run.table_uri("neighbours"), filters=[("detection_id", "in", ids.tolist())])
    found = np.full((len(ids), k), -1, np.int64)
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids[order], edges.column("detection_id").to_numpy())]
    found[rows, edges.column("rank").to_numpy() - 1] = edges.column("neighbour_id").to_numpy()
    return found


def _share(found: NDArray[np.int64], true_ids: NDArray[np.int64]) -> float:
    return float((found[:, :, None] == true_ids[:, None, :]).any(axis=2).mean())


if __name__ == "__main__":
    main()
