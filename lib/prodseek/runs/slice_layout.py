"""What a slice holds: named parts, one after another, in one float16 vector of at most 4 KB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_SLICE_BYTES = 4096
SLICE_VERSION = 2  # goes up when the same pixels give other slices

# The parts, in order. A part taken from a feature map keeps all channels up to the limit here; above it they are
# reduced by a fixed projection, so that a slice of any network fits into MAX_SLICE_BYTES.
GEM_MAPS = {"gem8": "stride8", "gem16": "stride16"}  # generalised mean over the box
GEM_CHANNELS = {"gem8": 128, "gem16": 256}
GRID_MAP = "stride32"
GRID_ROWS = 3  # cells over the box's height
GRID_COLUMNS = 2  # its middle third, and the mean of the two outer ones
GRID_CHANNELS = 216
COLOUR_BINS = (4, 6, 6)  # CIELAB L*, a*, b*
SILHOUETTE_SIDE = 8  # cells a side; how much of each the product covers
EDGE_SIDE = 4  # cells a side
EDGE_ORIENTATIONS = 6


@dataclass(frozen=True)
class SlicePart:
    """`length` float16 values starting at `offset`."""

    name: str
    offset: int
    length: int

    @property
    def span(self) -> slice:
        """Index of this part in a slice: `slices[:, part.span]`."""
        return slice(self.offset, self.offset + self.length)


@dataclass(frozen=True)
class MapReading:
    """What a slice reads of a feature map under one box, by RoIAlign.

    stride: network-input pixels a cell of the map. side: cells of the box, along x and along y. weights: (h, w) float32, how much
    each cell of the map counts, all cells of the box taken together; 1 in all for a box inside the map, 0 where nothing is
    read. x_px, y_px: float32, network-input pixels; bilinear samples lie at all pairs of one and the other.
    """

    stride: int
    side: int
    weights: NDArray[np.float32]
    x_px: NDArray[np.float32]
    y_px: NDArray[np.float32]


def lay_out(lengths: dict[str, int]) -> dict[str, SlicePart]:
    """Place parts one after another, in the order given."""
    parts: dict[str, SlicePart] = {}
    offset = 0
    for name, length in lengths.items():
        parts[name] = SlicePart(name, offset, length)
        offset += length
    return parts


def slice_layout(channels: Mapping[str, int]) -> dict[str, SlicePart]:
    """The layout of a network's slices. channels: feature-map name -> channels, `stride8`, `stride16` and
    `stride32` at least."""
    gems = {part: min(channels[feature_map], GEM_CHANNELS[part]) for part, feature_map in GEM_MAPS.items()}
    edge_length = EDGE_SIDE * EDGE_SIDE * EDGE_ORIENTATIONS
    return lay_out(
        {
            **gems,
            "grid": GRID_ROWS * GRID_COLUMNS * min(channels[GRID_MAP], GRID_CHANNELS),
            "colour": COLOUR_BINS[0] * COLOUR_BINS[1] * COLOUR_BINS[2],
            "shape": SILHOUETTE_SIDE * SILHOUETTE_SIDE + edge_length + 1,
        }
    )


def slice_length(layout: Mapping[str, SlicePart]) -> int:
    """How many float16 values a slice of this layout has."""
    return max(part.offset + part.length for part in layout.values())


def layout_to_dict(layout: Mapping[str, SlicePart]) -> dict[str, int]:
    """The layout as part name -> length, in order: what is stored beside the model id. `lay_out` reads it
    back."""
    return {part.name: part.length for part in sorted(layout.values(), key=lambda part: part.offset)}
