"""Curation groups: what labels say of them, whether ids survive the night, and what a large catalogue costs.

Usage: bench_cluster.py [--set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ...] [--regions N --fit-rows M [--subset S]].
Every --set is a labelled catalogue: its photos are embedded as in bench_embedding.py, each by its primary region, copies not
merged. With --regions the stage runs in Spark over that many synthetic regions in planted groups.

AMI is the adjusted mutual information of groups and labels over all photos, those in no group counted as one group of their own;
homogeneity that of the photos in groups. With more than one set, all of them as one catalogue are measured too, each by its own
labels: what it loses to the common projection, and what to being grouped with others.

EVoC, fast_hdbscan with PLSCAN, and communities by graspologic are measured where they are installed. They are no dependencies:
`pip install --no-deps --target DIR evoc fast-hdbscan graspologic-native`, and DIR in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import catalogue
import numpy as np
import torch
from bench_embedding import LabelledSet, labelled_set
from cluster_run import planted, write_photos
from numpy.typing import NDArray
from other_groups import OTHERS
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score, v_measure_score
from synthetic_run import PeakMemory, write_run
from threadpoolctl import threadpool_limits

from prodseek.cluster.fitting import groups_of, groups_of_department
from prodseek.cluster.groups import NOISE, search_knn
from prodseek.cluster.labels import Graph, LevelLabels, labels_of_night
from prodseek.cluster.stable_ids import Content, match_groups
from prodseek.config import Config, load_config
from prodseek.jobs import cluster, index, neighbours
from prodseek.spark.night import Night
from prodseek.spark.session import start_session
from prodseek.spark.tables import read_table

LARGE = 10  # regions of a group that is looked at from night to night
N_NIGHTS = 3
MOST_FOR_AMI = 200_000

Vectors = NDArray[np.float32]
Levels = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class MixedSet:
    """A labelled set. truth: (N,) of its photos. alone: (N, d), their vectors by a projection fitted on the set alone."""

    truth: NDArray[np.str_]
    alone: Vectors


def levels(
    vectors: Vectors,
    config: Config,
    last: Levels | None = None,
    seed: int = 0,
    by_department: bool = True,
    **changed: int,
) -> Levels:
    """Fine and coarse labels as the stage gives them, from settings with some changed."""
    settings = config.cluster.model_copy(update=changed)
    nearest = search_knn(vectors, config.neighbours.k + 1, seed)
    group = groups_of if by_department else groups_of_department
    groups = group(nearest, vectors, settings, seed)
    known = None if last is None else LevelLabels(*last)
    labels = labels_of_night(Graph.of_nearest(nearest), groups, known, settings.min_cluster_size)
    return labels.fine, labels.coarse


def ward(vectors: Vectors, config: Config) -> Levels:
    """Ward's linkage of the vectors, cut to as many groups as the shipped settings find."""
    found = [len(set(labels.tolist()) - {NOISE}) for labels in levels(vectors, config)]
    fine, coarse = (AgglomerativeClustering(count).fit_predict(vectors) for count in found)
    return fine.astype(np.int32), coarse.astype(np.int32)


def ways(config: Config) -> dict[str, Callable[[Vectors], Levels]]:
    """Ours, with some settings changed, and others' (see `other_groups`) beside it."""
    found = {
        "as shipped": lambda vectors: levels(vectors, config),
        "another seed": lambda vectors: levels(vectors, config, seed=1),
        "first try: 4 regions, min_samples 2": lambda vectors: levels(
            vectors, config, min_cluster_size=4, min_samples=2
        ),
        "one layout of each department": lambda vectors: levels(vectors, config, n_layouts=1),
        "three layouts of everything": lambda vectors: levels(vectors, config, by_department=False),
        "one layout of everything": lambda vectors: levels(vectors, config, by_department=False, n_layouts=1),
        "UMAP with 16 neighbours": lambda vectors: levels(vectors, config, n_neighbors=17),
        "UMAP in 4 dimensions": lambda vectors: levels(vectors, config, n_components=4),
        "Ward's linkage, as many groups": lambda vectors: ward(vectors, config),
    }
    for name, way in OTHERS.items():
        found[name] = lambda vectors, way=way: way(vectors, levels(vectors, config))
    return found


def timed(way: Callable[[Vectors], Levels], vectors: Vectors) -> tuple[Levels, float]:
    started = time.perf_counter()
    found = way(vectors)
    return found, time.perf_counter() - started


def scores(truth: NDArray[np.str_], labels: NDArray[np.int32]) -> str:
    grouped = labels != NOISE
    ami, homogeneity = adjusted_mutual_info_score(truth, labels), homogeneity_score(truth[grouped], labels[grouped])
    n_groups = len(set(labels[grouped].tolist()))
    return f"{ami:.3f} / {(~grouped).mean():.3f} / {homogeneity:.3f} / {n_groups}"


