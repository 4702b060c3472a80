"""What the last encoder, noise, blur and other edits left in each of two photos that show the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane, blurred
from prodseek.duplicates.windows import BLOCK_PX, Corner, Window

_LEAST_PIXELS = 300
_MOST_BLOCKS, _LEAST_BLOCKS, _LEAST_CONTRAST = 1200, 60, 2.0
# The lowest frequencies of a block but its mean, row and column: most others are 0.
_ROWS, _COLUMNS = (0, 1, 0, 1, 2, 0, 1, 2, 3), (1, 0, 2, 1, 0, 3, 2, 1, 0)
_STEPS = np.arange(2, 129)
_BIN, _N_BINS = 0.25, 2048
# Mean cosine from which on coefficients lie on the steps of an encoder, and how many values and frequencies it takes.
_ON_STEPS, _LEAST_VALUES, _LEAST_FREQUENCIES = 0.36, 25, 2
_BLURS_PX = (0.7, 1.4, 2.8)
_FIT_EVERY, _FIT_TIMES, _FIT_SHARE, _STIFFNESS = 23, 3, 0.8, 1e-9
# What rounding alone leaves, grey levels.
_ROUNDING = 0.25
# The photo, its square and its cube: what a curve of tone is made of.
_N_TONES = 3
_QUIET_SHARE, _DETAILED_SHARE = 0.3, 0.8
_SECOND_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_MOST_STEP = 16
# Fainter steps at the borders of blocks come and go with every encoder, grey levels.
_LEAST_BLOCKING = 0.5

_ANGLES = (2 * np.arange(BLOCK_PX)[None] + 1) * np.arange(BLOCK_PX)[:, None] * np.pi / 16
_COSINES = (0.5 * np.cos(_ANGLES) * np.where(np.arange(BLOCK_PX) == 0, math.sqrt(0.5), 1)[:, None]).astype(np.float32)
_BASIS = np.stack([np.outer(_COSINES[v], _COSINES[u]).ravel() for v, u in zip(_ROWS, _COLUMNS, strict=True)], axis=1)
_SIZES = (np.arange(_N_BINS) + 0.5) * _BIN
# Values below half a step are 0 to the encoder and say nothing about it.
_COUNTED = (_SIZES[:, None] > _STEPS / 2).astype(np.float32)
_WAVES = (np.cos(2 * np.pi * _SIZES[:, None] / _STEPS) * _COUNTED).astype(np.float32)


@dataclass(frozen=True)
class Trace:
    """What is left in one of two photos.

    missed: log2 of how far it is from the other photo, tone and blur explained, divided by what its encoder's steps leave: about
    0 if it is the other, encoded; less if the other was made from it. step: of that encoder, grey levels. exactness: how well its
    coefficients lie on such steps, 0 to 1. All three NaN where it lies on no steps. noise: of its quieter pixels, grey levels,
    0 unless the photos lie pixel on pixel.
    """

    missed: float
    step: float
    exactness: float
    noise: float


@dataclass(frozen=True)
class Octave:
    """Detail of two photos in one octave. gain: log2 of b's divided by a's. agreement: how far both say the same, -1 to 1."""

    gain: float
    agreement: float


@dataclass(frozen=True)
class Traces:
    """What tells which of two photos was made from the other. octaves: the finest first. evenness: of the finest differences.

    evenness: how evenly the finest differences are spread, 0 to 1: added noise is everywhere, an encoder's is at detail.
    blocks: log2 of the steps at the borders of a's blocks that b has not there, divided by those of b's that a has not; 0
    unless pixel on pixel.
    """

    a: Trace
    b: Trace
    octaves: tuple[Octave, ...]
    evenness: float
    blocks: float = 0.0


def traces_of(window: Window, hidden: Mask | None = None) -> Traces:
    """What is left in two photos. hidden: (H, W) bool, where one of them shows something else, which is not looked at.

    A photo that was saved as JPEG has coefficients on the steps of that encoder. If it differs from the other photo, tone and
    blur explained, by what such steps leave, it was made from the other; if by less, the other was made from it; if by more,
    neither is the other just encoded. Source of the steps: Fan & de Queiroz, "Identification of bitmap compression history: JPEG
    detection and quantizer estimation", 2003; of the noise: Immerkaer, "Fast noise variance estimation", 1996.
    """
    clear = window.clear if hidden is None else window.clear & ~hidden
    bands_a, bands_b = _bands(window.a), _bands(window.b)
    steps_a = steps_b = (math.nan, math.nan, math.nan)
    if window.grid_b is not None:
        steps_a = _on_steps(bands_b, bands_a, window.grid_a, clear)
        steps_b = _on_steps(bands_a, bands_b, window.grid_b, clear)
    octaves = [
        _octave(of_a[clear], of_b[clear]) for of_a, of_b in zip(bands_a[_N_TONES:], bands_b[_N_TONES:], strict=True)
    ]
    if window.grid_b is None:
        # A photo that was resized to be laid over the other has lost noise.
        return Traces(Trace(*steps_a, 0.0), Trace(*steps_b, 0.0), tuple(octaves), 0.0)
    a, b = Trace(*steps_a, _noise(window.a, clear)), Trace(*steps_b, _noise(window.b, clear))
    blocks = _more_blocks(window.a, window.b, window.grid_a) - _more_blocks(window.b, window.a, window.grid_b)
    return Traces(a, b, tuple(octaves), _evenness(bands_b[_N_TONES] - bands_a[_N_TONES], clear), blocks)


def _more_blocks(photo: Plane, other: Plane, grid: Corner) -> float:
    """log2 of a photo's steps at the borders of its blocks, divided by those of the other there, which it may have them from."""
    of_photo, of_other = (blocking(plane, grid) + _LEAST_BLOCKING for plane in (photo, other))
    return max(0.0, math.log2(of_photo / of_other))


