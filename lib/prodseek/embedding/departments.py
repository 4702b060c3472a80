"""How much each component counts in `visual`, by department of a mixed catalogue.

Colour tells groceries apart and says nothing about the kind of a garment. So where a catalogue holds both, components are
weighed among things that look alike without their colours, and a thing is weighed as its likes are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.agreement import agreement
from prodseek.embedding.facets import COMPONENTS, VISUAL_COMPONENTS, unit

AGREEMENT_POWER = 4  # exponent of a component's agreement with the others in its weight
# Chosen on groceries, clothes, Magento's shop and the sample as one catalogue; 16 and 32 departments, and another start of the
# same 8, group them as well within the noise of a layout. Sharpness is of the softmax over cosines with the departments' middles.
N_DEPARTMENTS, SHARPNESS = 8, 10.0
_TOLD_BY = {"texture": 0.5, "grid": 1.0}
_MIN_ROWS = 64  # of a department; a smaller one is weighed as the whole catalogue
_ITERATIONS = 30


@dataclass(frozen=True)
class Departments:
    """The middles of departments, and what components count there.

    middles: (K, d) float64, unit length, or zeros where there is only one. weights: (K, C) float64, the length of each of
    VISUAL_COMPONENTS within `visual`.
    """

    middles: NDArray[np.float64]
    weights: NDArray[np.float64]

    def weights_of(self, mapped: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Component -> (N, 1), what it counts in each of N things. mapped: component -> (N, dim), unit length."""
        nearness = SHARPNESS * _without_colour(mapped) @ self.middles.T
        belonging = np.exp(nearness - nearness.max(axis=1, keepdims=True))
        weights = belonging / belonging.sum(axis=1, keepdims=True) @ self.weights
        return {name: weights[:, place : place + 1] for place, name in enumerate(VISUAL_COMPONENTS)}

    @classmethod
    def only_one(cls, weights: Mapping[str, float]) -> Departments:
        """A catalogue that is all of a kind. weights: component -> length."""
        length = sum(COMPONENTS[name].dim for name in _TOLD_BY)
        return cls(np.zeros((1, length)), np.array([[weights[name] for name in VISUAL_COMPONENTS]]))


def fit_departments(mapped: Mapping[str, NDArray[np.float64]], things: NDArray[np.int64]) -> Departments:
    """Departments by k-means, and the components' agreement in each.

    mapped: component -> (N, dim), unit length, of a sample. things: (N,) int64, equal for photos of the same thing (`things_of`).
    """
    # Imported here, because it takes a moment, and applying needs none of it.
    from scipy.cluster.vq import kmeans2

    rows = _without_colour(mapped)
    everywhere = agreed_weights(mapped, things)
    if len(np.unique(np.round(rows, 4), axis=0)) < 2 * _MIN_ROWS:
        return Departments.only_one(everywhere)
    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # a department may come out empty
        found, of_row = kmeans2(rows, N_DEPARTMENTS, iter=_ITERATIONS, minit="++", rng=0)
    weights = []
    for place in range(N_DEPARTMENTS):
        own = of_row == place
        among = (
            agreed_weights({name: mapped[name][own] for name in VISUAL_COMPONENTS}, things[own])
            if own.sum() >= _MIN_ROWS
            else everywhere
        )
        weights.append([among[name] for name in VISUAL_COMPONENTS])
    # Rounded, so that the last bits of a product do not change the projection.
    return Departments(np.round(unit(found), 4), np.array(weights))


def agreed_weights(mapped: Mapping[str, NDArray[np.float64]], things: NDArray[np.int64]) -> dict[str, float]:
    """What each of VISUAL_COMPONENTS counts: its `visual_weight` times its agreement to the power of AGREEMENT_POWER.

    Arguments as for `fit_departments`.
    """
    agreed = agreement({name: mapped[name] for name in VISUAL_COMPONENTS}, things)
    return {
        name: round(COMPONENTS[name].visual_weight * agreed[name] ** AGREEMENT_POWER, 3) for name in VISUAL_COMPONENTS
    }


def _without_colour(mapped: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return unit(np.concatenate([weight * mapped[name] for name, weight in _TOLD_BY.items()], axis=1))
