"""Pairs of photos that share codes of local features: what finds a crop, or an object pasted into another scene."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# A code that more photos have says little, and pairing them all would be quadratic.
MAX_PHOTOS_A_CODE = 32
# Weights are whole numbers of this fraction, so that their sums do not depend on their order.
_WEIGHT_STEP = 0.01


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

    rows, codes: (N,), photo rows[i] has codes[i]. asking_rows, asked_codes: (M,), likewise what is asked for. n_photos:
    in the whole catalogue. A shared code counts by the square of its inverse document frequency. Source: Sivic and
    Zisserman, "Video Google", 2003, section 4.
    """
    order = np.lexsort((rows, codes))
    rows, codes = rows[order], codes[order]
    distinct = np.ones(len(codes), bool)
    distinct[1:] = (np.diff(codes) != 0) | (np.diff(rows) != 0)
    rows, codes = rows[distinct], codes[distinct]
    known, first, count = np.unique(codes, return_index=True, return_counts=True)
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
    order = np.lexsort((high, low))
    low, high, weight = low[order], high[order], weight[other][order]
    starts = np.flatnonzero(np.r_[True, (np.diff(low) != 0) | (np.diff(high) != 0)]) if len(low) else np.zeros(0, int)
    n_shared = np.diff(np.r_[starts, len(low)])
    return CodePairs(low[starts], high[starts], n_shared, np.add.reduceat(weight, starts) if len(low) else weight)


def heaviest_pairs(pairs: CodePairs, n_partners: int) -> CodePairs:
    """Of each photo the pairs of most weight, at most n_partners; a pair stays where it is among those of one of its two."""
    left, right = np.r_[pairs.row_a, pairs.row_b], np.r_[pairs.row_b, pairs.row_a]
    weight = np.r_[pairs.weight, pairs.weight]
    order = np.lexsort((right, -weight, left))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(left[order], left[order])
    kept = (place < n_partners).reshape(2, -1).any(axis=0)
    return CodePairs(*(values[kept] for values in pairs))
