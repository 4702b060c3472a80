"""Which of two copies is the better photo: what is real detail, what an encoder left, and what was added to one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.detail import finer_by_size
from prodseek.duplicates.difference import LUMA
from prodseek.duplicates.explained import Mask, Plane, blurred, gradient
from prodseek.duplicates.frames import in_pixels
from prodseek.duplicates.geometry import Matrix, inverse, shared_polygon
from prodseek.duplicates.proof import Proof
from prodseek.duplicates.registration import Laid, compared_part, laid_over, refined
from prodseek.duplicates.verification import Comparison

_COARSE_SIDE_PX, _FINE_SIDE_PX = 320, 1024
_LEAST_PIXELS = 400
# log2: photos whose scales differ by more are compared by size; by less, by sharpness too.
_SAME_SCALE = 0.3
# log2 of the energy of the finest detail divided by that of the next octaves. Photos have more than this, unless they are
# blurred; noise, sharpening and letters add to it, which makes no photo the better one.
_SOFT, _SOFTER = -2.2, 0.9
_STRONGEST = 0.9
_LEAST_BLOCKING = 0.15
_BLOCK_PX = 8
# What a tone does not explain, grey levels. The worst pixels are set aside before the tone is fitted again.
_LEAST_UNEXPLAINED = 16.0
_FIT_SHARES = (0.9, 0.8, 0.7, 0.7)
_FIT_EVERY = 7
_LEAST_MARK_PX, _LEAST_MARK_SHARE, _LARGE_MARK_SHARE = 24, 0.0012, 0.02
_INK_STEP, _COLOUR_STEP = 24, 32
# Set by hand after a logistic regression on marks planted in photos of groceries, clothes and sportswear.
_MARK_WEIGHTS = {"outline": 2.0, "ink": 5.5, "edges": 2.5, "new_colours": 6.0}
_LEAST_MARK_ODDS = 1.0
_GREY_CHROMA = 5.0
# log2 of less compression, from which on a photo is the cleaner one.
_CLEANER = 0.15
# The step at the edge of the shared part, divided by the steps beside it: from here on the margin has another colour.
_SEAM = 1.5


@dataclass(frozen=True)
class Better:
    """What one of two copies has and the other has not.

    finer, cleaner: log2 of how much more detail, and how much less compression, b shows of what both show; 0 if they are equal.
    added_side: the photo that carries a margin or a mark of its own, grey_side: that has lost its colours; "a", "b" or None.
    """

    finer: float
    cleaner: float
    added_side: str | None
    grey_side: str | None


def which_is_better(
    a: NDArray[np.uint8], b: NDArray[np.uint8], comparison: Comparison, proof: Proof, margin_side: str | None
) -> Better | None:
    """Compare two photos that are copies; None where too little is shared to tell.

    a, b: (H, W, 3) uint8 RGB, as large as there is detail to tell. comparison, proof: what was measured on them. margin_side:
    the photo that shows no more than a plain margin beyond what both show.
    """
    laid = laid_over(a, b, in_pixels(comparison.matrix, a.shape[1::-1], b.shape[1::-1]), _COARSE_SIDE_PX)
    if laid is None:
        return None
    laid, _, _ = refined(a, laid, laid.a @ LUMA, laid.b @ LUMA)
    where = compared_part(a, b, laid)
    if where.sum() < _LEAST_PIXELS:
        return None
    cleaner = _cleaner(a, b, laid.matrix)
    mark = _unexplained(laid, where)
    added_side = None
    if proof.mark > _LEAST_MARK_SHARE or mark.sum() > _LARGE_MARK_SHARE * where.sum():
        odds = mark_odds(laid.a, laid.b, mark)
        added_side = None if abs(odds) < _LEAST_MARK_ODDS else "b" if odds > 0 else "a"
    if margin_side is not None:
        was_cut = (cleaner if margin_side == "b" else -cleaner) > _CLEANER and comparison.seam < _SEAM
        # Where a margin goes on as the ground within, it may as well have been cut off the other, which then is compressed more.
        added_side = added_side if was_cut else margin_side
    scale = 0.5 * math.log2(abs(np.linalg.det(laid.matrix[:, :2])))
    finer = finer_by_size(a, b, scale)
    if abs(scale) < _SAME_SCALE:
        finer += _sharper(a, b, laid.matrix, mark)
    return Better(finer, cleaner, added_side, _grey_side(laid, where))


def mark_odds(a: Plane, b: Plane, mark: Mask) -> float:
    """Log-odds that what differs was laid on b, not on a. a, b: (H, W, 3) float32 RGB. mark: (H, W) bool, where they differ.

    What is laid on has an outline and edges of its own, few colours, and colours that its surroundings do not have.
    """
    if mark.sum() < _LEAST_MARK_PX:
        return 0.0
    whole = mark.astype(np.uint8)
    outline = (cv2.dilate(whole, np.ones((3, 3))) > 0) & ~(cv2.erode(whole, np.ones((3, 3))) > 0)
    around = (cv2.dilate(whole, np.ones((15, 15))) > 0) & ~(cv2.dilate(whole, np.ones((5, 5))) > 0)
    edges_a, edges_b = gradient(a @ LUMA), gradient(b @ LUMA)
    more = (edges_b - edges_a)[outline]
    found = {
        "outline": float(more.mean() / (np.abs(more).mean() + 0.3)),
        "ink": _ink(b[mark]) - _ink(a[mark]),
        "edges": math.log2((float(edges_b[mark].mean()) + 0.5) / (float(edges_a[mark].mean()) + 0.5)),
        "new_colours": _shared_colours(a, mark, around) - _shared_colours(b, mark, around),
    }
    return sum(_MARK_WEIGHTS[name] * value for name, value in found.items())


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
    flat, wanted = np.column_stack([source[where], np.ones(int(where.sum()), np.float32)]), target[where]
    some_flat, some_wanted = flat[::_FIT_EVERY], wanted[::_FIT_EVERY]
    used = np.ones(len(some_flat), np.bool_)
    for share in _FIT_SHARES:
        fitted = np.linalg.lstsq(some_flat[used], some_wanted[used], rcond=None)[0]
        left = np.abs(some_wanted - some_flat @ fitted).max(axis=1)
        used = left <= np.quantile(left, share)
    fitted = np.linalg.lstsq(some_flat[used], some_wanted[used], rcond=None)[0]
    found = np.zeros(where.shape, np.float32)
    found[where] = np.abs(wanted - flat @ fitted).max(axis=1)
    return found


def _sharper(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix, mark: Mask) -> float:
    """log2 of b's finest detail divided by a's, beside what was laid on one of them; 0 if neither is blurred."""
    laid = laid_over(a, b, matrix, _FINE_SIDE_PX)
    if laid is None:
        return 0.0
    around = cv2.dilate(mark.astype(np.uint8), np.ones((7, 7), np.uint8))
    where = laid.inside & ~(cv2.resize(around, laid.inside.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0)
    if where.sum() < _LEAST_PIXELS:
        return 0.0
    (fine_a, share_a), (fine_b, share_b) = (_fine_detail(plane @ LUMA, where) for plane in (laid.a, laid.b))
    if min(share_a, share_b) > _SOFT or abs(share_a - share_b) < _SOFTER or (share_b > share_a) != (fine_b > fine_a):
        return 0.0
    return fine_b - fine_a


def _fine_detail(light: Plane, where: Mask) -> tuple[float, float]:
    """log2 of the finest detail, and log2 of its energy divided by that of the octaves above, where these are strongest."""
    soft = blurred(light, 1.0)
    fine, coarse = light - soft, soft - blurred(light, 3.0)
    strong = where & (np.abs(coarse) >= np.quantile(np.abs(coarse[where]), _STRONGEST))
    of_fine, of_coarse = (float((plane[strong] ** 2).mean()) + 1e-3 for plane in (fine, coarse))
    return 0.5 * math.log2(of_fine), math.log2(of_fine / of_coarse)


def _cleaner(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> float:
    """log2 of a's steps at the borders of JPEG's blocks, divided by b's, where both show the same."""
    steps_a = blocking(a, shared_polygon(inverse(matrix), b.shape[1::-1], a.shape[1::-1]))
    steps_b = blocking(b, shared_polygon(matrix, a.shape[1::-1], b.shape[1::-1]))
    return math.log2((steps_a + _LEAST_BLOCKING) / (steps_b + _LEAST_BLOCKING))


