"""What one photo of a pair is beside the other, from what `near_duplicates` says about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.keeping import Facts
from prodseek.duplicates.verdicts import Verdict
from prodseek.runs.columns import BOX_EDGES

# From this share of a photo on, the other shows all of it.
_ALL = 0.985
_SIGNS = {"b": 1, "a": -1, None: 0}
# Saving as one of these changes pixels. So of two files with equal pixels the one in such a format is the original of the other.
_LOSSY = ("JPEG", "MPO")
# log2 of odds that nobody need doubt.
_CERTAIN = 10.0


def facts_of(
    pair: Mapping[str, Any],
    size_a_px: tuple[int, int],
    size_b_px: tuple[int, int],
    formats: tuple[str, str] | None = None,
) -> Facts:
    """What the second photo of a row of `near_duplicates` is beside the first.

    Sizes: width and height of each photo. formats: of their files, as `images` says it; None if not known.
    """
    evidence, verdict = pair["evidence"], pair["verdict"]
    sides_a, sides_b = _sides_px(pair, "a"), _sides_px(pair, "b")
    share_a, share_b = (
        math.prod(sides) / math.prod(size) for sides, size in ((sides_a, size_a_px), (sides_b, size_b_px))
    )
    larger_side = "a" if share_a < share_b else "b"
    added_side = evidence["added_side"]
    # A margin is no more of the picture, and an edge that is cut by a pixel no less.
    is_margin = verdict == Verdict.PADDED or (added_side == larger_side and verdict != Verdict.CROPPED)
    shows_more = 0.0 if is_margin or min(share_a, share_b) >= _ALL else math.log2(share_a / share_b)
    shared_px = (max(sides_b), max(sides_a))
    finer, cleaner = evidence["finer"], evidence["cleaner"] or 0.0
    if verdict == Verdict.IDENTICAL_PIXELS and formats is not None:
        is_lossy_a, is_lossy_b = (name in _LOSSY for name in formats)
        cleaner = _CERTAIN * (is_lossy_b - is_lossy_a)
    if finer is None:
        finer = 0.0 if verdict == Verdict.IDENTICAL_PIXELS else math.log2(shared_px[0] / shared_px[1])
    return Facts(
        finer=finer,
        cleaner=cleaner,
        added=_SIGNS[added_side],
        grey=_SIGNS[evidence["grey_side"]],
        shows_more=shows_more,
        orientation=Orientation(evidence["orientation"] or Orientation.IDENTITY),
        shared_px=shared_px,
    )


def _sides_px(pair: Mapping[str, Any], side: str) -> tuple[float, float]:
    """Width and height of the shared part in one of the photos, at least a pixel each."""
    x1, y1, x2, y2 = (pair[f"{edge}_{side}_px"] for edge in BOX_EDGES)
    return max(1.0, x2 - x1), max(1.0, y2 - y1)
