"""The facets of likeness: the parts of a slice that each uses, and how the parts are made comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.runs.slice_layout import GRID_COLUMNS, GRID_ROWS, SlicePart

VISUAL_DIM = LIKENESS_DIM = 128
COLOUR = "colour"
# Prepared values, at most 1, are rounded to whole steps of 1 / STEPS. Sums of whole numbers are exact in float64 up to 2^53.
# So what is summed, and with it the projection, is the same to the bit, however Spark splits and merges the rows.
STEPS = 2.0**15


@dataclass(frozen=True)
class Component:
    """Parts of a slice that are joined into one vector, for which a linear map is fitted.

    parts: names of the parts. dim: dimensions of the map's result. power: how far the axes are whitened after nuisances were
    suppressed, from 0 (not at all) to 1 (all axes have equal variance). shrinkage: of the nuisances' covariance towards its
    mean eigenvalue. visual_weight: length of its vector within `visual`, before it is adapted to the catalogue (`agreement`).
    """

    parts: tuple[str, ...]
    dim: int
    power: float
    shrinkage: float
    visual_weight: float = 0.0


# Chosen on photographed groceries (labels: product), clothing (labels: category) and the sample (labels: other views of a
# product); `tests/bench/bench_embedding.py` measures them. The optimum is flat: a quarter more or less costs one point in
# one of the sets.
COMPONENTS: dict[str, Component] = {
    "texture": Component(("gem8", "gem16"), 128, 0.5, 0.5, visual_weight=0.25),
    "grid": Component(("grid",), 64, 0.0, 0.5, visual_weight=1.0),
    "colour": Component((COLOUR,), 64, 0.0, 0.5, visual_weight=1.0),
    "shape": Component(("shape",), 64, 0.0, 0.5),
}
# The facet `shape`. Outline and edges alone recognise an object only on a plain background, where its mask is known, and from
# the same side. So the network's layout is joined to them, and they decide among objects that it finds alike.
SHAPE_WEIGHTS = {"grid": 1.0, "shape": 0.5}
# The facet `colour`. The more of a colour the catalogue shows, the less its bin counts, so that steel, white and wood do not
# outweigh the colour that sets an object apart. This floor is added to a bin's mean root, so that rare colours do not dominate.
COLOUR_FLOOR = 0.01
# The facet `likeness`: the weights of the components' cosines. Chosen on groceries, clothing, Magento's shop and the sample, by
# what finds a product in a room and its other photos; bench_likeness.py says what is chosen, and found, where each is left out.
# Weights fitted to a catalogue's own views, without labels, find those better and other photos of the product worse, because
# of a view the outline is the same.
LIKENESS_WEIGHTS = {"texture": 1.0, "grid": 0.5, "colour": 1.0, "shape": 0.5}
VISUAL_COMPONENTS = tuple(name for name, component in COMPONENTS.items() if component.visual_weight)


def prepare(component: str, slices: NDArray[np.float16], layout: Mapping[str, SlicePart]) -> NDArray[np.float64]:
    """Prepare a component's raw values for comparing and fitting: (N, length) float64, unit length, or zeros if all are zero.

    slices: (N, slice_length) float16. Colour is a histogram; its square root is taken, because the cosine of the roots of two
    histograms is their Bhattacharyya coefficient. The other parts are each scaled to unit length, so that it does not count
    how strongly a network responds to a photo.
    """
    parts = COMPONENTS[component].parts
    return unit(np.concatenate([_prepare_part(part, slices[:, layout[part].span]) for part in parts], axis=1))


def prepared_length(component: str, layout: Mapping[str, SlicePart]) -> int:
    """The length of the vectors that `prepare` returns."""
    return sum(layout[part].length for part in COMPONENTS[component].parts)


def _prepare_part(part: str, values: NDArray[np.float16]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    if part == COLOUR:
        wide = np.sqrt(np.maximum(wide, 0.0))
    elif part == "grid":
        # The outer column of the grid is the mean of two columns, so it counts twice.
        channels = wide.shape[1] // (GRID_ROWS * GRID_COLUMNS)
        cells = wide.reshape(len(wide), GRID_ROWS, GRID_COLUMNS, channels)
        wide = (cells * np.sqrt([[2.0], [1.0]])).reshape(wide.shape)
    return unit(wide)


def unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale the rows of (N, d) to unit length; rows of zeros stay zeros."""
    norms = np.sqrt((values * values).sum(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = values / np.where(norms > 0, norms, 1.0)
    return scaled
