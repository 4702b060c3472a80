import io
import itertools

import numpy as np
import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from prodseek.duplicates.explained import Explanation, Faint, left_over
from prodseek.duplicates.planes import LUMA, blurred, gradient

LEVELS = (0, 1, 2, 3)
FAINT = tuple(Faint(floor, 0.65) for floor in (7.5, 2.5, 1.5, 1.0))
PHOTOS = {"scene": scene, "packshot": packshot}


def plane(image):
    return pixels(image).astype(np.float32)


def everywhere(target):
    return np.ones(target.shape[:2], bool)


def explained(source, target, where=None):
    explanation = Explanation(source, target, everywhere(target) if where is None else where)
    return explanation, explanation.predicted()


def left_between(source, target, levels=LEVELS):
    return left_over(explained(source, target)[1], target, everywhere(target), levels, FAINT)


def amount(left):
    return sum(level.fraction for level in left.values())


def strongest(left):
    return max(level.strength for level in left.values())


def blended(a, b, share):
    return a + np.float32(share) * (b - a)


SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)
ALTERED = {
    "nothing": lambda a: a,
    "darker": lambda a: 0.6 * a,
    "less contrast": lambda a: 0.5 * a + 90,
    "more contrast and clipped": lambda a: np.clip(1.6 * a - 60, 0, 255),
    "gamma below one": lambda a: 255 * (a / 255) ** np.float32(0.75),
    "gamma above one": lambda a: 255 * (a / 255) ** np.float32(1.4),
    "grey": lambda a: np.repeat((a @ LUMA)[..., None], 3, axis=2),
    "sepia": lambda a: np.clip(a @ SEPIA.T, 0, 255),
    "another white balance": lambda a: a * np.array([1.0, 0.9, 0.7], np.float32),
    "soft": lambda a: blurred(a, 1.2),
    "very soft": lambda a: blurred(a, 4.0),
    "sharpened": lambda a: np.clip(blended(blurred(a, 1.0), a, 1.6), 0, 255),
    "soft and darker": lambda a: blurred(0.8 * a, 2.0),
}


@pytest.mark.parametrize("photo", ["scene", "packshot"])
@pytest.mark.parametrize("name", ALTERED)
def test_what_editors_do_to_a_whole_photo_is_explained(name, photo):
    source = plane(PHOTOS[photo](1))
    target = np.asarray(ALTERED[name](source), np.float32)
    product = (source < 255).any(axis=2)
    _, predicted = explained(source, target, product)
    missed = np.abs(predicted - target)[product]
    assert np.median(missed) < 1
    assert np.percentile(missed, 95) < 3
    assert amount(left_over(predicted, target, everywhere(target), LEVELS, FAINT)) == 0


def test_an_equal_photo_is_predicted_exactly():
    source = plane(scene(2))
    np.testing.assert_allclose(explained(source, source)[1], source, atol=0.01)


def test_where_a_photo_says_nothing_no_change_is_preferred():
    # In a photo of two greys a curve of tone, a mix of colours and a blur all lead from one to the other.
    source = np.full((60, 80, 3), 200, np.float32)
    source[20:40, 20:60] = 80
    explanation, predicted = explained(source, source)
    np.testing.assert_allclose(predicted, source, atol=0.01)
    for colour in ([255, 0, 0], [10, 240, 30], [128, 128, 128]):
        np.testing.assert_allclose(explanation.toned(np.array(colour, np.float32)), colour, atol=0.5)


