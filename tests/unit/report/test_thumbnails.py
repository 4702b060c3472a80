"""Thumbnails: sizes, odd shapes, boxes, refusals."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prodseek.report.thumbnails import thumbnail


def _decoded(webp: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(webp))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGB"))


def _grey(height_px: int, width_px: int, level: int = 128) -> np.ndarray:
    return np.full((height_px, width_px, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("width_px", "height_px", "expected"),
    [
        (1, 1, (1, 1)),
        (20000, 10, (160, 1)),
        (10, 20000, (1, 160)),
        (640, 480, (160, 120)),
        (160, 160, (160, 160)),
        (90, 40, (90, 40)),
    ],
)
def test_longer_side_is_at_most_asked_and_shape_is_kept(width_px, height_px, expected):
    assert _decoded(thumbnail(_grey(height_px, width_px), 160)).shape == (expected[1], expected[0], 3)


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 200))
def test_never_larger_than_asked_nor_than_the_photo(width_px, height_px, side_px):
    height, width, _ = _decoded(thumbnail(_grey(height_px, width_px), side_px)).shape
    assert 1 <= width <= min(side_px, width_px) and 1 <= height <= min(side_px, height_px)


def test_same_pixels_give_the_same_bytes_and_the_picture_is_kept():
    pixels = _grey(100, 300, 20)
    pixels[:, 150:] = (220, 40, 40)
    first = thumbnail(pixels, 120)
    assert first == thumbnail(pixels.copy(), 120)
    shown = _decoded(first).astype(int)
    assert np.abs(shown[20, 20] - 20).max() < 12
    assert np.abs(shown[20, 100] - (220, 40, 40)).max() < 25


def test_non_contiguous_pixels_are_read_as_they_look():
    pixels = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    assert thumbnail(pixels[:, ::-1], 50) == thumbnail(np.ascontiguousarray(pixels[:, ::-1]), 50)


def test_crop_shows_only_the_box():
    pixels = _grey(200, 200, 0)
    pixels[50:100, 20:120] = 250
    shown = _decoded(thumbnail(pixels, 80, (20, 50, 120, 100), box_as="crop"))
    assert shown.shape == (40, 80, 3)
    assert shown.min() > 230


def test_draw_marks_the_box_edge_and_leaves_the_rest():
    pixels = _grey(200, 400)
    shown = _decoded(thumbnail(pixels, 200, (100, 40, 300, 160))).astype(int)
    assert shown.shape == (100, 200, 3)
    difference = np.abs(shown - 128).max(axis=2)
    assert difference[50, 50:54].max() > 60
    assert difference[50, 100] < 10 and difference[50, 20] < 10


def test_box_is_in_the_full_photos_pixels_when_the_pixels_are_a_shrunk_decode():
    small = _grey(100, 200, 0)
    small[25:50, 50:100] = 250
    shown = _decoded(thumbnail(small, 200, (500, 250, 1000, 500), box_as="crop", photo_size_px=(2000, 1000)))
    assert shown.shape == (25, 50, 3)
    assert shown.min() > 230


def test_box_beyond_the_edge_is_clipped():
    pixels = _grey(50, 50)
    assert thumbnail(pixels, 50, (-10, -10, 60.5, 999), "crop") == thumbnail(pixels, 50)


@pytest.mark.parametrize("box_as", ["draw", "crop"])
def test_a_box_thinner_than_a_pixel_still_shows(box_as):
    assert _decoded(thumbnail(_grey(50, 50), 20, (49.9, 49.9, 50, 50), box_as)).size


@pytest.mark.parametrize(
    "box", [(50, 0, 60, 10), (10, 10, 10, 20), (20, 10, 10, 20), (float("nan"), 0, 10, 10), (-9, -9, 0, 0)]
)
@pytest.mark.parametrize("box_as", ["draw", "crop"])
def test_a_box_outside_the_photo_is_refused(box, box_as):
    with pytest.raises(ValueError, match="50 x 50 px"):
        thumbnail(_grey(50, 50), 20, box, box_as)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_pixels_of_another_kind_are_refused(pixels):
    with pytest.raises(ValueError, match="pixels must be"):
        thumbnail(pixels, 20)


@pytest.mark.parametrize("side_px", [0, -1, 16384])
def test_a_side_no_webp_can_have_is_refused(side_px):
    with pytest.raises(ValueError, match="side_px"):
        thumbnail(_grey(4, 4), side_px)