def quality_table(name: str, vectors: Vectors, truth: NDArray[np.str_], config: Config) -> Table:
    table = Table("", "fine", "coarse", "seconds", title=f"{name}: AMI / in no group / homogeneity / groups")
    for way, group in ways(config).items():
        found, seconds = timed(group, vectors)
        table.add_row(way, *(scores(truth, labels) for labels in found), f"{seconds:.1f}")
    return table


def mixed_table(sets: dict[str, MixedSet], vectors: Vectors, config: Config) -> Table:
    """What a set's photos lose where all sets are one catalogue: to the projection, and to being grouped together.

    vectors: of all sets' photos, one set after another, by the projection of all.
    """
    table = Table("", *sets, "seconds", title="AMI coarse / fine / in no fine group, of each set's photos")
    ends = np.cumsum([len(one.truth) for one in sets.values()])
    rows = {name: slice(end - len(one.truth), end) for (name, one), end in zip(sets.items(), ends, strict=True)}

    def cells(labels: dict[str, Levels]) -> list[str]:
        return [
            f"{adjusted_mutual_info_score(one.truth, coarse):.3f} / {adjusted_mutual_info_score(one.truth, fine):.3f}"
            f" / {(fine == NOISE).mean():.2f}"
            for one, (fine, coarse) in ((one, labels[name]) for name, one in sets.items())
        ]

    table.add_row("each alone", *cells({name: levels(one.alone, config) for name, one in sets.items()}), "")
    by_all = {name: levels(vectors[rows[name]], config) for name in sets}
    table.add_row("projection of all, grouped alone", *cells(by_all), "")
    for way, group in ways(config).items():
        (fine, coarse), seconds = timed(group, vectors)
        table.add_row(
            f"all as one, {way}",
            *cells({name: (fine[of_set], coarse[of_set]) for name, of_set in rows.items()}),
            f"{seconds:.1f}",
        )
    return table


def nights_table(sets: dict[str, Vectors], config: Config) -> Table:
    """Groups that keep their id when 5 % of the photos are replaced, 5 % added and 5 % removed."""
    table = Table("", "night", "level", f"groups of {LARGE} and more", "keep their id", "accounted for")
    table.title = f"5 % replaced, 5 % added, 5 % removed; {N_NIGHTS} nights each"
    for name, vectors in sets.items():
        counts: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
        for seed in range(N_NIGHTS):
            mixed = np.random.default_rng(seed).permutation(len(vectors))
            n_there, n_gone = round(0.9 * len(vectors)), round(0.09 * len(vectors))
            there = np.sort(mixed[:n_there])
            then = np.sort(np.r_[mixed[n_gone:n_there], mixed[n_there : n_there + n_gone]])
            before = levels(vectors[there], config)
            known = [np.full(len(vectors), NOISE, np.int32) for _ in before]
            for labels, all_labels in zip(before, known, strict=True):
                all_labels[there] = labels
            nights = {
                "groups go on": levels(vectors[then], config, (known[0][then], known[1][then])),
                "fitted anew": levels(vectors[then], config),
            }
            for night, now in nights.items():
                for level, old, new in zip(("fine", "coarse"), before, now, strict=True):
                    counts.setdefault((night, level), []).append(kept_ids(there, old, then, new, config))
        for (night, level), found in counts.items():
            n_large, n_kept, n_told, n_all = np.sum(found, axis=0)
            table.add_row(name, night, level, str(n_large), f"{n_kept / max(1, n_large):.3f}", f"{n_told / n_all:.3f}")
    return table


def kept_ids(
    there: NDArray[np.int64], old: NDArray[np.int32], then: NDArray[np.int64], new: NDArray[np.int32], config: Config
) -> NDArray[np.int64]:
    """Large groups of the first night, those that keep their id, groups of both nights in the lineage, groups of both."""
    sizes = {f"old {label}": int((old == label).sum()) for label in np.unique(old[old != NOISE])}
    current = {
        int(label): Content(int((new == label).sum()), str(then[new == label][0]))
        for label in np.unique(new[new != NOISE])
    }
    _, was, now = np.intersect1d(there, then, return_indices=True)
    both = (old[was] != NOISE) & (new[now] != NOISE)
    pairs, n_shared = np.unique(np.stack([new[now][both], old[was][both]]), axis=1, return_counts=True)
    shared = {
        (int(label), f"old {name}"): int(n) for label, name, n in zip(*pairs.tolist(), n_shared.tolist(), strict=True)
    }
    ids, lineage = match_groups(current, sizes, shared, "visual", "now", config.cluster.id_overlap)
    large = [name for name, size in sizes.items() if size >= LARGE]
    told = {row.group_id for row in lineage} | {row.previous_group_id for row in lineage}
    named = {*ids.values(), *sizes}
    return np.array([len(large), len(set(large) & set(ids.values())), len(named & told), len(named)])


