"""What is computed on planes is the same as NumPy's, and the same wherever an array lies in memory."""

import numpy as np
import pytest

from prodseek.duplicates.planes import LUMA, gradient, luma, most_of_channels, size_of_channels

PIXELS = np.random.default_rng(0).uniform(-255, 255, (61, 83, 3)).astype(np.float32)
OF_CHANNELS = {
    "luma": (luma, lambda pixels: pixels @ LUMA),
    "the most of channels": (most_of_channels, lambda pixels: pixels.max(axis=2)),
    "the size of channels": (size_of_channels, lambda pixels: np.sqrt((pixels**2).sum(axis=2))),
    "the size of one channel": (
        lambda pixels: size_of_channels(pixels[..., :1]),
        lambda pixels: np.abs(pixels[..., 0]),
    ),
    "the gradient": (lambda pixels: gradient(pixels[..., 0].copy()), None),
}


def placed(pixels, offset):
    """The same values, so many numbers behind the start of a piece of memory."""
    memory = np.empty(pixels.size + offset, pixels.dtype)
    found = memory[offset:].reshape(pixels.shape)
    found[...] = pixels
    return found


@pytest.mark.parametrize("name", [name for name, (_, expected) in OF_CHANNELS.items() if expected is not None])
def test_numbers_of_channels_are_those_of_numpy(name):
    compute, expected = OF_CHANNELS[name]
    found = compute(PIXELS)
    assert found.dtype == np.float32 and found.shape == PIXELS.shape[:2]
    np.testing.assert_allclose(found, expected(PIXELS), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", OF_CHANNELS)
def test_numbers_do_not_depend_on_where_the_pixels_lie(name):
    compute, _ = OF_CHANNELS[name]
    assert len({compute(placed(PIXELS, offset)).tobytes() for offset in range(17)}) == 1


def test_a_slope_has_its_rise_as_gradient():
    slope = np.tile(np.arange(20, dtype=np.float32) * 3, (10, 1))
    np.testing.assert_allclose(gradient(slope)[2:-2, 2:-2], 6.0, rtol=1e-6)
