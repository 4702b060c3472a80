"""What a photo looks like as a whole, in a few bytes: the hash of its content, and coarse colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.content import WHOLE, Box, content_pixels
from prodseek.photos.colour import rgb_to_lab
from prodseek.photos.hashes import pdq_hash

# PDQ's own measure, 0 to 100: below 50 there is too little structure to trust, see `prodseek.photos.hashes`.
_LEAST_QUALITY = 50
_GRID = 4
COLOUR_VALUES = _GRID * _GRID * 3
_PRINTS_VERSION = 2


@dataclass(frozen=True)
class PhotoPrints:
    """The prints of a photo.

    content_hash: PDQ hash of the photo without its plain margins, 64 hex digits; None where it has none, or shows too little
    within them. colours: (1 or 2, COLOUR_VALUES) int8, mean L* a* b* of a grid of cells: of the photo, then of its content if
    that has a hash.
    """

    content_hash: str | None
    colours: NDArray[np.int8]

    def to_bytes(self) -> tuple[bytes | None, bytes]:
        """Hash and colours; 80 bytes, or 144 with the colours of the content."""
        return None if self.content_hash is None else bytes.fromhex(self.content_hash), self.colours.tobytes()


def photo_prints(pixels: NDArray[np.uint8], content_box: Box) -> PhotoPrints:
    """The prints of a photo. pixels: (H, W, 3) uint8 RGB; content_box: as `prodseek.duplicates.content.content_box` gives it."""
    colours = [_colours(pixels)]
    content_hash = None
    if content_box != WHOLE:
        content = content_pixels(pixels, content_box)
        found, quality = pdq_hash(content)
        if quality >= _LEAST_QUALITY:
            content_hash = found
            colours.append(_colours(content))
    return PhotoPrints(content_hash, np.stack(colours))


def prints_recipe() -> str:
    """What the prints of a photo are made with."""
    return repr((_PRINTS_VERSION, _LEAST_QUALITY, _GRID))


def _colours(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    small = cv2.resize(pixels, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(rgb_to_lab(np.asarray(small, np.float64))), -128, 127).astype(np.int8).ravel()