def synthetic_table(n_regions: int, fit_rows: int, subset: int | None) -> Table:
    """The stage in Spark over planted groups, and a sample of the same share against the whole of a subset."""
    table = Table(
        "regions", "fitted", "seconds", "peak of a Python process, GiB", "fine AMI", "coarse AMI", "in no group"
    )
    table.title = (
        f"synthetic 128-d regions in planted groups, coarse against broad kinds; above {MOST_FOR_AMI:,} V-measure"
    )
    runs = [(n_regions, fit_rows)]
    if subset is not None:
        runs = [(subset, subset), (subset, round(subset * fit_rows / n_regions)), *runs]
    config = load_config("local", settings=["spark.driver_memory=3g", "index.memory_bytes=2000000000"])
    spark = start_session(config.spark, "bench_cluster")
    for n, m in runs:
        table.add_row(f"{n:,}", f"{m:,}", *measured(spark, config, n, m))
    spark.stop()
    return table


def measured(spark: SparkSession, config: Config, n_regions: int, fit_rows: int) -> list[str]:
    config = config.model_copy(update={"cluster": config.cluster.model_copy(update={"fit_rows": fit_rows})})
    ids, vectors, fine, coarse = planted(n_regions)
    with tempfile.TemporaryDirectory() as root:
        run = write_run(Path(root), ids, vectors)
        write_photos(run, ids)
        del vectors
        night = Night.of(spark, config, run)
        run.write_summary(index.run(night))
        run.write_summary(neighbours.run(night))
        started = time.monotonic()
        with PeakMemory() as memory:
            summary = cluster.run(night)
        seconds = time.monotonic() - started
        found = read_table(spark, run, "curation_groups").orderBy("detection_id").toArrow()
        order = np.argsort(ids)
        agreements = []
        for name, truth in (("group_id", fine), ("coarse_group_id", coarse)):
            labels = found.column(name).combine_chunks().dictionary_encode().indices.fill_null(NOISE).to_numpy()
            # The chance that AMI is adjusted for is a sum over all pairs of a group and a kind.
            agreement = v_measure_score if n_regions > MOST_FOR_AMI else adjusted_mutual_info_score
            agreements.append(f"{agreement(truth[order], labels):.3f}{' (V)' if agreement is v_measure_score else ''}")
    share = (summary.facts.visual.in_no_group or 0) / n_regions
    return [f"{seconds:.0f}", f"{memory.peak_bytes / 2**30:.1f}", *agreements, f"{share:.3f}"]


def main(sets: list[LabelledSet], n_regions: int | None, fit_rows: int, subset: int | None) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    console, config = Console(), load_config()
    if n_regions is not None:
        console.print(synthetic_table(n_regions, fit_rows, subset))
        return
    network = catalogue.detector()
    sample = LabelledSet("sample", catalogue.SAMPLE / "catalog.csv", "uri", "category")
    every: dict[str, MixedSet] = {}
    all_photos = []
    for one in (sample, *sets):
        photos = catalogue.embed(network, catalogue.rows_of(one.manifest, one.uri_column))
        primary = np.stack([photo.primary for photo in photos])
        vectors = catalogue.fit(network, photos).apply(primary, catalogue.primary_kinds(photos))["visual"]
        truth = np.array([photo.row[one.label_column] for photo in photos])
        every[one.name] = MixedSet(truth, vectors)
        all_photos.extend(photos)
        console.print(quality_table(f"{one.name}, {one.label_column}, {len(photos)} photos", vectors, truth, config))
    if len(every) > 1:
        primary = np.stack([photo.primary for photo in all_photos])
        by_all = catalogue.fit(network, all_photos).apply(primary, catalogue.primary_kinds(all_photos))["visual"]
        console.print(mixed_table(every, by_all, config))
    console.print(nights_table({name: one.alone for name, one in every.items()}, config))
    if not sets:
        console.print("Name labelled catalogues to measure them too: --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", dest="sets", type=labelled_set, action="append", default=[], metavar="NAME=MANIFEST:URI:LABEL"
    )
    parser.add_argument("--regions", type=int, help="measure the stage on this many synthetic regions instead")
    parser.add_argument("--fit-rows", type=int, default=200_000)
    parser.add_argument("--subset", type=int, help="compare a sample with the whole on this many first")
    arguments = parser.parse_args()
    main(arguments.sets, arguments.regions, arguments.fit_rows, arguments.subset)
