"""What noise and encoders leave has no wave that stands out; a pattern that one of two photos has alone is one."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from prodseek.duplicates.guards import _MOST_WAVE
from prodseek.duplicates.waves import wave_left

SIZE = (300, 400)
EVERYWHERE = np.ones(SIZE, np.bool_)


def noise(seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(0, 3, size).astype(np.float32)


def wave(pitch_px, levels, angle=0.4):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (levels * np.sin(2 * np.pi * (rows * np.cos(angle) + columns * np.sin(angle)) / pitch_px)).astype(np.float32)


def test_noise_has_none():
    assert max(wave_left(noise(seed), EVERYWHERE) for seed in range(20)) == 0
    assert wave_left(np.zeros(SIZE, np.float32), EVERYWHERE) == 0


@pytest.mark.parametrize("pitch_px", [2.5, 4.0, 6.0, 9.7, 16.0])
def test_a_wave_weaker_than_the_noise_is_found_with_its_amplitude(pitch_px):
    assert wave_left(noise() + wave(pitch_px, 2.0), EVERYWHERE) == pytest.approx(2.0, rel=0.25)


def test_a_weave_on_a_part_is_found():
    part = np.zeros(SIZE, np.bool_)
    part[40:200, 60:260] = True
    weave = np.where(part, wave(6, 4.0) * wave(6, 1.0, 0.4 + np.pi / 2), 0)
    assert wave_left(noise() + weave, EVERYWHERE) > _MOST_WAVE


def test_a_shadow_and_an_edge_are_no_waves():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    shadow = 20 * np.exp(-(((rows - 150) / 60) ** 2 + ((columns - 200) / 90) ** 2)).astype(np.float32)
    edge = np.where(columns > 190, 12.0, 0.0).astype(np.float32)
    assert wave_left(noise() + shadow, EVERYWHERE) == 0
    assert wave_left(noise() + edge, EVERYWHERE) == 0


@pytest.mark.parametrize("quality", [10, 40, 80])
def test_what_jpeg_leaves_of_a_photo_has_none(quality):
    light = cv2.GaussianBlur(noise(3, SIZE) * 30, (0, 0), 1.5) + 128
    buffer = io.BytesIO()
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    coded = np.asarray(Image.open(buffer), np.float32)
    assert wave_left(coded - light, EVERYWHERE) <= _MOST_WAVE


def test_only_what_is_compared_counts():
    where = np.zeros(SIZE, np.bool_)
    where[:, :150] = True
    pattern = wave(6, 8.0)
    pattern[:, :160] = 0
    assert wave_left(noise() + pattern, where) == 0
    assert wave_left(noise() + pattern, ~where) > _MOST_WAVE


def test_too_small_to_tell_is_none():
    assert wave_left(noise()[:50], EVERYWHERE[:50]) == 0
    assert wave_left(noise(), np.zeros(SIZE, np.bool_)) == 0
