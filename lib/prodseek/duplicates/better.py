"""Which of two copies is the better photo: what is real detail, what an encoder left, and what was added to one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.added import mark_odds
from prodseek.duplicates.detail import finer_by_size
from prodseek.duplicates.frames import in_pixels
from prodseek.duplicates.geometry import Matrix, inverse, shared_polygon
from prodseek.duplicates.greyed import grey_side_of
from prodseek.duplicates.origin import Signs, shipped_model, signs_of
from prodseek.duplicates.planes import Mask, Plane, blurred, luma
from prodseek.duplicates.proof import Proof
from prodseek.duplicates.registration import Laid, compared_part, laid_over, refined
from prodseek.duplicates.traces import Traces, traces_of
from prodseek.duplicates.verification import Comparison
from prodseek.duplicates.windows import shared_window

_COARSE_SIDE_PX = 320
_LEAST_PIXELS = 400
# log2: photos whose scales differ by more are compared by size; by less, by sharpness too.
_SAME_SCALE = 0.3
# The part of a photo whose colours are counted, and in how many of its rows and columns.
_PART_PX, _COUNTED_PX = 512, 128
# What a tone does not explain, grey levels. The worst pixels are set aside before the tone is fitted again.
_LEAST_UNEXPLAINED = 16.0
_FIT_SHARES = (0.9, 0.8, 0.7, 0.7)
_FIT_EVERY, _STIFFNESS = 7, 1e-3
_LEAST_MARK_SHARE, _LARGE_MARK_SHARE = 0.0012, 0.02
# Blur and tones that vary leave something unexplained too, with odds of up to 5.
_LEAST_MARK_ODDS, _LEAST_ODDS_OF_OTHERS = 1.0, 6.0
_ORIGIN_WEIGHT, _MOST_LIKELY = 0.35, 4.5
# log2 of the odds that a photo is the original of the other, from which on its margin was cut off the other, not added to it.
_CUT, _SURELY_CUT = 1.0, 5.0
# Photos laid over each other by measuring are so much off, and a few pixels of equal ones may have a mark.
_SAME_SHAPE, _ALL_EQUAL = 0.01, 0.99
# The step at the edge of the shared part, divided by the steps beside it: from here on the margin has another colour.
_SEAM = 1.75


@dataclass(frozen=True)
class Better:
    """What one of two copies has and the other has not.

    finer: log2 of how much more detail b shows of what both show, 0 if they are equal. cleaner: log2 of the odds that b, not a,
    is the original of the other, by what encoders, noise and filters leave.
    added_side: the photo that carries a margin or a mark of its own, grey_side: that has lost its colours; "a", "b" or None.
    """

    finer: float
    cleaner: float
    added_side: str | None
    grey_side: str | None


@dataclass(frozen=True)
class Together:
    """Two photos laid over each other.

    where: (H, W) bool, what is compared. mark: (H, W) bool, where they show something else. traces: None where too little is
    shared to look for any, or every pixel that is shared is the same. signs: what speaks for b as the original.
    """

    laid: Laid
    where: Mask
    mark: Mask
    traces: Traces | None
    signs: Signs


def which_is_better(
    a: NDArray[np.uint8], b: NDArray[np.uint8], comparison: Comparison, proof: Proof, margin_side: str | None
) -> Better | None:
    """Compare two photos that are copies; None where too little is shared to tell.

    a, b: (H, W, 3) uint8 RGB, as large as there is detail to tell. comparison, proof: what was measured on them. margin_side:
    the photo that shows no more than a plain margin beyond what both show.
    """
    together = seen_together(a, b, comparison)
    if together is None:
        return None
    laid, where, mark = together.laid, together.where, together.mark
    cleaner = shipped_model().log_odds(together.signs) / math.log(2)
    added_side, grey_side = None, grey_side_of(laid, where, mark)
    is_proved = proof.mark > _LEAST_MARK_SHARE
    if is_proved or mark.sum() > _LARGE_MARK_SHARE * where.sum():
        # What was laid on a photo was laid on the copy.
        likely = max(-_MOST_LIKELY, min(cleaner, _MOST_LIKELY))
        odds = mark_odds(laid.a, laid.b, mark) - _ORIGIN_WEIGHT * likely
        least = _LEAST_MARK_ODDS if is_proved else _LEAST_ODDS_OF_OTHERS
        added_side = None if abs(odds) < least else "b" if odds > 0 else "a"
    if margin_side is not None:
        odds = cleaner if margin_side == "b" else -cleaner
        # Where a margin goes on as the ground within, it may as well have been cut off the other, which then was made from it.
        was_cut = odds > (_CUT if comparison.seam < _SEAM else _SURELY_CUT)
        added_side = added_side if was_cut else margin_side
    scale = 0.5 * math.log2(abs(np.linalg.det(laid.matrix[:, :2])))
    finer = finer_by_size(a, b, scale)
    if abs(scale) < _SAME_SCALE and together.traces is not None:
        finer += shipped_model().finer(together.traces)
    return Better(finer, cleaner, added_side, grey_side)


def seen_together(a: NDArray[np.uint8], b: NDArray[np.uint8], comparison: Comparison) -> Together | None:
    """Lay two photos over each other and look for what tells an original; None where too little is shared."""
    laid = laid_over(a, b, in_pixels(comparison.matrix, a.shape[1::-1], b.shape[1::-1]), _COARSE_SIDE_PX)
    if laid is None:
        return None
    laid, _, _ = refined(a, laid, luma(laid.a), luma(laid.b))
    where = compared_part(a, b, laid)
    if where.sum() < _LEAST_PIXELS:
        return None
    mark = _unexplained(laid, where)
    traces = None if _are_equal(a, b, laid.matrix) else _traces(a, b, laid, mark)
    return Together(laid, where, mark, traces, _signs(a, b, laid.matrix, traces))


def _are_equal(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> bool:
    """Whether the part that both show is pixel by pixel the same, so that nothing in it tells which was there first."""
    if np.abs(matrix[:, :2] - np.eye(2)).max() > _SAME_SHAPE:
        return False
    corners = shared_polygon(inverse(matrix), b.shape[1::-1], a.shape[1::-1])
    middle = corners.mean(axis=0)
    x_px, y_px = (int(shift) for shift in np.rint(matrix @ [*middle, 1] - middle))
    shifts = [(x_px + x, y_px + y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    return any(_share_equal(a, b, x, y) > _ALL_EQUAL for x, y in shifts)


def _share_equal(a: NDArray[np.uint8], b: NDArray[np.uint8], x_px: int, y_px: int) -> float:
    """The share of pixels that are the same where a is moved by so much onto b; 0 where they do not overlap."""
    high, wide = (min(a.shape[n], b.shape[n] - shift) - max(0, -shift) for n, shift in ((0, y_px), (1, x_px)))
    if high <= 0 or wide <= 0:
        return 0.0
    left, top = max(0, -x_px), max(0, -y_px)
    part = a[top : top + high, left : left + wide]
    other = b[top + y_px : top + y_px + high, left + x_px : left + x_px + wide]
    return float((part == other).all(axis=2).mean())


def _traces(a: NDArray[np.uint8], b: NDArray[np.uint8], laid: Laid, mark: Mask) -> Traces | None:
    window = shared_window(a, b, laid.matrix)
    if window is None:
        return None
    around = cv2.dilate(mark.astype(np.uint8), np.ones((5, 5), np.uint8))
    onto = cv2.invertAffineTransform(laid.a_onto)
    onto[:, 2] -= window.low
    hidden = cv2.warpAffine(around, onto, window.a.shape[::-1], flags=cv2.INTER_NEAREST) > 0
    return traces_of(window, hidden)


def _signs(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix, traces: Traces | None) -> Signs:
    if traces is None:
        return Signs()
    parts = (
        _middle(a, shared_polygon(inverse(matrix), b.shape[1::-1], a.shape[1::-1])),
        _middle(b, shared_polygon(matrix, a.shape[1::-1], b.shape[1::-1])),
    )
    colours_a, colours_b = (math.log2(_share_of_colours(part)) for part in parts)
    return signs_of(traces, colours_b - colours_a)


def _middle(photo: NDArray[np.uint8], part: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The middle of a part of a photo. part: (N, 2) float32, its corners."""
    low = np.maximum(part.min(axis=0), 0).astype(int)
    size = np.minimum(part.max(axis=0).astype(int) + 1, photo.shape[1::-1]) - low
    x, y = low + np.maximum(size - _PART_PX, 0) // 2
    width, height = np.minimum(size, _PART_PX)
    return photo[y : y + height, x : x + width]


