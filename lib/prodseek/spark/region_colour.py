"""The colour of a region's object, from the photo's pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from prodseek.cluster.colours import middle_colour, object_colour
from prodseek.photos.decode import DecodedImage
from prodseek.spark.photos import Box, shrunk_box
from prodseek.vision.foreground import WORK_SIDE_PX, find_foreground
from prodseek.vision.object_mask import object_mask

# Raise it when a region gets another colour: what earlier nights kept is then looked at anew.
COLOUR_VERSION = 3
# The side of the photo that is enough.
COLOUR_SIDE_PX = WORK_SIDE_PX


def region_colour(image: DecodedImage, box_px: Box) -> tuple[int, int, int] | None:
    """The RGB of the object in a box, 0..255 each; None where it has no one colour, or none can be told from the ground's.

    box_px: in pixels of the photo at full size.
    """
    small = _shrunk(image)
    box = shrunk_box(small, box_px)
    mask = object_mask(small.pixels, box, find_foreground(small.pixels))
    if mask is not None:
        return object_colour(small.pixels, mask)
    x1, y1, x2, y2 = box
    return middle_colour(small.pixels[y1:y2, x1:x2])


def _shrunk(image: DecodedImage) -> DecodedImage:
    height, width = image.pixels.shape[:2]
    shrink = COLOUR_SIDE_PX / max(height, width)
    if shrink >= 1:
        return image
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    pixels = np.asarray(Image.fromarray(image.pixels).resize(size, Image.Resampling.BOX))
    return DecodedImage(pixels, image.width_px, image.height_px, image.format)
