"""The PDQ hash of photos, and the hash of their pixels. Without faiss, because every process that decodes photos computes it.

PDQ: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook, 2019. Our own, because its reference
implementation has to be compiled. Bits and quality are the reference's. Only where a picture lacks a frequency, because it is
symmetric or changes in one direction alone, its bit is a rounding error, which each of the two makes in its own way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114])
_BLOCKS = 64
# Of the cosine transform PDQ keeps these frequencies, without the constant.
_FREQUENCIES = np.arange(1, 17)
_HASH_BITS = len(_FREQUENCIES) ** 2
_ANGLES = np.outer(_FREQUENCIES, 2 * np.arange(_BLOCKS) + 1) * np.pi / (2 * _BLOCKS)
_COSINES = (np.float32(np.sqrt(2 / _BLOCKS)) * np.cos(_ANGLES)).astype(np.float32)
_LEAST_SIDE_PX = 5
# So many rows at once are converted to float64, which takes 24 bytes a pixel.
_STRIP_ROWS = 64


def pixel_hash(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None = None, moving_id: str | None = None) -> str:
    """SHA-256 of an upright photo's size, pixels and opacity: equal for photos that differ only in container or metadata.

    pixels: (H, W, 3) uint8 RGB at full size. alpha: (H, W) uint8; None for an opaque photo. moving_id: as in `DecodedImage`; a
    photo that moves equals its own bytes alone, because its other frames are not decoded. Returns 64 hex digits.
    """
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    if alpha is not None:
        digest.update(np.ascontiguousarray(alpha).data)
    if moving_id is not None:
        digest.update(moving_id.encode())
    return digest.hexdigest()


def pdq_hash(pixels: NDArray[np.uint8]) -> tuple[str, int]:
    """PDQ hash (64 hex digits) and quality (0 to 100, below 50 means too little structure to trust).

    pixels: (H, W, 3) uint8 RGB.
    """
    packed, quality = pdq_hashes([pixels])
    return hash_to_hex(packed[0]), int(quality[0])


def pdq_hashes(photos: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """PDQ hashes (N, 32) uint8 and qualities (N,) int64, as of `pdq_hash`.

    photos: N of (H, W, 3) uint8 RGB, of any sizes. One with a side below 5 px has the hash 0 and the quality 0.
    """
    blocks = np.array([_block_means(pixels) for pixels in photos], dtype=np.float32).reshape(-1, _BLOCKS, _BLOCKS)
    down = _transformed(blocks)
    frequencies = _transformed(down.swapaxes(1, 2)).swapaxes(1, 2).reshape(-1, _HASH_BITS)
    # The lower of the two in the middle.
    median = np.partition(frequencies, _HASH_BITS // 2 - 1, axis=1)[:, _HASH_BITS // 2 - 1, None]
    # The reference counts bits from the last.
    return np.packbits((frequencies > median)[:, ::-1], axis=1), _quality(blocks)


def hash_to_hex(packed: NDArray[np.uint8]) -> str:
    """packed: (32,) uint8. Returns 64 hex digits."""
    return packed.tobytes().hex()


def _block_means(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(64, 64) float32 luma: Jarosz' tent filter, which is two box filters, at the middles of 64 x 64 blocks."""
    height_px, width_px = pixels.shape[:2]
    if min(height_px, width_px) < _LEAST_SIDE_PX:
        return np.zeros((_BLOCKS, _BLOCKS), dtype=np.float32)
    across = _block_weights(width_px).T
    narrow = np.empty((height_px, _BLOCKS))
    for top in range(0, height_px, _STRIP_ROWS):
        strip = pixels[top : top + _STRIP_ROWS]
        narrow[top : top + _STRIP_ROWS] = (strip.reshape(-1, 3) @ _LUMA).reshape(strip.shape[:2]) @ across
    return (_block_weights(height_px) @ narrow).astype(np.float32)


@lru_cache(maxsize=8)
def _block_weights(side_px: int) -> NDArray[np.float64]:
    """How much each pixel along a side weighs in each block, (64, side_px) float64; a row sums to 1."""
    window_px = -(-side_px // (2 * _BLOCKS))

    def box(middles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The pixels in a window around each of the middles, and their weights: none beyond the photo."""
        found = middles[..., None] + np.arange(window_px) + (window_px // 2 - window_px + 1)
        inside = (found >= 0) & (found < side_px)
        return found.clip(0, side_px - 1), inside / inside.sum(axis=-1, keepdims=True)

    near, near_weights = box((2 * np.arange(_BLOCKS) + 1) * side_px // (2 * _BLOCKS))
    far, far_weights = box(near)
    cells = np.arange(_BLOCKS)[:, None, None] * side_px + far
    weights = np.zeros(_BLOCKS * side_px)
    np.add.at(weights, cells, near_weights[..., None] * far_weights)
    return weights.reshape(_BLOCKS, side_px)


def _transformed(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine transform along axis 1. blocks: (N, 64, M) float32. Returns (N, 16, M) float32.

    The terms are added one after another, as in the reference. A matrix product adds them in the order that suits the
    processor, so that a flat photo, which has only rounding errors here, would have another hash on another machine.
    """
    terms = np.multiply(_COSINES.T[:, None, :, None], blocks.swapaxes(0, 1)[:, :, None, :], order="C")
    total: NDArray[np.float32] = terms.sum(axis=0)
    return total


def _quality(blocks: NDArray[np.float32]) -> NDArray[np.int64]:
    """(N,) int64, 0 to 100: the steps between neighbours in whole hundredths of the range, 90 of them for each point."""
    hundredths = [(np.diff(blocks, axis=axis) * 100 / 255).astype(np.int64) for axis in (1, 2)]
    down, across = [np.abs(each).sum(axis=(1, 2)) for each in hundredths]
    quality: NDArray[np.int64] = np.minimum((down + across) // 90, 100)
    return quality