def blocking(light: Plane, grid: Corner) -> float:
    """How much larger the steps across the borders of JPEG's blocks are than other steps, grey levels; 0 or more.

    light: (H, W) float32, luminance. grid: column and row of the first corner of a block.
    """
    steps = []
    for plane, start in ((light, grid[0]), (light.T, grid[1])):
        step = np.minimum(np.abs(np.diff(plane, axis=1)), _MOST_STEP).mean(axis=0)
        at_border = (np.arange(1, len(step) + 1) - start) % BLOCK_PX == 0
        if at_border.sum() > 2:
            steps.append(float(step[at_border].mean() - step[~at_border].mean()))
    return max(0.0, float(np.mean(steps))) if steps else 0.0


def _on_steps(source: list[Plane], photo: list[Plane], grid: Corner, clear: Mask) -> tuple[float, float, float]:
    """missed, step and exactness of a photo beside the other, its source."""
    nothing = (math.nan, math.nan, math.nan)
    chosen = _chosen_blocks(photo[0], grid, clear)
    if chosen is None:
        return nothing
    coefficients = _coefficients(photo[0], grid, chosen)
    steps, exactness = _steps_of(coefficients)
    used = np.flatnonzero(exactness > _ON_STEPS)
    if len(used) < _LEAST_FREQUENCIES:
        return nothing
    of_source = [_coefficients(plane, grid, chosen) for plane in source]
    left = np.stack([np.abs(coefficients - one) for one in _explanations(source, of_source, photo[0], clear)])
    missed = []
    for row in used:
        counted = np.abs(coefficients[:, row]) > 0.6 * steps[row]
        if counted.sum() >= _LEAST_VALUES:
            # What steps leave lies evenly within half a step: a quarter is the median of its size.
            expected = math.hypot(steps[row] / 4, _ROUNDING)
            # The simplest explanation that is as good as any.
            missed.append(math.log2(float(np.median(left[:, counted, row], axis=1).min()) / expected + 1e-3))
    if len(missed) < _LEAST_FREQUENCIES:
        return nothing
    return float(np.median(missed)), float(np.median(steps[used])), float(np.median(exactness[used]))


def _explanations(
    source: list[Plane], of_source: list[NDArray[np.float32]], target: Plane, clear: Mask
) -> Iterator[NDArray[np.float32]]:
    """Coefficients that the photo would have as the other one unchanged, in another tone, and in another sharpness too."""
    yield of_source[0]
    for n_planes in (_N_TONES, len(source)):
        weights = _fitted(source[:n_planes], target, clear)
        if weights is not None:
            yield sum(weight * plane for weight, plane in zip(weights[1:], of_source, strict=False))


def _chosen_blocks(light: Plane, grid: Corner, clear: Mask) -> NDArray[np.int64] | None:
    """Blocks with some structure that are not clipped; None if there are too few to tell."""
    contrast = _blocks(light, grid).std(axis=1)
    chosen = np.flatnonzero(_blocks(clear.astype(np.float32), grid).all(axis=1) & (contrast > _LEAST_CONTRAST))
    if len(chosen) < _LEAST_BLOCKS:
        return None
    return chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_BLOCKS)).astype(np.int64)]


