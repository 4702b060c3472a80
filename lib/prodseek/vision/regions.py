"""The regions of an image: what is detected, the product on a plain background, the whole frame; one is
primary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

RegionKind = Literal["detection", "foreground", "frame", "prompt"]
Box = tuple[float, float, float, float]

# A detection stands for the whole photo only when its score x area_fraction is this or more: a sure one that
# fills a fair part of it. With less, likeness of whole frames found the same goods more often.
DOMINANT_MIN = 0.1


@dataclass(frozen=True)
class Region:
    """A box in an image, in source pixels at full size after EXIF orientation, inside the photo.

    class_name and score (0..1) are None unless it is a detection. area_fraction: the box's share of the
    photo.
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
    """A network's finding, before it becomes a region. box: source pixels, inside the photo."""

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
    """The regions of one image: detections in the order given, then foreground, then frame; exactly one is
    primary.

    Detections with a side shorter than min_box_px are left out, and of those of a class that cover the same whole
    pixels all but the first: boxes that differ outside the photo alone are one region inside it. Primary is the
    foreground; where there is none, the dominant detection, that is the highest score x area_fraction (the
    first of equals) if it is DOMINANT_MIN or more; else the frame.
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
