import numpy as np
import pytest
from made_photos import pixels, scene

from prodseek.duplicates.windows import shared_window

WIDTH, HEIGHT = 500, 420
PHOTO = pixels(scene(1, WIDTH, HEIGHT))
MIRRORED = np.array([[-1.0, 0, WIDTH - 1], [0, 1, 0]])


def moved(x, y):
    return np.array([[1.0, 0, x], [0, 1, y]])


def test_equal_photos_lie_pixel_on_pixel():
    window = shared_window(PHOTO, PHOTO, moved(0, 0))
    assert window.a.shape == (384, 384) and (window.a == window.b).all() and window.clear.any()
    assert window.grid_a == window.grid_b == (-window.low[0] % 8, -window.low[1] % 8)


@pytest.mark.parametrize("error_px", [-0.6, 0, 0.6])
def test_a_crop_lies_pixel_on_pixel_however_roughly_it_was_found(error_px):
    crop = np.ascontiguousarray(PHOTO[37:, 53:])
    window = shared_window(PHOTO, crop, moved(-53 + error_px, -37 - error_px))
    assert (window.a == window.b).all()
    assert window.grid_b == ((window.grid_a[0] + 53) % 8, (window.grid_a[1] + 37) % 8)


def test_a_mirrored_photo_is_turned_back():
    window = shared_window(PHOTO, np.ascontiguousarray(PHOTO[:, ::-1]), MIRRORED)
    assert (window.a == window.b).all()
    # The blocks of the mirrored file begin at its own left.
    assert window.grid_b == ((WIDTH - window.low[0]) % 8, window.grid_a[1])


@pytest.mark.parametrize(
    ("turned", "matrix", "grid"),
    [
        (np.rot90(PHOTO), [[0, 1, 0], [-1, 0, WIDTH - 1]], lambda x, y: (WIDTH - x, -y)),
        (np.rot90(PHOTO, 3), [[0, -1, HEIGHT - 1], [1, 0, 0]], lambda x, y: (-x, HEIGHT - y)),
        (np.rot90(PHOTO, 2), [[-1, 0, WIDTH - 1], [0, -1, HEIGHT - 1]], lambda x, y: (WIDTH - x, HEIGHT - y)),
        (PHOTO.swapaxes(0, 1), [[0, 1, 0], [1, 0, 0]], lambda x, y: (-x, -y)),
    ],
    ids=["anticlockwise", "clockwise", "upside down", "transposed"],
)
def test_a_turned_photo_is_turned_back_with_the_blocks_of_its_file(turned, matrix, grid):
    window = shared_window(PHOTO, np.ascontiguousarray(turned), np.array(matrix, float))
    assert (window.a == window.b).all()
    assert window.grid_b == tuple(side % 8 for side in grid(*window.low))


def test_a_tilted_photo_has_no_grid():
    tilt = np.array([[0.999, 0.035, -7], [-0.035, 0.999, 9]])
    assert shared_window(PHOTO, PHOTO, tilt).grid_b is None


def test_a_resized_photo_has_no_grid():
    larger = pixels(scene(1, WIDTH, HEIGHT).resize((625, 525)))
    window = shared_window(PHOTO, larger, np.array([[1.25, 0, 0.125], [0, 1.25, 0.125]]))
    assert window.grid_b is None and window.a.shape == window.b.shape
    assert np.corrcoef(window.a.ravel(), window.b.ravel())[0, 1] > 0.98


def test_photos_that_share_a_few_pixels_have_no_window():
    assert shared_window(PHOTO, PHOTO, moved(WIDTH - 20, 0)) is None
