"""A pattern of equal light that one of two photos has alone is told from what encoders, blur and tone do to both."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from prodseek.duplicates.chroma import chroma_alone
from prodseek.duplicates.guards import _MOST_CHROMA_ALONE

SIZE = (300, 400)
EVERYWHERE = np.ones(SIZE, np.bool_)
# Red and green by turns, as light as each other.
HUES = np.array([1.0, -0.299 / 0.587, 0.0], np.float32)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)


def cloth(seed=0):
    light = np.random.default_rng(seed).normal(0, 4, SIZE) + 20 * np.sin(COLUMNS / 90)
    return (np.array([150, 90, 100]) + light[..., None]).astype(np.float32)


def spots(seed=0):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, SIZE).astype(np.float32), (0, 0), 2.0)
    return np.sign(noise) * (np.abs(noise) > 0.1)


PATTERNS = {
    "straight stripes": np.sin(COLUMNS),
    "stripes on folds": np.sin(COLUMNS + 9 * np.sin(ROWS / 30)),
    "a check": np.sin(COLUMNS) * np.sin(ROWS),
    "spots without any order": spots(),
    "stripes on a part": np.sin(COLUMNS) * ((COLUMNS > 100) & (COLUMNS < 240) & (ROWS > 60) & (ROWS < 200)),
}


def encoded(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("quality", [85, 92])
def test_a_pattern_of_equal_light_is_one_photo_s_alone(name, quality):
    patterned = cloth() + 8 * PATTERNS[name][..., None] * HUES
    pair = encoded(cloth(), 85), encoded(patterned, quality)
    assert chroma_alone(*pair, EVERYWHERE) > _MOST_CHROMA_ALONE
    assert chroma_alone(*pair, EVERYWHERE) == chroma_alone(*pair[::-1], EVERYWHERE)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_copy_of_a_patterned_cloth_keeps_enough_of_it(name):
    broad = cv2.resize(np.asarray(PATTERNS[name], np.float32)[:150, :200], SIZE[::-1])
    patterned = cloth() + 16 * broad[..., None] * HUES
    soft = cv2.GaussianBlur(patterned, (0, 0), 1.0)
    for copy in (encoded(patterned, 85), encoded(soft, 90), patterned * 0.9 + 12):
        assert chroma_alone(patterned, copy, EVERYWHERE) < _MOST_CHROMA_ALONE


def test_a_plain_cloth_and_its_copies_have_none():
    assert max(chroma_alone(cloth(), encoded(cloth(), quality), EVERYWHERE) for quality in (20, 60, 95)) < 0.1


def test_what_is_not_compared_says_nothing():
    patterned = cloth() + 8 * PATTERNS["a check"][..., None] * HUES
    assert chroma_alone(cloth(), patterned, ~EVERYWHERE) == 0
    assert chroma_alone(cloth()[:20, :20], patterned[:20, :20], EVERYWHERE[:20, :20]) == 0
