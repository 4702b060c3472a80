"""Ids that are computed, not counted, so that they are the same every night and in every partition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def detection_id(image_id: str, kind: str, class_name: str | None, box_px: Sequence[float]) -> int:
    """The id of a region: 63 bits of the SHA-256 of its image, kind, class and box.

    box_px: x1 y1 x2 y2, source-image pixels. Whole pixels count, so that the last bits of floating-point arithmetic,
    which differ between machines, do not change an id.
    """
    corners = ",".join(str(round(corner)) for corner in box_px)
    digest = hashlib.sha256(f"{image_id}|{kind}|{class_name or ''}|{corners}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers whose remainders and higher bits are spread evenly, whatever those given are (Knuth, TAOCP 3, section 6.4)."""
    product = numbers.astype(np.uint64) * _HASH_FACTOR
    return product ^ (product >> np.uint64(32))
