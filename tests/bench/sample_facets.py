"""What the sample catalogue's truth.csv lets one ask of facets: other views, the same colour, the same shape.

Colour is asked of the photos of products that are there in several colours, among all photos whose colour is listed; the
recoloured copies have none listed and are not asked. Shape is asked of the same products and of the recoloured copies: is the
nearest photo of the same model, in any colour? It holds views from other sides, which are other outlines, and photos
before a room, where no outline is known. So it is asked a second time, fairly: of those before a plain background that have a
counterpart there, the same model in another colour, seen from the same side before a plain background.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass

import catalogue
import numpy as np
from numpy.typing import NDArray

from prodseek.vision.inference import Detector

RECALL_K = 5
Vectors = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The sample's photos, with what is true of each.

    kinds: view, recoloured, another copy, or scene. products: as truth.csv has them. models: products whatever their
    colour. colours: as listed, or empty. angles: the side a product is seen from. is_plain: before a plain background.
    drawn: (N, slice_length), slices of the boxes that truth.csv gives.
    """

    kinds: NDArray[np.str_]
    products: NDArray[np.str_]
    models: NDArray[np.str_]
    colours: NDArray[np.str_]
    angles: NDArray[np.str_]
    is_plain: Flags
    drawn: NDArray[np.float16]

    def in_several_colours(self, photos: Flags) -> Flags:
        """Those of the photos whose model is among them in more than one colour."""
        products = defaultdict(set)
        for model, product in zip(self.models[photos], self.products[photos], strict=True):
            products[model].add(product)
        return photos & np.array([len(products[model]) > 1 for model in self.models])

    def has_counterpart(self, photos: Flags) -> Flags:
        """Those of the photos that have another among them of the model in another colour, from the same side."""
        same = self.models[:, None] == self.models
        same &= (self.products[:, None] != self.products) & (self.angles[:, None] == self.angles)
        return photos & (same & photos).any(axis=1)


@dataclass(frozen=True)
class Question:
    """Is a photo's nearest other one in the gallery alike? Of the photos asked. answers: what must be equal.

    strangers_only: photos of the product itself are not in its gallery.
    """

    text: str
    facet: str
    asked: Flags
    gallery: Flags
    answers: NDArray[np.str_]
    strangers_only: bool = False
    has_target: bool = True


def read_sample(network: Detector, photos: list[catalogue.Photo]) -> Sample:
    truth: dict[str, dict[str, str]] = {}
    with (catalogue.SAMPLE / "truth.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["kind"] != "scene_object":
                truth[row["uri"]] = row
    scene = {"kind": "scene", "source_uri": "", "detail": "", "x1_px": ""}
    facts, products, models, drawn = [], [], [], []
    for photo in photos:
        fact = truth.get(photo.row["uri"], scene | {"product_id": photo.row["product_id"]})
        is_recoloured = fact["kind"] == "recoloured"
        products.append(photo.row["uri"] if is_recoloured else fact["product_id"])
        if is_recoloured:  # from the same side and before the same background as its source
            fact = truth[fact["source_uri"]] | {"kind": "recoloured"}
        models.append(
            fact["detail"].rpartition("colour variant of ")[2] if "variant" in fact["detail"] else fact["product_id"]
        )
        facts.append(fact)
        is_drawn = fact["kind"] in ("view", "recoloured") and fact["x1_px"]
        box = tuple(float(fact[f"{corner}_px"]) for corner in ("x1", "y1", "x2", "y2")) if is_drawn else photo.box
        drawn.append(network.embed_boxes(catalogue.decode(photo.path), [box])[0])
    return Sample(
        np.array([fact["kind"] for fact in facts]),
        np.array(products),
        np.array(models),
        np.array([photo.row["colour"] for photo in photos]),
        np.array([fact["detail"].partition(",")[0] for fact in facts]),
        np.array(["background plain" in fact["detail"] for fact in facts]),
        np.stack(drawn),
    )


def questions(sample: Sample) -> list[Question]:
    is_view = sample.kinds == "view"
    coloured = is_view & (sample.colours != "")
    recoloured = sample.in_several_colours(coloured)
    shown = is_view | (sample.kinds == "recoloured")
    return [
        Question("same colour", "colour", recoloured, coloured, sample.colours),
        Question("same colour, other product", "colour", recoloured, coloured, sample.colours, True, False),
        Question("same model", "shape", sample.in_several_colours(shown), shown, sample.models, has_target=False),
        Question(
            "same model, plain, same side",
            "shape",
            sample.has_counterpart(shown & sample.is_plain),
            shown,
            sample.models,
        ),
        Question(
            "same model, in another colour", "shape", sample.has_counterpart(shown), shown, sample.models, True, False
        ),
    ]


def share_alike(vectors: Vectors, question: Question, products: NDArray[np.str_]) -> float:
    """Of the photos asked. vectors: (N, d) unit length."""
    allowed = np.repeat(question.gallery[None], len(vectors), axis=0)
    np.fill_diagonal(allowed, False)
    if question.strangers_only:
        allowed &= products[:, None] != products
    nearest = np.where(allowed, vectors @ vectors.T, -np.inf).argmax(axis=1)
    return float((question.answers[nearest] == question.answers)[question.asked].mean())


def recall_of_views(vectors: Vectors, sample: Sample) -> tuple[float, float]:
    """Among photos of a product from one side each: the share with another view of it among their RECALL_K nearest, and
    the mean share of its other views that are there, of as many as there is room for."""
    is_view = sample.kinds == "view"
    products = sample.products[is_view]
    similarity = vectors[is_view] @ vectors[is_view].T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :RECALL_K]
    n_found = (products[nearest] == products[:, None]).sum(axis=1)
    n_others = (products == products[:, None]).sum(axis=1) - 1
    asked = n_others > 0
    shares = n_found / np.clip(n_others, 1, RECALL_K)
    return float((n_found > 0)[asked].mean()), float(shares[asked].mean())
