"""Verify a pair: lay two photos over each other, find the part that both show, and measure how that part differs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.difference import (
    COMPARED_SIDE_PX,
    Box,
    Difference,
    measure_difference,
    plain_ground,
    sharpness,
)
from prodseek.duplicates.features import WORKING_SIDE_PX, LocalFeatures, extract_features, shrunk
from prodseek.duplicates.frames import box_frame, filled, in_fractions, warped
from prodseek.duplicates.geometry import (
    LEAST_MATCHES,
    Alignment,
    Matrix,
    align,
    inverse,
    nearest_orientation,
    same_frame,
    shared_polygon,
    transformed,
    whole_frame,
)
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.planes import luma

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# If photos share less than this part of one of the frames, nothing can be judged.
_LEAST_SHARED = 0.02
# From this similarity on, no other way to lay the photos over each other is tried.
_SURE_SIMILARITY = 0.9
# Photos of which less than this share agrees, and that are less alike where features match, are not proved.
_HOPEFUL_MATCHING, _HOPEFUL_SIMILARITY = 0.3, 0.5
# Margins lay products over each other less exactly than features do, where one of them has a shadow or a soft edge.
_HOPEFUL_PRODUCT = 0.25
# Content on content is tried where proportions differ by less than this, in natural logarithms.
_SAME_PROPORTIONS = 0.12
# A seam is searched this near to the edge of the shared part, and compared with steps up to this far from it.
_SEAM_NEAR_PX, _SEAM_FAR_PX = 2, 8
# The edge of a pasted photo, blurred by resizing, reaches this far into its surroundings.
_BLEED_PX = 3
_BLEED_COMPARED_PX = 2


@dataclass(frozen=True)
class View:
    """The parts of a photo that a comparison needs. pixels: (H, W, 3) uint8 RGB, at most WORKING_SIDE_PX on each side."""

    pixels: NDArray[np.uint8]
    features: LocalFeatures

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Comparison:
    """What two photos share.

    orientation: how a was turned. matrix: six values of a (2, 3) matrix, x y of a -> x y of b, each in fractions of its
    photo's sides. box_a, box_b: x1 y1 x2 y2 around the shared part, in fractions of each photo (not turned). area_a, area_b:
    area of the shared part, as a fraction of each photo. n_matches: number of verified local matches. match_share: verified
    matches as a share of all tried ones. match_area: area of their hull, as a fraction of the shared part.
    surrounding_contrast: standard deviation of luminance around the shared part, in the photo that shows more; 0 if both
    show the same. seam: step of colour across the edge of the shared part, divided by the steps beside it; 1 if the picture
    goes on. sharper: logarithm of b's sharpness divided by a's; 0 if they share only a part. difference: of the shared part.
    """

    orientation: Orientation
    matrix: tuple[float, ...]
    box_a: Box
    box_b: Box
    area_a: float
    area_b: float
    n_matches: int
    match_share: float
    match_area: float
    surrounding_contrast: float
    seam: float
    sharper: float
    difference: Difference


def view(pixels: NDArray[np.uint8]) -> View:
    """The view of a photo, with its local features. pixels: (H, W, 3) uint8 RGB, best at FEATURES_SIDE_PX or more."""
    return View(shrunk(pixels, WORKING_SIDE_PX), extract_features(pixels))


def compare_views(a: View, b: View, orientation: Orientation | None = None) -> Comparison | None:
    """Lay a over b and measure the part that both show; None if nothing suggests that they show the same.

    orientation: how the whole of a may be turned to look like b, if the hashes suggest one.
    """
    found = align(a.features, b.features)
    if not worth_measuring(a.features, b.features, found, orientation):
        return None
    return measure_aligned(a, b, found, orientation)


def worth_measuring(
    a: LocalFeatures, b: LocalFeatures, found: Alignment | None, orientation: Orientation | None
) -> bool:
    """Whether the pixels of two photos should be compared.

    Their hashes are near, enough features agree, or what is left without plain margins has the same proportions.
    """
    return (
        orientation is not None
        or (found is not None and len(found.matched_px) >= LEAST_MATCHES)
        or (a.content_box, b.content_box) != (WHOLE, WHOLE)
    )


def measure_aligned(a: View, b: View, found: Alignment | None, orientation: Orientation | None) -> Comparison | None:
    """Compare a and b by the transform under which they are more alike.

    Tried are that of the local features, that of the hashes, and content on content, both without their plain margins.
    """
    tried: list[tuple[Matrix, Alignment | None]] = []
    if found is not None:
        tried.append((same_frame(found.matrix, a.size, b.size), found))
    if orientation is not None:
        tried.append((whole_frame(orientation, a.size, b.size), None))
    content = _content_on_content(a, b)
    if content is not None:
        tried.append((content, None))
    best: Comparison | None = None
    for matrix, alignment in tried:
        measured = _measure(a, b, matrix, alignment)
        if measured is not None and (best is None or _similarity(measured) > _similarity(best)):
            best = measured
        if best is not None and _similarity(best) >= _SURE_SIMILARITY:
            break
    return best


def has_hope(comparison: Comparison) -> bool:
    """Whether the two photos may be copies, so that proving it is worth decoding them at full detail."""
    difference = comparison.difference
    if difference.matching_fraction >= _HOPEFUL_MATCHING:
        return True
    if comparison.n_matches:
        return comparison.n_matches >= LEAST_MATCHES and difference.matched_similarity >= _HOPEFUL_SIMILARITY
    return difference.matched_similarity >= _HOPEFUL_PRODUCT


def _similarity(comparison: Comparison) -> float:
    return comparison.difference.structural_similarity


def _content_on_content(a: View, b: View) -> Matrix | None:
    """The matrix that lays the content of a over that of b; None if neither has margins, or the proportions differ."""
    boxes = [np.array(one.features.content_box) * np.array([*one.size, *one.size]) for one in (a, b)]
    if (a.features.content_box, b.features.content_box) == (WHOLE, WHOLE):
        return None
    (width_a, height_a), (width_b, height_b) = (box[2:] - box[:2] for box in boxes)
    scale = np.array([width_b / width_a, height_b / height_a])
    if abs(math.log(scale[0] / scale[1])) > _SAME_PROPORTIONS:
        return None
    return np.column_stack([np.diag(scale), boxes[1][:2] - scale * boxes[0][:2] + (scale - 1) / 2])


def _measure(a: View, b: View, matrix: Matrix, found: Alignment | None) -> Comparison | None:
    polygon = shared_polygon(matrix, a.size, b.size)
    if not len(polygon):
        return None
    back = inverse(matrix)
    polygon_a = transformed(back, polygon).astype(np.float32)
    area_a, area_b = (cv2.contourArea(p) / (v.size[0] * v.size[1]) for p, v in ((polygon_a, a), (polygon, b)))
    if min(area_a, area_b) < _LEAST_SHARED:
        return None
    box_a, box_b = _box(polygon_a, a.size), _box(polygon, b.size)
    # The shared part, upright as in b, and no larger than in either photo.
    x1, y1, x2, y2 = (edge * side for edge, side in zip(box_b, (*b.size, *b.size), strict=True))
    whole = box_a == box_b == WHOLE
    frame = box_frame(matrix, polygon, (x1, y1, x2, y2), COMPARED_SIDE_PX)
    a_onto, onto, size, inside = frame.a_onto, frame.b_onto, frame.size, frame.inside
    # The surroundings bleed into the outermost pixels of the shared part.
    if not whole:
        around = np.ones((2 * _BLEED_COMPARED_PX + 1,) * 2, np.uint8)
        inside = cv2.erode(inside.astype(np.uint8), around, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    hull = np.zeros_like(inside)
    match_area = 0.0
    if found is None:
        # Nothing matches at the outline of a product whose ground was replaced, so only what lies within it tells.
        products = _product(a.pixels, a_onto, size), _product(b.pixels, onto, size)
        if products[0] is not None and products[1] is not None:
            hull = inside & products[0] & products[1]
    else:
        hull_px = cv2.convexHull(found.matched_px)
        match_area = cv2.contourArea(hull_px) / max(cv2.contourArea(polygon), 1e-6)
        hull = filled(transformed(onto, np.asarray(hull_px, np.float32).reshape(-1, 2)), size)
        inner, inner_onto = (a, a_onto) if area_a >= area_b else (b, onto)
        product = _product(inner.pixels, inner_onto, size)
        if product is not None:
            # Between the parts of a thing that was cut out, the scene shows through.
            hull &= product
    wider, box = (b, box_b) if area_b <= area_a else (a, box_a)
    contrast, seam = _surrounding(wider, box)
    return Comparison(
        orientation=nearest_orientation(matrix),
        matrix=in_fractions(matrix, a.size, b.size),
        box_a=box_a,
        box_b=box_b,
        area_a=area_a,
        area_b=area_b,
        n_matches=0 if found is None else len(found.matched_px),
        match_share=0.0 if found is None else len(found.matched_px) / found.n_tried,
        match_area=match_area,
        surrounding_contrast=contrast,
        seam=seam,
        sharper=_sharper(a, b, a_onto, onto, size) if whole else 0.0,
        difference=measure_difference(warped(a.pixels, a_onto, size), warped(b.pixels, onto, size), inside, hull),
    )


def _product(pixels: NDArray[np.uint8], onto: Matrix, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Where a photo shows its product, in a frame; None if its ground is not plain."""
    ground = plain_ground(pixels)
    if ground is None:
        return None
    # Its edge, where both mix, belongs to neither.
    product = cv2.erode((~ground).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.warpAffine(product, onto, size, flags=cv2.INTER_NEAREST) > 0, np.bool_)


