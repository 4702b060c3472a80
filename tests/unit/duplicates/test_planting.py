import io

import numpy as np
import pytest
from made_photos import pixels, textured_photo, thing_on_carpet
from PIL import Image, ImageDraw, ImageFilter

from prodseek.duplicates.planting.copies import ALTERATIONS, Worse, altered
from prodseek.duplicates.planting.files import WORKING_SIDE_PX, jpeg, opened
from prodseek.duplicates.planting.grounds import LEAST_DIFFERING_PX, differs, product_mask, to_lab
from prodseek.duplicates.planting.marks import MARKS
from prodseek.duplicates.planting.pairs import (
    Photo,
    altered_negatives,
    copy_of,
    negative_of,
    planted_pairs,
    real_negatives,
    versions_of,
)
from prodseek.duplicates.planting.variants import VARIANTS
from prodseek.duplicates.verdicts import Verdict

NEEDS_PLAIN_GROUND = {"another ground", "cut-out"}
NEEDS_A_PACKSHOT = {"product recoloured", "band recoloured", "one more", "thing beside", "same scene, other product"}
FAINT = {"faint pattern", "part in the next shade"}


def packshot(seed: int) -> Image.Image:
    """A thing with legs and texture on a white ground, 400 x 300."""
    out = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(out)
    draw.rounded_rectangle((110, 50, 290, 200), 20, fill="white")
    mask = Image.new("L", out.size)
    shape = ImageDraw.Draw(mask)
    shape.rounded_rectangle((110, 50, 290, 200), 20, fill=255)
    for x in (125, 255):
        shape.rectangle((x, 195, x + 20, 270), fill=255)
    surface = textured_photo(seed).resize(out.size).filter(ImageFilter.GaussianBlur(3))
    surface = Image.blend(surface, Image.new("RGB", out.size, (170, 60, 40)), 0.6)
    ImageDraw.Draw(surface).rectangle((150, 90, 200, 130), fill=(40, 90, 160))
    out.paste(surface, (0, 0), mask)
    return out


@pytest.fixture(scope="module")
def packshots() -> list[Photo]:
    return [Photo(jpeg(packshot(seed), 95), f"thing {seed}", "made") for seed in range(4)]


@pytest.fixture(scope="module")
def scenes() -> list[Photo]:
    outline = [(0.3, 0.3), (0.7, 0.35), (0.65, 0.7), (0.35, 0.6)]
    made = [thing_on_carpet(seed, outline, (30 * seed % 255, 90, 120)) for seed in range(10, 14)]
    return [Photo(jpeg(scene, 95), f"scene {seed}", "made") for seed, scene in enumerate(made)]


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize("ground", ["plain ground", "full frame"])
@pytest.mark.parametrize("kind", ALTERATIONS)
def test_a_copy_says_what_it_is_and_is_the_same_twice(kind, ground, packshots, scenes):
    photo = (packshots if ground == "plain ground" else scenes)[0]
    made = altered(kind, photo.data, opened(scenes[1].data), np.random.default_rng(5))
    assert made == altered(kind, photo.data, opened(scenes[1].data), np.random.default_rng(5))
    if made is None:
        wide = opened(photo.data)
        assert (ground == "full frame" and kind in NEEDS_PLAIN_GROUND) or kind in ("squared", "cropped to 1:1"), (
            wide.size
        )
        return
    assert (made.kind, made.family) == (kind, ALTERATIONS[kind].family)
    assert made.verdict == ALTERATIONS[kind].verdict or (made.verdict is None and made.family == "crop")
    assert made.data != photo.data and min(size_of(made.data)) > 40


def test_an_exact_copy_has_the_same_bytes(scenes):
    made = altered("exact", scenes[0].data, opened(scenes[1].data), np.random.default_rng(0))
    assert made.data == scenes[0].data and made.verdict == Verdict.IDENTICAL_BYTES


@pytest.mark.parametrize("seed", range(5))
def test_copies_have_the_size_that_their_kind_says(seed, packshots, scenes):
    width, height = size_of(packshots[0].data)

    def made(kind):
        return altered(kind, packshots[0].data, opened(scenes[0].data), np.random.default_rng(seed))

    def scale(kind):
        return size_of(made(kind).data)[0] / width

    assert 0.24 <= scale("downscaled") <= 0.96
    assert 1.09 <= scale("upscaled") <= 2.51
    assert set(size_of(made("rotated").data)) == {width, height}
    assert size_of(made("text").data) == size_of(made("grey").data) == (width, height)
    crop_width, crop_height = size_of(made("cropped").data)
    assert 0.28 <= crop_width * crop_height / (width * height) <= 0.96
    wide, high = size_of(made("cropped to 16:9").data)
    assert wide / high == pytest.approx(16 / 9, abs=0.02)
    for kind in ("margin", "margin on some sides", "screenshot"):
        copy = made(kind)
        x1, y1, x2, y2 = copy.source_box
        assert (x2 - x1, y2 - y1) == (width, height)
        whole = size_of(copy.data)
        assert x1 >= 0 and y1 >= 0 and x2 <= whole[0] and y2 <= whole[1] and whole != (width, height)


