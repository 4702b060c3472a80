import numpy as np

from prodseek.vision.foreground import find_foreground
from prodseek.vision.object_mask import object_mask

BOX = (60, 50, 140, 150)


def scene(seed=0):
    """A blue disc before a striped wall, and which pixels are its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:200, :200]
    disc = (x - 100) ** 2 / 38**2 + (y - 100) ** 2 / 48**2 < 1
    pixels = np.where((x // 20 % 2)[..., None], (180, 150, 110), (120, 130, 110)).astype(np.float64)
    pixels[disc] = (40, 60, 190)
    return np.clip(pixels + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8), disc


def test_an_object_is_told_from_a_wall():
    pixels, disc = scene()
    mask = object_mask(pixels, BOX, None)
    assert (mask & disc).sum() / (mask | disc).sum() > 0.95


def test_nothing_outside_the_box_is_the_object():
    pixels, _ = scene()
    mask = object_mask(pixels, BOX, None)
    mask[50:150, 60:140] = False
    assert not mask.any()


def test_of_a_box_that_fills_its_photo_nobody_knows():
    pixels, _ = scene()
    assert object_mask(pixels, (0, 0, 200, 200), None) is None


def test_on_a_plain_ground_the_foreground_is_the_object():
    pixels = np.full((200, 200, 3), 245, np.uint8)
    pixels[60:140, 70:130] = (200, 60, 40)
    mask = object_mask(pixels, (70, 60, 130, 140), find_foreground(pixels))
    assert mask[60:140, 70:130].mean() > 0.95 and mask.sum() < 1.05 * 80 * 60


def test_a_box_at_the_edge_and_one_of_a_pixel_do_no_harm():
    pixels, _ = scene()
    assert object_mask(pixels, (0, 0, 40, 200), None).shape == (200, 200)
    assert object_mask(pixels, (199, 199, 200, 200), None) is None
