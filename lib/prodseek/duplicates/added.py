"""Which of two copies carries a mark: text, a badge, a frame."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane, gradient, luma

_LEAST_MARK_PX = 24
_INK_STEP, _COLOUR_STEP = 24, 32
# Set by hand after a logistic regression on marks planted in photos of groceries, clothes and sportswear.
_MARK_WEIGHTS = {"outline": 2.0, "ink": 5.5, "edges": 2.5, "new_colours": 6.0}


def mark_odds(a: Plane, b: Plane, mark: Mask) -> float:
    """Log-odds that what differs was laid on b, not on a. a, b: (H, W, 3) float32 RGB. mark: (H, W) bool, where they differ.

    What is laid on has an outline and edges of its own, few colours, and colours that its surroundings do not have.
    """
    if mark.sum() < _LEAST_MARK_PX:
        return 0.0
    whole = mark.astype(np.uint8)
    outline = (cv2.dilate(whole, np.ones((3, 3))) > 0) & ~(cv2.erode(whole, np.ones((3, 3))) > 0)
    around = (cv2.dilate(whole, np.ones((15, 15))) > 0) & ~(cv2.dilate(whole, np.ones((5, 5))) > 0)
    edges_a, edges_b = gradient(luma(a)), gradient(luma(b))
    more = (edges_b - edges_a)[outline]
    found = {
        "outline": float(more.mean() / (np.abs(more).mean() + 0.3)),
        "ink": _ink(b[mark]) - _ink(a[mark]),
        "edges": math.log2((float(edges_b[mark].mean()) + 0.5) / (float(edges_a[mark].mean()) + 0.5)),
        "new_colours": _shared_colours(a, mark, around) - _shared_colours(b, mark, around),
    }
    return sum(_MARK_WEIGHTS[name] * value for name, value in found.items())


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