@pytest.mark.parametrize("kind", ["paste", "cut-out"])
@pytest.mark.parametrize("seed", range(4))
def test_the_product_of_a_paste_lies_where_it_says(kind, seed, packshots, scenes):
    copy = altered(kind, packshots[0].data, opened(scenes[0].data), np.random.default_rng(seed))
    x1, y1, x2, y2 = (round(value) for value in copy.source_box)
    scene_side = max(size_of(copy.data))
    assert 0.14 <= max(x2 - x1, y2 - y1) / scene_side <= 0.71
    shown = np.asarray(opened(copy.data).crop((x1, y1, x2, y2)).resize((400, 300)), np.float32)
    original = np.asarray(opened(packshots[0].data), np.float32)
    inside = np.s_[70:180, 130:270]
    assert np.abs(shown[inside] - original[inside]).mean() < 25
    corner_is_ground = np.abs(shown[:10, :10] - 255).mean() < 25
    assert corner_is_ground == (kind == "paste")


def test_a_plain_ground_is_found_and_a_scene_has_none(packshots, scenes):
    mask = product_mask(np.asarray(opened(packshots[0].data)))
    assert mask[100:180, 130:270].all() and not mask[:40].any() and not mask[:, :100].any()
    assert product_mask(np.asarray(opened(scenes[0].data))) is None


def test_a_smooth_shadow_is_no_product():
    photo = np.asarray(packshot(0)).copy()
    slope = 255 - 60 * np.clip(1 - np.abs(np.arange(400) - 340) / 50, 0, 1)
    photo[240:290, 300:] = slope[None, 300:, None]
    assert not product_mask(photo, without_shadows=True)[245:285, 305:].any()
    assert product_mask(photo, without_shadows=True)[100:180, 130:270].mean() > 0.95


@pytest.mark.parametrize("ground", ["plain ground", "full frame"])
@pytest.mark.parametrize("kind", VARIANTS)
def test_a_made_negative_differs_visibly_and_is_the_same_twice(kind, ground, packshots, scenes):
    photo, other = packshots[:2] if ground == "plain ground" else scenes[:2]
    a, b = (np.asarray(opened(one.data)) for one in (photo, other))
    made = [VARIANTS[kind].make(a, b, np.random.default_rng(seed)) for seed in range(6)]
    if ground == "full frame" and kind in NEEDS_A_PACKSHOT:
        assert not any(made)
        return
    found = [pair for pair in made if pair is not None]
    assert found
    for first, second in found:
        assert first.dtype == second.dtype == np.uint8
        if kind == "thing beside":
            # It lies in a margin that the other photo has not.
            height, width = first.shape[:2]
            assert (second[:height, :width] == first).all() and second.size > first.size
            first, second = np.broadcast_to(second[-1, -1], second.shape), second
        # What is faint is seen beside the other, and not alone.
        least = 3.0 if kind in FAINT else 10.0
        assert (np.linalg.norm(to_lab(first) - to_lab(second), axis=2) > least).sum() >= LEAST_DIFFERING_PX
    seed = next(seed for seed, pair in enumerate(made) if pair is not None)
    again = VARIANTS[kind].make(a, b, np.random.default_rng(seed))
    assert all((one == two).all() for one, two in zip(made[seed], again, strict=True))


def test_a_recoloured_product_leaves_the_ground_as_it_was(packshots):
    photo = np.asarray(opened(packshots[0].data))
    first, second = VARIANTS["product recoloured"].make(photo, photo, np.random.default_rng(1))
    assert (first[:40] == second[:40]).all() and differs(first, second, product_mask(photo))


def test_what_cannot_be_seen_is_no_difference():
    photo = np.asarray(textured_photo(1))
    everywhere = np.ones(photo.shape[:2], bool)
    assert not differs(photo, np.clip(photo.astype(int) + 3, 0, 255).astype(np.uint8), everywhere)
    assert not differs(photo, 255 - photo, np.zeros_like(everywhere))


@pytest.mark.parametrize("name", MARKS)
def test_a_mark_is_the_same_on_two_photos(name):
    first, second = (Image.new("RGB", (300, 300), grey) for grey in ("#808080", "#868686"))
    marked = [np.asarray(MARKS[name](photo, np.random.default_rng(3))).astype(int) for photo in (first, second)]
    where = [np.abs(one - one[150:151, 150:151]).max(axis=2) > 12 for one in marked]
    assert (where[0] == where[1]).mean() > 0.97


def test_both_photos_of_a_negative_are_encoded_anew(packshots):
    for seed in range(3):
        pair = negative_of("part recoloured", packshots[0], packshots[1], np.random.default_rng(seed))
        assert pair is not None and not pair.is_copy and pair.keep is None
        assert len({pair.data_a, pair.data_b, packshots[0].data}) == 3


