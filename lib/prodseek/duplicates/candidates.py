"""Candidate pairs: photos that share codes of local features. They find crops, and objects pasted into other scenes.

What photos share by chance is turned and scaled anyhow. What shows the same thing is turned and scaled alike, so only codes that
agree in that count together (weak geometric consistency). Source: Jegou, Douze and Schmid, "Hamming Embedding and Weak Geometric
Consistency for Large Scale Image Search", 2008, section 4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.features import RELATIVE_POSE_BITS, relative_poses
from prodseek.runs.ids import mixed

# To pair all photos that share a code would be quadratic. Of a code that more photos have, each that asks for it meets so many:
# the first ones, which all others meet too, and those that follow its own place.
MAX_PHOTOS_A_CODE = 8
_FIRST_PHOTOS = MAX_PHOTOS_A_CODE // 2
# Weights are whole multiples of this step, so that their sums do not depend on the order.
_WEIGHT_STEP = 1.0


class CodePairs(NamedTuple):
    """Pairs of photos, a row for each pose that they share codes in. row_a, row_b: (P,) int64, row_a < row_b.

    pose: (P,) int64, how a is turned and larger than b, as `relative_poses` gives it. n_shared: (P,) int64, number of shared
    codes. weight: (P,) int64, sum of the weights of the shared codes; rarer codes weigh more.
    """

    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]
    pose: NDArray[np.int64]
    n_shared: NDArray[np.int64]
    weight: NDArray[np.int64]


class CodeRows(NamedTuple):
    """Codes of photos. row: (N,) int64, the photo, below 2 ** 23. code: (N,) int64. pose: (N,) uint8."""

    row: NDArray[np.int64]
    code: NDArray[np.int64]
    pose: NDArray[np.uint8]

    def where(self, chosen: NDArray[Any]) -> CodeRows:
        """Some of them: their places, or whether each is one."""
        return CodeRows(self.row[chosen], self.code[chosen], self.pose[chosen])


def pairs_by_codes(has: CodeRows, asks: CodeRows, n_photos: int) -> CodePairs:
    """Pairs of photos in which one photo asks for a code that the other has, once or more often; linear in the number of codes.

    n_photos: number of photos in the whole catalogue. A shared code weighs the square of its inverse document frequency.
    Source: Sivic and Zisserman, "Video Google", 2003, section 4.
    """
    has = has.where(np.lexsort((has.pose, has.row, has.code)))
    distinct = np.ones(len(has.code), bool)
    distinct[1:] = (np.diff(has.code) != 0) | (np.diff(has.row) != 0)
    has = has.where(distinct)
    known, first, count = np.unique(has.code, return_index=True, return_counts=True)
    # No photo has most of the codes that are asked for, and this filter takes a tenth of the time of looking them up.
    asks = asks.where(_may_be_among(asks.code, known))
    place = np.searchsorted(known, asks.code)
    place[place == len(known)] = 0
    found = known[place] == asks.code if len(known) else place > 0
    asks, place = asks.where(found), place[found]
    # A pattern repeats one feature many times, but is one thing that two photos share.
    _, once = np.unique(asks.row * len(known) + place, return_index=True)
    asks, place = asks.where(once), place[once]
    length = np.minimum(count[place], MAX_PHOTOS_A_CODE) if len(place) else np.zeros(0, np.int64)
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    asking, place = np.repeat(np.arange(len(place)), length), place.repeat(length)
    n_having = count[place] if len(place) else length
    # Of a crowded code the steps after the first photos go on from the place of the photo that asks, round and round.
    moved = (n_having > MAX_PHOTOS_A_CODE) & (step >= _FIRST_PHOTOS)
    own = asks.row[asking[moved]] * _FIRST_PHOTOS % np.maximum(1, n_having[moved] - _FIRST_PHOTOS)
    step[moved] = _FIRST_PHOTOS + (own + step[moved]) % (n_having[moved] - _FIRST_PHOTOS)
    answering = first[place] + step
    weight = np.rint(np.log(max(2, n_photos) / n_having) ** 2 / _WEIGHT_STEP).astype(np.int64)
    row_a, row_b = asks.row[asking], has.row[answering]
    other = row_a != row_b
    asking, answering, row_a, row_b = asking[other], answering[other], row_a[other], row_b[other]
    pose_a, pose_b = asks.pose[asking], has.pose[answering]
    turned = row_a > row_b
    pose = relative_poses(np.where(turned, pose_b, pose_a), np.where(turned, pose_a, pose_b))
    return _summed(np.minimum(row_a, row_b), np.maximum(row_a, row_b), pose, weight[other])


def heaviest_pairs(pairs: CodePairs, n_partners: int) -> CodePairs:
    """The n_partners heaviest pairs of each photo, by their heaviest pose. A pair stays if it is among those of one of its two
    photos.

    pairs: ordered by row_a, row_b and pose, as returned by `pairs_by_codes`. Of pairs with equal weight, lower rows stay.
    """
    if not len(pairs.row_a):
        return pairs
    starts = np.flatnonzero(np.r_[True, (np.diff(pairs.row_a) != 0) | (np.diff(pairs.row_b) != 0)])
    weight = np.tile(np.maximum.reduceat(pairs.weight, starts), 2)
    # In this order the partners of each photo are already ascending, so one stable sort by one number is enough.
    left = np.r_[pairs.row_b[starts], pairs.row_a[starts]]
    heaviest = int(weight.max())
    order = np.argsort(left << heaviest.bit_length() | (heaviest - weight), kind="stable")
    of_photo = np.flatnonzero(np.diff(left[order], prepend=-1))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(of_photo, np.diff(of_photo, append=len(order)))
    kept = (place < n_partners).reshape(2, -1).any(axis=0).repeat(np.diff(starts, append=len(pairs.row_a)))
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


def _summed(
    low: NDArray[np.int64], high: NDArray[np.int64], pose: NDArray[np.int64], weight: NDArray[np.int64]
) -> CodePairs:
    """Each pair and pose once, with the number and the sum of its weights."""
    if not len(low):
        return CodePairs(low, high, low, low, low)
    # All is packed into one number, because sorting numbers takes a tenth of the time of sorting by several keys.
    row_bits, weight_bits = int(high.max()).bit_length(), int(weight.max()).bit_length()
    if 2 * row_bits + RELATIVE_POSE_BITS + weight_bits > 63:
        raise ValueError(f"rows up to {high.max()} are too many to pair at once; there may be at most 2 ** 23 photos")
    packed = np.sort(((low << row_bits | high) << RELATIVE_POSE_BITS | pose) << weight_bits | weight)
    posed = packed >> weight_bits
    starts = np.flatnonzero(np.r_[True, posed[1:] != posed[:-1]])
    n_shared = np.diff(np.r_[starts, len(posed)])
    total = np.add.reduceat(packed & ((1 << weight_bits) - 1), starts)
    pair = posed[starts] >> RELATIVE_POSE_BITS
    pose = posed[starts] & ((1 << RELATIVE_POSE_BITS) - 1)
    return CodePairs(pair >> row_bits, pair & ((1 << row_bits) - 1), pose, n_shared, total)
