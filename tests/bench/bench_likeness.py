"""How the weights of `likeness` were chosen, and what it finds, each catalogue left out of the choice in turn.

Usage: bench_likeness.py [--set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ...]. The sample catalogue is always measured. A
label is a product of which there are several photos. Asked are: a product's other photos; cut-outs of products, relit and
pasted into photos of the other catalogues, by a drawn box; and, in the sample, the products in its rooms.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import catalogue
import numpy as np
import torch
from bench_embedding import LabelledSet, labelled_set
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from prodseek.embedding.confidence import hubness, likeness_score
from prodseek.embedding.facets import LIKENESS_WEIGHTS
from prodseek.embedding.projection import Projection, map_components
from prodseek.embedding.projection_fit import fit_projection
from prodseek.embedding.view_kinds import Kinds, ViewKind
from prodseek.vision.inference import Detector
from prodseek.vision.nuisance import slice_in_scene

N_CUT_OUTS, N_SCENES = 200, 100
KS = (1, 10)
GRID = [
    dict(zip(LIKENESS_WEIGHTS, each, strict=True))
    for each in product((1.0,), (0.5, 1, 2), (0.35, 0.7, 1, 1.5), (0, 0.25, 0.5, 1))
]
Weights = Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """Regions that ask, and those that answer. cosines: component -> (Q, G). asked, answers: (Q,), (G,), what must be equal.

    allowed: (Q, G) bool, False where an answer does not count: the asking photo itself.
    """

    name: str
    cosines: Mapping[str, NDArray[np.float32]]
    asked: NDArray[np.str_]
    answers: NDArray[np.str_]
    allowed: NDArray[np.bool_]

    def hits(self, score: NDArray[np.float32]) -> tuple[float, ...]:
        """The share of questions with a right answer among the k best, for each of KS. score: (Q, G)."""
        best = np.argsort(-np.where(self.allowed, score, -np.inf), axis=1, kind="stable")[:, : max(KS)]
        right = self.answers[best] == self.asked[:, None]
        return tuple(float(right[:, :k].any(axis=1).mean()) for k in KS)

    def weighted(self, weights: Weights) -> NDArray[np.float32]:
        return np.asarray(sum(weight * self.cosines[name] for name, weight in weights.items()), np.float32)


def components(fitted: Projection, slices: NDArray[np.float16], kinds: Kinds) -> dict[str, NDArray[np.float32]]:
    mapped = map_components(slices, kinds, fitted.layout, fitted.maps)
    return {name: mapped[name].astype(np.float32) for name in LIKENESS_WEIGHTS}


def cosines(
    asking: Mapping[str, NDArray[np.float32]], answering: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    return {name: asking[name] @ answering[name].T for name in asking}


def tasks_of(
    network: Detector, one: LabelledSet, photos: list[catalogue.Photo], scenes: Sequence[catalogue.Photo]
) -> tuple[Projection, list[Task], NDArray[np.float16]]:
    """The projection fitted on a catalogue, its tasks, and the slices of its cut-outs in scenes of other catalogues."""
    fitted = fit_projection(catalogue.measured(network, photos))
    primary, kinds = np.stack([photo.primary for photo in photos]), catalogue.primary_kinds(photos)
    labels = np.array([photo.row[one.label_column] for photo in photos])
    paths = np.array([str(photo.path) for photo in photos])
    gallery = components(fitted, primary, kinds)
    several = np.array([(labels == label).sum() > 1 for label in labels])
    asking = {name: rows[several] for name, rows in gallery.items()}
    tasks = [
        Task("its other photos", cosines(asking, gallery), labels[several], labels, paths[several][:, None] != paths)
    ]
    rng = np.random.default_rng(7)
    chosen = [photos[row] for row in rng.permutation(len(photos))[:N_CUT_OUTS]]
    decoded = [catalogue.decode(scene.path) for scene in scenes]
    pasted = np.concatenate(
        [
            slice_in_scene(
                network, catalogue.decode(photo.path), photo.box, decoded[rng.integers(len(decoded))], 11 + row
            )
            for row, photo in enumerate(chosen)
        ]
    )
    in_scenes = components(fitted, pasted, np.full(len(pasted), ViewKind.OBJECT_IN_SCENE, np.int8))
    own = np.array([str(photo.path) for photo in chosen])
    everywhere = np.ones((len(own), len(paths)), bool)
    tasks.append(Task("pasted into others' scenes", cosines(in_scenes, gallery), own, paths, everywhere))
    if one.name == "sample":
        tasks.append(rooms(network, fitted, gallery, labels, photos))
    return fitted, tasks, pasted


def rooms(
    network: Detector,
    fitted: Projection,
    gallery: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.str_],
    photos: Sequence[catalogue.Photo],
) -> Task:
    with (catalogue.SAMPLE / "truth.csv").open(newline="", encoding="utf-8") as stream:
        boxes = [row for row in csv.DictReader(stream) if row["kind"] == "scene_object"]
    slices = [
        network.embed_boxes(
            catalogue.decode(catalogue.SAMPLE / row["uri"]),
            [[float(row[f"{edge}_px"]) for edge in ("x1", "y1", "x2", "y2")]],
        )
        for row in boxes
    ]
    asking = components(fitted, np.concatenate(slices), np.full(len(boxes), ViewKind.OBJECT_IN_SCENE, np.int8))
    uris = np.array([photo.row["uri"] for photo in photos])
    allowed = np.array([row["uri"] for row in boxes])[:, None] != uris
    return Task("its rooms", cosines(asking, gallery), np.array([row["product_id"] for row in boxes]), labels, allowed)


def score(
    found: Mapping[tuple[str, str], Sequence[tuple[float, ...]]], tasks: Sequence[tuple[str, str]], place: int
) -> float:
    """The mean over tasks of the share found, of the best that any weights find there."""
    return float(np.mean([np.mean(np.divide(found[task][place], np.max(found[task], axis=0))) for task in tasks]))


def main(sets: list[LabelledSet]) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    network = catalogue.detector()
    sample = LabelledSet("sample", catalogue.SAMPLE / "catalog.csv", "uri", "product_id")
    read = {
        one.name: (one, catalogue.embed(network, catalogue.rows_of(one.manifest, one.uri_column)))
        for one in (sample, *sets)
    }
    all_tasks: dict[tuple[str, str], Task] = {}
    fitted: dict[str, Projection] = {}
    for name, (one, photos) in read.items():
        scenes = [
            photo for other, (_, of_other) in read.items() if other != name or len(read) == 1 for photo in of_other
        ]
        scenes = [photo for photo in scenes if photo.primary_kind != ViewKind.PACKSHOT]
        rng = np.random.default_rng(3)
        scenes = [scenes[row] for row in rng.permutation(len(scenes))[:N_SCENES]]
        fitted[name], tasks, _ = tasks_of(network, one, photos, scenes)
        all_tasks |= {(name, task.name): task for task in tasks}
    found = {task: [one.hits(one.weighted(weights)) for weights in GRID] for task, one in all_tasks.items()}
    table = Table(
        "", "shipped weights", "hubs corrected", "chosen on the others", "equal weights", "visual's components"
    )
    table.title = f"hit@{' / '.join(map(str, KS))} among primary regions, each catalogue left out of the choice in turn"
    for key, one in all_tasks.items():
        others = [task for task in all_tasks if task[0] != key[0]] or list(all_tasks)
        chosen = max(range(len(GRID)), key=lambda place: score(found, others, place))
        shipped = one.weighted(LIKENESS_WEIGHTS) / sum(LIKENESS_WEIGHTS.values())
        views = fitted[key[0]].scene_views
        photos = read[key[0]][1]
        vectors = fitted[key[0]].apply(np.stack([photo.primary for photo in photos]), catalogue.primary_kinds(photos))[
            "likeness"
        ]
        corrected = likeness_score(shipped, hubness(vectors @ views.T.astype(np.float32))[None])
        ways = [
            one.hits(shipped),
            one.hits(corrected),
            found[key][chosen],
            one.hits(one.weighted(dict.fromkeys(LIKENESS_WEIGHTS, 1.0))),
            one.hits(one.weighted({name: weight**2 for name, weight in fitted[key[0]].weights.items()})),
        ]
        written = [" / ".join(f"{value:.3f}" for value in way) for way in ways]
        written[2] += " (" + ", ".join(f"{weight:g}" for weight in GRID[chosen].values()) + ")"
        table.add_row(f"{key[0]}: {key[1]}, {len(one.asked)}", *written)
    Console(width=180).print(table)
    if not sets:
        Console().print(
            "Name labelled catalogues, or nothing can be left out: --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set", dest="sets", type=labelled_set, action="append", default=[], metavar="NAME=MANIFEST:URI:LABEL"
    )
    main(parser.parse_args().sets)
