import numpy as np
import pytest
from made_photos import pixels, textured_photo
from PIL import Image

from prodseek.duplicates.candidates import MAX_PHOTOS_A_CODE, heaviest_pairs, pairs_by_codes
from prodseek.duplicates.features import (
    MAX_FEATURES,
    PROBED_BITS,
    FeatureCodes,
    LocalFeatures,
    code_bits,
    extract_features,
    feature_codes,
    mirrored_descriptors,
)
from prodseek.duplicates.geometry import (
    align,
    corners,
    inverse,
    nearest_orientation,
    same_frame,
    shared_polygon,
    transformed,
    whole_frame,
)
from prodseek.duplicates.hashes import ORIENTATIONS, turn


def test_descriptors_are_those_of_rootsift():
    features = extract_features(pixels(textured_photo(1)))
    assert 50 < len(features.points_px) <= MAX_FEATURES
    assert features.descriptors.shape == (len(features.points_px), 128)
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)


def test_features_survive_their_bytes():
    features = extract_features(pixels(textured_photo(1)))
    again = LocalFeatures.from_bytes(*features.to_bytes())
    np.testing.assert_array_equal(again.points_px, features.points_px)
    np.testing.assert_array_equal(again.descriptors, features.descriptors)
    assert LocalFeatures.from_bytes(b"", b"").descriptors.shape == (0, 128)


def test_mirrored_descriptors_are_those_of_the_mirrored_photo():
    photo = pixels(textured_photo(2))
    features, mirrored = extract_features(photo), extract_features(np.ascontiguousarray(photo[:, ::-1]))
    cosine = mirrored_descriptors(features.descriptors) @ mirrored.descriptors.T
    found = mirrored.points_px[cosine.argmax(axis=1)]
    expected = features.points_px * [-1, 1] + [photo.shape[1] - 1, 0]
    assert (np.linalg.norm(found - expected, axis=1) < 0.5).mean() > 0.7
    assert np.median(cosine.max(axis=1)) > 0.99
    np.testing.assert_array_equal(
        mirrored_descriptors(mirrored_descriptors(features.descriptors)), features.descriptors
    )


@pytest.mark.parametrize("shape", [(1, 1), (16, 600), (100, 100)])
def test_a_photo_without_details_has_no_features(shape):
    features = extract_features(np.full((*shape, 3), 200, np.uint8))
    assert features.points_px.shape == (0, 2) and features.descriptors.shape == (0, 128)
    assert feature_codes(features.descriptors, code_bits(10)).asked.shape == (0, 2**PROBED_BITS)


def test_a_descriptor_asks_for_its_own_code_and_those_beside_it():
    descriptors = extract_features(pixels(textured_photo(3))).descriptors
    found = feature_codes(descriptors, code_bits(1000))
    codes, asked = found.codes, found.asked
    assert (FeatureCodes.from_bytes(*found.to_bytes()).asked == asked).all()
    assert asked.shape == (len(descriptors), 2**PROBED_BITS)
    assert (asked[:, 0] == codes).all()
    assert all(len(set(row)) == 2**PROBED_BITS for row in asked.tolist())
    assert max(int(value).bit_count() for value in (asked ^ codes[:, None]).ravel()) == PROBED_BITS


def test_codes_grow_with_the_catalogue_so_that_they_stay_rare():
    descriptors = extract_features(pixels(textured_photo(4))).descriptors
    small, large = (int(feature_codes(descriptors, code_bits(n)).codes.max()) for n in (1000, 4_000_000))
    assert small < 2**28 <= large < 2**38
    assert feature_codes(descriptors, code_bits(10**15)).codes.max() < 2**60


def test_pairs_are_those_that_share_codes():
    rng = np.random.default_rng(0)
    rows, codes = rng.integers(0, 12, 300), rng.integers(0, 150, 300)
    asking, asked = rng.integers(0, 12, 500), rng.integers(0, 150, 500)
    held = {code: {int(row) for row in rows[codes == code]} for code in set(codes.tolist())}
    expected: dict[tuple[int, int], int] = {}
    for row, code in zip(asking.tolist(), asked.tolist(), strict=True):
        for other in held.get(code, set()) - {row}:
            key = (min(row, other), max(row, other))
            expected[key] = expected.get(key, 0) + 1
    pairs = pairs_by_codes(rows, codes, asking, asked, 12)
    found = zip(pairs.row_a.tolist(), pairs.row_b.tolist(), strict=True)
    assert dict(zip(found, pairs.n_shared.tolist(), strict=True)) == expected
    assert len(expected) > 40


