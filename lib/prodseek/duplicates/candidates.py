"""Candidate pairs: photos that share codes of local features. They find crops, and objects pasted into other scenes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.runs.ids import mixed

# A code that more photos have says little, and to pair all of these photos would be quadratic.
MAX_PHOTOS_A_CODE = 8
# Weights are whole multiples of this step, so that their sums do not depend on the order.
_WEIGHT_STEP = 0.1


class CodePairs(NamedTuple):
    """Pairs of photos. row_a, row_b: (P,) int64, row_a < row_b. n_shared: (P,) int64, number of shared codes.

    weight: (P,) int64, sum of the weights of the shared codes; rarer codes weigh more.
    """

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
    """Pairs of photos in which one photo asks for a code that the other has; linear in the number of codes.

    rows, codes: (N,) int64, photo rows[i] has the code codes[i]; rows are below 2 ** 25. asking_rows, asked_codes: (M,)
    int64, photo asking_rows[i] asks for the code asked_codes[i]. n_photos: number of photos in the whole catalogue. A shared
    code weighs the square of its inverse document frequency. Source: Sivic and Zisserman, "Video Google", 2003, section 4.
    """
    order = np.lexsort((rows, codes))
    rows, codes = rows[order], codes[order]
    distinct = np.ones(len(codes), bool)
    distinct[1:] = (np.diff(codes) != 0) | (np.diff(rows) != 0)
    rows, codes = rows[distinct], codes[distinct]
    known, first, count = np.unique(codes, return_index=True, return_counts=True)
    # No photo has most of the codes that are asked for, and this filter takes a tenth of the time of looking them up.
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
    """The n_partners heaviest pairs of each photo. A pair stays if it is among those of one of its two photos.

    pairs: ordered by row_a and row_b, as returned by `pairs_by_codes`. Of pairs with equal weight, lower rows stay.
    """
    # In this order the partners of each photo are already ascending, so one stable sort by one number is enough.
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
    """The bucket of each code, (N,) int64 below n_buckets; all buckets get about as many codes."""
    return ((mixed(codes) >> np.uint64(32)) % np.uint64(n_buckets)).astype(np.int64)


def _may_be_among(asked: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each code may be among the known ones; a few others pass too.

    A Bloom filter with a single hash. Source: Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", 1970.
    """
    n_bits = max(16, min(27, len(known).bit_length() + 4))
    seen = np.zeros(2**n_bits, np.bool_)
    seen[mixed(known) >> np.uint64(64 - n_bits)] = True
    found: NDArray[np.bool_] = seen[mixed(asked) >> np.uint64(64 - n_bits)]
    return found


def _summed(low: NDArray[np.int64], high: NDArray[np.int64], weight: NDArray[np.int64]) -> CodePairs:
    """Each pair once, with the number and the sum of its weights."""
    if not len(low):
        return CodePairs(low, high, low, low)
    # Rows and weight are packed into one number, because sorting numbers takes a tenth of the time of sorting by several keys.
    row_bits, weight_bits = int(high.max()).bit_length(), int(weight.max()).bit_length()
    if 2 * row_bits + weight_bits > 63:
        raise ValueError(f"rows up to {high.max()} are too many to pair at once; there may be at most 2 ** 25 photos")
    packed = np.sort((low << row_bits | high) << weight_bits | weight)
    pair = packed >> weight_bits
    starts = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    n_shared = np.diff(np.r_[starts, len(pair)])
    total = np.add.reduceat(packed & ((1 << weight_bits) - 1), starts)
    return CodePairs(pair[starts] >> row_bits, pair[starts] & ((1 << row_bits) - 1), n_shared, total)
