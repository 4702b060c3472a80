"""Fit a photo into the network's square input, and convert boxes between the two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from prodseek.photos.decode import DecodedImage

GREY = 127  # Darknet fills with 0.5


@dataclass(frozen=True)
class Letterbox:
    """Where a photo is in a network input of input_px x input_px.

    width_px, height_px: the photo at full size. left_px, top_px, inner_width_px, inner_height_px: the part of the input that
    shows the photo; the rest is grey.
    """

    width_px: int
    height_px: int
    input_px: int
    left_px: int
    top_px: int
    inner_width_px: int
    inner_height_px: int

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the input that show the photo."""
        return (
            slice(self.top_px, self.top_px + self.inner_height_px),
            slice(self.left_px, self.left_px + self.inner_width_px),
        )

    def to_network(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert boxes (N, 4) x1 y1 x2 y2 from source pixels at full size to network-input pixels, float32."""
        return (boxes * self._scale() + self._offset()).astype(np.float32)

    def to_source(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert boxes (N, 4) x1 y1 x2 y2 from network-input pixels to source pixels at full size, float32, not clipped."""
        return ((boxes - self._offset()) / self._scale()).astype(np.float32)

    def clip_to_source(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Clip boxes (N, 4) in source pixels to the photo; float32."""
        edges = np.array([self.width_px, self.height_px] * 2, np.float32)
        return np.clip(boxes, np.float32(0), edges).astype(np.float32)

    # One scale for each axis, because rounding the inner size to whole pixels makes them differ a little.
    def _scale(self) -> NDArray[np.float64]:
        scale = (self.inner_width_px / self.width_px, self.inner_height_px / self.height_px)
        return np.array(scale * 2, np.float64)

    def _offset(self) -> NDArray[np.float64]:
        return np.array((self.left_px, self.top_px) * 2, np.float64)


def letterbox(image: DecodedImage, input_px: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit a photo into the middle of a grey square and keep its aspect ratio (Darknet's letterbox_image).

    The photo may have been decoded at a reduced size; the mapping is still for its full size. Returns the (input_px,
    input_px, 3) uint8 RGB input and the mapping.
    """
    placed = place(image.width_px, image.height_px, input_px)
    canvas = np.full((input_px, input_px, 3), GREY, np.uint8)
    size = (placed.inner_height_px, placed.inner_width_px)
    pixels = image.pixels
    if size != pixels.shape[:2]:
        # Antialiasing widens the filter when the photo shrinks, so that fine patterns do not alias. The values are those
        # of Pillow except for a grey level here and there, in a third of the time. torch wants arrays that are writable.
        photo = torch.from_numpy(np.require(pixels, requirements="W"))[None].permute(0, 3, 1, 2)
        pixels = F.interpolate(photo, size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    canvas[placed.inner] = pixels
    return canvas, placed


def place(width_px: int, height_px: int, input_px: int) -> Letterbox:
    """Where a photo of this size is placed in an input of input_px x input_px."""
    scale = input_px / max(width_px, height_px)
    inner_width_px = max(1, round(width_px * scale))
    inner_height_px = max(1, round(height_px * scale))
    return Letterbox(
        width_px,
        height_px,
        input_px,
        (input_px - inner_width_px) // 2,
        (input_px - inner_height_px) // 2,
        inner_width_px,
        inner_height_px,
    )
