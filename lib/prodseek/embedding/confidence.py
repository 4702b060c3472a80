"""How sure a likeness makes, without labels: a catalogue's own objects, pasted into scenes, are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.view_kinds import Kinds

HUB_VIEWS = 10
RIVALS = 10  # products, the best ones, that share the chance to be what was asked for
LEVEL = 7  # of them, the last ones, that say what a question scores anyway
_COPY_COSINE = 0.9  # of two packshots in `likeness`: one thing under two ids, as far as a view in a scene can tell
# How far another photo of an object stands out, of how far the object's own photo does, pasted into a scene.
_OF_OTHER_PHOTOS = 0.85
# A number that is twice what PRIOR_CALIBRATION says costs as much as this many views that surprise by one unit.
_PRIOR_STRENGTH = 100
_LEAST_SLOPE = 0.1
_LARGEST_EXPONENT = 300.0  # so that sums stay finite


@dataclass(frozen=True)
class InScenes:
    """Objects and their views in scenes.

    objects, views: (M, slice_length) float16. kinds: (M,) int8, of the objects. products: (M,) int64, hashes of product ids.
    """

    objects: NDArray[np.float16]
    kinds: Kinds
    products: NDArray[np.int64]
    views: NDArray[np.float16]

    @classmethod
    def empty(cls, length: int) -> InScenes:
        """No objects."""
        none = np.zeros((0, length), np.float16)
        return cls(none, np.zeros(0, np.int8), np.zeros(0, np.int64), none)

    def merge(self, other: InScenes) -> InScenes:
        """Those of both, one after the other."""
        return InScenes(
            np.concatenate([self.objects, other.objects]),
            np.concatenate([self.kinds, other.kinds]),
            np.concatenate([self.products, other.products]),
            np.concatenate([self.views, other.views]),
        )

    def to_bytes(self) -> bytes:
        """Kinds, objects and views, to send them to another process."""
        products, slices = self.products.astype("<i8"), np.stack([self.objects, self.views]).astype("<f2")
        return products.tobytes() + slices.tobytes() + self.kinds.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, length: int) -> InScenes:
        """The inverse of `to_bytes`, of slices of this length."""
        n = len(data) // (9 + 4 * length)
        products = np.frombuffer(data, "<i8", count=n).astype(np.int64)
        slices = np.frombuffer(data, "<f2", count=2 * n * length, offset=8 * n).reshape(2, n, length).astype(np.float16)
        return cls(slices[0], np.frombuffer(data, np.int8, count=n, offset=len(data) - n), products, slices[1])


@dataclass(frozen=True)
class Calibration:
    """The chance that a hit shows the product that was asked for, beside its rivals and beside none of them.

    A hit counts exp(slope * (score - best)), where best is the first score. None of them counts
    exp(none - standing_out * (best - level) - alike * best): the less, the more the best stands out from the level, the mean
    score of the last LEVEL of the rivals, and the more alike it is in absolute terms. The first RIVALS and none share 1.
    Source: McFadden, "Conditional Logit Analysis", 1974.
    """

    slope: float
    none: float
    standing_out: float
    alike: float

    @classmethod
    def of_facts(cls, fitted: Mapping[str, float]) -> Calibration | None:
        """What the stage `project` left of it; None for a run that fitted none, or another one, as older versions did."""
        names = [field.name for field in fields(cls)]
        return cls(**fitted) if sorted(fitted) == sorted(names) else None

    def chances(self, scores: NDArray[np.floating], rest: float = 0.0) -> NDArray[np.float64]:
        """The chance of each hit, 0 to 1. scores: (H,) `likeness_score` of products, the best first. rest: see `level_of`."""
        if not len(scores):
            return np.zeros(0)
        counts = _exp(self.slope * (np.asarray(scores, np.float64) - scores[0]))
        shared = counts[:RIVALS].sum() + self._none_beside(scores[:1], _level(scores, rest))
        return np.asarray(counts / shared)

    def chances_alone(self, scores: NDArray[np.floating], rest: float = 0.0) -> NDArray[np.float64]:
        """The chance that each hit would have without better ones, so that a sure one hides none. Arguments as for `chances`."""
        return np.asarray(1 / (1 + self._none_beside(scores, _level(scores, rest))))

    def least_score(self, scores: NDArray[np.floating], chance_alone: float, rest: float = 0.0) -> float:
        """The score from which on a hit beside these has this `chances_alone`. Arguments as for `chances`."""
        if chance_alone in (0.0, 1.0):
            return -math.inf if chance_alone == 0.0 else math.inf
        odds = math.log(chance_alone / (1 - chance_alone))
        return (odds + self.none + self.standing_out * _level(scores, rest)) / (self.standing_out + self.alike)

    def _none_beside(self, best: NDArray[np.floating], level: float) -> NDArray[np.float64]:
        best = np.asarray(best, np.float64)
        return _exp(self.none - self.standing_out * (best - level) - self.alike * best)


def _exp(exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))


def _level(scores: NDArray[np.floating], rest: float) -> float:
    return float(level_of(np.asarray(scores, np.float64)[None], rest)[0])


# What the sample, groceries, clothing and magento give together, each with as many questions.
PRIOR_CALIBRATION = Calibration(26.4, 5.8, 13.8, 6.1)


def level_of(scores: NDArray[np.float64], rest: float = 0.0) -> NDArray[np.float64]:
    """What questions score anyway: (Q,), the mean of the LEVEL last of the first RIVALS scores.

    scores: (Q, H), the best first; NaN or missing where there are fewer. rest: the score that missing ones count as. Vectors
    lie around a mean, so what nothing is like has one of 0; where a list was cut off, it is the last of the list.
    """
    places = np.full((len(scores), RIVALS), np.nan)
    places[:, : scores.shape[1]] = scores[:, :RIVALS]
    level: NDArray[np.float64] = np.where(np.isnan(places), rest, places)[:, -LEVEL:].mean(axis=1)
    return level


def hubness(cosine: NDArray[np.floating]) -> NDArray[np.floating]:
    """How near regions are to any object in a scene: (N,), the mean of their HUB_VIEWS largest cosines; 0 with fewer views.

    Some regions are everything's neighbours, so half of it is taken off a cosine of `likeness`. cosine: (N, M) of regions and
    views in scenes. Source: Conneau et al., "Word Translation Without Parallel Data", 2018, section 2.3 (CSLS).
    """
    if cosine.shape[1] < HUB_VIEWS:
        return np.zeros(len(cosine), cosine.dtype)
    nearest: NDArray[np.floating] = np.partition(cosine, -HUB_VIEWS, axis=1)[:, -HUB_VIEWS:].mean(axis=1)
    return nearest


def likeness_score(cosine: Any, of_hubs: Any) -> Any:
    """What hits of `likeness` are ranked by. cosine, of_hubs: arrays or columns, cosines and the hubness of what was found."""
    return cosine - of_hubs / 2


def fit_confidence(
    views: NDArray[np.float64], gallery: NDArray[np.float64], products: NDArray[np.int64]
) -> Calibration:
    """How sure a likeness makes, by maximum likelihood from views that are asked for with and without their products.

    views: (M, d) of objects in scenes, unit length. gallery: (N, d), the views' objects first. products: (N,). The fewer views,
    the more the fit is drawn towards PRIOR_CALIBRATION. A view shows the very photo of its object, so it stands out more than
    what people ask with does; _OF_OTHER_PHOTOS allows for that. It says nothing about the hubness of its own object. What is
    as near to its object as a copy is the product too, whatever its id.
    """
    # Imported here, because it takes seconds.
    from scipy.optimize import minimize

    n = len(views)
    if n <= HUB_VIEWS:
        return PRIOR_CALIBRATION
    cosine = views @ gallery.T
    places = np.arange(n)
    score = likeness_score(cosine, hubness(cosine.T))
    others = cosine[:, :n].T.copy()
    others[places, places] = -1.0
    score[places, places] = likeness_score(cosine[places, places], hubness(others))
    score[cosine <= 0] = -np.inf
    asked, right = np.full((2 * n, RIVALS), np.nan), np.full(2 * n, RIVALS)
    for place in range(n):
        is_own = (products == products[place]) | (gallery @ gallery[place] >= _COPY_COSINE)
        hits = _best_of_each(score[place], np.where(is_own, products[place], products))
        asked[place, : len(hits)] = score[place][hits]
        is_right = np.flatnonzero(is_own[hits])
        right[place] = is_right[0] if len(is_right) else RIVALS
        left = _best_of_each(np.where(is_own, -np.inf, score[place]), products)
        asked[n + place, : len(left)] = score[place][left]
    level = level_of(asked)
    asked, right = _as_of_other_photos(asked, right, level)
    best = np.nan_to_num(asked[:, 0])
    beside = np.where(np.isnan(asked), -np.inf, asked - best[:, None])
    prior, questions = np.array(astuple(PRIOR_CALIBRATION)), np.arange(2 * n)

    def surprise(fitted: NDArray[np.float64]) -> float:
        """The mean of -log of what the right answer was given, and what departing from the prior costs."""
        slope, none, standing_out, alike = fitted
        counts = np.column_stack([slope * beside, none - standing_out * (best - level) - alike * best])
        largest = counts.max(axis=1)
        total = largest + np.log(np.exp(counts - largest[:, None]).sum(axis=1))
        of_answers = (total - counts[questions, right]).mean()
        return float(of_answers + _PRIOR_STRENGTH / n * ((fitted / prior - 1) ** 2).sum())

    bounds = [(_LEAST_SLOPE, None), (None, None), (_LEAST_SLOPE, None), (_LEAST_SLOPE, None)]
    return Calibration(
        *(round(float(value), 2) for value in minimize(surprise, prior, method="L-BFGS-B", bounds=bounds).x)
    )


def _as_of_other_photos(
    asked: NDArray[np.float64], right: NDArray[np.intp], level: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Scores and places of the right answers, had another photo of their object been asked with.

    asked: (Q, RIVALS), the best first. right: (Q,), RIVALS where no answer is right.
    """
    is_right = np.arange(RIVALS) == right[:, None]
    out = np.maximum(asked - level[:, None], 0.0)
    scores = np.where(is_right, asked - (1 - _OF_OTHER_PHOTOS) * out, asked)
    order = np.argsort(-scores, axis=1, kind="stable")  # NaN come last
    places = np.where(right < RIVALS, np.take_along_axis(is_right, order, axis=1).argmax(axis=1), RIVALS)
    return np.take_along_axis(scores, order, axis=1), places


def _best_of_each(score: NDArray[np.float64], products: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows of the best of each of the first RIVALS products, the best first; those of -inf are none."""
    order = np.argsort(-score, kind="stable")
    order = order[np.isfinite(score[order])]
    first = np.sort(np.unique(products[order], return_index=True)[1])[:RIVALS]
    rows: NDArray[np.intp] = order[first]
    return rows
