"""How the constants of `likeness` were chosen, and what it finds, each catalogue left out of the choice in turn.

Usage: bench_likeness.py [--set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ...] [--keep DIR]. The sample catalogue is always
measured. A label is a product of which there are several photos, or a category. Asked are: a product's other photos; cut-outs of
products, relit and pasted into photos of the other catalogues, by a drawn box; and, in the sample, the products in its rooms.

Tables: weights; the other constants, each chosen on the other catalogues and beside what ships; kinds of things by departments,
of all catalogues as one; what a floor of confidence takes away; and how sure first answers say they are. DIR keeps what the
network saw, for the next time.
"""

from __future__ import annotations

import argparse
import csv
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from unittest.mock import patch

import catalogue
import numpy as np
import torch
from bench_embedding import LabelledSet, labelled_set
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from prodseek.duplicates.train_decision import expected_calibration_error
from prodseek.embedding.confidence import HUB_VIEWS, hubness, likeness_score
from prodseek.embedding.departments import N_DEPARTMENTS
from prodseek.embedding.facets import LIKENESS_WEIGHTS
from prodseek.embedding.projection import Projection, map_components
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.embedding.view_kinds import PRIOR_REGIONS, Kinds, ViewKind
from prodseek.search.searchable import DEFAULT_K
from prodseek.vision.inference import Detector
from prodseek.vision.nuisance import slice_in_scene

