"""PDQ hashes in all eight orientations, and the pairs of photos whose hashes are near."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

HASH_BITS = 256
_HEX_HASH = re.compile(r"[0-9a-fA-F]{64}")
# The authors of PDQ treat up to 31 of 256 bits as the same image ("The TMK+PDQF Video-Hashing Algorithm and the PDQ
# Image-Hashing Algorithm", Facebook, 2019). Candidates may be farther apart, because their pixels are compared afterwards.
MAX_HAMMING = 60
# Above this many hashes a multi-index hash table is faster than comparing all with all.
_COMPARE_ALL_BELOW = 200_000
_TABLE_BITS = 16
_MAX_FLIPPED_BITS = 1
_BLOCK_ROWS = 1024
# Maximum partners of a photo among photos with the same or a near hash, so that the output stays linear.
_MAX_PARTNERS = 24


class Orientation(StrEnum):
    """How photo a must be turned to look like photo b. Rotations are counter-clockwise."""

    IDENTITY = "identity"
    ROTATE_90 = "rotate_90"
    ROTATE_180 = "rotate_180"
    ROTATE_270 = "rotate_270"
    MIRROR = "mirror"
    FLIP = "flip"
    TRANSPOSE = "transpose"
    TRANSVERSE = "transverse"


ORIENTATIONS = tuple(Orientation)
ROTATIONS = (Orientation.ROTATE_90, Orientation.ROTATE_180, Orientation.ROTATE_270)
# Each orientation as (transpose first, then mirror, then flip).
STEPS = {
    Orientation.IDENTITY: (False, False, False),
    Orientation.ROTATE_90: (True, False, True),
    Orientation.ROTATE_180: (False, True, True),
    Orientation.ROTATE_270: (True, True, False),
    Orientation.MIRROR: (False, True, False),
    Orientation.FLIP: (False, False, True),
    Orientation.TRANSPOSE: (True, False, False),
    Orientation.TRANSVERSE: (True, True, True),
}


class PdqPairs(NamedTuple):
    """Pairs of rows, row_a < row_b, sorted.

    row_a, row_b: (P,) int64. orientation: (P,) int8, index into ORIENTATIONS, how a is turned to look like b. hamming: (P,)
    int32, bits of 256.
    """

    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]
    orientation: NDArray[np.int8]
    hamming: NDArray[np.int32]


def turn(pixels: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """Turn a photo; returns a contiguous copy. pixels: (H, W, ...)."""
    transposed, mirrored, flipped = STEPS[orientation]
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if flipped else 1, :: -1 if mirrored else 1])


def dihedral_hashes(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The hashes of photos in all eight orientations, from their hashes alone.

    hashes: (N, 32) uint8. Returns (N, 8, 32) uint8, in the order of ORIENTATIONS. A PDQ bit says whether a DCT coefficient is
    above the median. Turning a photo swaps coefficients or changes their sign, and the median is near 0, so bits swap or
    flip. About 7 of 256 bits differ from the hash of the turned pixels.
    """
    bits = np.unpackbits(np.asarray(hashes, dtype=np.uint8), axis=1).reshape(-1, 16, 16)
    odd = np.arange(16) % 2 == 1
    turned = np.empty((len(bits), len(ORIENTATIONS), 16, 16), dtype=np.uint8)
    for slot, orientation in enumerate(ORIENTATIONS):
        transposed, mirrored, flipped = STEPS[orientation]
        turned[:, slot] = bits.transpose(0, 2, 1) if transposed else bits
        turned[:, slot] ^= (odd[None, :] & mirrored) ^ (odd[:, None] & flipped)
    return np.packbits(turned.reshape(-1, len(ORIENTATIONS), HASH_BITS), axis=2)


def hashes_from_hex(hex_hashes: Sequence[str]) -> NDArray[np.uint8]:
    """Parse hashes of 64 hex digits into (N, 32) uint8. Raises ValueError that names the first one that is not a hash."""
    packed = np.empty((len(hex_hashes), HASH_BITS // 8), dtype=np.uint8)
    for row, text in enumerate(hex_hashes):
        if not _HEX_HASH.fullmatch(text):
            raise ValueError(f"{text!r} is not a PDQ hash of 64 hex digits")
        packed[row] = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)
    return packed


def hamming(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The number of differing bits, (...) int32. a, b: (..., 32) uint8, broadcast against each other."""
    differing: NDArray[np.int32] = np.bitwise_count(np.bitwise_xor(a, b)).sum(axis=-1, dtype=np.int32)
    return differing


def best_orientation(hash_a: NDArray[np.uint8], hash_b: NDArray[np.uint8]) -> tuple[Orientation, int]:
    """How a is best turned to look like b, and how many bits then still differ. hash_a, hash_b: (32,) uint8."""
    distances = hamming(dihedral_hashes(hash_a[None, :])[0], hash_b[None, :])
    best = int(distances.argmin())
    return ORIENTATIONS[best], int(distances[best])


def pdq_pairs(hashes: NDArray[np.uint8], max_hamming: int = MAX_HAMMING) -> PdqPairs:
    """Pairs of photos whose hashes differ in at most max_hamming bits, one of them in any of the eight orientations.

    hashes: (N, 32) uint8, one row for each photo. Exact for up to 200,000 distinct hashes; above that, pairs more than 31 bits
    apart may be missed. Each photo has at most a few dozen partners (the nearest first, then by row). Photos with equal
    hashes are all paired with the first of them. So the output is linear in N.
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint8)
    empty = np.zeros(0, dtype=np.int64)
    if not len(hashes):
        return PdqPairs(empty, empty, empty.astype(np.int8), empty.astype(np.int32))
    distinct, which = _distinct(hashes)
    a, b, turned, distance = _distinct_pairs(distinct, max_hamming)
    members = _members(which, len(distinct))
    rows: list[tuple[int, int, int, int]] = []
    for i, j, slot, bits in zip(a.tolist(), b.tolist(), turned.tolist(), distance.tolist(), strict=True):
        for row_i, row_j in _partners(members[i], members[j]):
            rows.append(_in_row_order(row_i, row_j, slot, bits))
    for group in members:
        for position, row in enumerate(group[1:], start=1):
            rows.extend((partner, row, 0, 0) for partner in group[: min(position, _MAX_PARTNERS)])
    table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 4)
    return PdqPairs(table[:, 0], table[:, 1], table[:, 2].astype(np.int8), table[:, 3].astype(np.int32))


