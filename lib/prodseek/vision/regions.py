"""The regions of an image: detections, the product on a plain background, the whole frame. One of them is primary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

RegionKind = Literal["detection", "foreground", "frame", "prompt"]
Box = tuple[float, float, float, float]

# Minimum score x area_fraction for a detection to represent its photo: it must be sure and fill a fair part of it.
# Below this, the whole frame found the same product more often than the detection did.
DOMINANT_MIN = 0.1


@dataclass(frozen=True)
class Region:
    """A box inside a photo, in pixels of the photo at full size after EXIF orientation.

    class_name and score (0..1) are None unless the region is a detection. area_fraction: the box's share of the photo's area.
    """

    kind: RegionKind
    class_name: str | None
    score: float | None
    x1_px: float
    y1_px: float
    x2_px: float
    y2_px: float
    area_fraction: float
    is_primary: bool

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2 in source pixels."""
        return (self.x1_px, self.y1_px, self.x2_px, self.y2_px)


@dataclass(frozen=True)
class Detection:
    """An object that a network found, before it becomes a region. box: source pixels, inside the photo."""

    class_name: str
    score: float
    box: Box


def build_regions(
    width_px: int,
    height_px: int,
    detections: Sequence[Detection],
    foreground: Box | None,
    min_box_px: float,
) -> tuple[Region, ...]:
    """The regions of one image: detections in the given order, then the foreground, then the frame. Exactly one is primary.

    Detections with a side shorter than min_box_px are left out. Of several detections of one class that cover the same whole
    pixels only the first is kept, because boxes that differ only outside the photo are one region inside it. The primary
    region is the foreground; without a foreground, the detection with the highest score x area_fraction (the first of equal
    ones) if that is at least DOMINANT_MIN; else the frame.
    """
    first: dict[tuple[object, ...], Detection] = {}
    for found in detections:
        if min(found.box[2] - found.box[0], found.box[3] - found.box[1]) >= min_box_px:
            first.setdefault((found.class_name, *map(round, found.box)), found)
    regions = [
        _region("detection", found.box, width_px, height_px, found.class_name, found.score) for found in first.values()
    ]
    dominant = [index for index, region in enumerate(regions) if _dominance(region) >= DOMINANT_MIN]
    if foreground is not None:
        regions.append(_region("foreground", foreground, width_px, height_px))
        primary = len(regions) - 1
    elif dominant:
        primary = max(dominant, key=lambda index: (_dominance(regions[index]), -index))
    else:
        primary = len(regions)
    regions.append(_region("frame", (0.0, 0.0, float(width_px), float(height_px)), width_px, height_px))
    regions[primary] = replace(regions[primary], is_primary=True)
    return tuple(regions)


def _dominance(region: Region) -> float:
    return (region.score or 0.0) * region.area_fraction


def _region(
    kind: RegionKind,
    box: Box,
    width_px: int,
    height_px: int,
    class_name: str | None = None,
    score: float | None = None,
) -> Region:
    area_fraction = (box[2] - box[0]) * (box[3] - box[1]) / (width_px * height_px)
    return Region(kind, class_name, score, *box, area_fraction=area_fraction, is_primary=False)