def blocking(pixels: NDArray[np.uint8], part: NDArray[np.float32]) -> float:
    """How much larger the steps across the borders of JPEG's blocks are than other steps, grey levels; 0 or more.

    pixels: (H, W, 3) uint8 RGB. part: (N, 2) float32, corners of the part that is looked at.
    """
    (x1, y1), (x2, y2) = np.maximum(part.min(axis=0), 0).astype(int), part.max(axis=0).astype(int) + 1
    light = pixels[y1:y2, x1:x2].astype(np.float32) @ LUMA
    steps = []
    for plane, start in ((light, x1), (light.T, y1)):
        step = np.minimum(np.abs(np.diff(plane, axis=1)), 16).mean(axis=0)
        at_border = (start + np.arange(1, len(step) + 1)) % _BLOCK_PX == 0
        if at_border.sum() > 2:
            steps.append(float(step[at_border].mean() - step[~at_border].mean()))
    return max(0.0, float(np.mean(steps))) if steps else 0.0


def _grey_side(laid: Laid, where: Mask) -> str | None:
    chroma_a, chroma_b = (_chroma(plane, where) for plane in (laid.a, laid.b))
    if min(chroma_a, chroma_b) > _GREY_CHROMA or abs(chroma_a - chroma_b) < _GREY_CHROMA:
        return None
    return "a" if chroma_a < chroma_b else "b"


def _chroma(plane: Plane, where: Mask) -> float:
    """95th percentile of the chroma, CIELAB."""
    lab = cv2.cvtColor(np.clip(plane / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    return float(np.quantile(np.hypot(lab[..., 1], lab[..., 2])[where], 0.95))


def _ink(colours: NDArray[np.float32]) -> float:
    """The share of pixels that have one of the two colours that most of them have. colours: (N, 3) float32 RGB."""
    counts = np.sort(np.unique(_codes(colours, _INK_STEP), return_counts=True)[1])
    return float(counts[-2:].sum() / len(colours))


def _shared_colours(photo: Plane, mark: Mask, around: Mask) -> float:
    """How much the colours of a part are those around it, 0 to 1."""
    if not around.any():
        return 0.0
    shares = []
    for part in (mark, around):
        codes = _codes(photo[part], _COLOUR_STEP)
        shares.append(
            dict(zip(*(v.tolist() for v in np.unique(codes, return_counts=True)), strict=True)) | {-1: len(codes)}
        )
    own, others = shares
    total, n_others = own.pop(-1), others.pop(-1)
    return float(sum(min(n / total, others.get(code, 0) / n_others) for code, n in own.items()))


def _codes(colours: NDArray[Any], step: int) -> NDArray[np.int64]:
    steps = (colours / step).astype(np.int64)
    return (steps[:, 0] * 64 + steps[:, 1]) * 64 + steps[:, 2]
