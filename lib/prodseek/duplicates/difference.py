"""Measure how two aligned photos differ: tone, blur, structure, colour, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import blurred, luma
from prodseek.photos.colour import ciede2000, rgb_to_lab

Box = tuple[float, float, float, float]

COMPARED_SIDE_PX = 128
_AVERAGED_PX = 4
_SMOOTHING_PX = 0.7
_EXTRA_BLURS_PX = (0.0, 0.7, 1.2, 1.8)
_WINDOW_PX = 2.0
# The constant C2 of SSIM. Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
_SSIM_C2 = (0.03 * 255) ** 2
# A window with a higher standard deviation of luminance holds structure, not only noise.
_STRUCTURE = 5.0
# A window matches its counterpart above this SSIM. A pixel differs if its luminance is off by more than this.
_LIKE = 0.7
_DIFFERS_BY = 24.0
_BACKGROUND_DIFFERS_BY = 12.0
# On a plain ground at least this share of the border has the background's colour.
_PLAIN_BORDER = 0.7
_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Difference:
    """The differences between two photos that are laid over each other.

    structural_similarity: mean SSIM (contrast and structure) over pixels with structure, after the tone fit.
    matching_fraction: share of those pixels that match. matched_similarity: mean SSIM within the hull of the matched local
    features, and on the product, if its ground is plain; without such features on both products; 0 if there is neither.

    mean_abs_difference: of luminance after the tone fit, 0 to 255. differing_fraction: share of pixels whose luminance has no
    match within a pixel's distance. gain, offset: of the tone fit, luminance of b = gain * a + offset. ciede2000: mean colour
    difference over the object, beside what differs, with details averaged out. ciede2000_toned: the same after the tone fit.
    """

    structural_similarity: float
    matching_fraction: float
    matched_similarity: float
    mean_abs_difference: float
    differing_fraction: float
    gain: float
    offset: float
    ciede2000: float
    ciede2000_toned: float


def measure_difference(
    pixels_a: NDArray[np.float32],
    pixels_b: NDArray[np.float32],
    shared: NDArray[np.bool_],
    matched: NDArray[np.bool_],
) -> Difference:
    """Measure the differences of two photos that are laid over each other.

    pixels_a, pixels_b: (H, W, 3) float32 RGB, 0 to 255, at most COMPARED_SIDE_PX on each side. shared: (H, W) bool, True where
    both photos are. matched: (H, W) bool, True within the hull of the matched local features.
    """
    a, b = _equally_blurred(blurred(pixels_a, _SMOOTHING_PX), blurred(pixels_b, _SMOOTHING_PX))
    light_a, light_b = luma(a), luma(b)
    gain, offset = _tone_fit(light_a, light_b, shared)
    fitted = np.clip(gain * light_a + offset, 0, 255)
    ssim, deviation_a, deviation_b = _ssim(fitted, light_b)
    structured = shared & (np.maximum(deviation_a, deviation_b) > _STRUCTURE)
    matched = matched & structured
    n_shared = max(1, int(shared.sum()))
    residual = np.maximum(_unmatched(fitted, light_b), _unmatched(light_b, fitted))
    differs = shared & ((residual > _DIFFERS_BY) | (structured & (ssim < 0.3) & (residual > _DIFFERS_BY / 2)))
    box = _differing_box(differs)
    outside = shared.copy()
    if box is not None:
        outside[box[1] : box[3], box[0] : box[2]] = False
    plain_a, plain_b = _averaged(a), _averaged(b)
    lab_a, lab_b = rgb_to_lab(plain_a), rgb_to_lab(plain_b)
    lab_toned = rgb_to_lab(np.clip(gain * plain_a + offset, 0, 255))
    background_a, background_b = _background(a), _background(b)
    in_object = _object(plain_a, background_a) | _object(plain_b, background_b)
    for region in (shared, outside):
        in_region = in_object & _averaged_mask(region)
        if in_region.any():
            in_object = in_region
    return Difference(
        structural_similarity=_mean(ssim, structured, 1.0),
        matching_fraction=_mean(ssim > _LIKE, structured, 1.0),
        matched_similarity=_matched_similarity(light_a, light_b, matched),
        mean_abs_difference=_mean(np.abs(fitted - light_b), shared, 0.0),
        differing_fraction=float(differs.sum() / n_shared),
        gain=gain,
        offset=offset,
        ciede2000=float(ciede2000(lab_a, lab_b)[in_object].mean()),
        ciede2000_toned=float(ciede2000(lab_toned, lab_b)[in_object].mean()),
    )


def _matched_similarity(
    light_a: NDArray[np.float32], light_b: NDArray[np.float32], matched: NDArray[np.bool_]
) -> float:
    """Mean SSIM where the local features match, with its own tone fit, because the surroundings may differ."""
    if not matched.any():
        return 0.0
    gain, offset = _tone_fit(light_a, light_b, matched)
    return _mean(_ssim(gain * light_a + offset, light_b)[0], matched, 0.0)


def _mean(values: NDArray[Any], where: NDArray[np.bool_], otherwise: float) -> float:
    return float(values[where].mean()) if where.any() else otherwise


def _equally_blurred(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blur the sharper photo until its edges, relative to its contrast, are as strong as those of the other."""
    light_a, light_b = luma(a), luma(b)
    sharp_a, sharp_b = sharpness(light_a), sharpness(light_b)
    sharper, target = (light_a, sharp_b) if sharp_a >= sharp_b else (light_b, sharp_a)
    misses = [abs(sharpness(_softer(sharper, blur)) - target) for blur in _EXTRA_BLURS_PX]
    blur_px = _EXTRA_BLURS_PX[int(np.argmin(misses))]
    if sharp_a >= sharp_b:
        return _softer(a, blur_px), b
    return a, _softer(b, blur_px)


