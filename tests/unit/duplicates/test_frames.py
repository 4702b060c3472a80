import numpy as np
import pytest
from made_photos import pixels, scene

from prodseek.duplicates.frames import filled, in_fractions, in_pixels, onto_frame, warped
from prodseek.duplicates.geometry import corners, inverse, transformed

A, B = (300, 200), (640, 400)


def crop_matrix(x, y, scale):
    """Where pixels of a photo that was cut out at (x, y) and then made scale times as large lie in the other photo."""
    move = np.array([x, y]) + (1 / scale - 1) / 2
    return np.column_stack([np.eye(2) / scale, move])


@pytest.mark.parametrize("seed", range(5))
def test_pixels_and_fractions_are_inverses(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(2, 3)) * [1, 1, 50]
    np.testing.assert_allclose(in_pixels(in_fractions(matrix, A, B), A, B), matrix, atol=1e-9)
    fractions = tuple(rng.normal(size=6).tolist())
    np.testing.assert_allclose(in_fractions(in_pixels(fractions, A, B), A, B), fractions, atol=1e-9)


def test_the_whole_frame_is_the_identity_in_fractions_at_any_size():
    for size_a, size_b in ((A, A), (A, B), ((7, 1000), (33, 5))):
        matrix = in_pixels((1, 0, 0, 0, 1, 0), size_a, size_b)
        np.testing.assert_allclose(transformed(matrix, corners(size_a)), corners(size_b), atol=1e-9)


def test_fractions_say_where_a_crop_lies():
    fractions = in_fractions(crop_matrix(64, 100, 1.5), A, B)
    np.testing.assert_allclose(fractions, (200 / 640, 0, 0.1, 0, (200 / 1.5) / 400, 0.25), atol=1e-9)


def test_what_is_measured_at_one_size_holds_at_another():
    matrix = crop_matrix(64, 100, 1.5)
    larger = in_pixels(in_fractions(matrix, A, B), (600, 400), (1920, 1200))
    np.testing.assert_allclose(
        transformed(larger, corners((600, 400))), 3 * (transformed(matrix, corners(A)) + 0.5) - 0.5
    )


@pytest.mark.parametrize(
    ("scale", "side_px", "size"),
    [
        # At the size of the photo that shows the part smaller, and at most the given side.
        (1.0, 1000, (300, 200)),
        (1.5, 1000, (200, 133)),
        (0.75, 1000, (300, 200)),
        (1.0, 150, (150, 100)),
    ],
)
def test_the_frame_of_a_crop_is_the_crop(scale, side_px, size):
    frame = onto_frame(crop_matrix(40, 30, scale), A, B, side_px)
    assert frame.size == size
    np.testing.assert_allclose(transformed(frame.a_onto, corners(A)), corners(size), atol=1e-4)
    cut = np.array([40, 30]) + (corners(A) + 0.5) / scale - 0.5
    np.testing.assert_allclose(transformed(frame.b_onto, cut), corners(size), atol=1e-4)
    assert frame.inside.shape == size[::-1] and frame.inside.all()


def test_the_frame_of_two_that_overlap_is_what_both_show():
    frame = onto_frame(np.array([[1.0, 0, -100], [0, 1.0, 50]]), A, A, 1000)
    assert frame.size == (200, 150)
    np.testing.assert_allclose(
        transformed(inverse(frame.b_onto), corners((200, 150))), np.add(corners((200, 150)), [0, 50])
    )
    np.testing.assert_allclose(
        transformed(inverse(frame.a_onto), corners((200, 150))), np.add(corners((200, 150)), [100, 0])
    )


def test_a_tilted_photo_does_not_fill_its_frame():
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    frame = onto_frame(np.column_stack([turn, [200, 80]]), A, B, 1000)
    assert 0.5 < frame.inside.mean() < 0.8
    assert not frame.inside[0, 0] and frame.inside[frame.size[1] // 2, frame.size[0] // 2]


def test_photos_that_share_nothing_have_no_frame():
    assert onto_frame(np.array([[1.0, 0, 700], [0, 1.0, 0]]), A, B, 320) is None


def test_a_crop_and_the_photo_are_equal_in_their_frame():
    photo = pixels(scene(1))
    crop = photo[40:220, 50:310]
    frame = onto_frame(crop_matrix(50, 40, 1), (260, 180), (360, 270), 1000)
    np.testing.assert_array_equal(warped(crop, frame.a_onto, frame.size), warped(photo, frame.b_onto, frame.size))
    smaller = onto_frame(crop_matrix(50, 40, 1), (260, 180), (360, 270), 130)
    apart = np.abs(warped(crop, smaller.a_onto, smaller.size) - warped(photo, smaller.b_onto, smaller.size))
    assert smaller.size == (130, 90) and apart.mean() < 1


def test_what_becomes_smaller_is_averaged():
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[:, ::2] = 200
    small = warped(stripes, np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]]), (75, 50))
    np.testing.assert_allclose(small, 100, atol=1)


def test_a_polygon_is_filled():
    mask = filled(np.array([[2, 3], [8, 3], [8, 6], [2, 6]], np.float64), (12, 10))
    expected = np.zeros((10, 12), bool)
    expected[3:7, 2:9] = True
    np.testing.assert_array_equal(mask, expected)
    assert not filled(np.zeros((0, 2)), (12, 10)).any()
