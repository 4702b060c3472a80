"""The facets of likeness: which parts of a slice each is made of, and how the parts are made comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.runs.slice_layout import GRID_COLUMNS, GRID_ROWS, SlicePart

VISUAL_DIM = 128
COLOUR = "colour"


@dataclass(frozen=True)
class Component:
    """What a linear map is fitted for: some parts of a slice, seen as one vector.

    parts: of the slice. dim: values that the map gives. power: how far its axes are whitened after nuisances have been
    suppressed, from 0 (not at all) to 1 (all of equal variance). shrinkage: of the nuisances' covariance, towards its
    mean eigenvalue. visual_weight: length of its vector in `visual`, before the catalogue is asked (`agreement`).
    """

    parts: tuple[str, ...]
    dim: int
    power: float
    shrinkage: float
    visual_weight: float = 0.0


# Chosen on photographed groceries (by product), clothing (by category) and the sample (other views of a product);
# `tests/bench/bench_embedding.py` measures them. It is a plateau: a quarter more or less costs a point of one set.
COMPONENTS: dict[str, Component] = {
    "texture": Component(("gem8", "gem16"), 128, 0.5, 0.5, visual_weight=0.25),
    "grid": Component(("grid",), 64, 0.0, 0.5, visual_weight=1.0),
    "colour": Component((COLOUR,), 64, 0.0, 0.5, visual_weight=1.0),
    "shape": Component(("shape",), 64, 0.0, 0.5),
}
# The facet `shape`: outline and edges alone know an object only before a plain background, where its mask is known, and
# seen from the same side. Where the network's layout is laid beside them they rank among what it holds for alike.
SHAPE_WEIGHTS = {"grid": 1.0, "shape": 0.5}
# The facet `colour`: a bin counts the less, the more of it the catalogue shows, so that steel, white and wood do not
# outweigh the colour that tells an object apart. Added to the bin's mean root, so that rare ones do not count for all.
COLOUR_FLOOR = 0.01
VISUAL_COMPONENTS = tuple(name for name, component in COMPONENTS.items() if component.visual_weight)


def prepare(component: str, slices: NDArray[np.float16], layout: Mapping[str, SlicePart]) -> NDArray[np.float64]:
    """A component's raw values -> what is compared or fitted: (N, length) float64 of length 1, or 0 where there is
    nothing.

    slices: (N, slice_length). Colour is a histogram, and the cosine of two histograms' roots is their Bhattacharyya
    coefficient. The others are scaled to unit length, part by part, so that how strongly a network responds to a photo
    does not count.
    """
    parts = COMPONENTS[component].parts
    return unit(np.concatenate([_prepare_part(part, slices[:, layout[part].span]) for part in parts], axis=1))


def prepared_length(component: str, layout: Mapping[str, SlicePart]) -> int:
    """How many values `prepare` gives."""
    return sum(layout[part].length for part in COMPONENTS[component].parts)


def _prepare_part(part: str, values: NDArray[np.float16]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    if part == COLOUR:
        wide = np.sqrt(np.maximum(wide, 0.0))
    elif part == "grid":
        # The outer cells of a row stand for two, the middle one for itself.
        channels = wide.shape[1] // (GRID_ROWS * GRID_COLUMNS)
        cells = wide.reshape(len(wide), GRID_ROWS, GRID_COLUMNS, channels)
        wide = (cells * np.sqrt([[2.0], [1.0]])).reshape(wide.shape)
    return unit(wide)


def unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows scaled to length 1; rows of zeros stay."""
    norms = np.sqrt((values * values).sum(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = values / np.where(norms > 0, norms, 1.0)
    return scaled
