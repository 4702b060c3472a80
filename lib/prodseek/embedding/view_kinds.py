"""How a region shows its object: alone on a plain ground, in a scene, or as the whole scene.

The kind is a nuisance, as light and place are: a chair that was cut out and the same chair in a room differ by the ground that
the network sees round them. So each kind has a mean of its own, and objects are compared by how they differ from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from prodseek.embedding.facets import COMPONENTS, STEPS, prepare, prepared_length
from prodseek.runs.slice_layout import SlicePart

# A region that covers more than this share of a photo without a plain ground is the scene, whatever was detected in it.
WHOLE_SCENE_AREA = 0.9
# A kind's mean counts as if this many regions of the mean of all kinds were among its own, so that a handful decides little.
PRIOR_REGIONS = 20.0

# Where the network is at least this sure of things of two classes, a whole scene is a room: it shows products and is none.
ROOM_SCORE = 0.3
# Not of these, in COCO's spelling: a crate of pears is seen as apples and oranges.
FOOD = ("apple", "banana", "broccoli", "cake", "carrot", "donut", "hot dog", "orange", "pizza", "sandwich")
# Furniture stands in a room where nothing that the network is sure of covers this share of the photo: what a photo is of is
# larger. On the sample no product of 183 is told so, and its rooms' largest things cover at most .165.
FURNITURE = (
    "bed",
    "bench",
    "chair",
    "diningtable",
    "oven",
    "pottedplant",
    "refrigerator",
    "sink",
    "sofa",
    "toilet",
    "tvmonitor",
)
ROOM_THING_AREA = 1 / 6

Kinds = NDArray[np.int8]


class ViewKind(IntEnum):
    PACKSHOT = 0
    OBJECT_IN_SCENE = 1
    SCENE = 2


def view_kinds(on_plain_ground: NDArray[np.bool_], area_fraction: NDArray[np.floating]) -> Kinds:
    """The ViewKind of each region, (N,) int8; of detected and drawn boxes alike.

    on_plain_ground: (N,) bool, whether the product of the region's photo stands before a plain ground. area_fraction: (N,),
    the region's share of its photo.
    """
    in_scene = np.where(area_fraction > WHOLE_SCENE_AREA, ViewKind.SCENE, ViewKind.OBJECT_IN_SCENE)
    return np.where(on_plain_ground, ViewKind.PACKSHOT, in_scene).astype(np.int8)


def are_rooms(
    kinds: Kinds,
    n_sure_classes: NDArray[np.integer],
    is_furnished: NDArray[np.bool_],
    is_primary: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which regions show a room, (N,) bool: it answers nobody who asks for a thing.

    kinds: (N,), as of `view_kinds`. n_sure_classes: (N,), classes but FOOD that were detected in the region's photo with
    ROOM_SCORE. is_furnished: (N,), whether FURNITURE was, and nothing of ROOM_THING_AREA. is_primary: (N,). A whole photo of
    one thing, as of apples or of a chair before a wall, is no room; a photo on a plain ground is none, whatever is in it.
    """
    whole = (kinds == ViewKind.SCENE) & ((np.asarray(n_sure_classes) > 1) | is_furnished)
    return np.asarray(whole | ((kinds == ViewKind.OBJECT_IN_SCENE) & is_primary & is_furnished))


@dataclass(frozen=True)
class KindSums:
    """Sums of prepared slices by kind, in whole steps, so that they are the same however rows are split and merged.

    counts: (3,) float64, slices of each ViewKind. sums: (3, d) float64, the prepared components one after another.
    """

    layout: dict[str, SlicePart]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def empty(cls, layout: Mapping[str, SlicePart]) -> KindSums:
        """The sums of no slices."""
        length = sum(prepared_length(name, layout) for name in COMPONENTS)
        return cls(dict(layout), np.zeros(len(ViewKind)), np.zeros((len(ViewKind), length)))

    def add(self, slices: NDArray[np.float16], kinds: Kinds) -> KindSums:
        """Add slices, (N, slice_length) float16, of kinds, (N,)."""
        steps = np.rint(np.concatenate([prepare(name, slices, self.layout) for name in COMPONENTS], axis=1) * STEPS)
        of_kind = (np.asarray(kinds)[None] == np.arange(len(ViewKind))[:, None]).astype(np.float64)
        return KindSums(self.layout, self.counts + of_kind.sum(axis=1), self.sums + of_kind @ steps)

    def merge(self, other: KindSums) -> KindSums:
        """The sums of both."""
        return KindSums(self.layout, self.counts + other.counts, self.sums + other.sums)

    def means(self, component: str, of_all: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of each kind, (3, d) float64, drawn towards that of all kinds where regions are few (`PRIOR_REGIONS`).

        of_all: (d,) float64.
        """
        names = list(COMPONENTS)
        start = sum(prepared_length(name, self.layout) for name in names[: names.index(component)])
        sums = self.sums[:, start : start + prepared_length(component, self.layout)] / STEPS
        means: NDArray[np.float64] = (sums + PRIOR_REGIONS * of_all) / (self.counts + PRIOR_REGIONS)[:, None]
        return means

    def to_bytes(self) -> bytes:
        """Counts and sums, to send them to another process."""
        return np.concatenate([self.counts[:, None], self.sums], axis=1).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, layout: Mapping[str, SlicePart]) -> KindSums:
        """The inverse of `to_bytes`."""
        values = np.frombuffer(data, "<f8").reshape(len(ViewKind), -1)
        return cls(dict(layout), values[:, 0], values[:, 1:])