def _steps_of(coefficients: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each frequency the step on whose multiples its coefficients lie best, and the mean cosine: 1 if they do exactly."""
    counts = np.zeros((coefficients.shape[1], _N_BINS), np.float32)
    for row, values in enumerate(np.abs(coefficients).T):
        values = values[(values > 1) & (values < _N_BINS * _BIN)]
        counts[row] = np.bincount((values / _BIN).astype(np.int64), minlength=_N_BINS)[:_N_BINS]
    n_counted = counts @ _COUNTED
    means = np.where(n_counted >= _LEAST_VALUES, counts @ _WAVES / np.maximum(n_counted, 1), 0)
    best = means.argmax(axis=1)
    return _STEPS[best], np.asarray(means[np.arange(len(best)), best], np.float32)


def _fitted(source: list[Plane], target: Plane, clear: Mask) -> NDArray[np.float64] | None:
    """How the target follows from the other photo in another tone and sharpness; the worst pixels set aside."""
    rows = np.flatnonzero(clear.ravel())[::_FIT_EVERY]
    if len(rows) < _LEAST_PIXELS:
        return None
    values = np.vstack([np.ones(len(rows)), *(plane.ravel()[rows] for plane in source)])
    wanted = target.ravel()[rows]
    used = np.ones(len(rows), np.bool_)
    weights = np.zeros(len(values))
    for _ in range(_FIT_TIMES):
        some = values[:, used]
        square = some @ some.T
        weights = np.linalg.solve(square + _STIFFNESS * np.diag(np.diag(square)), some @ wanted[used])
        left = np.abs(wanted - weights @ values)
        used = left <= max(2.0, float(np.quantile(left, _FIT_SHARE)))
    return weights


def _octave(a: NDArray[np.float32], b: NDArray[np.float32]) -> Octave:
    larger = np.maximum(np.abs(a), np.abs(b))
    least = float(np.quantile(larger[::5], _DETAILED_SHARE)) if len(larger) else 0.0
    strong = larger >= max(1.0, least)
    if strong.sum() < _LEAST_PIXELS:
        return Octave(0.0, 1.0)
    a, b = a[strong].astype(np.float64), b[strong].astype(np.float64)
    energy_a, energy_b = (float((values**2).mean()) + 0.01 for values in (a, b))
    return Octave(0.5 * math.log2(energy_b / energy_a), float((a * b).mean()) / math.sqrt(energy_a * energy_b))


def _bands(light: Plane) -> list[Plane]:
    """The plane itself, its square and cube, and what each blur takes from it, the finest first."""
    layers = [light, *(blurred(light, sigma) for sigma in _BLURS_PX)]
    scaled = light / np.float32(255)
    square = light * scaled
    return [light, square, square * scaled, *(layers[place] - layers[place + 1] for place in range(len(_BLURS_PX)))]


def _noise(light: Plane, clear: Mask) -> float:
    """What is left of the quieter pixels after flat and sloping ground is taken away."""
    left = np.abs(cv2.filter2D(light, cv2.CV_32F, _SECOND_DIFFERENCE))[clear]
    return float(np.quantile(left[::2], _QUIET_SHARE)) if len(left) > _LEAST_PIXELS else 0.0


def _evenness(difference: Plane, clear: Mask) -> float:
    whole = _blocks(clear.astype(np.float32), (0, 0)).all(axis=1)
    sizes = np.sqrt((_blocks(difference, (0, 0))[whole] ** 2).mean(axis=1))
    if len(sizes) < _LEAST_BLOCKS:
        return 0.0
    low, high = np.quantile(sizes, (0.2, 0.8))
    return float(low / max(float(high), 1e-6))


def _coefficients(plane: Plane, grid: Corner, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The lowest frequencies of the discrete cosine transform of blocks: (N, 9)."""
    x, y = grid
    rows, columns = np.divmod(chosen, (plane.shape[1] - x) // BLOCK_PX)
    blocks = sliding_window_view(plane, (BLOCK_PX, BLOCK_PX))[y + rows * BLOCK_PX, x + columns * BLOCK_PX]
    return np.asarray(blocks.reshape(len(chosen), -1) @ _BASIS, np.float32)


def _blocks(plane: Plane, grid: Corner) -> NDArray[np.float32]:
    """(N, 64), the whole blocks of a plane."""
    x, y = grid
    rows, columns = (plane.shape[0] - y) // BLOCK_PX, (plane.shape[1] - x) // BLOCK_PX
    part = plane[y : y + rows * BLOCK_PX, x : x + columns * BLOCK_PX]
    return part.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2).reshape(rows * columns, BLOCK_PX**2)
