"""The facets of likeness: which parts of a slice each is made of, and how the parts are made comparable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.slice_layout import GRID_SIDE

FACETS = ("visual", "colour", "texture", "shape")
VISUAL_DIM = 128


@dataclass(frozen=True)
class FacetPart:
    """A part's share in a facet.

    dim: values it gives to the facet's vector. power: how far its axes are whitened, from 0 (rotated only) to
    1 (all of equal variance). weight: length of its values, relative to the facet's other parts.
    """

    part: str
    dim: int
    power: float
    weight: float


# Chosen on photographed groceries (by product), clothing (by category) and the sample (other views of a product): whitening
# the mean finds the same goods, leaving the grid as it is finds the same shapes, and colours hold views of a product together.
FACET_PARTS: dict[str, tuple[FacetPart, ...]] = {
    "visual": (
        FacetPart("mean", 72, 1.0, 1.0),
        FacetPart("grid", 32, 0.0, 1.0),
        FacetPart("colour", VISUAL_DIM - 72 - 32, 0.0, 0.7),
    ),
    "texture": (FacetPart("texture", 64, 1.0, 1.0),),
    "shape": (FacetPart("shape", 64, 0.0, 1.0),),
}
FITTED_PARTS = tuple(part.part for parts in FACET_PARTS.values() for part in parts)
COLOUR_PART = "colour"
GRID_PART = "grid"


def prepare(part: str, values: NDArray[np.float16]) -> NDArray[np.float64]:
    """A part's raw values -> what is compared or fitted: (N, length) float64 of length 1, or 0 where there is
    nothing.

    Colour is a histogram, and the cosine of two histograms' roots is their Bhattacharyya coefficient. The
    others are scaled to unit length, so that how strongly a network responds to a photo does not count.
    """
    wide = values.astype(np.float64)
    if part == GRID_PART:
        # A product seen from the left and from the right is one product.
        channels = wide.shape[1] // GRID_SIDE**2
        cells = wide.reshape(len(wide), GRID_SIDE, GRID_SIDE, channels)
        wide = ((cells + cells[:, :, ::-1]) / 2).reshape(wide.shape)
    return unit(np.sqrt(np.maximum(wide, 0.0)) if part == COLOUR_PART else wide)


def unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows scaled to length 1; rows of zeros stay."""
    norms = np.sqrt((values * values).sum(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = values / np.where(norms > 0, norms, 1.0)
    return scaled