def _sharper(a: View, b: View, a_onto: Matrix, onto: Matrix, size: tuple[int, int]) -> float:
    """Logarithm of b's sharpness divided by a's, both at the size of the smaller photo, because a smaller size hides blur."""
    zoom = min(max(a.size), max(b.size)) / max(size)
    larger = (round(size[0] * zoom), round(size[1] * zoom))
    values = []
    for photo, matrix in ((a, a_onto), (b, onto)):
        wide = matrix * zoom
        wide[:, 2] += (zoom - 1) / 2
        values.append(max(sharpness(luma(warped(photo.pixels, wide, larger))), 1e-6))
    return math.log(values[1] / values[0])


def _box(polygon: NDArray[np.float32], size: tuple[int, int]) -> Box:
    """The box around a polygon of pixels, in fractions of the frame; an edge within a pixel of the frame's snaps to it."""
    edges = []
    for corner in (polygon.min(axis=0), polygon.max(axis=0)):
        for value, side in zip((corner + 0.5).tolist(), size, strict=True):
            edges.append(0.0 if value < 1 else 1.0 if value > side - 1 else value / side)
    x1, y1, x2, y2 = edges
    return x1, y1, x2, y2


def _surrounding(photo: View, box: Box) -> tuple[float, float]:
    """The contrast around the box, and the step across its edges divided by the steps beside them."""
    width, height = photo.size
    x1, x2 = round(box[0] * width), round(box[2] * width)
    y1, y2 = round(box[1] * height), round(box[3] * height)
    light = luma(photo.pixels.astype(np.float32))
    around = np.ones(light.shape, dtype=bool)
    around[max(0, y1 - _BLEED_PX) : y2 + _BLEED_PX, max(0, x1 - _BLEED_PX) : x2 + _BLEED_PX] = False
    if not around.any():
        return 0.0, 1.0
    steps = []
    for lines, edge, side in (
        (light[y1:y2], x1, width),
        (light[y1:y2], x2, width),
        (light.T[x1:x2], y1, height),
        (light.T[x1:x2], y2, height),
    ):
        first, stop = edge - _SEAM_FAR_PX, edge + _SEAM_FAR_PX
        if first < 0 or stop > side:
            continue
        profile = np.abs(np.diff(lines[:, first:stop], axis=1)).mean(axis=0)
        near = slice(_SEAM_FAR_PX - 1 - _SEAM_NEAR_PX, _SEAM_FAR_PX + _SEAM_NEAR_PX)
        beside = np.delete(profile, near)
        steps.append((profile[near].max() + 1) / (beside.max() + 1))
    return float(light[around].std()), float(np.mean(steps)) if steps else 1.0
