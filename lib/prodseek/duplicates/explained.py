"""What tone, blur and resampling explain of one photo by another that lies under it, and where something is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import LUMA, Mask, Plane, blurred, gradient, light_and_chroma, luma, size_of_channels

# A photo may be sharper or softer than the other by any mix of these Gaussian blurs.
_BLURS_PX = (0.8, 1.6, 3.2, 6.4)
_FITTED_PIXELS = 6000
_FIT_STEPS = 5
# How much of the squared error a change of a coefficient must save, for each pixel: bands of detail have little energy.
_TONE_STIFFNESS, _BAND_STIFFNESS = 1e-4, 1e-6
_CLIPPED_LOW, _CLIPPED_HIGH = 3 / 255, 252 / 255
# The least residual that counts, by level of the pyramid: noise averages out as pixels are joined.
_FLOORS = (14.0, 9.0, 6.0, 4.5)
# A faint difference counts from such a residual on if the encoder's noise at edges is as large as here, and from a quarter of
# it if there is none.
_QUIET, _NOISY = 0.25, 2.5
_WINDOW_PX, _WINDOW_FILLED = 8, 0.7
# Percentile of the gradient below which a photo is flat; gradients, levels a pixel, of texture and of edges.
_FLAT_BELOW, _TEXTURE_ABOVE, _SHARED_EDGE_ABOVE, _EDGE_ABOVE = 30, 6.0, 16.0, 24.0
_CELLS_A_SIDE, _LEAST_IN_CELL = 12, 8
_LEAST_EDGE_NOISE, _MOST_EDGE_NOISE = 0.06, 0.2
_STRONG = 1.5
_LEAST_AREA_PX, _LEAST_STRONG_PX = 4, 2


@dataclass(frozen=True)
class Faint:
    """From where on a difference counts as faint, at one level of the pyramid.

    floor: the least residual where encoders leave noise, grey levels. pattern: the mean over a window of residuals, each divided
    by what is tolerated of it: of a pattern no pixel need stand out, but many differ a little.
    """

    floor: float
    pattern: float


@dataclass(frozen=True)
class LeftOver:
    """What is not explained at one level of the pyramid.

    fraction: share of the compared pixels in connected areas that are not explained. strength: log2(1 + S) for the
    strongest of them, S being the sum over its pixels of the residual divided by what is tolerated; 0 if there is none.
    faint: the same, counting faint differences too. flat_noise: median residual where nothing is, 0 to 255; texture_noise: where
    texture is; shared_noise: at edges that both photos have. edge_noise: median residual at edges, divided by the gradient.
    mask: (H, W) bool at this level's size.
    """

    fraction: float
    strength: float
    faint: float
    flat_noise: float
    texture_noise: float
    shared_noise: float
    edge_noise: float
    mask: Mask


class Explanation:
    """How the planes of one photo follow from another: a curve of tone, a mix of colours, and a mix of blurs.

    Fitted by least squares that give less weight to what does not fit (Huber, "Robust Statistics", 1981), and that prefer no
    change where the photos allow both.
    """

    def __init__(self, source: Plane, target: Plane, where: Mask, *, blurs_px: tuple[float, ...] = _BLURS_PX) -> None:
        """source: (H, W, 3) float32 RGB, 0 to 255. target: (H, W, C) float32. where: (H, W) bool, the pixels that are fitted.

        blurs_px: sigmas of the blurs; none where a tone is enough.
        """
        self._light_only = target.shape[2] == 1
        self._source = source / np.float32(255)
        self._base = luma(self._source)[..., None] if self._light_only else self._source
        self._layers = [self._base, *(blurred(self._base, sigma).reshape(self._base.shape) for sigma in blurs_px)]
        rows = np.flatnonzero(where)
        if len(rows) > _FITTED_PIXELS:
            rows = rows[np.linspace(0, len(rows) - 1, _FITTED_PIXELS).astype(np.int64)]
        wanted = target.reshape(-1, target.shape[2])[rows] / np.float32(255)
        self._weights = [self._fit(rows, wanted[:, channel], channel) for channel in range(target.shape[2])]

    @property
    def mixing(self) -> float:
        """How far the mix of colours is from leaving each as it is: the largest difference of a weight; 0 for luminance."""
        if self._light_only:
            return 0.0
        return float(np.abs([weights[1:4] for weights in self._weights] - np.eye(3)).max())

    def predicted(self) -> Plane:
        """What the target should look like, (H, W, C) float32, 0 to 255."""
        planes = [self._mixed(channel, weights) for channel, weights in enumerate(self._weights)]
        return np.clip(np.stack(planes, axis=2), 0, 1) * np.float32(255)

    def toned(self, colour: NDArray[np.float32]) -> NDArray[np.float32]:
        """What becomes of even areas of these colours. colour: (..., 3) float32 RGB, 0 to 255."""
        value = colour / 255
        tone = [
            w[0] + value @ w[1:4] + w[4] * value[..., c] ** 2 + w[5] * value[..., c] ** 3
            for c, w in enumerate(self._weights)
        ]
        return np.asarray(np.clip(np.stack(tone, axis=-1), 0, 1) * 255, np.float32)

    def _fit(self, rows: NDArray[np.int64], wanted: NDArray[np.float32], channel: int) -> NDArray[np.float64]:
        source, base = self._source.reshape(-1, 3)[rows], self._base[..., channel].ravel()[rows]
        layers = [layer.reshape(-1, layer.shape[2])[rows, channel] for layer in self._layers]
        bands = [soft - sharp for sharp, soft in pairwise(layers)]
        # A row for each coefficient, because NumPy is fast along rows.
        values = np.array([np.ones(len(rows)), *source.T, base**2, base**3, *bands], np.float64)
        unchanged = np.zeros(len(values))
        unchanged[1:4] = LUMA if self._light_only else np.eye(3)[channel]
        stiffness = np.full(len(unchanged), _TONE_STIFFNESS * len(rows))
        stiffness[6:] = _BAND_STIFFNESS * len(rows)
        missing = wanted - unchanged @ values
        is_high, is_low = wanted >= _CLIPPED_HIGH, wanted <= _CLIPPED_LOW
        weights, trust = unchanged, np.ones(len(rows))
        for _ in range(_FIT_STEPS):
            trusted = values * trust
            weights = unchanged + np.linalg.solve(trusted @ values.T + np.diag(stiffness), trusted @ missing)
            found = weights @ values
            error = np.abs(wanted - found.clip(0, 1))
            # The upper median, because NumPy's own takes twice as long.
            scale = max(2 / 255, 1.48 * float(np.partition(error, len(error) // 2)[len(error) // 2]))
            trust = 1 / (1 + (error / (2 * scale)) ** 2) ** 2
            trust[(is_high & (found > wanted)) | (is_low & (found < wanted))] = 0
        return np.asarray(weights, np.float64)

    def _mixed(self, channel: int, weights: NDArray[np.float64]) -> Plane:
        w, base = weights.astype(np.float32), self._base[..., channel]
        mixed = ((w[5] * base + w[4]) * base) * base + w[0] + cv2.transform(self._source, w[None, 1:4])
        # The bands are what one layer has beyond the next.
        of_layers = -np.diff(weights[6:], prepend=0, append=0).astype(np.float32)
        for weight, layer in zip(of_layers, self._layers, strict=True):
            mixed += weight * layer[..., channel]
        return np.asarray(mixed, np.float32)


def left_over(
    predicted: Plane, target: Plane, where: Mask, levels: tuple[int, ...], faint: tuple[Faint, ...]
) -> dict[int, LeftOver]:
    """Where a photo differs from what was predicted by more than its encoder's noise, by level of a pyramid.

    The noise is that of the pair itself: its median where nothing is, and at edges, by cells, so that a difference in one
    place does not hide itself. predicted, target: (H, W, C) float32, 0 to 255. where: (H, W) bool. levels: how often both are
    halved. faint: what is faint at each of them. Levels with too few pixels are left out.
    """
    difference = target - predicted
    if difference.shape[2] == 3:
        difference = np.asarray(cv2.merge(light_and_chroma(difference)), np.float32)
        lights = [luma(predicted), luma(target)]
    else:
        lights = [predicted[..., 0], target[..., 0]]
    found: dict[int, LeftOver] = {}
    share = where.astype(np.float32)
    for level in range(max(levels) + 1):
        if level:
            difference, share, *lights = (
                np.asarray(cv2.pyrDown(plane), np.float32) for plane in (difference, share, *lights)
            )
        inside = share > 0.99
        if level in levels and min(share.shape) >= 8 and inside.sum() >= 64:
            residual = size_of_channels(difference)
            first = next(iter(found.values()), None)
            shared_noise = None if first is None else first.shared_noise
            found[level] = _left_over(
                residual, lights, inside, _FLOORS[level], faint[levels.index(level)], shared_noise
            )
    return found


def _left_over(
    residual: Plane, lights: list[Plane], inside: Mask, floor: float, faint: Faint, shared_noise: float | None
) -> LeftOver:
    """floor: of what counts. shared_noise: that of the finest level, None if this is it."""
    gradients = [gradient(light) for light in lights]
    edges = np.asarray(cv2.dilate(np.maximum(*gradients), np.ones((3, 3), np.uint8)), np.float32)
    flat = inside & (edges <= np.percentile(edges[inside][::7], _FLAT_BELOW) + 1)
    flat_noise = float(np.median(residual[flat])) if flat.any() else 0.0
    # Encoders smooth fine texture away, but leave strong edges: each has a noise of its own.
    is_edge = edges > _EDGE_ABOVE
    texture_noise = _typical(residual, inside & ~is_edge & (edges > _TEXTURE_ABOVE), flat_noise)
    edge_noise = _typical(np.maximum(residual - texture_noise, 0) / np.maximum(edges, 1), inside & is_edge, 0.0)
    edge_noise = min(edge_noise, _MOST_EDGE_NOISE)
    own_noise = _typical(residual, inside & (np.minimum(*gradients) > _SHARED_EDGE_ABOVE), texture_noise)
    tolerated = 3 * np.where(edges > _TEXTURE_ABOVE, max(texture_noise, flat_noise), flat_noise)
    tolerated = np.asarray(tolerated + (4 * edge_noise + _LEAST_EDGE_NOISE) * edges, np.float32)
    fraction, strength, mask = _areas(residual, tolerated, floor, inside)
    noisy = _QUIET + (own_noise if shared_noise is None else shared_noise) / _NOISY
    faintly = replace(faint, floor=min(floor, faint.floor * min(1.0, noisy)))
    faint_strength = strength or _faint_strength(residual, tolerated, faintly, inside)
    return LeftOver(fraction, strength, faint_strength, flat_noise, texture_noise, own_noise, edge_noise, mask)


def _faint_strength(residual: Plane, tolerated: Plane, faint: Faint, inside: Mask) -> float:
    """The strength of the strongest area that differs faintly; 0 if there is none."""
    excess = np.where(inside, residual / (tolerated + np.float32(faint.floor)), 0).astype(np.float32)
    mean, share = (
        cv2.boxFilter(plane, -1, (_WINDOW_PX, _WINDOW_PX), borderType=cv2.BORDER_CONSTANT)
        for plane in (excess, inside.astype(np.float32))
    )
    most = float((mean / np.maximum(share, 1e-6))[share > _WINDOW_FILLED].max(initial=0))
    strength = _areas(residual, tolerated, faint.floor, inside)[1]
    return max(strength, float(np.log2(1 + most * _WINDOW_PX**2))) if most > faint.pattern else strength


def _areas(residual: Plane, tolerated: Plane, floor: float, inside: Mask) -> tuple[float, float, Mask]:
    """The connected areas that are not explained: share of the compared pixels, strength of the strongest, and where they are."""
    excess = residual / (tolerated + np.float32(floor))
    differs = inside & (excess > 1)
    if not differs.any():
        return 0.0, 0.0, differs
    n_areas, labels, stats, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8), connectivity=8)
    strong = np.bincount(labels[differs & (excess > _STRONG)], minlength=n_areas)
    kept = (stats[:, cv2.CC_STAT_AREA] >= _LEAST_AREA_PX) & (strong >= _LEAST_STRONG_PX)
    kept[0] = False
    mass = np.bincount(labels[differs], weights=excess[differs], minlength=n_areas) * kept
    n_inside = float(inside.sum())
    area = float(stats[kept, cv2.CC_STAT_AREA].sum())
    return area / n_inside, float(np.log2(1 + mass.max(initial=0))), np.asarray(kept[labels], np.bool_)


def _typical(values: Plane, where: Mask, otherwise: float) -> float:
    """The median over cells of the frame of the median of a cell's values, so that one place does not decide."""
    cell = max(4, min(where.shape) // _CELLS_A_SIDE)
    rows, columns = (side // cell for side in where.shape)
    # Of a large cell some pixels tell as much.
    y, x = np.divmod(np.arange(0, cell * cell, max(1, cell // 8) if cell > 16 else 1), cell)
    chosen, used = (
        plane[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)[:, y, :, x].reshape(len(y), -1).T
        for plane in (values, where)
    )
    cells = np.where(used, chosen, np.nan)
    n_chosen = np.isfinite(cells).sum(axis=1)
    is_used = n_chosen > _LEAST_IN_CELL
    if not is_used.any():
        return otherwise
    # What np.nanmedian does, in half the time: NaN is sorted last.
    in_order, middle = np.sort(cells[is_used], axis=1), n_chosen[is_used, None]
    medians = (
        np.take_along_axis(in_order, (middle - 1) // 2, axis=1) + np.take_along_axis(in_order, middle // 2, axis=1)
    ) / 2
    return float(np.median(medians))
