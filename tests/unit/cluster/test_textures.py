"""The word for a surface: planted surfaces are called what they are."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.cluster.textures import texture_word


def surface(kind: str) -> np.ndarray:
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    grey = {
        "plain": np.full((64, 64), 120),
        "shaded": 90 + x,
        "striped": 255 * (x // 4 % 2),
        "slanted stripes": 255 * ((x + y) // 5 % 2),
        "checked": 255 * ((x // 4 + y // 4) % 2),
        "noisy": np.random.default_rng(0).integers(0, 256, (64, 64)),
    }[kind]
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("plain", "plain"),
        ("shaded", "plain"),
        ("striped", "striped"),
        ("slanted stripes", "striped"),
        ("checked", "patterned"),
        ("noisy", "patterned"),
    ],
)
def test_a_surface_is_called_what_it_is(kind: str, word: str) -> None:
    assert texture_word(surface(kind)) == word


def test_only_the_middle_counts() -> None:
    pixels = surface("noisy")
    pixels[12:52, 12:52] = 80
    assert texture_word(pixels) == "plain"


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (5, 5)])
def test_too_few_pixels_say_nothing(shape: tuple[int, int]) -> None:
    assert texture_word(np.zeros((*shape, 3), np.uint8)) is None