def test_a_code_of_many_photos_pairs_nobody_and_a_rare_one_counts_more():
    many = np.arange(MAX_PHOTOS_A_CODE + 1)
    assert len(pairs_by_codes(many, np.zeros_like(many), many, np.zeros_like(many), 100).row_a) == 0
    rows, codes = np.array([0, 1, 2, 3, 4, 5]), np.array([7, 7, 8, 8, 8, 8])
    pairs = pairs_by_codes(rows, codes, rows[[0, 2]], codes[[0, 2]], 1000)
    assert pairs.weight[0] > pairs.weight[1:].max() > 0


def test_more_photos_than_can_be_packed_are_refused():
    rows, codes = np.array([0, 2**31]), np.array([7, 7])
    with pytest.raises(ValueError, match="too many to pair at once"):
        pairs_by_codes(rows, codes, rows, codes, 2**32)


def test_no_codes_make_no_pairs():
    nothing = np.zeros(0, np.int64)
    for held, asked in ((nothing, nothing), (np.array([1]), nothing), (nothing, np.array([1]))):
        pairs = pairs_by_codes(held, held, asked, asked, 5)
        assert [len(values) for values in pairs] == [0, 0, 0, 0]


def test_the_heaviest_pairs_of_each_photo_stay():
    rows = np.repeat(np.arange(6), 6)
    codes = np.concatenate([np.arange(10 * min(a, b), 10 * min(a, b) + max(a, b)) for a in range(6) for b in range(6)])
    owners = np.repeat(rows, [max(a, b) for a in range(6) for b in range(6)])
    pairs = pairs_by_codes(owners, codes, owners, codes, 100)
    kept = heaviest_pairs(pairs, 1)
    best = {
        max(
            (w, -(b if a == row else a))
            for a, b, w in zip(pairs.row_a, pairs.row_b, pairs.weight, strict=True)
            if row in (a, b)
        )
        for row in range(6)
    }
    assert {int(weight) for weight in kept.weight} == {int(weight) for weight, _ in best}
    assert len(kept.row_a) < len(pairs.row_a)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_whole_frames_are_laid_over_each_other_as_the_photo_was_turned(orientation):
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[7, 13] = 255
    turned = turn(photo, orientation)
    height, width = turned.shape[:2]
    matrix = whole_frame(orientation, (60, 40), (width, height))
    y, x = np.argwhere(turned[..., 0] == 255)[0]
    np.testing.assert_allclose(transformed(matrix, np.array([[13.0, 7.0]])), [[x, y]], atol=1e-9)
    assert nearest_orientation(matrix) == orientation
    np.testing.assert_allclose(transformed(inverse(matrix), transformed(matrix, corners((60, 40)))), corners((60, 40)))


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_transform_between_two_photos_is_found(mirrored):
    photo = textured_photo(5, 256, 220)
    piece = photo.crop((40, 30, 240, 200)).resize((150, 128), Image.Resampling.LANCZOS)
    values = pixels(piece)[:, ::-1] if mirrored else pixels(piece)
    found = align(extract_features(pixels(photo)), extract_features(np.ascontiguousarray(values)))
    assert found is not None and len(found.matched_px) > 30
    x = np.array([40.0, 239.0])
    expected = np.stack([(x - 39.5) * 0.75 - 0.5, np.array([0.0, 127.0])], axis=1)
    if mirrored:
        expected[:, 0] = 149 - expected[:, 0]
    np.testing.assert_allclose(transformed(found.matrix, np.stack([x, [30.0, 199.0]], axis=1)), expected, atol=1.5)
    polygon = shared_polygon(found.matrix, (256, 220), (150, 128))
    np.testing.assert_allclose([polygon.min(axis=0), polygon.max(axis=0)], [[-0.5, -0.5], [149.5, 127.5]], atol=1e-3)


def test_unlike_photos_do_not_align_and_far_frames_share_nothing():
    a, b = (extract_features(pixels(textured_photo(seed))) for seed in (6, 7))
    found = align(a, b)
    assert found is None or len(found.matched_px) < 8
    moved = np.array([[1.0, 0.0, 500.0], [0.0, 1.0, 0.0]])
    assert len(shared_polygon(moved, (100, 100), (100, 100))) == 0


def test_nearly_whole_frames_are_taken_for_whole():
    nearly = np.array([[1.001, 0.0, 0.6], [0.0, 0.999, -0.4]])
    np.testing.assert_array_equal(same_frame(nearly, (200, 100), (200, 100))[:, :2], np.eye(2))
    cropped = np.array([[1.2, 0.0, -20.0], [0.0, 1.2, -10.0]])
    np.testing.assert_array_equal(same_frame(cropped, (200, 100), (200, 100)), cropped)
