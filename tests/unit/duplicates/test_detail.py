import math

import numpy as np
import pytest
from made_photos import jpeg, pixels, scene
from PIL import Image, ImageFilter

from prodseek.duplicates.detail import detail_and_noise, finer_by_size
from prodseek.duplicates.planes import LUMA

LARGE = (900, 680)


def large(seed):
    return scene(seed, *LARGE, soft_px=0.2)


def scaled(image, factor, how=Image.Resampling.LANCZOS):
    return image.resize((round(image.width * factor), round(image.height * factor)), how)


def light(image):
    return (pixels(image) @ LUMA).astype(np.float32)


def everywhere(plane):
    return np.ones(plane.shape, bool)


@pytest.mark.parametrize("factor", [1.3, 4 / 3, 1.5, 2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_larger_photo_with_its_own_detail_is_finer(seed, factor):
    original, copy = jpeg(large(seed), 92), jpeg(scaled(large(seed), 1 / factor), 90)
    assert finer_by_size(pixels(original), pixels(copy), -math.log2(factor)) == pytest.approx(-math.log2(factor))
    assert finer_by_size(pixels(copy), pixels(original), math.log2(factor)) == pytest.approx(math.log2(factor))


@pytest.mark.parametrize("how", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR], ids=["bicubic", "bilinear"])
@pytest.mark.parametrize("factor", [1.3, 4 / 3, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_enlarged_photo_is_not_finer(seed, factor, how):
    original = jpeg(scaled(large(seed), 1 / 2), 92)
    enlarged = jpeg(scaled(original, factor, how), 90)
    assert finer_by_size(pixels(original), pixels(enlarged), math.log2(factor)) < 0
    assert finer_by_size(pixels(enlarged), pixels(original), -math.log2(factor)) > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_soft_original_is_finer_than_three_quarters_of_it(seed):
    """Of every four pixels three are made, each by weights of its own: this looked like detail."""
    original = jpeg(scene(seed, *LARGE, soft_px=1.3), 80)
    copy = jpeg(scaled(original, 3 / 4), 90)
    assert finer_by_size(pixels(original), pixels(copy), -math.log2(4 / 3)) < 0


def test_photos_of_one_size_are_equally_fine():
    for scale in (0.0, 0.04, -0.04):
        assert finer_by_size(pixels(scene(3)), pixels(jpeg(scene(3))), scale) == 0


def test_a_blurred_photo_has_less_detail():
    sharp, soft = light(scene(8)), light(scene(8).filter(ImageFilter.GaussianBlur(1.5)))
    detail, noise = detail_and_noise(sharp, soft, everywhere(sharp))
    assert detail < -1 and noise == 0
    detail, noise = detail_and_noise(soft, sharp, everywhere(sharp))
    assert detail > 1 and noise == 0


def test_stronger_blur_leaves_less_detail():
    sharp = light(scene(9))
    details = [
        detail_and_noise(sharp, light(scene(9).filter(ImageFilter.GaussianBlur(sigma))), everywhere(sharp))[0]
        for sigma in (0.5, 1, 2, 4)
    ]
    assert details == sorted(details, reverse=True) and details[0] < 0


def test_noise_alone_is_never_detail():
    clean = light(scene(10))
    for seed in range(6):
        noisy = clean + np.random.default_rng(seed).normal(0, 12, clean.shape).astype(np.float32)
        assert detail_and_noise(clean, noisy, everywhere(clean))[0] == 0


def test_noise_of_a_photo_that_was_saved_again_is_no_detail():
    clean = light(jpeg(scene(10), 85))
    noisy = light(scene(10)) + np.random.default_rng(0).normal(0, 12, clean.shape).astype(np.float32)
    detail, noise = detail_and_noise(clean, noisy, everywhere(clean))
    assert detail == 0 and noise > 0.3
    detail, noise = detail_and_noise(noisy, clean, everywhere(clean))
    assert detail == 0 and noise < -0.3


def test_equal_photos_have_equal_detail():
    plane = light(scene(11))
    assert detail_and_noise(plane, plane, everywhere(plane)) == (0, 0)


def test_photos_that_show_something_else_say_nothing_of_each_other():
    one, other = light(scene(12)), light(scene(13))
    assert all(abs(value) < 0.5 for value in detail_and_noise(one, other, everywhere(one)))
    flat = np.full_like(one, 100)
    assert detail_and_noise(flat, flat, everywhere(flat)) == (0, 0)
    assert detail_and_noise(one, one, ~everywhere(one)) == (0, 0)
