"""Pairs of photos that share codes of local features: what finds a crop, or an object pasted into another scene."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.runs.ids import mixed

# A code that more photos have says little, and pairing them all would be quadratic.
MAX_PHOTOS_A_CODE = 8
# Weights are whole numbers of this fraction, so that their sums do not depend on their order.
_WEIGHT_STEP = 0.1


class CodePairs(NamedTuple):
    """row_a, row_b: (P,) int64, row_a < row_b. n_shared: (P,) int64, codes that both have. weight: (P,) int64, more for
    rarer codes."""

    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]
    n_shared: NDArray[np.int64]
    weight: NDArray[np.int64]


def pairs_by_codes(
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    asking_rows: NDArray[np.int64],
    asked_codes: NDArray[np.int64],
    n_photos: int,
) -> CodePairs:
    """Pairs of photos of which one asks for a code that the other has; linear in the number of codes.

    rows, codes: (N,), photo rows[i] has codes[i]; rows below 2 ** 25. asking_rows, asked_codes: (M,), likewise what is
    asked for. n_photos: in the whole catalogue. A shared code counts by the square of its inverse document frequency.
    Source: Sivic and Zisserman, "Video Google", 2003, section 4.
    """
    order = np.lexsort((rows, codes))
    rows, codes = rows[order], codes[order]
    distinct = np.ones(len(codes), bool)
    distinct[1:] = (np.diff(codes) != 0) | (np.diff(rows) != 0)
    rows, codes = rows[distinct], codes[distinct]
    known, first, count = np.unique(codes, return_index=True, return_counts=True)
    # Most of what is asked for nobody has: seeing that takes a tenth of looking it up.
    hopeful = _may_be_among(asked_codes, known)
    asking_rows, asked_codes = asking_rows[hopeful], asked_codes[hopeful]
    place = np.searchsorted(known, asked_codes)
    place[place == len(known)] = 0
    found = (known[place] == asked_codes) & (count[place] <= MAX_PHOTOS_A_CODE) if len(known) else place > 0
    asking_rows, place = asking_rows[found], place[found]
    length = count[place] if len(place) else np.zeros(0, np.int64)
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    asking, answering = np.repeat(asking_rows, length), rows[np.repeat(first[place], length) + step]
    weight = np.rint(np.log(max(2, n_photos) / length) ** 2 / _WEIGHT_STEP).astype(np.int64).repeat(length)
    other = asking != answering
    low, high = np.minimum(asking, answering)[other], np.maximum(asking, answering)[other]
    return _summed(low, high, weight[other])


def heaviest_pairs(pairs: CodePairs, n_partners: int) -> CodePairs:
    """Of each photo the pairs of most weight, at most n_partners; a pair stays where it is among those of one of its two.

    pairs: ordered by row_a and row_b, as `pairs_by_codes` gives them; of equal weight those with lower rows stay.
    """
    # In this order each photo's partners ascend already, so that one stable sort by one number is enough.
    left = np.r_[pairs.row_b, pairs.row_a]
    weight = np.r_[pairs.weight, pairs.weight]
    heaviest = int(weight.max(initial=0))
    order = np.argsort(left << heaviest.bit_length() | (heaviest - weight), kind="stable")
    starts = np.flatnonzero(np.diff(left[order], prepend=-1))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    kept = (place < n_partners).reshape(2, -1).any(axis=0)
    return CodePairs(*(values[kept] for values in pairs))


def buckets_of(codes: NDArray[np.int64], n_buckets: int) -> NDArray[np.int64]:
    """(N,) which of n_buckets each code belongs to, about as many to each."""
    return ((mixed(codes) >> np.uint64(32)) % np.uint64(n_buckets)).astype(np.int64)


def _may_be_among(asked: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each code may be a known one: a few of the others pass too (Bloom 1970, with a single hash)."""
    n_bits = max(16, min(27, len(known).bit_length() + 4))
    seen = np.zeros(2**n_bits, np.bool_)
    seen[mixed(known) >> np.uint64(64 - n_bits)] = True
    found: NDArray[np.bool_] = seen[mixed(asked) >> np.uint64(64 - n_bits)]
    return found


def _summed(low: NDArray[np.int64], high: NDArray[np.int64], weight: NDArray[np.int64]) -> CodePairs:
    """Each pair once, with the number and the sum of its weights."""
    if not len(low):
        return CodePairs(low, high, low, low)
    # Both rows and the weight are packed into one number: sorting numbers takes a tenth of sorting by several keys.
    row_bits, weight_bits = int(high.max()).bit_length(), int(weight.max()).bit_length()
    if 2 * row_bits + weight_bits > 63:
        raise ValueError(f"rows up to {high.max()} are too many to pair at once; at most 2 ** 25 photos")
    packed = np.sort((low << row_bits | high) << weight_bits | weight)
    pair = packed >> weight_bits
    starts = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    n_shared = np.diff(np.r_[starts, len(pair)])
    total = np.add.reduceat(packed & ((1 << weight_bits) - 1), starts)
    return CodePairs(pair[starts] >> row_bits, pair[starts] & ((1 << row_bits) - 1), n_shared, total)
