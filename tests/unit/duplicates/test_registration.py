import cv2
import numpy as np
import pytest
from made_photos import jpeg, pixels, scene
from PIL import Image

from prodseek.duplicates.geometry import corners, transformed
from prodseek.duplicates.planes import LUMA
from prodseek.duplicates.registration import compared_part, laid_over, refined

SIZE = (360, 270)
# The whole of a lies in b, an edge away from its border.
TRUTH = np.array([[1.0, 0, 60], [0, 1.0, 45]])
B = pixels(scene(1, 480, 360))


def seen(photo, matrix, size=SIZE):
    """The photo whose pixels lie in the other as the matrix says."""
    moved = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    return np.asarray(moved, np.uint8)


def around_middle(linear, moved=(0.0, 0.0)):
    """TRUTH, but for a change around the middle of a."""
    middle = np.array(SIZE) / 2 - 0.5
    linear = np.asarray(linear, np.float64)
    return np.column_stack([linear, middle - linear @ middle + TRUTH[:, 2] + moved])


def turned(degrees):
    angle = np.radians(degrees)
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]


def missed_px(found, truth, size=SIZE):
    return np.linalg.norm(transformed(found, corners(size)) - transformed(truth, corners(size)), axis=1).max()


def register(a, b, matrix, side_px=320):
    laid = laid_over(a, b, matrix, side_px)
    return refined(a, laid, laid.a @ LUMA, laid.b @ LUMA)


MOVES = {
    "nothing": around_middle(np.eye(2)),
    "half a pixel": around_middle(np.eye(2), (0.5, -0.5)),
    "three pixels": around_middle(np.eye(2), (-3, 2)),
    "turned by 2 degrees": around_middle(turned(2)),
    "a hundredth larger": around_middle(1.01 * np.eye(2)),
    "wider than high": around_middle(np.diag([1.015, 0.99])),
    "sheared": around_middle([[1, 0.02], [0, 1]]),
    "all at once": around_middle(np.array(turned(-1)) @ [[1.01, 0.01], [0, 0.99]], (1, 0.5)),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_the_alignment_missed_is_found(name):
    a = seen(B, MOVES[name])
    laid, share, error_px = register(a, B, TRUTH)
    assert missed_px(laid.matrix, MOVES[name]) < 0.3
    assert share > 0.6 and error_px < 0.3
    assert np.abs(laid.a - laid.b)[compared_part(a, B, laid)].mean() < 4


@pytest.mark.parametrize("name", ["half a pixel", "turned by 2 degrees", "sheared"])
def test_it_is_found_through_tone_and_compression(name):
    a = pixels(jpeg(Image.fromarray(np.uint8(0.5 * seen(B, MOVES[name]) + 60)), 40))
    laid, share, _ = register(a, B, TRUTH)
    assert missed_px(laid.matrix, MOVES[name]) < 0.3 and share > 0.4


def test_it_is_found_at_a_small_size_too():
    a = seen(B, MOVES["all at once"])
    laid, _, _ = register(a, B, TRUTH, side_px=160)
    assert max(laid.inside.shape) <= 160
    assert missed_px(laid.matrix, MOVES["all at once"]) < 0.5


def test_unlike_photos_stay_where_they_were():
    a = pixels(scene(2))
    laid, share, _ = register(a, B, TRUTH)
    assert share < 0.25
    np.testing.assert_allclose(laid.matrix, TRUTH, atol=1e-9)


def test_photos_without_corners_stay_where_they_were():
    ramp = np.repeat(np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 150, axis=0), 3, axis=2)
    laid, share, error_px = register(ramp, ramp, np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    assert share == 0 and np.isnan(error_px)
    np.testing.assert_allclose(laid.matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_what_moved_too_far_is_not_believed():
    far = around_middle(np.eye(2), (26, 0))
    laid, _, _ = register(seen(B, far), B, TRUTH)
    np.testing.assert_allclose(laid.matrix, TRUTH, atol=1e-9)


@pytest.mark.parametrize("size_a", [(360, 270), (180, 135), (720, 540)], ids=["equal", "half", "double"])
def test_the_matrix_goes_by_way_of_the_frame_and_back(size_a):
    scale = np.array(SIZE) / size_a
    matrix = np.column_stack([TRUTH[:, :2] @ np.diag(scale), TRUTH[:, 2] + (scale - 1) / 2])
    a = np.asarray(cv2.resize(seen(B, TRUTH), size_a, interpolation=cv2.INTER_AREA), np.uint8)
    laid = laid_over(a, B, matrix, 320)
    np.testing.assert_allclose(laid.matrix, matrix, atol=1e-9)
    assert np.abs(laid.a - laid.b)[4:-4, 4:-4].mean() < 6


def test_photos_that_share_too_little_are_not_laid():
    assert laid_over(B, B, np.array([[1.0, 0, 500], [0, 1.0, 0]]), 320) is None
    assert laid_over(B, B, np.array([[1.0, 0, 470], [0, 1.0, 0]]), 320) is None


def test_plain_photos_are_not_laid():
    plain = np.full((360, 480, 3), 240, np.uint8)
    whole = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert laid_over(B, plain, whole, 320) is None
    assert laid_over(plain, B, whole, 320) is None
    assert laid_over(B, B, whole, 320) is not None


def test_only_where_both_show_just_the_frame_all_of_it_is_compared():
    whole = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert compared_part(B, B, laid_over(B, B, whole, 320)).all()
    small = np.asarray(cv2.resize(B, (240, 180), interpolation=cv2.INTER_AREA), np.uint8)
    assert compared_part(small, B, laid_over(small, B, np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]]), 320)).all()
    laid = laid_over(seen(B, TRUTH), B, TRUTH, 320)
    inner = compared_part(seen(B, TRUTH), B, laid)
    assert laid.inside.all()
    expected = np.zeros_like(inner)
    expected[3:-3, 3:-3] = True
    np.testing.assert_array_equal(inner, expected)
