"""Check boxes that people give; a wrong one is answered with a sentence that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from prodseek.errors import PromptError

Box = tuple[float, float, float, float]

_SYNTAX = "four numbers in pixels of the upright photo, x1,y1,x2,y2"
_MIN_SIDE_PX = 1.0


class PromptFault(StrEnum):
    """Why a prompt cannot be answered, beside faults of its photo (`decode.RejectReason`)."""

    INVALID_PROMPT = "invalid_prompt"
    DUPLICATE_QUERY = "duplicate_query"
    UNKNOWN_REGION = "unknown_region"
    NOTHING_FOUND = "nothing_found"
    BOX_NOT_FINITE = "box_not_finite"
    BOX_EMPTY = "box_empty"
    BOX_INVERTED = "box_inverted"
    BOX_NORMALISED = "box_normalised"
    BOX_OUTSIDE = "box_outside"


def parse_box(text: str) -> Box:
    """Parse a box that a person wrote as `x1,y1,x2,y2`. Raises PromptError."""
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise PromptError(PromptFault.INVALID_PROMPT, f"the box {text!r} is not {_SYNTAX}") from error
    return (x1, y1, x2, y2)


def check_box(box: Sequence[float], width_px: int, height_px: int) -> Box:
    """The part of a box inside a photo of this size, x1 y1 x2 y2.

    box: x1 y1 x2 y2, pixels of the upright photo; it may extend beyond the photo's edges. Raises PromptError for a box that is
    malformed, inverted, empty or outside the photo, or that is given in shares of the photo instead of pixels.
    """
    if len(box) != 4:
        raise PromptError(PromptFault.INVALID_PROMPT, f"the box {_written(box)} is not {_SYNTAX}")
    x1, y1, x2, y2 = (float(value) for value in box)
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise PromptError(PromptFault.BOX_NOT_FINITE, f"the box {_written(box)} is not {_SYNTAX}")
    if x1 == x2 or y1 == y2:
        side = "width" if x1 == x2 else "height"
        raise PromptError(PromptFault.BOX_EMPTY, f"the box {_written(box)} has no {side}; draw it round something")
    if x1 > x2 or y1 > y2:
        ordered = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        raise PromptError(
            PromptFault.BOX_INVERTED,
            f"the box {_written(box)} ends before it begins; a box is x1,y1,x2,y2 with the left upper corner first "
            f"(perhaps {_written(ordered)}), not x,y,width,height",
        )
    if min(x1, y1) >= 0 and max(x2, y2) <= 1 and min(width_px, height_px) > 1:
        in_pixels = (x1 * width_px, y1 * height_px, x2 * width_px, y2 * height_px)
        raise PromptError(
            PromptFault.BOX_NORMALISED,
            f"the box {_written(box)} is in shares of the photo; boxes are in pixels, and on this photo of {width_px} x "
            f"{height_px} px that is {_written([round(value) for value in in_pixels])}",
        )
    if x1 >= width_px or y1 >= height_px or x2 <= 0 or y2 <= 0:
        raise PromptError(
            PromptFault.BOX_OUTSIDE,
            f"the box {_written(box)} lies outside the photo, which is {width_px} x {height_px} px after turning it "
            "upright; give pixels of the photo at its full size",
        )
    inside = (max(0.0, x1), max(0.0, y1), min(float(width_px), x2), min(float(height_px), y2))
    if min(inside[2] - inside[0], inside[3] - inside[1]) < _MIN_SIDE_PX:
        raise PromptError(
            PromptFault.BOX_EMPTY,
            f"the box {_written(box)} covers less than a pixel of the photo, which is {width_px} x {height_px} px; "
            "draw it round something",
        )
    return inside


def _written(box: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in box)
