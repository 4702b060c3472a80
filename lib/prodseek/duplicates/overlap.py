"""What part of each photo the other shows, and what happens at the edge of that part: a cut, a margin, or a paste."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.frames import filled, in_fractions, in_pixels
from prodseek.duplicates.geometry import Matrix, inverse, shared_polygon
from prodseek.duplicates.planes import Mask, Plane, blurred, gradient, luma, most_of_channels

_SIDE_PX = 256
_STRUCTURE = 5.0
_GOES_ON = 5.0
_SAME_COLOUR = 10.0
# The edge of the shared part is looked at this far to either side, and compared with steps this much farther away.
_NEAR_PX, _FAR_PX = 2.0, 5.0
_FRAME_PX = 3.0
# Where a margin begins: log2 of the step there, divided by the steps beside it, and the share that is plain beyond.
_STEP, _PLAIN, _EVERY_PX = 0.58, 0.98, 3.0
# Variance, grey levels squared, below which both sides of an edge are too plain to be compared.
_LEAST_SPREAD = 25.0
_LEAST_REPEATED_PX, _DETAIL_BLUR_PX = 12, 4.0
# Grey levels over two pixels from which on an edge belongs to a thing, and how many times the margin's own noise besides.
_PALE_EDGE, _OVER_NOISE = 1.5, 4.0
# So much of the photo's side beside the shared part is not looked at, because both may be laid over each other a little wrong.
_BESIDE = 0.015
# What reaches so near to it goes on from it.
_NEXT = 0.03


@dataclass(frozen=True)
class Outside:
    """The rest of one photo, beside the part that the other shows too. NaN where there is no rest.

    area: share of the photo that is shared. content: share of its edges that is shared. plain: share of the rest that has
    one colour. crossing: share of the shared part's inner edge across which something goes on. seam: log2 of the step
    across that edge divided by the steps beside it. continues: correlation of what lies on both sides of it, -1 to 1.
    inner_edge: share of the shared part's outline that is not the photo's own frame. spans: share of the photo's width or
    height, whichever is more, that the shared part takes. repeats: how well the rest is found again within the shared part,
    a correlation, -1 to 1; 0 where the rest is too plain or too narrow to tell. thing_px: pixels of the longest outline in the
    rest, however pale, in a photo of 480 px; alone_px: of the longest that does not reach the shared part.
    """

    area: float
    content: float
    plain: float
    crossing: float
    seam: float
    continues: float
    inner_edge: float
    spans: float
    repeats: float
    thing_px: float
    alone_px: float


@dataclass(frozen=True)
class Overlap:
    """What two photos share. stretch: log2 of the widths' scale divided by the heights'. tilt: degrees off a right angle.

    mirrored: 1 if one is the mirror image. scale: log2 of b's pixels for each pixel of a, along a side.
    """

    stretch: float
    tilt: float
    mirrored: float
    scale: float
    a: Outside
    b: Outside

    def values(self) -> dict[str, float]:
        """Every number by its name. What is measured on each photo: of the one of which more is shared, then of the other."""
        inner, outer = sorted((self.a, self.b), key=lambda side: (-side.content, -side.area))
        named = {f"inner_{f.name}": getattr(inner, f.name) for f in fields(Outside)}
        named |= {f"outer_{f.name}": getattr(outer, f.name) for f in fields(Outside)}
        return {"stretch": abs(self.stretch), "tilt": self.tilt, "mirrored": self.mirrored, **named}


def overlap_of(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> Overlap:
    """Measure the overlap. a, b: (H, W, 3) uint8 RGB. matrix: (2, 3), pixels of a -> pixels of b."""
    width, height = (float(np.linalg.norm(matrix[:, column])) for column in (0, 1))
    angle = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])) % 90
    small_a, small_b = _small(a), _small(b)
    fractions = in_fractions(matrix, a.shape[1::-1], b.shape[1::-1])
    small = in_pixels(fractions, small_a.shape[1::-1], small_b.shape[1::-1])
    seen_b_in_a, seen_a_in_b = (
        shared_polygon(way, other.shape[1::-1], one.shape[1::-1])
        for way, one, other in ((inverse(matrix), a, b), (matrix, b, a))
    )
    return Overlap(
        stretch=math.log2(width / height),
        tilt=min(angle, 90 - angle),
        mirrored=float(np.linalg.det(matrix[:, :2]) < 0),
        scale=0.5 * math.log2(abs(np.linalg.det(matrix[:, :2]))),
        a=_outside(
            small_a,
            shared_polygon(inverse(small), small_b.shape[1::-1], small_a.shape[1::-1]),
            _things_px(a, seen_b_in_a),
        ),
        b=_outside(
            small_b, shared_polygon(small, small_a.shape[1::-1], small_b.shape[1::-1]), _things_px(b, seen_a_in_b)
        ),
    )


def _things_px(pixels: NDArray[np.uint8], polygon: NDArray[np.float32]) -> tuple[float, float]:
    """`Outside.thing_px` and `alone_px`: a white cup on white has a pale outline, and a plain margin has none."""
    inside = filled(polygon.astype(np.float64), pixels.shape[1::-1])
    near, beside = (_grown(inside, share) for share in (_NEXT, _BESIDE))
    rest = ~beside
    if not rest.any():
        return 0.0, 0.0
    soft = blurred(pixels.astype(np.float32), 0.8)
    edges = most_of_channels(np.dstack([gradient(np.ascontiguousarray(soft[..., channel])) for channel in range(3)]))
    outlines = rest & (edges > _PALE_EDGE + _OVER_NOISE * float(np.median(edges[rest])))
    n_things, things, stats, _ = cv2.connectedComponentsWithStats(outlines.astype(np.uint8), connectivity=8)
    if n_things == 1:
        return 0.0, 0.0
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    is_alone = ~np.isin(np.arange(n_things), things[near])
    return float(areas.max()), float(areas[is_alone].max(initial=0))


def _grown(mask: Mask, share: float) -> Mask:
    """The mask, and this share of the longer side round it."""
    side = 1 + 2 * round(max(mask.shape) * share)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0, np.bool_)


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _SIDE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = tuple(max(8, round(side * scale)) for side in pixels.shape[1::-1])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _outside(pixels: NDArray[np.uint8], polygon: NDArray[np.float32], things_px: tuple[float, float]) -> Outside:
    height, width = pixels.shape[:2]
    soft = blurred(pixels.astype(np.float32), 0.8)
    inside = filled(polygon.astype(np.float64), (width, height))
    structure = np.where((edges := gradient(luma(soft))) > _STRUCTURE, edges, 0)
    rest = cv2.erode((~inside).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    area = float(cv2.contourArea(polygon)) / (width * height) if len(polygon) else 0.0
    span = (np.ptp(polygon, axis=0) / (width, height)).max() if len(polygon) else 0.0
    plain = math.nan
    if rest.sum() > 16:
        colours = soft[rest]
        plain = float((np.abs(colours - np.median(colours, axis=0)).max(axis=1) < _SAME_COLOUR).mean())
    # What lies within a few pixels of the edge belongs to neither.
    beyond = structure[rest].sum()
    within = structure[inside].sum()
    content = float(within / max(within + beyond, 1e-6))
    repeats = _repeats(soft, polygon) if len(polygon) else math.nan
    return Outside(min(area, 1.0), content, plain, *_along_edge(soft, polygon), float(span), repeats, *things_px)


def _repeats(soft: Plane, polygon: NDArray[np.float32]) -> float:
    """`Outside.repeats`. A set of two shows one thing twice; what lies beyond a cut is something new."""
    height, width = soft.shape[:2]
    (x1, y1), (x2, y2) = polygon.min(axis=0), polygon.max(axis=0)
    left, top, right, bottom = (
        round(float(min(max(value, 0.0), side)))
        for value, side in ((x1, width), (y1, height), (x2, width), (y2, height))
    )
    # Two slopes of light look alike everywhere; details do not.
    detail = soft - blurred(soft, _DETAIL_BLUR_PX)
    inner = detail[top:bottom, left:right]
    found = 0.0
    for rest in (
        detail[top:bottom, :left],
        detail[top:bottom, right:],
        detail[:top, left:right],
        detail[bottom:, left:right],
    ):
        # A part of half the size may lie anywhere in it.
        part = _middle(rest, inner.shape[0] // 2, inner.shape[1] // 2)
        if min(part.shape[:2]) >= _LEAST_REPEATED_PX and float(luma(part).std()) ** 2 > _LEAST_SPREAD:
            found = max(found, float(cv2.matchTemplate(inner, part, cv2.TM_CCOEFF_NORMED).max()))
    return found


def _middle(pixels: Plane, height: int, width: int) -> Plane:
    """The middle of pixels, at most so large."""
    top, left = (max(0, (side - most) // 2) for side, most in zip(pixels.shape, (height, width), strict=False))
    return pixels[top : top + height, left : left + width]


@dataclass(frozen=True)
class _Side:
    """What was measured along one side of the shared part. lines: (2, N, 3), just within it and just outside, less their means.

    crossing: (N,) bool, where something goes on across it. near, beside: mean step across it, and of those to either side.
    ends_at_margin: whether the picture ends here and a margin begins.
    """

    lines: NDArray[np.float64]
    crossing: NDArray[np.bool_]
    near: float
    beside: float
    ends_at_margin: bool


def _along_edge(soft: Plane, polygon: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """crossing, seam, continues, inner_edge of `Outside`.

    Where a margin was added to a photo of which the other is a crop, some sides are the margin's, and the others alone tell how
    the picture goes on.
    """
    size = soft.shape[1], soft.shape[0]
    middle = polygon.mean(axis=0) if len(polygon) else np.zeros(2)
    ends = np.roll(polygon, -1, axis=0)
    sides, n_points, n_inner = [], 0, 0
    for start, end in zip(polygon, ends, strict=True):
        length = float(np.linalg.norm(end - start))
        if length < 4:
            continue
        along = (end - start) / length
        outward = np.array([along[1], -along[0]])
        if np.dot(outward, (start + end) / 2 - middle) < 0:
            outward = -outward
        points = start + along * np.arange(2, length - 2)[:, None]
        inner = (points > _FRAME_PX).all(axis=1) & (points < np.array(size) - 1 - _FRAME_PX).all(axis=1)
        n_points, n_inner = n_points + len(points), n_inner + int(inner.sum())
        if inner.sum() >= 4:
            sides.append(_side(soft, points[inner], outward))
    inner_edge = n_inner / max(1, n_points)
    if not sides:
        return math.nan, math.nan, math.nan, inner_edge
    sides = [side for side in sides if not side.ends_at_margin] or sides
    seam = _seam(float(np.mean([side.near for side in sides])), float(np.mean([side.beside for side in sides])))
    inside, outside = np.concatenate([side.lines for side in sides], axis=1)
    spread = math.sqrt(float((inside**2).mean() * (outside**2).mean()))
    continues = float((inside * outside).mean()) / spread if spread > _LEAST_SPREAD else math.nan
    return float(np.concatenate([side.crossing for side in sides]).mean()), seam, continues, inner_edge


def _side(soft: Plane, points: NDArray[np.float64], outward: NDArray[np.float64]) -> _Side:
    """points: (N, 2), x y on the side. outward: (2,), away from the shared part."""
    lines = [_sampled(soft, points + outward * step) for step in (-_FAR_PX, -_NEAR_PX, _NEAR_PX, _FAR_PX)]
    crossing = np.minimum(*(np.abs(np.diff(line, axis=0)).max(axis=1) for line in lines[1:3])) > _GOES_ON
    near = float(np.abs(lines[2] - lines[1]).mean())
    beside = max(float(np.abs(lines[1] - lines[0]).mean()), float(np.abs(lines[3] - lines[2]).mean()))
    centred = np.stack([line - line.mean(axis=0) for line in lines[1:3]]).astype(np.float64)
    ends_at_margin = _seam(near, beside) > _STEP and _is_plain_beyond(soft, points, outward)
    return _Side(centred, crossing, near, beside, ends_at_margin)


def _seam(near: float, beside: float) -> float:
    return math.log2((near + 1) / (beside + 1))


def _is_plain_beyond(soft: Plane, points: NDArray[np.float64], outward: NDArray[np.float64]) -> bool:
    """Whether all between a side and the photo's frame has one colour."""
    steps = np.arange(_NEAR_PX, max(soft.shape), _EVERY_PX)[:, None, None]
    beyond = (points + outward * steps).reshape(-1, 2)
    size = np.array(soft.shape[1::-1])
    colours = _sampled(soft, beyond[(beyond >= 0).all(axis=1) & (beyond <= size - 1).all(axis=1)])
    if not len(colours):
        return False
    is_plain = np.abs(colours - np.median(colours, axis=0)).max(axis=1) < _SAME_COLOUR
    return float(is_plain.mean()) > _PLAIN


def _sampled(soft: Plane, points: NDArray[np.float64]) -> NDArray[np.float32]:
    x, y = (np.clip(np.rint(points[:, axis]), 0, soft.shape[1 - axis] - 1).astype(np.int64) for axis in (0, 1))
    return np.asarray(soft[y, x], np.float32)