def test_a_difference_in_one_place_does_not_bend_the_explanation():
    source = plane(scene(3))
    target = 0.7 * source + 20
    height, width = target.shape[:2]
    # A tenth of the frame.
    there = np.s_[height // 3 : height // 3 + height // 4, width // 3 : width // 3 + 2 * width // 5]
    changed = target.copy()
    changed[there] = 255 - changed[there]
    _, predicted = explained(source, changed)
    assert np.abs(predicted - target).mean() < 1.5
    left = left_over(predicted, changed, everywhere(changed), LEVELS, FAINT)
    assert left[0].fraction > 0.05
    outside = left[0].mask.copy()
    outside[there] = False
    assert outside.mean() < 0.001


def test_clipped_highlights_are_explained():
    source = plane(scene(4))
    target = np.clip(2.2 * source - 40, 0, 255)
    assert (target == 255).mean() > 0.3
    _, predicted = explained(source, target)
    assert np.abs(predicted - target).mean() < 3
    assert amount(left_over(predicted, target, everywhere(target), LEVELS, FAINT)) < 0.002


@pytest.mark.parametrize("name", ["darker", "gamma above one", "soft", "sharpened"])
def test_luminance_alone_is_explained_too(name):
    source = plane(scene(5))
    target = (np.asarray(ALTERED[name](source), np.float32) @ LUMA)[..., None]
    _, predicted = explained(source, target)
    assert predicted.shape == target.shape
    assert np.percentile(np.abs(predicted - target), 95) < 3


def test_only_the_pixels_that_are_to_be_fitted_are():
    source = plane(scene(6))
    target = 0.8 * source
    half = everywhere(target)
    half[:, target.shape[1] // 3 :] = False
    target[~half] = 255 - source[~half]
    missed = np.abs(explained(source, target, half)[1] - target)
    assert missed[half].mean() < 0.5
    assert missed[~half].mean() > 30


@pytest.mark.parametrize("colour", [(250, 250, 250), (30, 60, 200), (128, 128, 128)])
def test_the_tone_of_an_even_area_follows_the_photo(colour):
    source = plane(scene(7))
    explanation, _ = explained(source, 0.6 * source + 30)
    np.testing.assert_allclose(explanation.toned(np.array(colour, np.float32)), 0.6 * np.array(colour) + 30, atol=3)


def webp(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def resized(image):
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS).resize(
        image.size, Image.Resampling.BICUBIC
    )


def noisy(image):
    rng = np.random.default_rng(0)
    return Image.fromarray(np.clip(pixels(image) + rng.normal(0, 4, pixels(image).shape), 0, 255).astype(np.uint8))


ENCODED = {
    "jpeg 90": lambda i: jpeg(i, 90),
    "jpeg 30": lambda i: jpeg(i, 30),
    "jpeg 10": lambda i: jpeg(i, 10),
    "webp 20": lambda i: webp(i, 20),
    "half size and back": resized,
    "noise": noisy,
    "palette": lambda i: i.quantize(64).convert("RGB"),
}


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("name", ENCODED)
def test_nothing_is_left_of_what_encoders_and_resampling_do(name, photo):
    original = PHOTOS[photo](8)
    copy = ENCODED[name](original)
    for source, target in itertools.permutations((plane(original), plane(copy))):
        left = left_between(source, target)
        assert set(left) == set(LEVELS)
        if name != "jpeg 90" and photo == "packshot":
            # A few specks beside the plain ground may stay.
            assert amount(left) < 1e-3
        else:
            assert amount(left) == 0 and strongest(left) == 0
            assert not any(level.mask.any() for level in left.values())


def with_line(image):
    image = image.copy()
    ImageDraw.Draw(image).line((60, 200, 300, 190), fill=(20, 20, 20), width=3)
    return image


def with_number(image, text):
    image = image.copy()
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(image).rectangle((150, 110, 215, 135), fill=(235, 235, 230))
    ImageDraw.Draw(image).text((154, 112), text, fill=(30, 30, 30), font=font)
    return image


@pytest.mark.parametrize("quality", [95, 60])
@pytest.mark.parametrize("photo", PHOTOS)
def test_a_line_is_left(photo, quality):
    original = PHOTOS[photo](9)
    left = left_between(plane(original), plane(jpeg(with_line(original), quality)))
    assert left[0].fraction > 0 and left[0].strength > 3
    ys, xs = np.nonzero(left[0].mask)
    assert xs.min() >= 55 and xs.max() <= 305 and ys.min() >= 185 and ys.max() <= 205


@pytest.mark.parametrize("quality", [95, 60])
def test_a_printed_digit_that_differs_is_left(quality):
    original = packshot(10)
    same = with_number(original, "100 cm")
    assert amount(left_between(plane(same), plane(jpeg(same, quality)))) == 0
    left = left_between(plane(same), plane(jpeg(with_number(original, "150 cm"), quality)))
    assert left[0].strength > 3
    ys, xs = np.nonzero(left[0].mask)
    assert 154 <= np.median(xs) <= 185 and 108 <= np.median(ys) <= 135


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_faint_shade_over_a_part_is_left_at_a_coarse_level(seed):
    original = plane(scene(seed).filter(ImageFilter.GaussianBlur(6)))
    shaded = original.copy()
    shaded[60:140, 120:245] -= 8
    assert shaded[60:140, 120:245].size == pytest.approx(shaded.size / 10, rel=0.05)
    left = left_between(original, shaded)
    assert left[0].strength == 0
    assert max(left[2].strength, left[3].strength) > 3
    assert max(left[2].fraction, left[3].fraction) > 0.04


def test_stronger_differences_are_stronger():
    original = packshot(12)
    strengths = []
    for grey in (150, 80, 0):
        marked = original.copy()
        ImageDraw.Draw(marked).rectangle((20, 20, 50, 40), fill=(grey, grey, grey))
        strengths.append(left_between(plane(original), plane(marked))[0].strength)
    assert 0 < strengths[0] < strengths[1] < strengths[2]


def test_only_where_it_is_asked_for_anything_is_left():
    original = plane(packshot(13))
    changed = original.copy()
    changed[100:150, 150:200] = 255 - changed[100:150, 150:200]
    where = everywhere(original)
    where[90:160, 140:210] = False
    assert amount(left_over(original, changed, where, (0,), FAINT)) == 0
    assert amount(left_over(original, changed, ~where, (0,), FAINT)) > 0.2
    whole = left_over(original, changed, everywhere(original), (0,), FAINT)[0]
    assert whole.fraction == pytest.approx(whole.mask.mean())


def test_levels_that_are_too_small_are_left_out():
    small = plane(scene(14, 40, 30))
    assert set(left_over(small, small, everywhere(small), LEVELS, FAINT)) == {0, 1, 2}
    assert set(left_over(small, small, everywhere(small), (0, 2), FAINT)) == {0, 2}
    assert left_over(small, small, np.zeros(small.shape[:2], bool), LEVELS, FAINT) == {}
    tiny = plane(scene(14, 6, 60))
    assert left_over(tiny, tiny, everywhere(tiny), LEVELS, FAINT) == {}


def test_the_noise_that_is_measured_grows_with_compression():
    original = scene(15)
    coded = [left_between(plane(original), plane(jpeg(original, quality)))[0] for quality in (95, 40, 5)]
    noises = [level.flat_noise for level in coded]
    assert noises == sorted(noises) and noises[0] < noises[2]
    assert noises[1] > 1


def test_the_gradient_is_in_grey_levels_a_pixel():
    ramp = np.repeat(3 * np.arange(40, dtype=np.float32)[None], 30, axis=0)
    np.testing.assert_allclose(gradient(ramp)[2:-2, 2:-2], 6, rtol=1e-5)
    assert gradient(np.full((20, 20), 7, np.float32)).max() == 0


def test_a_blur_keeps_plain_colours_to_the_edge_of_the_frame():
    np.testing.assert_allclose(blurred(np.full((20, 30, 3), 99, np.float32), 3.0), 99, rtol=1e-5)


def test_soft_letters_on_a_softened_photo_are_left():
    original = packshot(16).filter(ImageFilter.GaussianBlur(1.5))
    marked = packshot(16)
    ImageDraw.Draw(marked).text((10, 10), "SALE", fill=(120, 0, 0), font=ImageFont.load_default(size=24))
    assert strongest(left_between(plane(original), plane(marked.filter(ImageFilter.GaussianBlur(1.5))))) > 3


def with_pattern(photo, levels, pitch_px):
    x = np.arange(photo.shape[1])
    return np.clip(photo + levels * np.sin(2 * np.pi * x / pitch_px)[None, :, None], 0, 255).astype(np.float32)


@pytest.mark.parametrize("pitch_px", [5, 9, 16])
def test_a_faint_pattern_in_one_place_is_seen_where_there_is_no_noise(pitch_px):
    photo = plane(scene(41))
    changed = photo.copy()
    changed[80:160, 100:220] = with_pattern(photo, 6, pitch_px)[80:160, 100:220]
    left = left_between(photo, changed)
    assert max(level.faint for level in left.values()) > 0


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("kind", PHOTOS)
def test_noise_of_an_encoder_is_no_faint_difference(kind, quality):
    photo = PHOTOS[kind](42, 1080, 810)
    # Compared at a third of the size, as photos of shops are.
    small, encoded = (plane(one.resize((360, 270), Image.Resampling.BOX)) for one in (photo, jpeg(photo, quality)))
    left = left_between(small, encoded)
    assert all(level.faint == 0 for level in left.values())


def test_what_counts_is_faint_too():
    photo = plane(scene(43))
    changed = photo.copy()
    changed[100:120, 100:140] += 60
    left = left_between(photo, np.clip(changed, 0, 255))[0]
    assert left.faint == left.strength > 0


def test_texture_that_one_photo_has_is_no_encoder_s_noise():
    photo = plane(scene(44))
    ribbed, encoded = with_pattern(photo, 12, 9), plane(jpeg(scene(44), 80))
    light, *others = ((one @ LUMA)[..., None] for one in (photo, ribbed, encoded))
    pattern, noise = (left_over(light, other, everywhere(photo), (0, 1), FAINT)[1] for other in others)
    assert pattern.texture_noise > 2.5 > 2 * noise.texture_noise
