"""The content of a photo: what is left without its plain margins, frames and bars."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# The longer side at which margins are looked for: finer boxes than this cost more and say no more.
_WORK_SIDE_PX = 256
# A plain pixel is this near to the colour of its margin, in each channel; JPEG at quality 10 stays within it.
_PLAIN_LEVELS = 18
# A line is part of the content once this share of its pixels is not plain; specks of encoders are fewer.
_CONTENT_SHARE = 0.015
_MIN_CONTENT_PX = 2
# The ends of a line may lie in the soft edges of the frame that was taken off before.
_ENDS_PX = 2
# A frame, bars and the margin behind them are taken off one after another; the soft edge of each counts as layers too.
_MAX_LAYERS = 10
# Less content than this, on one side, shows nothing that could be compared.
_MIN_SIDE_PX = 16


def content_box(pixels: NDArray[np.uint8]) -> Box:
    """x1 y1 x2 y2 of the content, in fractions of the photo's sides; WHOLE if no side has a plain margin, or all is plain.

    A margin is as many lines, from an edge on, as have one colour, whatever colour. Sides may have different colours, and behind
    a frame or bars the next margin is looked for. pixels: (H, W, 3) uint8 RGB of any size.
    """
    scale = min(1.0, _WORK_SIDE_PX / max(pixels.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
    lines = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels, np.uint8)
    across = lines.swapaxes(0, 1)
    x1, y1, x2, y2 = 0, 0, size[0], size[1]
    for _ in range(_MAX_LAYERS):
        before = (x1, y1, x2, y2)
        y1 += _plain_lines(lines[y1:y2, x1:x2])
        y2 -= _plain_lines(lines[y1:y2, x1:x2][::-1])
        x1 += _plain_lines(across[x1:x2, y1:y2])
        x2 -= _plain_lines(across[x1:x2, y1:y2][::-1])
        if min(x2 - x1, y2 - y1) < _MIN_SIDE_PX:
            return WHOLE
        if (x1, y1, x2, y2) == before:
            break
    return x1 / size[0], y1 / size[1], x2 / size[0], y2 / size[1]


def content_pixels(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The part of a photo that lies in the box, at least one pixel; (h, w, 3) uint8."""
    height, width = pixels.shape[:2]
    x1, y1 = min(round(box[0] * width), width - 1), min(round(box[1] * height), height - 1)
    return pixels[y1 : max(y1 + 1, round(box[3] * height)), x1 : max(x1 + 1, round(box[2] * width))]


def _plain_lines(lines: NDArray[np.uint8]) -> int:
    """How many of the first lines have one colour, all the same. lines: (n, length, 3)."""
    if not lines.size:
        return 0
    colour = np.median(lines[0], axis=0).round()
    for place, line in enumerate(lines[:, _ENDS_PX:-_ENDS_PX]):
        unlike = np.count_nonzero((np.abs(line - colour) > _PLAIN_LEVELS).any(axis=1))
        if unlike > max(_MIN_CONTENT_PX, _CONTENT_SHARE * len(line)):
            return place
    return len(lines)
