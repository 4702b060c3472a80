"""Photos that were cut and then given a margin, which hides what was cut off: they are compared without it.

Another product may end where the margin begins, so such a pair is never proved: a person looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.content import WHOLE, Box, content_box, content_pixels
from prodseek.duplicates.geometry import Matrix, inverse, transformed
from prodseek.duplicates.guards import may_be_one_of_a_set
from prodseek.duplicates.proof import Photos, Proof, prove
from prodseek.duplicates.verification import Comparison

# A margin that hides less than this share of the other photo's content is a soft edge.
_LEAST_HIDDEN = 0.03
# What the margin hides is all that differs if without it less than this share of what was left is left. More is left of a
# ribbon across the corner: it lies on the other photo's margin, but reaches into the product.
_STILL_LEFT = 0.05


def prove_or_trim(
    a: NDArray[np.uint8], b: NDArray[np.uint8], comparison: Comparison, detailed: Callable[[], Photos | None]
) -> Proof | None:
    """`prove`, and where a margin hides what the other photo shows, and that is what differs, without that margin."""
    proof = prove(a, b, comparison, detailed)
    if proof is None or not proof.mark > 0:
        return proof
    matrix = np.array(comparison.matrix, np.float64).reshape(2, 3)
    contents = content_box(a), content_box(b)
    hidden_a = _hidden(inverse(matrix), contents[1], contents[0])
    hidden_b = _hidden(matrix, contents[0], contents[1])
    box_a, box_b = (
        box if hidden > _LEAST_HIDDEN else WHOLE for box, hidden in zip(contents, (hidden_a, hidden_b), strict=True)
    )
    if (box_a, box_b) == (WHOLE, WHOLE):
        return proof

    def detailed_parts() -> Photos | None:
        photos = detailed()
        return None if photos is None else (content_pixels(photos[0], box_a), content_pixels(photos[1], box_b))

    within = replace(comparison, matrix=_between(matrix, box_a, box_b))
    trimmed = prove(content_pixels(a, box_a), content_pixels(b, box_b), within, detailed_parts)
    if trimmed is None or trimmed.mark > _STILL_LEFT * proof.mark or may_be_one_of_a_set(trimmed.values()):
        return proof
    return replace(trimmed, margin_hides=max(hidden_a, hidden_b))


def _hidden(matrix: Matrix, content: Box, others: Box) -> float:
    """The share of one photo's content that lies on the other's margin. matrix: fractions of the one -> of the other."""
    x1, y1, x2, y2 = content
    there = transformed(matrix, np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]))
    seen = _overlap(there, WHOLE)
    return 1 - _overlap(there, others) / seen if seen > 0 else 0.0


def _overlap(corners: NDArray[np.float64], box: Box) -> float:
    """The area that the box around some corners shares with another box."""
    sides = np.minimum(corners.max(axis=0), box[2:]) - np.maximum(corners.min(axis=0), box[:2])
    return float(np.maximum(sides, 0).prod())


def _between(matrix: Matrix, box_a: Box, box_b: Box) -> tuple[float, ...]:
    """The matrix from fractions of a part of a to fractions of a part of b."""
    low_a, low_b = np.array(box_a[:2]), np.array(box_b[:2])
    size_a, size_b = np.array(box_a[2:]) - low_a, np.array(box_b[2:]) - low_b
    linear = matrix[:, :2] * size_a / size_b[:, None]
    moved = (transformed(matrix, low_a[None])[0] - low_b) / size_b
    return tuple(float(value) for value in np.column_stack([linear, moved]).ravel())