def _softer(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return blurred(plane, sigma_px) if sigma_px else plane


def sharpness(light: NDArray[np.float32]) -> float:
    """Energy of the second differences divided by that of the first: it falls with blur, but not with tone. light: (H, W)."""
    first = float((np.diff(light, axis=0) ** 2).sum() + (np.diff(light, axis=1) ** 2).sum())
    second = float((np.diff(light, 2, axis=0) ** 2).sum() + (np.diff(light, 2, axis=1) ** 2).sum())
    return second / max(first, 1e-6)


def _tone_fit(
    light_a: NDArray[np.float32], light_b: NDArray[np.float32], shared: NDArray[np.bool_]
) -> tuple[float, float]:
    """Least squares fit of b = gain * a + offset, three times, each time without the pixels that fit worst (overlays)."""
    kept = shared
    gain, offset = 1.0, 0.0
    if not shared.any():
        return gain, offset
    for _ in range(3):
        x, y = light_a[kept].astype(np.float64), light_b[kept].astype(np.float64)
        variance = float(x.var())
        gain = float(((x - x.mean()) * (y - y.mean())).mean()) / variance if variance > 1.0 else 1.0
        offset = float(y.mean() - gain * x.mean())
        residual = np.abs(np.clip(gain * light_a + offset, 0, 255) - light_b)
        kept = shared & (residual <= max(6.0, float(np.percentile(residual[shared], 85))))
    return gain, offset


def _ssim(
    a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """SSIM without its luminance term, in Gaussian windows, and the standard deviations of both photos in these windows."""
    mean_a, mean_b = blurred(a, _WINDOW_PX), blurred(b, _WINDOW_PX)
    variance_a = np.maximum(blurred(a * a, _WINDOW_PX) - mean_a**2, 0)
    variance_b = np.maximum(blurred(b * b, _WINDOW_PX) - mean_b**2, 0)
    covariance = blurred(a * b, _WINDOW_PX) - mean_a * mean_b
    ssim = (2 * covariance + _SSIM_C2) / (variance_a + variance_b + _SSIM_C2)
    return ssim, np.sqrt(variance_a), np.sqrt(variance_b)


def _unmatched(light: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each pixel is outside the range of the nearest 3 x 3 pixels of the other photo."""
    low, high = cv2.erode(other, _AROUND), cv2.dilate(other, _AROUND)
    unmatched: NDArray[np.float32] = np.maximum(np.maximum(light - high, low - light), 0)
    return unmatched


def _differing_box(differs: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """The box x1 y1 x2 y2, in pixels, around the differing pixels, without a few stray ones and with a margin."""
    if differs.sum() < 4:
        return None
    edges = []
    for axis in (0, 1):
        mass = np.cumsum(differs.sum(axis=axis)) / differs.sum()
        edges.append((int(np.searchsorted(mass, 0.02)), int(np.searchsorted(mass, 0.98)) + 1))
    (x1, x2), (y1, y2) = edges
    margin = 4
    return (
        max(0, x1 - margin),
        max(0, y1 - margin),
        min(differs.shape[1], x2 + margin),
        min(differs.shape[0], y2 + margin),
    )


def _averaged(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over blocks of pixels, which remove compression noise but keep a shift of colour."""
    height, width = (side // _AVERAGED_PX for side in pixels.shape[:2])
    blocks = pixels[: height * _AVERAGED_PX, : width * _AVERAGED_PX]
    averaged: NDArray[np.float32] = blocks.reshape(height, _AVERAGED_PX, width, _AVERAGED_PX, 3).mean(axis=(1, 3))
    return averaged


def _averaged_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The blocks that are completely inside the mask."""
    height, width = (side // _AVERAGED_PX for side in mask.shape)
    blocks = mask[: height * _AVERAGED_PX, : width * _AVERAGED_PX]
    return np.asarray(blocks.reshape(height, _AVERAGED_PX, width, _AVERAGED_PX).all(axis=(1, 3)), dtype=np.bool_)


def _background(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    median: NDArray[np.float32] = np.median(border, axis=0)
    return median


def plain_ground(pixels: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Where a photo has the colour of its border, (H, W) bool; None if its border has several. pixels: (H, W, 3) uint8 RGB."""
    plane = pixels.astype(np.float32)
    ground = ~_unlike(plane, _background(plane))
    border = np.concatenate([ground[0], ground[-1], ground[:, 0], ground[:, -1]])
    return ground if border.mean() >= _PLAIN_BORDER else None


def _object(pixels: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a photo differs from its background; everywhere, if hardly anything differs."""
    mask = _unlike(pixels, background)
    return mask if mask.mean() > 0.01 else np.ones_like(mask)


def _unlike(pixels: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.bool_]:
    red, green, blue = (np.abs(pixels[..., c] - background[c]) > _BACKGROUND_DIFFERS_BY for c in range(3))
    unlike: NDArray[np.bool_] = red | green | blue
    return unlike
