"""What is asked of a run, and the products that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.confidence import RIVALS
from prodseek.report import wording
from prodseek.search.prompts import Box

Vectors = Mapping[str, NDArray[np.float32]]

# Of what a catalogue has, 3 % of first answers say less, measured on seven; of the things of other catalogues, a third.
LIKELY = 0.05


@dataclass(frozen=True)
class Query:
    """A region to find the like of.

    vectors: facet -> (d,) float32, unit length. own_image: number of its photo; None if the catalogue does not have it. box_px:
    x1 y1 x2 y2, pixels of that photo. is_scene: whether it is a whole scene, which rooms may answer; a thing is answered by
    things.
    """

    vectors: Vectors
    own_image: int | None
    box_px: Box
    is_scene: bool


@dataclass(frozen=True)
class Hit:
    """A product that was found, with its most similar region.

    rank: from 1. box_px: x1 y1 x2 y2, source pixels. uri: as the catalogue names the photo. cosine_similarity: of the facet or
    mix that was asked for; `likeness` ranks by it less half of the region's hubness. confidence: the chance that it is the same
    product, among its rivals, as far as objects pasted into scenes tell; None if something else than `likeness` was asked for.
    facets: facet -> cosine similarity.
    """

    rank: int
    detection_id: int
    image_id: str
    product_id: str
    uri: str
    box_px: Box
    cosine_similarity: float
    confidence: float | None
    facets: Mapping[str, float]


@dataclass(frozen=True)
class Floor:
    """What is no hit of `likeness`: after the first n_unsure, what is less sure than min_confidence, had it no rivals."""

    min_confidence: float
    n_unsure: int = 0

    @classmethod
    def of(cls, asked: float | None, usual: float) -> Floor:
        """asked: the floor that somebody asks for, which holds for every hit. usual: that of the run's settings.

        It spares the first RIVALS, because a right answer is often among them however unsure it is.
        """
        return cls(usual, RIVALS) if asked is None else cls(asked)


def nothing_likely(hits: Sequence[Hit]) -> str:
    """That none of these hits is likely to be what was asked for, in a sentence; empty where the first one may be it."""
    best = hits[0].confidence if hits else None
    if best is None or best >= LIKELY:
        return ""
    return f"nothing in the catalogue is likely to be it: the best is {wording.chance(best)} sure; what follows is only alike"


def left_out(n: int, min_confidence: float, spared: Sequence[Hit] = ()) -> str:
    """How many hits were left out, in a sentence; empty for none. spared: those that are shown however unsure they are."""
    if not n:
        return ""
    last = spared[-1].confidence if spared else None
    is_as_unsure = last is not None and last < min_confidence
    why = "none surer than the last of these" if is_as_unsure else f"each less than {100 * min_confidence:g} % sure"
    return f"{wording.counted(n, 'product')} more, {why}, left out"


def nothing_found(nearest: Sequence[Hit]) -> str:
    """That nothing is like what was asked for, in a sentence. nearest: the first hit where no confidence is asked for."""
    if not nearest or nearest[0].confidence is None:
        return "no other product in the catalogue is like it"
    at = wording.chance(nearest[0].confidence)
    return f"nothing in the catalogue is like it; the nearest, at {at}, is {nearest[0].product_id!r}"
