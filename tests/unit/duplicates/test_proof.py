import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from made_photos import jpeg, packshot, pixels, scene
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from prodseek.duplicates.decision import FEATURES, feature_values
from prodseek.duplicates.guards import is_explained
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.proof import Proof, prove
from prodseek.duplicates.verification import compare_views, view

SIZE = (420, 315)


def photo(kind, seed=1):
    return jpeg(kind(seed, *SIZE), 95)


def drawn(image, draw):
    image = image.copy()
    draw(ImageDraw.Draw(image))
    return image


def padded(image):
    canvas = Image.new("RGB", (image.width + 90, image.height + 70), (255, 255, 255))
    canvas.paste(image, (30, 40))
    return canvas


def badged(image):
    return drawn(image, lambda d: d.rectangle((20, 15, 90, 45), fill=(200, 20, 30)))


def lettered(image, text="100 cm"):
    return drawn(image, lambda d: d.text((170, 140), text, fill=(250, 250, 240), font=ImageFont.load_default(size=30)))


def with_other_part(image):
    pasted = image.copy()
    pasted.paste(scene(9).crop((0, 0, 70, 50)), (170, 140))
    return pasted


COPIES = {
    "saved again": (scene, lambda i: jpeg(i, 50)),
    "half the size": (packshot, lambda i: jpeg(i.resize((i.width // 2, i.height // 2), Image.Resampling.LANCZOS), 90)),
    "darker": (packshot, lambda i: jpeg(Image.eval(i, lambda value: int(0.7 * value)), 90)),
    "blurred": (scene, lambda i: jpeg(i.filter(ImageFilter.GaussianBlur(2)), 90)),
    "cropped": (scene, lambda i: jpeg(i.crop((60, 50, 360, 270)), 90)),
    "padded": (scene, lambda i: jpeg(padded(i), 90)),
    "mirrored": (scene, lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}
MARKED = {"a badge beside it": badged, "letters on it": lettered}


def proved(a, b, orientation=Orientation.IDENTITY):
    a, b = pixels(a), pixels(b)
    comparison = compare_views(view(a), view(b), orientation)
    return comparison, prove(a, b, comparison, lambda: (a, b))


@cache
def both_ways(name):
    """Comparison and proof of a photo and what was made of it, and of the two in the other order."""
    kind, make = COPIES[name] if name in COPIES else (packshot, MARKED[name])
    orientation = Orientation.MIRROR if name == "mirrored" else Orientation.IDENTITY
    original = photo(kind)
    return proved(original, make(original), orientation), proved(make(original), original, orientation)


def strengths(proof):
    return [value for name, value in proof.values().items() if "strength" in name and not math.isnan(value)]


@pytest.mark.parametrize("name", COPIES)
def test_nothing_is_left_of_a_copy(name):
    for _, proof in both_ways(name):
        assert max(strengths(proof)) == 0 and proof.mark == 0
        assert proof.cells_matching > 0.95 and proof.n_cells > 40
        assert proof.followed_share > 0.3 and proof.followed_error_px < 0.5


@pytest.mark.parametrize("name", MARKED)
def test_what_was_added_is_left(name):
    for _, proof in both_ways(name):
        assert max(strengths(proof)) > 5 and 0.001 < proof.mark < 0.1
        assert proof.matching_beside > 0.95
    (_, forth), (_, back) = both_ways(name)
    assert forth.mark_one_sided > 0.2 and back.mark_one_sided < -0.2


@pytest.mark.parametrize("kind", [scene, packshot])
def test_another_part_in_the_same_photo_is_left(kind):
    _, proof = proved(photo(kind), jpeg(with_other_part(photo(kind)), 90))
    assert max(strengths(proof)) > 5 and proof.mark > 0.01
    assert abs(proof.mark_one_sided) < 0.3


def test_another_printed_number_is_left():
    card = drawn(photo(packshot), lambda d: d.rectangle((150, 120, 290, 190), fill=(20, 40, 60)))
    one, other = (jpeg(lettered(card, text), 90) for text in ("100 cm", "150 cm"))
    _, proof = proved(one, other)
    assert max(strengths(proof)) > 3
    assert abs(proof.mark_one_sided) < 0.3 or math.isnan(proof.mark_one_sided)
    assert max(strengths(proved(one, jpeg(one, 70))[1])) == 0


def test_small_print_that_differs_is_left():
    card = jpeg(packshot(2, 900, 675), 95)
    one, other = (
        jpeg(drawn(card, lambda d, text=text: small_print(d, text)), 92) for text in ("100 x 40 cm", "100 x 45 cm")
    )
    _, proof = proved(one, other)
    assert max(strengths(proof)) > 3
    assert max(strengths(proved(one, jpeg(one, 70))[1])) == 0


def small_print(draw, text):
    draw.rectangle((400, 300, 520, 330), fill=(225, 225, 220))
    draw.text((405, 305), text, fill=(60, 60, 60), font=ImageFont.load_default(size=12))


# What is white under it becomes blue, which must not make white blue everywhere, and the rest noise.
def test_a_banner_across_is_left_at_the_coarse_size():
    banner = drawn(photo(packshot), lambda d: d.rectangle((0, 140, SIZE[0], 170), fill=(20, 60, 160)))
    _, proof = proved(photo(packshot), banner)
    assert proof.strength_0 > 5


ONE_SIDED = ("mark_one_sided", "sharper", "noisier")
# What depends on which photo explains the other: where both do, the first that is given is taken.
OF_ONE_WAY = (
    "flat_noise", "edge_noise", "fine_flat_noise", "fine_edge_noise", "colour_left", "colour_left_95", "colour_left_most",
    "curve_least", "curve_most", "ground_missed", "hue_spread", "structured",
)  # fmt: skip


@pytest.mark.parametrize("name", [*COPIES, *MARKED])
def test_when_the_photos_change_places_signs_and_sides_do_too(name):
    (comparison, forth), (comparison_back, back) = both_ways(name)
    one, other = forth.values(), back.values()
    for signed in ONE_SIDED:
        assert other[signed] == pytest.approx(-one[signed], abs=0.1, nan_ok=True)
    for value in set(one) - set(ONE_SIDED) - set(OF_ONE_WAY):
        # The frame is upright as in b, so pixels are sampled elsewhere.
        assert other[value] == pytest.approx(one[value], rel=0.12, abs=0.06, nan_ok=True), value
    assert forth.overlap.a.area == pytest.approx(back.overlap.b.area, abs=0.01)
    assert forth.overlap.scale == pytest.approx(-back.overlap.scale, abs=0.01)
    # The features do not depend on the order at all but for that.
    rows = [feature_values(c, p, 4) for c, p in ((comparison, forth), (comparison_back, back))]
    assert len(rows[0]) == len(rows[1]) == len(FEATURES)
    for feature, of_one, of_other in zip(FEATURES, *rows, strict=True):
        if feature not in OF_ONE_WAY:
            assert of_other == pytest.approx(of_one, rel=0.12, abs=0.06, nan_ok=True), feature


def test_a_grey_copy_has_the_same_features_in_either_order():
    colourful = jpeg(scene(32, 540, 405), 95)
    grey = jpeg(colourful.convert("L"), 90)
    forth, back = (feature_values(*proved(a, b), 4) for a, b in ((colourful, grey), (grey, colourful)))
    np.testing.assert_allclose(back, forth, rtol=0.2, atol=0.5)


def test_the_same_pair_gives_the_same_proof():
    original = photo(packshot, 4)
    # By their texts, in which missing numbers are equal too.
    assert repr(proved(original, jpeg(original, 40))) == repr(proved(original, jpeg(original, 40)))


def test_which_photo_is_sharper():
    assert both_ways("blurred")[0][1].sharper < -1 and both_ways("blurred")[1][1].sharper > 1
    assert abs(both_ways("cropped")[0][1].sharper) < 0.2


def test_the_detailed_photos_are_read_only_where_nothing_is_left_of_the_small_ones():
    original = pixels(photo(packshot))
    read = []

    def detailed():
        read.append(1)

    for other, n_read in ((jpeg(photo(packshot), 60), 1), (badged(photo(packshot)), 0), (photo(packshot, 8), 0)):
        read.clear()
        comparison = both_ways("saved again")[0][0]
        proof = prove(original, pixels(other), comparison, detailed)
        assert len(read) == n_read
        assert math.isnan(proof.fine_strength_0) and math.isnan(proof.sharper)


def test_the_tone_is_measured():
    darker, same = both_ways("darker")[0][1], both_ways("half the size")[0][1]
    assert darker.tone_change > 8 and same.tone_change < 2
    assert darker.plain == 1 and darker.ground_change > 8 and same.ground_change < 0.5
    assert both_ways("saved again")[0][1].plain == 0


def test_flat_photos_have_no_proof():
    comparison = both_ways("saved again")[0][0]
    flat = np.full((*SIZE[::-1], 3), 200, np.uint8)
    assert prove(flat, flat, comparison, lambda: None) is None
    assert prove(pixels(photo(scene)), flat, comparison, lambda: None) is None


def test_photos_that_share_too_few_pixels_have_no_proof():
    comparison = both_ways("saved again")[0][0]
    corner = dataclasses.replace(comparison, matrix=(1.0, 0.0, 0.95, 0.0, 1.0, 0.95))
    assert prove(pixels(photo(scene)), pixels(photo(scene)), corner, lambda: None) is None


def test_unlike_photos_agree_in_nothing_and_need_no_fine_look():
    comparison = both_ways("saved again")[0][0]
    proof = prove(pixels(photo(scene, 5)), pixels(photo(scene, 6)), comparison, lambda: None)
    assert proof.cells_matching < 0.1 and proof.followed_share < 0.25
    assert math.isnan(proof.fine_strength_0) and math.isnan(proof.fine_side_px)


def test_small_photos_are_proved_without_coarse_levels():
    original = photo(scene).resize((64, 48), Image.Resampling.LANCZOS)
    _, proof = proved(original, jpeg(original, 90))
    assert math.isnan(proof.strength_3) and proof.strength_0 == 0
    assert len(feature_values(both_ways("saved again")[0][0], proof, None)) == len(FEATURES)


def test_every_number_has_a_name_and_every_feature_is_among_them():
    proof = both_ways("saved again")[0][1]
    values = proof.values()
    own = {field.name for field in dataclasses.fields(Proof)} - {"overlap"}
    assert own <= set(values) and all(isinstance(value, float) for value in values.values())
    assert set(FEATURES) - set(values) == {"log_matches", "match_share", "hash_likeness", "proved"}


RIBBONS = {"dark blue": (20, 20, 160), "green": (110, 215, 25), "as pale as the ground": (236, 240, 243)}


@pytest.mark.parametrize("name", RIBBONS)
@pytest.mark.parametrize("swapped", [False, True], ids=["the ribbon last", "the ribbon first"])
def test_no_tone_explains_a_ribbon_on_the_ground(name, swapped):
    original = photo(packshot)
    ribbon = drawn(original, lambda d: d.polygon([(0, 0), (90, 0), (0, 90)], fill=RIBBONS[name]))
    pair = (original, jpeg(ribbon, 90))
    _, proof = proved(*(pair[::-1] if swapped else pair))
    assert proof.curve_most < 2 and proof.colour_left < 1
    assert 0.02 < proof.mark < 0.06 and proof.mark_on_ground > 0.95 and proof.mark_parts == 1


def test_below_a_banner_the_ground_is_still_plain():
    original = photo(packshot)
    banner = drawn(original, lambda d: d.rectangle((0, 240, *SIZE), fill=(240, 225, 190)))
    _, proof = proved(original, jpeg(banner, 90))
    assert proof.plain == 1 and proof.mark > 0.15 and proof.curve_most < 2


def pinstriped(image, levels):
    """Stripes that are as light as what is between them, red and green by turns, as (R, G, B) of equal luminance."""
    colours = np.array([1.0, -0.299 / 0.587, 0.0], np.float32)
    columns = np.arange(image.width)
    stripes = levels * np.sin(2 * np.pi * columns / 9)[None, :, None] * colours
    striped = np.asarray(image, np.float32) + stripes
    return Image.fromarray(striped.round().clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("swapped", [False, True], ids=["the striped one last", "the striped one first"])
def test_stripes_that_are_as_light_as_the_cloth_are_a_wave_in_chroma(swapped):
    plain = scene(1, *SIZE)
    pair = [jpeg(plain, 95), jpeg(pinstriped(plain, 10), 90)]
    _, proof = proved(*(pair[::-1] if swapped else pair))
    assert proof.hue_wave > 1 and not is_explained(proof.values())
    _, copy = proved(jpeg(plain, 95), jpeg(plain, 60))
    assert copy.hue_wave < 0.25
