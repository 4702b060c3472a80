"""Where one photo lies in another: normalised cross-correlation over positions and scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

_COARSE_SIDE_PX = 96
_FINE_SIDE_PX = 192
_FINEST_SIDE_PX = 256
_COARSE_SCALES = 0.96 ** np.arange(0, 18)
# Below this coarse correlation (-1 to 1) the template is not in the scene, and no finer place is looked for.
_PROMISING = 0.7
_FINE_STEPS = np.array([0.975, 0.985, 0.9925, 1.0, 1.0075, 1.015, 1.025])
_FINEST_STEPS = np.array([0.995, 0.9975, 1.0, 1.0025, 1.005])


@dataclass(frozen=True)
class Placement:
    """A template found in a scene. Box in scene pixels; correlation: -1 to 1."""

    x1_px: float
    y1_px: float
    x2_px: float
    y2_px: float
    correlation: float


def locate(template: NDArray[np.float32], scene: NDArray[np.float32]) -> Placement:
    """The place and size at which the template looks most like the scene, wholly inside it.

    template: (h, w), scene: (H, W), luminance. Scale is uniform, from filling the scene down to half of that. Tone
    does not matter. Source: zero-normalised cross-correlation by FFT, Lewis, "Fast Normalized Cross-Correlation",
    1995.
    """
    height, width = scene.shape
    fill = min(width / template.shape[1], height / template.shape[0])
    coarse = min(1.0, _COARSE_SIDE_PX / max(scene.shape))
    side = coarse
    scale, x_px, y_px, correlation = _best(template, resized(scene, side), fill * side * _COARSE_SCALES, None)
    for finer_side_px, steps in ((_FINE_SIDE_PX, _FINE_STEPS), (_FINEST_SIDE_PX, _FINEST_STEPS)):
        if correlation < _PROMISING:
            break
        finer = min(1.0, finer_side_px / max(scene.shape))
        zoom = finer / side
        scales = np.unique(np.minimum(scale * zoom * steps, fill * finer))
        near = (x_px * zoom, y_px * zoom, 3 * zoom)
        scale, x_px, y_px, correlation = _best(template, resized(scene, finer), scales, near)
        side = finer
    x1_px, y1_px = x_px / side, y_px / side
    x2_px = min(float(width), x1_px + template.shape[1] * scale / side)
    y2_px = min(float(height), y1_px + template.shape[0] * scale / side)
    return Placement(x1_px, y1_px, x2_px, y2_px, correlation)


def resized(pixels: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """pixels: (H, W) float32, resized with an anti-aliasing filter."""
    if scale == 1.0:
        return pixels
    height, width = (max(1, round(side * scale)) for side in pixels.shape)
    return resized_to(pixels, width, height)


def resized_to(pixels: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """pixels: (H, W) float32 to (height, width)."""
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


def _best(
    template: NDArray[np.float32],
    scene: NDArray[np.float32],
    scales: NDArray[np.float64],
    near: tuple[float, float, float] | None,
) -> tuple[float, int, int, float]:
    """(scale, x, y, correlation) of the best place; near: (x, y, radius) it must lie within."""
    scene = scene - scene.mean()
    height, width = scene.shape
    shape = (scipy.fft.next_fast_len(height, real=True), scipy.fft.next_fast_len(width, real=True))
    spectrum = scipy.fft.rfft2(scene, shape)
    sums, squares = _integral(scene), _integral(scene * scene)
    best = (float(scales[0]), 0, 0, -1.0)
    for scale in scales.tolist():
        h, w = min(height, round(template.shape[0] * scale)), min(width, round(template.shape[1] * scale))
        if h < 8 or w < 8:
            continue
        small = resized_to(template, w, h)
        small = small - small.mean()
        product = scipy.fft.irfft2(spectrum * np.conj(scipy.fft.rfft2(small, shape)), shape)
        product = product[: height - h + 1, : width - w + 1]
        mean = _box_sums(sums, h, w) / (h * w)
        energy = np.maximum(_box_sums(squares, h, w) - mean * mean * (h * w), 1e-3)
        correlation = product / np.sqrt(energy * max(float((small * small).sum()), 1e-3))
        if near is not None:
            y, x = np.ogrid[: correlation.shape[0], : correlation.shape[1]]
            inside = (np.abs(x - near[0]) <= near[2]) & (np.abs(y - near[1]) <= near[2])
            if not inside.any():
                continue
            correlation = np.where(inside, correlation, -1.0)
        place = int(correlation.argmax())
        y_px, x_px = divmod(place, correlation.shape[1])
        if correlation[y_px, x_px] > best[3]:
            best = (scale, x_px, y_px, float(correlation[y_px, x_px]))
    return best


def _integral(values: NDArray[np.float32]) -> NDArray[np.float64]:
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    return sums


def _box_sums(sums: NDArray[np.float64], h: int, w: int) -> NDArray[np.float64]:
    return sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
