"""How sure a likeness makes, without labels: a catalogue's own objects, pasted into scenes, are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.view_kinds import Kinds

HUB_VIEWS = 10
_MIN_VIEWS = 16  # with fewer, nothing is fitted
_HITS = 10  # of each view, that confidence is fitted to


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
    """The chance that a hit shows the product that was asked for: 1 / (1 + exp(-(slope * score + intercept))).

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """

    slope: float
    intercept: float

    @classmethod
    def of_facts(cls, fitted: Mapping[str, float]) -> Calibration | None:
        """What the stage `project` left of it; None for a run that fitted none."""
        return cls(fitted["slope"], fitted["intercept"]) if fitted else None

    def confidence(self, score: float) -> float:
        """0 to 1, of a `likeness_score`."""
        return 0.5 * (1 + math.tanh((self.slope * score + self.intercept) / 2))

    def score_of(self, confidence: float) -> float:
        """The inverse of `confidence`: the `likeness_score` from which on a hit is this sure."""
        if confidence in (0.0, 1.0):
            return -math.inf if confidence == 0.0 else math.inf
        return (math.log(confidence / (1 - confidence)) - self.intercept) / self.slope


# Of a catalogue with too few objects to tell: what cut-outs of Magento's shop gave, in photos of other catalogues. Those of
# groceries and of the sample make surer (20.4 and -6.7, 16.5 and -5.8).
PRIOR_CALIBRATION = Calibration(13.2, -5.1)


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


def fit_confidence(cosine: NDArray[np.float64], is_own: NDArray[np.bool_]) -> Calibration:
    """How sure a `likeness_score` makes, from the first hits of views: once with their products in the gallery, once without.

    cosine: (M, N) of views and gallery, the views' objects first. is_own: (M, N) bool, what shows the product of a view. A view
    says nothing about the hubness of its own object.
    """
    # Imported here, because it takes seconds.
    from sklearn.linear_model import LogisticRegression

    if len(cosine) < _MIN_VIEWS or cosine.shape[1] <= _HITS:
        return PRIOR_CALIBRATION
    views = np.arange(len(cosine))
    others = cosine[:, views].T.copy()
    others[views, views] = -1.0
    score = likeness_score(cosine, hubness(cosine.T))
    score[views, views] = likeness_score(cosine[views, views], hubness(others))
    found, rights = [], []
    for asked in (score, np.where(is_own, -np.inf, score)):
        hits = np.argsort(-asked, axis=1, kind="stable")[:, :_HITS]
        found.append(np.take_along_axis(asked, hits, axis=1).ravel())
        rights.append(np.take_along_axis(is_own, hits, axis=1).ravel())
    there = np.isfinite(np.concatenate(found))
    right = np.concatenate(rights)[there]
    if not right.any():
        return PRIOR_CALIBRATION
    fitted = LogisticRegression(C=100.0).fit(np.concatenate(found)[there][:, None], right)
    slope, intercept = round(float(fitted.coef_[0, 0]), 2), round(float(fitted.intercept_[0]), 2)
    # Views that find others before themselves, as noise does, say nothing about nights of photos.
    return Calibration(slope, intercept) if slope > 0 else PRIOR_CALIBRATION