def test_two_versions_are_a_copy_of_which_none_is_better(packshots):
    pair = versions_of(packshots[0], packshots[1], np.random.default_rng(0))
    assert pair.is_copy and pair.keep is None and pair.data_a != pair.data_b


def test_the_original_is_the_photo_to_keep(packshots, scenes):
    pair = copy_of("text", packshots[0], scenes[0], np.random.default_rng(0))
    assert pair.keep == "a" and pair.data_a == packshots[0].data and pair.worse == Worse.ADDED


def test_a_tone_that_leaves_a_white_ground_alone_could_be_another_product(packshots, scenes):
    rng = np.random.default_rng(2)
    assert copy_of("gamma", packshots[0], scenes[0], rng).ambiguous
    assert not copy_of("gamma", scenes[0], packshots[0], rng).ambiguous
    assert not copy_of("white balance", packshots[0], scenes[0], np.random.default_rng(3)).ambiguous


def test_a_crop_of_the_ground_alone_says_not_which_photo_to_keep(packshots, scenes):
    pairs = [copy_of("cropped", packshots[0], scenes[0], np.random.default_rng(seed)) for seed in range(12)]
    known = {pair.keep for pair in pairs}
    assert known == {"a", None}
    assert all((pair.verdict is None) == (pair.worse is None) == (pair.keep is None) for pair in pairs)
    assert copy_of("cropped", scenes[0], packshots[0], np.random.default_rng(0)).keep == "a"


def test_a_photo_larger_than_needed_is_shrunk(scenes):
    large = jpeg(textured_photo(1).resize((1500, 1200)), 90)
    pair = copy_of("jpeg", Photo(large, "x", "made"), scenes[0], np.random.default_rng(0))
    assert max(size_of(pair.data_a)) == WORKING_SIDE_PX


def test_planted_pairs_are_copies_and_negatives_by_turns_and_the_same_twice(packshots, scenes):
    photos = packshots + scenes
    pairs = list(planted_pairs(photos, 12, seed=4))
    assert pairs == list(planted_pairs(photos, 12, seed=4))
    assert [pair.is_copy for pair in pairs] == [True, False] * 6
    assert pairs != list(planted_pairs(photos, 12, seed=5))


def test_pairs_can_be_altered_in_several_ways_more_often(packshots, scenes):
    photos = packshots + scenes
    copies = [pair for pair in planted_pairs(photos, 12, seed=4, combined_share=1.0) if pair.is_copy]
    assert len(copies) == 6 and {pair.kind for pair in copies} == {"combined"}
    pairs = real_negatives(photos, n_nearest=1)
    altered = altered_negatives(pairs, photos, np.random.default_rng(0), combined_share=1.0)
    assert altered and all(pair.kind.endswith(", combined") for pair in altered)


def test_two_photos_at_least_are_needed(packshots):
    with pytest.raises(ValueError, match="1 photos are too few"):
        next(planted_pairs(packshots[:1], 1, seed=0))


def test_real_negatives_are_the_next_of_a_product_and_the_nearest_of_another():
    def photo(image, product):
        return Photo(jpeg(image, 95), product, "made")

    shots = [photo(packshot(0), "a"), photo(packshot(1), "a"), photo(packshot(2), "b"), photo(textured_photo(9), "c")]
    same_again = Photo(shots[0].data + b"\0", "d", "made")
    pairs = real_negatives([*shots, same_again], n_nearest=1)
    assert not any(pair.is_copy for pair in pairs)
    shown = {(pair.data_a, pair.data_b): pair.kind for pair in pairs}
    assert shown[shots[0].data, shots[1].data] == "next of the same product"
    assert (shots[0].data, same_again.data) not in shown
    assert "nearest of another product" in shown.values()


def test_a_negative_can_have_an_alteration_besides(packshots, scenes):
    photos = packshots + scenes
    pairs = real_negatives(photos, n_nearest=1)
    altered = altered_negatives(pairs, photos, np.random.default_rng(0))
    assert 0 < len(altered) <= len(pairs) and not any(pair.is_copy for pair in altered)
    unaltered = {pair.data_a: pair for pair in pairs}
    assert all(pair.data_b != unaltered[pair.data_a].data_b and ", " in pair.kind for pair in altered)
    assert altered == altered_negatives(pairs, photos, np.random.default_rng(0))


def test_no_alteration_takes_back_what_differs(packshots, scenes):
    made = [pair for pair in planted_pairs(packshots + scenes, 120, seed=1) if not pair.is_copy]
    besides = [tuple(pair.kind.split(", ")) for pair in made if pair.kind not in VARIANTS]
    assert len(besides) > len(made) / 8
    for *variant, alteration in besides:
        kind = VARIANTS[", ".join(variant)]
        assert not kind.fine and ALTERATIONS[alteration].family != "crop"
        assert not (kind.of_tone and ALTERATIONS[alteration].family in ("tone", "grey"))


def test_photos_are_read_upright_and_transparent_ones_on_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (60, 40), (255, 0, 0, 0)).save(buffer, "PNG")
    assert (pixels(opened(buffer.getvalue())) == 255).all()
