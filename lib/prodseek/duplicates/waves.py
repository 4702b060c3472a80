"""A weave, stripes or a relief that one of two photos has alone: what is left between them has a wave in it, as noise has not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from prodseek.duplicates.planes import Mask, Plane

_WINDOW_PX = 64
# Share of a window that is compared.
_COMPARED = 0.98
# A pattern may be on a part of the product alone: so many of the windows, those with most left.
_SHARE_OF_WINDOWS, _LEAST_WINDOWS = 0.25, 4
# Waves of a window; longer ones are shadows.
_LEAST_WAVES = 3
# Power, divided by that of the waves beside it, that noise does not reach: log.
_STANDS_OUT = 2.0
_BESIDE = 5


def wave_left(residual: Plane, where: Mask) -> float:
    """The amplitude of the strongest wave that stands out of a residual, in its units; 0 if none does, or if it is too small.

    residual: (H, W) float32. where: (H, W) bool, what is compared. Source: Welch, "The use of fast Fourier transform for the
    estimation of power spectra", 1967; what stands out, over the median of the waves beside it.
    """
    power = _power(residual, where)
    if power is None:
        return 0.0
    size = np.log(power + 1e-3).astype(np.float32)
    over = size - cv2.medianBlur(size, _BESIDE)
    down, across = np.mgrid[: power.shape[0], : power.shape[1]]
    over[np.hypot(down - power.shape[0] // 2, across) < _LEAST_WAVES] = 0
    strongest = int(np.argmax(over))
    if over.flat[strongest] < _STANDS_OUT:
        return 0.0
    return float(np.sqrt(power.flat[strongest]) / (_taper().sum() / 2))


def _power(residual: Plane, where: Mask) -> NDArray[np.float32] | None:
    """The mean spectrum of the windows with most left, (64, 33) float32, no wave in row 32; None without a window."""
    windows = _windows(residual)[_windows(where.astype(np.float32)).mean(axis=(1, 2)) >= _COMPARED]
    if not len(windows):
        return None
    tapered = (windows - windows.mean(axis=(1, 2), keepdims=True)) * _taper()
    n_chosen = max(_LEAST_WINDOWS, round(_SHARE_OF_WINDOWS * len(windows)))
    chosen = np.argsort(-(tapered**2).sum(axis=(1, 2)), kind="stable")[:n_chosen]
    spectra = np.abs(np.fft.rfft2(tapered[chosen])) ** 2
    return np.asarray(np.fft.fftshift(spectra.mean(axis=0), axes=0), np.float32)


def _windows(plane: Plane) -> NDArray[np.float32]:
    """Windows that overlap by half, (N, 64, 64)."""
    if min(plane.shape) < _WINDOW_PX:
        return np.zeros((0, _WINDOW_PX, _WINDOW_PX), np.float32)
    step = _WINDOW_PX // 2
    windows = np.lib.stride_tricks.sliding_window_view(plane, (_WINDOW_PX, _WINDOW_PX))[::step, ::step]
    return np.asarray(windows.reshape(-1, _WINDOW_PX, _WINDOW_PX), np.float32)


def _taper() -> NDArray[np.float32]:
    return np.outer(np.hanning(_WINDOW_PX), np.hanning(_WINDOW_PX)).astype(np.float32)
