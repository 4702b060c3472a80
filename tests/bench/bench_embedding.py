"""How well embeddings find what belongs together, beside the notebooks' slice and with parts of ours left out.

Usage: bench_embedding.py [--set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN ...]. The sample catalogue is always measured; every
--set is a labelled catalogue more. A projection is fitted on each catalogue, its labels unseen. Unreadable photos are left
out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import catalogue
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sample_facets import RECALL_K, Vectors, questions, read_sample, recall_of_views, share_alike
from threadpoolctl import threadpool_limits

from prodseek.embedding.departments import Departments
from prodseek.embedding.evaluation import precision_at_k
from prodseek.embedding.facets import COMPONENTS, VISUAL_COMPONENTS, VISUAL_DIM
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection, joined, map_components
from prodseek.embedding.projection_fit import Measured, fit_projection, leading_axes
from prodseek.embedding.view_kinds import Kinds
from prodseek.runs.columns import FACETS
from prodseek.vision.inference import Detector

KS = (1, 10)
TARGET = 0.9  # of the measurements on the sample


@dataclass(frozen=True)
class LabelledSet:
    """A catalogue whose photos bear the label in one of their columns."""

    name: str
    manifest: Path
    uri_column: str
    label_column: str


def labelled_set(text: str) -> LabelledSet:
    name, _, rest = text.partition("=")
    manifest, *columns = rest.rsplit(":", 2)
    if len(columns) != 2 or not name or not manifest:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN")
    return LabelledSet(name, Path(manifest), *columns)


def ways(network: Detector, photos: Sequence[catalogue.Photo]) -> dict[str, tuple[Vectors, NDArray[np.bool_]]]:
    """Every way of comparing the photos -> their vectors, and which of them it is measured on."""
    frames, primary = (np.stack([getattr(photo, name) for photo in photos]) for name in ("frame", "primary"))
    measured, kinds = catalogue.measured(network, photos), catalogue.primary_kinds(photos)
    frame_kinds = np.array([photo.kinds[-1] for photo in photos], np.int8)
    fitted = fit_projection(measured)
    unsuppressed = fit_projection(replace(measured, nuisances=Moments.empty(network.layout)))
    of_one_kind = fit_projection(Measured.of_packshots(primary, measured.nuisances))
    mapped = map_components(primary, kinds, fitted.layout, fitted.maps)
    whole = np.ones(len(photos), bool)
    half = np.array([int(photo.image_id[-1], 16) % 2 == 0 for photo in photos])
    halves = [
        catalogue.fit(network, [photo for photo, is_in in zip(photos, rows, strict=True) if is_in])
        for rows in (half, ~half)
    ]
    return {
        "notebooks' slice, frame": (np.stack([photo.notebook_frame for photo in photos]), whole),
        "notebooks' slice, primary region": (np.stack([photo.notebook_primary for photo in photos]), whole),
        "visual, frame": (fitted.apply(frames, frame_kinds)["visual"], whole),
        "visual, primary region": (fitted.apply(primary, kinds)["visual"], whole),
        **{f"  its {name} alone": (mapped[name].astype(np.float32), whole) for name in VISUAL_COMPONENTS},
        "  all photos taken for one kind": (of_one_kind.apply(primary, np.zeros_like(kinds))["visual"], whole),
        "  nuisances not suppressed": (unsuppressed.apply(primary, kinds)["visual"], whole),
        "  components weighted without agreement": (
            without_agreement(fitted, primary, kinds).apply(primary, kinds)["visual"],
            whole,
        ),
        "visual, half the photos, fitted on them": (halves[0].apply(primary, kinds)["visual"], half),
        "visual, the same half, fitted on the other": (halves[1].apply(primary, kinds)["visual"], half),
        **{f"facet {facet}, primary region": (fitted.apply(primary, kinds)[facet], whole) for facet in FACETS[1:]},
    }


def without_agreement(fitted: Projection, slices: NDArray[np.float16], kinds: Kinds) -> Projection:
    """The same components, as if each were confirmed by the others."""
    weights = {name: COMPONENTS[name].visual_weight for name in VISUAL_COMPONENTS}
    together = joined(map_components(slices, kinds, fitted.layout, fitted.maps), weights)
    return replace(fitted, departments=Departments.only_one(weights), rotation=leading_axes(together, VISUAL_DIM))


def measure_sample(network: Detector, photos: list[catalogue.Photo]) -> Table:
    """Recall of other views, and what the facets colour and shape find, of primary regions and of drawn boxes."""
    sample = read_sample(network, photos)
    primary = np.stack([photo.primary for photo in photos])
    fitted = catalogue.fit(network, photos)
    kinds = catalogue.primary_kinds(photos)
    by_region = [fitted.apply(primary, kinds), fitted.apply(sample.drawn, kinds)]
    notebooks = np.stack([photo.notebook_primary for photo in photos])
    table = Table("facet", "what is found", "photos", "primary", "drawn box", "notebooks, primary", "target")
    table.title = "the sample catalogue, regions primary or drawn round the product"
    n_views = str((sample.kinds == "view").sum())
    recalls = [recall_of_views(vectors["visual"], sample) for vectors in by_region]
    recalls.append(recall_of_views(notebooks, sample))
    for text, shares in zip(
        (f"another view of the product among {RECALL_K}", f"share of its other views among {RECALL_K}"),
        zip(*recalls, strict=True),
        strict=True,
    ):
        table.add_row("visual", text, n_views, *(f"{share:.3f}" for share in shares), f"{TARGET:.2f}")
    for question in questions(sample):
        shares = [share_alike(vectors[question.facet], question, sample.products) for vectors in by_region]
        shares.append(share_alike(notebooks, question, sample.products))
        target = f"{TARGET:.2f}" if question.has_target else ""
        n_asked = str(question.asked.sum())
        table.add_row(question.facet, question.text, n_asked, *(f"{share:.3f}" for share in shares), target)
    return table


def main(sets: list[LabelledSet]) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    network = catalogue.detector()
    console = Console()
    sample = LabelledSet("sample", catalogue.SAMPLE / "catalog.csv", "uri", "category")
    columns: dict[str, dict[str, tuple[float, ...]]] = {}
    for one in (sample, *sets):
        photos = catalogue.embed(network, catalogue.rows_of(one.manifest, one.uri_column))
        if one is sample:
            console.print(measure_sample(network, photos))
        labels = np.array([photo.row[one.label_column] for photo in photos])
        columns[f"{one.name}, {one.label_column}, {len(photos)} photos"] = {
            way: tuple(precision_at_k(vectors[rows], labels[rows].tolist(), k) for k in KS)
            for way, (vectors, rows) in ways(network, photos).items()
        }
    table = Table("", *columns, title=f"precision at {' / '.join(str(k) for k in KS)}, leave one out")
    for way in next(iter(columns.values())):
        table.add_row(way, *(" / ".join(f"{value:.3f}" for value in column[way]) for column in columns.values()))
    console.print(table)
    if not sets:
        console.print("Name labelled catalogues to measure them too: --set NAME=MANIFEST.csv:URI_COLUMN:LABEL_COLUMN")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", dest="sets", type=labelled_set, action="append", default=[], metavar="NAME=MANIFEST:URI:LABEL"
    )
    main(parser.parse_args().sets)
