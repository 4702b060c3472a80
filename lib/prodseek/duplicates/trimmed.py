"""Photos that were given a margin are compared without it: where it hides what was cut off, or differs from the other's margin.

Another product may end where the margin begins, and one label lies on cards in many colours, so such a pair is never proved: a
person looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.content import WHOLE, Box, content_pixels
from prodseek.duplicates.frames import in_pixels
from prodseek.duplicates.geometry import Matrix, inverse, transformed
from prodseek.duplicates.guards import (
    is_explained,
    may_be_next_shade,
    may_be_one_of_a_set,
    may_be_other_outline,
    may_be_other_tone,
)
from prodseek.duplicates.planes import most_of_channels
from prodseek.duplicates.proof import Photos, Proof, prove
from prodseek.duplicates.registration import laid_over
from prodseek.duplicates.verification import Comparison

# A margin that hides less than this share of the other photo's content is a soft edge.
_LEAST_HIDDEN = 0.03
# What the margin hides is all that differs if without it less than this share of what was left is left. More is left of a
# ribbon across the corner: it lies on the other photo's margin, but reaches into the product.
_STILL_LEFT = 0.05
# Margins lie at two opposite sides at least, each this share of the photo, and leave the content this share of it. A card with a
# label at its foot has none.
_LEAST_MARGIN, _LEAST_CONTENT = 0.02, 0.05
# Share of a side by which two contents may lie beside each other.
_SAME_CONTENT = 0.04
# Share of a photo's side: contents are found at 256 px.
_SOFT_EDGE = 0.006
# Share of what is compared that may be left along that edge.
_SOFT_MARK = 0.001
# Margins are compared at this size. They differ from so many grey levels on, in any channel.
_MARGINS_SIDE_PX, _OTHER_MARGIN = 256, 8.0


def prove_or_trim(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    contents: tuple[Box, Box],
    comparison: Comparison,
    detailed: Callable[[], Photos | None],
) -> Proof | None:
    """`prove`, and where margins are what differs, without them: one hides what the other photo shows, or the two differ.

    contents: what `content_box` finds in each.
    """
    proof = prove(a, b, comparison, detailed)
    if proof is None:
        return None
    matrix = np.array(comparison.matrix, np.float64).reshape(2, 3)
    is_clean = _is_clean(proof)
    may_differ = not is_clean or may_be_other_outline(proof.values())
    if may_differ and _have_other_margins(a, b, matrix, contents):
        of_b = _within(contents[1])
        trimmed = _proof_within(a, b, comparison, detailed, (_there(inverse(matrix), of_b), of_b))
        if trimmed is not None and trimmed.mark <= max(_SOFT_MARK, _STILL_LEFT * proof.mark) and not _is_toned(trimmed):
            # Round a product that was cut out the ground differs within the margins too.
            margins_differ = 0.0 if may_be_other_outline(trimmed.values()) else 1.0
            if is_clean:
                return replace(proof, margins_differ=margins_differ)
            # What lies beyond the shared part is told of the whole photos.
            return replace(trimmed, overlap=proof.overlap, margins_differ=margins_differ)
    if not proof.mark > 0:
        return proof
    hidden = _hidden(inverse(matrix), contents[1], contents[0]), _hidden(matrix, contents[0], contents[1])
    box_a, box_b = (box if share > _LEAST_HIDDEN else WHOLE for box, share in zip(contents, hidden, strict=True))
    if (box_a, box_b) == (WHOLE, WHOLE):
        return proof
    trimmed = _proof_within(a, b, comparison, detailed, (box_a, box_b))
    if trimmed is None or trimmed.mark > _STILL_LEFT * proof.mark or may_be_one_of_a_set(trimmed.values()):
        return proof
    return replace(trimmed, margin_hides=max(hidden))


def _is_clean(proof: Proof) -> bool:
    """Whether nothing differs, not even a tone that would explain two colours of a margin."""
    return is_explained(proof.values()) and not _is_toned(proof)


def _is_toned(proof: Proof) -> bool:
    """Whether the content has another tone too, as its margin has in a darker photo."""
    values = proof.values()
    return may_be_other_tone(values) or may_be_next_shade(values)


def _proof_within(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    comparison: Comparison,
    detailed: Callable[[], Photos | None],
    boxes: tuple[Box, Box],
) -> Proof | None:
    """`prove` of the parts of both photos that lie in boxes."""

    def detailed_parts() -> Photos | None:
        photos = detailed()
        return None if photos is None else (content_pixels(photos[0], boxes[0]), content_pixels(photos[1], boxes[1]))

    matrix = np.array(comparison.matrix, np.float64).reshape(2, 3)
    within = replace(comparison, matrix=_between(matrix, *boxes))
    return prove(content_pixels(a, boxes[0]), content_pixels(b, boxes[1]), within, detailed_parts)


def _have_other_margins(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix, contents: tuple[Box, Box]) -> bool:
    """Whether both photos have margins round the same content, and these differ."""
    if not all(_has_margins(box) for box in contents):
        return False
    if np.abs(np.subtract(_there(matrix, contents[0]), contents[1])).max() > _SAME_CONTENT:
        return False
    laid = laid_over(a, b, in_pixels(tuple(matrix.ravel()), a.shape[1::-1], b.shape[1::-1]), _MARGINS_SIDE_PX)
    if laid is None:
        return False
    (x1, y1), (x2, y2) = (
        transformed(laid.b_onto, np.reshape(contents[1], (2, 2)) * b.shape[1::-1]).round().astype(np.int64).clip(0)
    )
    differ = laid.inside & (most_of_channels(np.abs(laid.a - laid.b)) > _OTHER_MARGIN)
    differ[y1:y2, x1:x2] = False
    return float(differ.sum()) > _LEAST_HIDDEN * float(laid.inside.sum())


def _has_margins(box: Box) -> bool:
    x1, y1, x2, y2 = box
    across, down = (min(low, 1 - high) for low, high in ((x1, x2), (y1, y2)))
    return max(across, down) >= _LEAST_MARGIN and _area(box) >= _LEAST_CONTENT


def _there(matrix: Matrix, box: Box) -> Box:
    """The box around a box of one photo, in the other. matrix: fractions of the one -> of the other."""
    x1, y1, x2, y2 = box
    corners = transformed(matrix, np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])).clip(0, 1)
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def _within(box: Box) -> Box:
    """The box without its soft edge to the margin."""
    x1, y1, x2, y2 = box
    return x1 + _SOFT_EDGE, y1 + _SOFT_EDGE, x2 - _SOFT_EDGE, y2 - _SOFT_EDGE


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


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
