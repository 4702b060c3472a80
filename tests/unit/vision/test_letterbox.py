"""Letterbox: where a photo goes, and boxes there and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prodseek.photos.decode import DecodedImage
from prodseek.vision.letterbox import GREY, letterbox, place

sides = st.integers(1, 9000)


@given(
    width_px=sides,
    height_px=sides,
    input_px=st.sampled_from([96, 416, 608]),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_return_to_where_they_were(width_px: int, height_px: int, input_px: int, corners: list[float]) -> None:
    placed = place(width_px, height_px, input_px)
    box = np.array([corners], np.float32) * np.array([width_px, height_px] * 2, np.float32)

    there = placed.to_network(box)
    back = placed.to_source(there)

    np.testing.assert_allclose(back, box, atol=0.01 * max(1.0, max(width_px, height_px) / input_px))
    assert (there >= -0.01).all() and (there <= input_px + 0.01).all()


@given(width_px=sides, height_px=sides)
def test_the_whole_photo_is_the_inner_part(width_px: int, height_px: int) -> None:
    placed = place(width_px, height_px, 416)
    frame = placed.to_network(np.array([[0, 0, width_px, height_px]], np.float32))[0]

    rows, columns = placed.inner
    np.testing.assert_allclose(frame, (columns.start, rows.start, columns.stop, rows.stop), atol=1e-3)
    assert max(placed.inner_width_px, placed.inner_height_px) == 416
    assert placed.left_px >= 0 and placed.top_px >= 0


def test_the_rest_is_grey_and_the_photo_in_the_middle() -> None:
    image = DecodedImage(np.full((50, 100, 3), 200, np.uint8), 100, 50, "PNG")

    canvas, placed = letterbox(image, 96)

    assert (placed.left_px, placed.top_px, placed.inner_width_px, placed.inner_height_px) == (0, 24, 96, 48)
    assert (canvas[24:72] == 200).all()
    assert (canvas[:24] == GREY).all() and (canvas[72:] == GREY).all()


def test_a_reduced_decode_maps_to_full_size_pixels() -> None:
    pixels = np.zeros((201, 300, 3), np.uint8)
    image = DecodedImage(pixels, 1500, 1003, "JPEG")

    _, placed = letterbox(image, 416)

    assert placed == place(1500, 1003, 416)
    box = np.array([[150.0, 100.0, 750.0, 500.0]], np.float32)
    np.testing.assert_allclose(placed.to_source(placed.to_network(box)), box, atol=1e-2)


def test_clipping_stops_at_the_edges() -> None:
    clipped = place(100, 50, 96).clip_to_source(np.array([[-5, -5, 500, 500]], np.float32))

    np.testing.assert_array_equal(clipped, [[0, 0, 100, 50]])
