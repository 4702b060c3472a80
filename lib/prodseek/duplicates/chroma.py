"""A pattern in other hues that one of two photos has alone: stripes, spots or flowers, bent or straight, light as the cloth."""

from __future__ import annotations

import cv2
import numpy as np

from prodseek.duplicates.planes import Mask, Plane, blurred, light_and_chroma

# Windows, and how far the next one lies.
_WINDOW_PX, _STEP_PX = 32, 4
# Share of a window that is compared.
_COMPARED = 0.98
_LEAST_WINDOWS = 8
# What changes more slowly is shading.
_SHADING_PX = 4.0
# What has less than this share of the other's texture has none of its own: a soft copy has half of it.
_HARDLY_ANY = 0.4
# Of the windows; a pattern may be on a part of the product alone.
_PERCENTILE = 95


def chroma_alone(a: Plane, b: Plane, where: Mask) -> float:
    """The texture in chroma that one of two photos has where the other has hardly any, grey levels; 0 if too little is compared.

    a, b: (H, W, 3) float32 RGB, 0 to 255, laid over each other. where: (H, W) bool, what is compared. Texture is the standard
    deviation within a window. Nothing is explained here, because a mix of colours explains a pattern of equal light away.
    """
    compared = _in_windows(where.astype(np.float32), cv2.BORDER_CONSTANT) > _COMPARED
    if np.count_nonzero(compared) < _LEAST_WINDOWS:
        return 0.0
    alone = 0.0
    for of_a, of_b in zip(light_and_chroma(a)[1:], light_and_chroma(b)[1:], strict=True):
        textures = _texture(of_a)[compared], _texture(of_b)[compared]
        less, more = np.minimum(*textures), np.maximum(*textures)
        alone = max(alone, float(np.percentile(np.where(less < _HARDLY_ANY * more, more - less, 0), _PERCENTILE)))
    return alone


def _texture(chroma: Plane) -> Plane:
    """The standard deviation in each window, without shading."""
    fine = chroma - blurred(chroma, _SHADING_PX)
    mean, square = (_in_windows(plane, cv2.BORDER_REFLECT_101) for plane in (fine, fine * fine))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


def _in_windows(plane: Plane, border: int) -> Plane:
    """The mean in each window. border: what lies beyond the frame, one of OpenCV's."""
    mean = cv2.boxFilter(plane, -1, (_WINDOW_PX, _WINDOW_PX), borderType=border)
    return np.asarray(mean[::_STEP_PX, ::_STEP_PX], np.float32)