def _share_of_colours(photo: NDArray[np.uint8]) -> float:
    """Different colours for each pixel, of some of them."""
    rows, columns = (max(1, side // _COUNTED_PX) for side in photo.shape[:2])
    some = photo[::rows, ::columns].reshape(-1, 3).astype(np.int64) @ np.array([65536, 256, 1])
    return len(np.unique(some)) / len(some)


def _unexplained(laid: Laid, where: Mask) -> Mask:
    """Where one photo is not the other in another tone: (H, W) bool."""
    a, b = (blurred(plane, 0.8) for plane in (laid.a, laid.b))
    # However much a mark differs, it is one mark.
    left = min(
        (_left(a, b, where), _left(b, a, where)),
        key=lambda one: float(np.minimum(one[where], 2 * _LEAST_UNEXPLAINED).mean()),
    )
    least = max(_LEAST_UNEXPLAINED, 4 * float(np.median(left[where])))
    return (left > least) & where


def _left(source: Plane, target: Plane, where: Mask) -> NDArray[np.float32]:
    """What is left of target after an affine change of source's colours, the worst pixels set aside; the largest channel."""
    flat = np.vstack([source[where].T, np.ones(int(where.sum()), np.float32)])
    wanted = np.ascontiguousarray(target[where].T)
    some_flat, some_wanted = flat[:, ::_FIT_EVERY], wanted[:, ::_FIT_EVERY]
    used = np.ones(some_flat.shape[1], np.bool_)
    for share in _FIT_SHARES:
        left = _largest(some_wanted - _affine(some_flat[:, used], some_wanted[:, used]) @ some_flat)
        used = left <= np.quantile(left, share)
    found = np.zeros(where.shape, np.float32)
    found[where] = _largest(wanted - _affine(some_flat[:, used], some_wanted[:, used]) @ flat)
    return found


def _affine(flat: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, 4) by least squares. flat: (4, N). wanted: (3, N)."""
    some = flat.astype(np.float64)
    square = some @ some.T
    # Photos of one colour leave some of it open.
    square += _STIFFNESS * len(some.T) * np.eye(len(some))
    return np.asarray(np.linalg.solve(square, some @ wanted.T).T, np.float32)


def _largest(differences: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest size of three channels. differences: (3, N)."""
    return np.asarray(np.maximum.reduce(np.abs(differences)), np.float32)