def _in_row_order(row_a: int, row_b: int, slot: int, bits: int) -> tuple[int, int, int, int]:
    if row_a < row_b:
        return row_a, row_b, slot, bits
    inverse = {Orientation.ROTATE_90: Orientation.ROTATE_270, Orientation.ROTATE_270: Orientation.ROTATE_90}
    orientation = ORIENTATIONS[slot]
    return row_b, row_a, ORIENTATIONS.index(inverse.get(orientation, orientation)), bits


def _partners(left: list[int], right: list[int]) -> set[tuple[int, int]]:
    """Pairs of each member of one group with the first few of the other, instead of all with all."""
    few = max(1, _MAX_PARTNERS // 8)
    return {(i, j) for i in left for j in right[:few]} | {(i, j) for i in left[:few] for j in right}


def _distinct(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The distinct hashes in the order of their first rows, and for each row the number of its hash."""
    as_bytes = hashes.view(np.dtype((np.void, hashes.shape[1]))).ravel()
    _, first, which = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return hashes[first[order]], place[which]


def _members(which: NDArray[np.intp], n_distinct: int) -> list[list[int]]:
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=n_distinct))
    return [part.tolist() for part in np.split(order, ends[:-1])]


def _distinct_pairs(
    hashes: NDArray[np.uint8], max_hamming: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    index = _binary_index(hashes, max_hamming)
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(hashes), _BLOCK_ROWS):
        block = dihedral_hashes(hashes[start : start + _BLOCK_ROWS])
        parts = []
        for slot in range(len(ORIENTATIONS)):
            # faiss finds hashes that are strictly nearer than the radius.
            limits, distance, row = index.range_search(np.ascontiguousarray(block[:, slot]), max_hamming + 1)
            query = start + np.repeat(np.arange(len(block)), np.diff(limits.astype(np.int64)))
            parts.append(np.stack([query, row, np.full(len(row), slot), distance.astype(np.int64)]))
        table = np.concatenate(parts, axis=1)
        table = table[:, table[0] != table[1]]
        found.append(_nearest_partners(table))
    table = np.concatenate(found, axis=1)
    swapped = table[0] > table[1]
    rotation = np.array([ORIENTATIONS.index(o) for o in (Orientation.ROTATE_90, Orientation.ROTATE_270)])
    slots = table[2].copy()
    for one, other in (rotation, rotation[::-1]):
        slots[swapped & (table[2] == one)] = other
    low, high = np.minimum(table[0], table[1]), np.maximum(table[0], table[1])
    order = np.lexsort((slots, table[3], high, low))
    low, high, slots, distance = low[order], high[order], slots[order], table[3][order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(low) != 0) | (np.diff(high) != 0)
    return low[first], high[first], slots[first], distance[first]


def _nearest_partners(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep the best slot of each pair, then the nearest partners of each query. Rows of table: query, row, slot, distance."""
    table = table[:, np.lexsort((table[2], table[3], table[1], table[0]))]
    first = np.ones(table.shape[1], dtype=bool)
    first[1:] = (np.diff(table[0]) != 0) | (np.diff(table[1]) != 0)
    table = table[:, first]
    table = table[:, np.lexsort((table[1], table[3], table[0]))]
    rank = np.arange(table.shape[1]) - np.searchsorted(table[0], table[0])
    return table[:, rank < _MAX_PARTNERS]


def _binary_index(hashes: NDArray[np.uint8], max_hamming: int) -> Any:
    if len(hashes) <= _COMPARE_ALL_BELOW:
        index: Any = faiss.IndexBinaryFlat(HASH_BITS)
    else:
        index = faiss.IndexBinaryMultiHash(HASH_BITS, HASH_BITS // _TABLE_BITS, _TABLE_BITS)
        # Pigeonhole principle: of 16 parts at least one has at most max_hamming / 16 differing bits.
        index.nflip = min(_MAX_FLIPPED_BITS, max_hamming // _TABLE_BITS)
    index.add(hashes)
    return index
