"""One photo stands in for all that look the same, so that candidates grow with the photos, however often one was copied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The authors of PDQ treat up to 31 of 256 bits as the same image, see `prodseek.duplicates.hashes`.
_MAX_HAMMING = 31
# Variants of a product share their hash and differ in colour. JPEG at quality 10 moves no cell's mean by more, in L*, a* or b*;
# of 116 pairs of one shot in two colours 4 stay within it, black and dark blue.
_MAX_COLOUR = 6
# Of 16 bands of two hashes that differ in 31 bits, 2 are equal on average, so few such pairs are overlooked.
_BAND_BITS = 16
_BANDS = 256 // _BAND_BITS
# Stand-ins of one band that a photo is compared with, so that a common band does not make all meet all.
_MAX_A_BAND = 32


class Print(NamedTuple):
    """A hash of a photo or of its content, as a number of 256 bits, and the coarse colours of the same pixels, (48,) int8."""

    bits: int
    colours: NDArray[np.int8]


class Look(NamedTuple):
    """What a photo looks like. pixel_hash: of all pixels. prints: of the whole and of the content; none if it was not seen."""

    pixel_hash: str
    prints: tuple[Print, ...]


def stand_ins(looks: Sequence[Look]) -> NDArray[np.int64]:
    """The photo that stands in for each, (N,) int64; a photo that looks like none before it stands for itself.

    Photos look the same if their pixels are equal, or if two of their prints are near in hash and in colours. A stand-in stands
    for itself: all that it stands for were compared with it. Linear in the number of photos.
    """
    found = np.arange(len(looks))
    by_pixels: dict[str, int] = {}
    by_band: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, look in enumerate(looks):
        same = by_pixels.get(look.pixel_hash)
        if same is None:
            same = next((other for other in _near(look, by_band) if _look_the_same(look, looks[other])), None)
        if same is None:
            same = row
            for key in _bands(look):
                if len(by_band[key]) < _MAX_A_BAND:
                    by_band[key].append(row)
        by_pixels.setdefault(look.pixel_hash, same)
        found[row] = same
    return found


def _near(look: Look, by_band: dict[tuple[int, int], list[int]]) -> list[int]:
    return sorted({row for key in _bands(look) for row in by_band.get(key, ())})


def _bands(look: Look) -> set[tuple[int, int]]:
    mask = 2**_BAND_BITS - 1
    return {(band, one.bits >> (band * _BAND_BITS) & mask) for one in look.prints for band in range(_BANDS)}


def _look_the_same(a: Look, b: Look) -> bool:
    return any(
        (one.bits ^ other.bits).bit_count() <= _MAX_HAMMING
        and int(np.abs(one.colours.astype(np.int16) - other.colours).max()) <= _MAX_COLOUR
        for one in a.prints
        for other in b.prints
    )
