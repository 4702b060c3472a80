import math

import numpy as np
import pytest
from made_photos import jpeg, pixels, textured_photo, thing_on_carpet, white_cupboard
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

import prodseek.duplicates.verdicts as verdicts_module
from prodseek.duplicates.decision import FEATURES
from prodseek.duplicates.features import LocalFeatures
from prodseek.duplicates.geometry import LEAST_MATCHES, Alignment
from prodseek.duplicates.hashes import ORIENTATIONS, Orientation, turn
from prodseek.duplicates.proof import prove
from prodseek.duplicates.verdicts import MERGING, Decision, Evidence, PhotoFacts, Verdict, judge
from prodseek.duplicates.verification import WHOLE, compare_views, has_hope, view, worth_measuring

SEEDS = (11, 12)


class SureModel:
    """A model to which everything is a copy: what is proved, and nothing else, then keeps photos apart."""

    look_confidence = 0.5

    def is_sure(self, *_):
        return True

    def confidence(self, values):
        assert len(values) == len(FEATURES)
        return 1.0


@pytest.fixture(autouse=True)
def _sure_model(monkeypatch):
    monkeypatch.setattr(verdicts_module, "shipped_model", SureModel)


def facts(image, name):
    return PhotoFacts(name, name, image.width, image.height, image.width * image.height // 8)


def compare(a, b, orientation=Orientation.IDENTITY):
    return compare_views(view(a), view(b), orientation)


def verdict(a, b, orientation=Orientation.IDENTITY):
    comparison = compare(pixels(a), pixels(b), orientation)
    photos = pixels(a), pixels(b)
    proof = prove(*photos, comparison, lambda: photos) if comparison is not None and has_hope(comparison) else None
    return judge(Evidence(0, comparison, proof), facts(a, "a"), facts(b, "b"))


def is_merged(judgement):
    return judgement is not None and judgement.decision == Decision.COPY


def cut(image, x1, y1, x2, y2):
    w, h = image.size
    return image.crop((round(x1 * w), round(y1 * h), round(x2 * w), round(y2 * h)))


def padded(image, colour):
    canvas = Image.new("RGB", (image.width + 90, image.height + 70), colour)
    canvas.paste(image, (30, 40))
    return canvas


def badged(image):
    image = image.copy()
    w, h = image.size
    ImageDraw.Draw(image).rectangle((0.72 * w, 0.04 * h, 0.96 * w, 0.2 * h), fill=(200, 20, 30))
    return image


def watermarked(image):
    letters = Image.new("L", image.size)
    font = ImageFont.load_default(size=image.width // 10)
    place = (0.05 * image.width, 0.45 * image.height)
    ImageDraw.Draw(letters).text(place, "SHOP.TEST", fill=170, font=font)
    return Image.composite(Image.new("RGB", image.size, (60, 60, 60)), image, letters)


def tinted(image, tint):
    grey = np.asarray(image.convert("L"), dtype=np.float64)[..., None] / 255
    ground = (pixels(image) == 250).all(axis=2, keepdims=True)
    return Image.fromarray(np.where(ground, 250, np.clip(grey * tint, 0, 255)).astype(np.uint8))


TRANSFORMS = {
    "jpeg 30": (lambda i: jpeg(i, 30), Verdict.RE_ENCODED),
    "jpeg 10": (lambda i: jpeg(i, 10), Verdict.RE_ENCODED),
    "half": (lambda i: jpeg(i.resize((i.width // 2, i.height // 2))), Verdict.RESIZED),
    "crop": (lambda i: jpeg(cut(i, 0.25, 0.3, 0.95, 0.95)), Verdict.CROPPED),
    "pad white": (lambda i: jpeg(padded(i, (255, 255, 255))), Verdict.PADDED),
    "pad blue": (lambda i: jpeg(padded(i, (40, 60, 120))), Verdict.PADDED),
    "darken": (lambda i: jpeg(ImageEnhance.Brightness(i).enhance(0.6)), Verdict.TONED),
    "grey": (lambda i: jpeg(i.convert("L")), Verdict.TONED),
    "blur": (lambda i: jpeg(i.filter(ImageFilter.GaussianBlur(4))), Verdict.TONED),
    "badge": (lambda i: jpeg(badged(i)), Verdict.OVERLAID),
    "watermark": (lambda i: jpeg(watermarked(i)), Verdict.OVERLAID),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_kind_of_copy_gets_its_verdict(name, seed):
    make, expected = TRANSFORMS[name]
    photo = textured_photo(seed)
    for a, b in ((photo, make(photo)), (make(photo), photo))[:: 1 if seed == SEEDS[0] else -1][:1]:
        judgement = verdict(a, b)
        assert judgement is not None and judgement.verdict == expected
        assert judgement.decision in (Decision.COPY, Decision.LOOK)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_colour_of_a_thing_is_told_from_another_tone(seed):
    brown = tinted(textured_photo(seed), (240, 190, 140))
    for other in ((150, 215, 180), (120, 200, 250)):
        judgement = verdict(brown, jpeg(tinted(textured_photo(seed), other)))
        assert judgement is not None and judgement.verdict == Verdict.RECOLOURED
    darker = verdict(brown, jpeg(tinted(textured_photo(seed), (140, 110, 80))))
    assert not is_merged(darker)


SHIRT = ((0.25, 0.2), (0.75, 0.2), (0.8, 0.4), (0.68, 0.4), (0.68, 0.85), (0.32, 0.85), (0.32, 0.4), (0.2, 0.4))
DRESS = ((0.35, 0.15), (0.65, 0.15), (0.6, 0.4), (0.75, 0.9), (0.25, 0.9), (0.4, 0.4))
HAT = ((0.3, 0.62), (0.34, 0.4), (0.46, 0.32), (0.5, 0.24), (0.54, 0.32), (0.66, 0.4), (0.7, 0.62))
CAP = ((0.33, 0.6), (0.37, 0.42), (0.5, 0.34), (0.63, 0.42), (0.67, 0.6))


@pytest.mark.parametrize(("tilt", "moved_px"), [(0, 0), (0, 14), (20, 5)])
@pytest.mark.parametrize("outlines", [(SHIRT, SHIRT), (SHIRT, DRESS), (HAT, CAP)], ids=["shirts", "dress", "hats"])
def test_other_things_on_the_same_carpet_are_no_copies(outlines, tilt, moved_px):
    colours = ((200, 120, 40), (220, 60, 120)) if outlines[0] == outlines[1] else ((225, 225, 220), (215, 205, 190))
    one = thing_on_carpet(1, outlines[0], colours[0])
    other = thing_on_carpet(1, outlines[1], colours[1], tilt, moved_px)
    judgement = verdict(one, other, None)
    assert not is_merged(judgement)


@pytest.mark.parametrize("orientation", ORIENTATIONS[1:])
def test_turned_copies_are_recognised_once_turned(orientation):
    photo = textured_photo(21)
    turned = jpeg(Image.fromarray(turn(pixels(photo), orientation)))
    judgement = verdict(photo, turned, orientation)
    rotations = (Orientation.ROTATE_90, Orientation.ROTATE_180, Orientation.ROTATE_270)
    assert judgement is not None
    assert judgement.verdict == (Verdict.ROTATED if orientation in rotations else Verdict.MIRRORED)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_shared_box_is_where_the_crop_was_cut_whatever_its_turn(orientation):
    photo = textured_photo(5)
    box = (0.15, 0.1, 0.8, 0.9)
    piece = turn(pixels(cut(photo, *box)), orientation)
    comparison = compare(pixels(photo), piece, orientation)
    assert comparison.box_b == WHOLE
    np.testing.assert_allclose(comparison.box_a, box, atol=0.02)
    other_way = compare(piece, pixels(photo), inverse(orientation))
    assert other_way.box_a == WHOLE
    np.testing.assert_allclose(other_way.box_b, box, atol=0.02)


def inverse(orientation):
    swap = {Orientation.ROTATE_90: Orientation.ROTATE_270, Orientation.ROTATE_270: Orientation.ROTATE_90}
    return swap.get(orientation, orientation)


def test_the_tone_is_measured():
    photo = textured_photo(32)
    difference = compare(pixels(photo), pixels(ImageEnhance.Brightness(photo).enhance(0.7))).difference
    assert difference.gain == pytest.approx(0.7, abs=0.02)
    assert difference.ciede2000 > 10 > 1 > difference.ciede2000_toned


CUPBOARDS = [white_cupboard(c, r, handle) for c, r in ((1, 1), (2, 2), (3, 4)) for handle in ("knob", "bar")]


def test_white_cupboards_of_one_outline_are_not_copies_of_each_other():
    for i, a in enumerate(CUPBOARDS):
        for b in CUPBOARDS[:i]:
            judgement = verdict(a, jpeg(b))
            assert not is_merged(judgement)


@pytest.mark.parametrize("number", (0, 3))
def test_a_white_cupboard_s_own_copies_are_found(number):
    photo = CUPBOARDS[number]
    for copy in (jpeg(photo, 40), jpeg(photo.resize((200, 240)))):
        judgement = verdict(photo, copy)
        assert judgement is not None and judgement.verdict in MERGING


@pytest.mark.parametrize("colour", [(60, 60, 62), (190, 120, 70), (150, 30, 35), (205, 200, 160), (120, 130, 150)])
def test_a_cupboard_of_another_colour_is_never_merged(colour):
    judgement = verdict(white_cupboard(2, 2), jpeg(white_cupboard(2, 2, colour=colour)))
    assert not is_merged(judgement)


def test_another_thing_in_the_same_room_is_not_an_overlay():
    room = textured_photo(41, 400, 300)
    with_a, with_b = room.copy(), room.copy()
    with_a.paste(textured_photo(42).resize((120, 130)), (140, 90))
    with_b.paste(textured_photo(43).resize((120, 130)), (140, 90))
    for other in (with_b, room):
        judgement = verdict(with_a, other)
        assert not is_merged(judgement)


def test_unlike_photos_are_not_copies():
    photos = [textured_photo(seed) for seed in range(60, 65)]
    for i, a in enumerate(photos):
        for b in photos[:i]:
            assert verdict(a, b) is None
            assert verdict(a, b, None) is None


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_photos_prove_nothing(grey):
    blank = Image.new("RGB", (100, 100), (grey, grey, grey))
    assert verdict(blank, Image.new("RGB", (100, 100), (255 - grey, 250, 250))) is None
    assert verdict(blank, textured_photo(3)) is None


@pytest.mark.parametrize("size", [(16, 16), (16, 600), (600, 16), (1, 1)])
def test_photos_of_any_shape_can_be_compared(size):
    small = textured_photo(1).resize(size)
    for a, b in ((small, textured_photo(2)), (textured_photo(2), small), (small, small.resize((20, 20)))):
        comparison = compare(pixels(a), pixels(b))
        numbers = [v for v in vars(comparison.difference).values() if isinstance(v, float)]
        assert all(math.isfinite(number) for number in numbers)
        assert all(0 <= edge <= 1 for edge in (*comparison.box_a, *comparison.box_b))


def test_pixels_are_compared_where_anything_suggests_a_copy():
    plain = view(pixels(textured_photo(9)).copy()).features
    none = LocalFeatures(plain.points_px, plain.histograms, WHOLE)
    in_margins = LocalFeatures(plain.points_px, plain.histograms, (0.1, 0.1, 0.9, 0.9))
    few, enough = (
        Alignment(np.eye(2, 3), np.zeros((n, 2), np.float32), 40) for n in (LEAST_MATCHES - 1, LEAST_MATCHES)
    )
    assert not worth_measuring(none, none, None, None)
    assert not worth_measuring(none, none, few, None)
    assert worth_measuring(none, none, enough, None)
    assert worth_measuring(none, none, None, Orientation.MIRROR)
    assert worth_measuring(none, in_margins, None, None) and worth_measuring(in_margins, none, None, None)


def test_the_same_pair_gives_the_same_numbers():
    a, b = pixels(textured_photo(8)), pixels(jpeg(textured_photo(8), 20))
    assert compare(a, b) == compare(a, b)
