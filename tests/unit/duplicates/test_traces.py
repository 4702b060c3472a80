import math

import cv2
import numpy as np
import pytest
from made_photos import jpeg, pixels, scene
from PIL import Image, ImageFilter

from prodseek.duplicates.traces import blocking, traces_of
from prodseek.duplicates.windows import Window, shared_window

SIZE = (480, 360)
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])


def light(photo):
    return cv2.cvtColor(photo.astype(np.float32), cv2.COLOR_RGB2GRAY)


def traces(a, b, matrix=SAME):
    return traces_of(shared_window(pixels(a), pixels(b), matrix))


@pytest.mark.parametrize("quality", [20, 50, 80])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_photo_that_was_just_encoded_misses_the_other_by_its_steps(seed, quality):
    original = jpeg(scene(seed, *SIZE), 90)
    found = traces(original, jpeg(original, quality))
    assert abs(found.b.missed) < 0.45 and found.b.exactness > 0.6
    assert found.b.step == pytest.approx(np.median(found.b.step), abs=0.5) and found.b.step > found.a.step
    assert found.a.missed > 0.6


@pytest.mark.parametrize("seed", [1, 2])
def test_a_photo_that_another_was_made_from_is_kept_in_it(seed):
    original = jpeg(scene(seed, *SIZE), 15)
    found = traces(original, jpeg(original, 95))
    assert found.a.missed < -1


def test_noise_lies_on_no_steps_and_is_spread_evenly():
    original = jpeg(scene(3, *SIZE), 75)
    noise = np.random.default_rng(0).normal(0, 6, (SIZE[1], SIZE[0], 3))
    noisy = Image.fromarray(np.clip(np.asarray(original, np.float32) + noise, 0, 255).astype(np.uint8))
    found = traces(original, noisy)
    assert math.isnan(found.b.missed) and math.isnan(found.b.step)
    assert found.evenness > 0.75 and found.b.noise > found.a.noise + 1


def test_blur_takes_most_of_the_finest_octave():
    original = jpeg(scene(4, *SIZE), 95)
    gains = [octave.gain for octave in traces(original, original.filter(ImageFilter.GaussianBlur(2))).octaves]
    assert gains == sorted(gains) and gains[0] < -1


def test_equal_photos_have_equal_traces():
    photo = jpeg(scene(5, *SIZE), 60)
    found = traces(photo, photo)
    assert found.a == found.b and all(octave.gain == 0 and octave.agreement > 0.99 for octave in found.octaves)


def test_a_resized_photo_has_no_traces_of_its_own():
    photo = jpeg(scene(6, *SIZE), 60)
    larger = jpeg(photo.resize((600, 450)), 60)
    found = traces(photo, larger, np.array([[1.25, 0, 0.125], [0, 1.25, 0.125]]))
    assert math.isnan(found.a.missed) and math.isnan(found.b.missed) and found.evenness == 0


def test_what_is_hidden_is_not_looked_at():
    photo = jpeg(scene(7, *SIZE), 95)
    marked = np.array(photo)
    marked[150:210, 180:300] = 60 + 140 * (np.indices((60, 120)).sum(axis=0) % 2)[..., None]
    window = shared_window(pixels(photo), marked, SAME)
    differs = np.abs(window.a - window.b).astype(np.float32)
    hidden = cv2.GaussianBlur(differs, (0, 0), 4) > 1e-3
    assert traces_of(window).octaves[0].gain > 0.5
    assert traces_of(window, hidden).octaves[0].gain == pytest.approx(0, abs=0.01)


def test_blocks_are_found_on_the_grid_of_the_whole_file():
    compressed = pixels(jpeg(scene(10, *SIZE), 10))
    part = light(compressed[51:251, 101:301])
    assert blocking(part, (-101 % 8, -51 % 8)) > 1
    assert blocking(part, (0, 2)) < 0.3
    assert blocking(light(pixels(scene(10, *SIZE))), (0, 0)) < 0.3
    assert blocking(light(compressed[:9, :9]), (0, 0)) == 0


def test_blocks_count_where_one_photo_alone_has_them():
    smooth = light(pixels(scene(12, 384, 384).filter(ImageFilter.GaussianBlur(6))))
    offsets = np.random.default_rng(0).uniform(-4, 4, (50, 50)).repeat(8, axis=0).repeat(8, axis=1)
    blocks = (smooth + offsets[5 : 5 + 384, 3 : 3 + 384]).astype(np.float32)
    found = traces_of(Window(smooth, blocks, (0, 0), (5, 3), (0, 0)))
    assert found.blocks < -1
    assert traces_of(Window(blocks, smooth, (5, 3), (0, 0), (0, 0))).blocks == -found.blocks
    # Both have them there.
    assert traces_of(Window(blocks, blocks, (5, 3), (0, 0), (0, 0))).blocks == 0


SHIFTED = np.array([[1.0, 0, -5], [0, 1, -3]])
# Five pixels of the lower edge, and of the right one, are cut off first.
UPSIDE_DOWN = np.array([[-1.0, 0, SIZE[0] - 1], [0, -1, SIZE[1] - 6]])
ANTICLOCKWISE = np.array([[0.0, 1, 0], [-1, 0, SIZE[0] - 6]])


@pytest.mark.parametrize(
    ("move", "matrix"),
    [
        (lambda i: i.crop((5, 3, i.width - 6, i.height - 2)), SHIFTED),
        (lambda i: i.crop((0, 0, i.width, i.height - 5)).transpose(Image.Transpose.ROTATE_180), UPSIDE_DOWN),
        (lambda i: i.crop((0, 0, i.width - 5, i.height)).transpose(Image.Transpose.ROTATE_90), ANTICLOCKWISE),
    ],
    ids=["cropped", "upside down", "turned"],
)
def test_blocks_of_an_original_that_was_moved_and_saved_again_do_not_count(move, matrix):
    original = jpeg(scene(11, *SIZE), 30)
    found = traces(original, jpeg(move(original), 95), matrix)
    assert abs(found.blocks) < 0.5 and found.a.missed < -1
    assert traces(original, move(original), matrix).blocks == 0