N_CUT_OUTS, N_SCENES = 200, 100
PASTED = "pasted into others' scenes"
KS = (1, 10)
GRID = [
    dict(zip(LIKENESS_WEIGHTS, each, strict=True))
    for each in product((1.0,), (0.5, 1, 2), (0.35, 0.7, 1, 1.5), (0, 0.25, 0.5, 1))
]
# Neighbours among objects in scenes, and the share of their mean cosine that is taken off.
HUBS = [(n, share) for n in (5, 10, 20, 40) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
PRIORS = [1.0, 5.0, 20.0, 80.0, 320.0]
DEPARTMENTS = [1, 4, 8, 16, 32]
FLOORS = [0.00001, 0.0001, 0.001, 0.01, 0.1]
Weights = Mapping[str, float]
# (catalogue, task) -> what each choice finds there.
Found = Mapping[tuple[str, str], Sequence[tuple[float, ...]]]


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


@dataclass(frozen=True)
class Questions:
    """What asks, before a projection. slices, kinds: (Q, slice_length), (Q,). Others: as `Task`."""

    name: str
    slices: NDArray[np.float16]
    kinds: Kinds
    asked: NDArray[np.str_]
    answers: NDArray[np.str_]
    allowed: NDArray[np.bool_]


@dataclass(frozen=True)
class Catalogue:
    """A labelled catalogue as the network saw it. labels, products, paths: (N,) of its photos' primary regions."""

    name: str
    primary: NDArray[np.float16]
    kinds: Kinds
    labels: NDArray[np.str_]
    products: NDArray[np.int64]
    paths: NDArray[np.str_]
    measured: Measured
    questions: tuple[Questions, ...]

    def tasks(self, fitted: Projection) -> list[Task]:
        gallery = components(fitted, self.primary, self.kinds)
        return [
            Task(
                one.name,
                cosines(components(fitted, one.slices, one.kinds), gallery),
                one.asked,
                one.answers,
                one.allowed,
            )
            for one in self.questions
        ]


def catalogue_of(
    network: Detector,
    one: LabelledSet,
    photos: list[catalogue.Photo],
    measured: Measured,
    scenes: Sequence[catalogue.Photo],
) -> Catalogue:
    """scenes: of other catalogues, to paste cut-outs into."""
    primary, kinds = np.stack([photo.primary for photo in photos]), catalogue.primary_kinds(photos)
    labels = np.array([photo.row[one.label_column] for photo in photos])
    paths = np.array([str(photo.path) for photo in photos])
    several = np.array([(labels == label).sum() > 1 for label in labels])
    differs = paths[several][:, None] != paths
    questions = [Questions("its other photos", primary[several], kinds[several], labels[several], labels, differs)]
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
    in_scenes = np.full(len(pasted), ViewKind.OBJECT_IN_SCENE, np.int8)
    own = np.array([str(photo.path) for photo in chosen])
    everywhere = np.ones((len(own), len(paths)), bool)
    questions.append(Questions(PASTED, pasted, in_scenes, own, paths, everywhere))
    if one.name == "sample":
        questions.append(rooms(network, labels, photos))
    return Catalogue(one.name, primary, kinds, labels, catalogue.products_of(photos), paths, measured, tuple(questions))


def rooms(network: Detector, labels: NDArray[np.str_], photos: Sequence[catalogue.Photo]) -> Questions:
    with (catalogue.SAMPLE / "truth.csv").open(newline="", encoding="utf-8") as stream:
        boxes = [row for row in csv.DictReader(stream) if row["kind"] == "scene_object"]
    slices = [
        network.embed_boxes(
            catalogue.decode(catalogue.SAMPLE / row["uri"]),
            [[float(row[f"{edge}_px"]) for edge in ("x1", "y1", "x2", "y2")]],
        )
        for row in boxes
    ]
    uris = np.array([photo.row["uri"] for photo in photos])
    allowed = np.array([row["uri"] for row in boxes])[:, None] != uris
    kinds = np.full(len(boxes), ViewKind.OBJECT_IN_SCENE, np.int8)
    return Questions(
        "its rooms", np.concatenate(slices), kinds, np.array([row["product_id"] for row in boxes]), labels, allowed
    )


def score(found: Found, tasks: Sequence[tuple[str, str]], place: int) -> float:
    """The mean over tasks of the share found, of the best that any weights find there."""
    return float(np.mean([np.mean(np.divide(found[task][place], np.max(found[task], axis=0))) for task in tasks]))


def best_of(found: Found, catalogue_name: str) -> int:
    """The choice that is best on the other catalogues, hit@10 and hit@1 alike; the first of equal ones."""
    others = [task for task in found if task[0] != catalogue_name] or list(found)
    n_choices = len(found[others[0]])
    return max(range(n_choices), key=lambda place: score(found, others, place))


def corrected(
    cosine: NDArray[np.float32], of_catalogue: Catalogue, fitted: Projection, n: int, share: float
) -> NDArray[np.float32]:
    """Cosines less a share of how near each answer is to its n nearest of the projection's objects in scenes."""
    vectors = fitted.apply(of_catalogue.primary, of_catalogue.kinds)["likeness"]
    with patch("prodseek.embedding.confidence.HUB_VIEWS", n):
        of_hubs = hubness(vectors @ fitted.scene_views.T.astype(np.float32))
    return np.asarray(cosine - share * of_hubs[None], np.float32)


def shipped_cosine(one: Task) -> NDArray[np.float32]:
    return one.weighted(LIKENESS_WEIGHTS) / sum(LIKENESS_WEIGHTS.values())


def by_weights(catalogues: Sequence[Catalogue], fitted: Mapping[str, Projection]) -> Table:
    tasks = {(one.name, task.name): task for one in catalogues for task in one.tasks(fitted[one.name])}
    found = {key: [task.hits(task.weighted(weights)) for weights in GRID] for key, task in tasks.items()}
    table = Table(
        "", "shipped weights", "hubs corrected", "chosen on the others", "equal weights", "visual's components"
    )
    table.title = f"hit@{' / '.join(map(str, KS))} among primary regions, each catalogue left out of the choice in turn"
    of_name = {one.name: one for one in catalogues}
    for (name, what), task in tasks.items():
        chosen = best_of(found, name)
        shipped = shipped_cosine(task)
        ways = [
            task.hits(shipped),
            task.hits(corrected(shipped, of_name[name], fitted[name], HUB_VIEWS, 0.5)),
            found[name, what][chosen],
            task.hits(task.weighted(dict.fromkeys(LIKENESS_WEIGHTS, 1.0))),
            task.hits(task.weighted({part: weight**2 for part, weight in fitted[name].weights.items()})),
        ]
        written = [shares(way) for way in ways]
        written[2] += " (" + ", ".join(f"{weight:g}" for weight in GRID[chosen].values()) + ")"
        table.add_row(f"{name}: {what}, {len(task.asked)}", *written)
    return table


def by_hubs(catalogues: Sequence[Catalogue], fitted: Mapping[str, Projection]) -> Found:
    found = {}
    for one in catalogues:
        for task in one.tasks(fitted[one.name]):
            cosine = shipped_cosine(task)
            found[one.name, task.name] = [
                task.hits(corrected(cosine, one, fitted[one.name], n, share)) for n, share in HUBS
            ]
    return found


def by_prior(catalogues: Sequence[Catalogue]) -> Found:
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for one in catalogues:
        for prior in PRIORS:
            with patch("prodseek.embedding.view_kinds.PRIOR_REGIONS", prior):
                fitted = fit_projection(one.measured)
            for task in one.tasks(fitted):
                score_of = corrected(shipped_cosine(task), one, fitted, HUB_VIEWS, 0.5)
                found.setdefault((one.name, task.name), []).append(task.hits(score_of))
    return found


def by_departments(catalogues: Sequence[Catalogue]) -> Found:
    """P@1 and P@10 by label within each catalogue, of `visual` fitted on all of them as one."""
    slices, kinds = (
        np.concatenate([one.primary for one in catalogues]),
        np.concatenate([one.kinds for one in catalogues]),
    )
    products = np.concatenate([one.products for one in catalogues])
    together = catalogues[0].measured
    for one in catalogues[1:]:
        together = Measured(
            together.moments.merge(one.measured.moments),
            together.kinds.merge(one.measured.kinds),
            together.nuisances.merge(one.measured.nuisances),
            together.in_scenes.merge(one.measured.in_scenes),
            slices,
            kinds,
            products,
        )
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for n in DEPARTMENTS:
        with patch("prodseek.embedding.departments.N_DEPARTMENTS", n):
            fitted = fit_projection(together)
        for one in catalogues:
            vectors = fitted.apply(one.primary, one.kinds)["visual"].astype(np.float32)
            cosine = vectors @ vectors.T
            np.fill_diagonal(cosine, -np.inf)
            best = np.argsort(-cosine, axis=1, kind="stable")[:, : max(KS)]
            right = one.labels[best] == one.labels[:, None]
            row = tuple(float(right[:, :k].mean()) for k in KS)
            found.setdefault((one.name, "the same kind, by label"), []).append(row)
    return found


def chosen_by_turns(title: str, choices: Sequence[object], shipped: object, found: Found) -> Table:
    table = Table("", "shipped", "chosen on the others", "best here", title=title)
    place = list(choices).index(shipped)
    for key, ways in found.items():
        chosen, best = best_of(found, key[0]), max(range(len(ways)), key=lambda at: sum(ways[at]))
        cells = [f"{shares(ways[at])} ({choices[at]})" for at in (place, chosen, best)]
        table.add_row(": ".join(key), *cells)
    return table


@dataclass(frozen=True)
class Answers:
    """Products that a search gives, in their order. right: place of the asked one, None without it. chances, alone: (H,)."""

    right: int | None
    chances: NDArray[np.float64]
    alone: NDArray[np.float64]


def answers(one: Catalogue, projection: Projection, task: Questions, without_asked: bool = False) -> list[Answers]:
    """What each question finds by the vectors of `likeness`. without_asked: the product that is asked for is left out."""
    things = things_of(one)
    gallery = projection.apply(one.primary, one.kinds)["likeness"]
    cosine = projection.apply(task.slices, task.kinds)["likeness"] @ gallery.T
    scored = np.where(
        task.allowed & (cosine > 0), likeness_score(cosine, projection.hubness_of(gallery)[None]), -np.inf
    )
    found = []
    for number, row in enumerate(scored):
        asked = things.get(str(task.asked[number]))
        best: dict[str | None, float] = {}
        for place in np.argsort(-row, kind="stable"):
            if len(best) == DEFAULT_K or not np.isfinite(row[place]):
                break
            thing = things[str(task.answers[place])]
            if not (without_asked and thing == asked):
                best.setdefault(thing, float(row[place]))
        names = list(best)
        right = names.index(asked) if asked in best else None
        scores, fitted = np.array(list(best.values())), projection.calibration
        found.append(Answers(right, fitted.chances(scores), fitted.chances_alone(scores)))
    return found


def things_of(one: Catalogue) -> dict[str, str]:
    """Paths and labels -> products; what the sample shows under another id too is one, as a night finds by its copies."""
    sources: dict[str, str] = {}
    if one.name == "sample":
        with (catalogue.SAMPLE / "truth.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["source_product_id"] and row["kind"] not in ("recoloured", "embedded"):
                    sources[row["product_id"]] = row["source_product_id"]
    things: dict[str, str] = {}
    for path, label, number in zip(one.paths.tolist(), one.labels.tolist(), one.products.tolist(), strict=True):
        things[path] = things[label] = sources.get(label, label) if one.name == "sample" else str(number)
    return things


def asks_products(one: Catalogue, task: Questions) -> bool:
    """Whether a product is asked for, not a category."""
    return task.name != "its other photos" or len(np.unique(one.products)) < len(one.products)


def by_floor(catalogues: Sequence[Catalogue], fitted: Mapping[str, Projection]) -> Table:
    """What floors take of right and of wrong answers, and how many are left of DEFAULT_K."""
    table = Table("", *(f"{floor:g}" for floor in FLOORS))
    table.title = "right answers lost / wrong ones gone / answers left, by search.min_confidence"
    for one in catalogues:
        for task in (task for task in one.questions if asks_products(one, task)):
            found = answers(one, fitted[one.name], task)
            right = np.array([each.alone[each.right] for each in found if each.right is not None])
            wrong = np.concatenate(
                [each.alone if each.right is None else np.delete(each.alone, each.right) for each in found]
            )
            cells = [
                f"{(right < floor).mean():.2f} / {(wrong < floor).mean():.2f} / "
                f"{((right >= floor).sum() + (wrong >= floor).sum()) / len(found):.1f}"
                for floor in FLOORS
            ]
            table.add_row(f"{one.name}: {task.name}", *cells)
    return table


def by_confidence(catalogues: Sequence[Catalogue], fitted: Mapping[str, Projection]) -> Table:
    """How sure first answers say they are, and are; then with the asked product left out, and by what other catalogues show."""
    columns = "first answers say", "and are right", "asked one left out", "off, of both", "things of others"
    table = Table("", *columns, title="confidence of first answers; off: expected calibration error in tenths")
    for one in catalogues:
        projection = fitted[one.name]
        for task in (task for task in one.questions if asks_products(one, task)):
            ways = [answers(one, projection, task, without_asked) for without_asked in (False, True)]
            say, missing = (np.array([each.chances[0] for each in found]) for found in ways)
            right = np.array([each.right == 0 for each in ways[0]])
            off = expected_calibration_error(np.r_[say, missing], np.r_[right, np.zeros(len(missing), bool)])
            foreign = [
                np.mean([each.chances[0] for each in answers(one, projection, of_another(task, of))])
                for other in catalogues
                for of in other.questions
                if other is not one and of.name == task.name == PASTED
            ]
            cells = [f"{value:.2f}" for value in (say.mean(), right.mean(), missing.mean(), off)]
            table.add_row(f"{one.name}: {task.name}, {len(say)}", *cells, shares(foreign))
    return table


def of_another(task: Questions, other: Questions) -> Questions:
    """The questions of another catalogue, asked in this one, which has none of their products."""
    n = len(other.slices)
    return replace(
        task,
        slices=other.slices,
        kinds=other.kinds,
        asked=np.full(n, ""),
        allowed=np.ones((n, len(task.answers)), bool),
    )


def shares(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def seen(network: Detector, one: LabelledSet, keep: Path | None) -> tuple[list[catalogue.Photo], Measured]:
    """A catalogue's photos and what a projection is fitted to; from the folder `keep` if they are there."""
    kept = None if keep is None else keep / f"{one.name}.pkl"
    if kept is not None and kept.exists():
        photos, measured = pickle.loads(kept.read_bytes())
        return photos, measured
    photos = catalogue.embed(network, catalogue.rows_of(one.manifest, one.uri_column))
    measured = catalogue.measured(network, photos)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps((photos, measured)))
    return photos, measured


def main(sets: list[LabelledSet], keep: Path | None) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    network = catalogue.detector()
    sample = LabelledSet("sample", catalogue.SAMPLE / "catalog.csv", "uri", "product_id")
    read = {one.name: (one, *seen(network, one, keep)) for one in (sample, *sets)}
    catalogues = []
    for name, (one, photos, measured) in read.items():
        scenes = [
            photo for other, (_, of_other, _) in read.items() if other != name or len(read) == 1 for photo in of_other
        ]
        scenes = [photo for photo in scenes if photo.primary_kind != ViewKind.PACKSHOT]
        rng = np.random.default_rng(3)
        scenes = [scenes[row] for row in rng.permutation(len(scenes))[:N_SCENES]]
        catalogues.append(catalogue_of(network, one, photos, measured, scenes))
    fitted = {one.name: fit_projection(one.measured) for one in catalogues}
    hubs = "hubs: the nearest objects in scenes, and the share of their mean that is taken off; hit@1 / 10"
    prior = "regions that the mean of all kinds counts as in that of each; hit@1 / 10"
    departments = "departments of `visual`, all catalogues as one; P@1 / 10 by label"
    tables: list[Callable[[], Table]] = [
        lambda: by_weights(catalogues, fitted),
        lambda: chosen_by_turns(hubs, HUBS, (HUB_VIEWS, 0.5), by_hubs(catalogues, fitted)),
        lambda: chosen_by_turns(prior, PRIORS, PRIOR_REGIONS, by_prior(catalogues)),
        lambda: chosen_by_turns(departments, DEPARTMENTS, N_DEPARTMENTS, by_departments(catalogues)),
        lambda: by_floor(catalogues, fitted),
        lambda: by_confidence(catalogues, fitted),
    ]
    for table in tables:
        Console(width=180).print(table())
    if not sets:
        Console().print(
            "Name labelled catalogues, or nothing can be left out: --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set", dest="sets", type=labelled_set, action="append", default=[], metavar="NAME=MANIFEST:URI:LABEL"
    )
    parser.add_argument("--keep", type=Path, help="where what the network saw is kept")
    options = parser.parse_args()
    main(options.sets, options.keep)
