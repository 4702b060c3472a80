"""The PDQ hash of one photo. Without faiss, because every process that decodes photos computes it."""

from __future__ import annotations

import numpy as np
import pdqhash
from numpy.typing import NDArray


def pdq_hash(pixels: NDArray[np.uint8]) -> tuple[str, int]:
    """PDQ hash (64 hex digits) and quality (0 to 100, below 50 means too little structure to trust).

    pixels: (H, W, 3) uint8 RGB.
    """
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return hash_to_hex(np.packbits(np.asarray(bits, dtype=np.uint8))), int(quality)


def hash_to_hex(packed: NDArray[np.uint8]) -> str:
    """packed: (32,) uint8. Returns 64 hex digits."""
    return packed.tobytes().hex()
