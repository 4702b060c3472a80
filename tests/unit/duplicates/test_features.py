import numpy as np
import pytest
from made_photos import pixels, scene, textured_photo
from PIL import Image, ImageOps

from prodseek.duplicates.features import (
    FEATURES_SIDE_PX,
    MAX_FEATURES,
    PROBED_BITS,
    WORKING_SIDE_PX,
    FeatureCodes,
    LocalFeatures,
    code_bits,
    extract_features,
    feature_codes,
    mirrored_descriptors,
    photo_features,
    relative_poses,
    shrunk,
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
    features = extract_features(pixels(ImageOps.expand(textured_photo(1), 40, "white")))
    again = LocalFeatures.from_bytes(*features.to_bytes())
    np.testing.assert_array_equal(again.points_px, features.points_px)
    np.testing.assert_array_equal(again.descriptors, features.descriptors)
    assert again.content_box == pytest.approx(features.content_box) and features.content_box[0] > 0.1
    _, _, box = features.to_bytes()
    assert LocalFeatures.from_bytes(b"", b"", box).descriptors.shape == (0, 128)


def test_mirrored_descriptors_are_those_of_the_mirrored_photo():
    photo = shrunk(pixels(textured_photo(2)), WORKING_SIDE_PX)
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
    features = photo_features(np.full((*shape, 3), 200, np.uint8))
    assert features.local.points_px.shape == (0, 2) and features.descriptors.shape == (0, 128)
    assert feature_codes(features, code_bits(10)).asked.shape == (0, 2**PROBED_BITS)


def test_a_descriptor_asks_for_its_own_code_and_those_beside_it():
    features = photo_features(pixels(textured_photo(3)))
    found = feature_codes(features, code_bits(1000))
    codes, asked = found.codes, found.asked
    again = FeatureCodes.from_bytes(*found.to_bytes())
    assert (again.asked == asked).all() and (again.poses == features.poses).all()
    assert asked.shape == (len(features.descriptors), 2**PROBED_BITS)
    assert (asked[:, 0] == codes).all()
    assert all(len(set(row)) == 2**PROBED_BITS for row in asked.tolist())
    assert max(int(value).bit_count() for value in (asked ^ codes[:, None]).ravel()) == PROBED_BITS


def test_codes_grow_with_the_catalogue_so_that_they_stay_rare():
    features = photo_features(pixels(textured_photo(4)))
    small, large = (int(feature_codes(features, code_bits(n)).codes.max()) for n in (1000, 4_000_000))
    assert small < 2**28 <= large < 2**38
    most = feature_codes(features, code_bits(10**15))
    assert most.codes.max() < 2**54
    codes, _ = most.to_bytes()
    assert np.frombuffer(codes, "<i8").min() >= 0


@pytest.mark.parametrize("mode", ["scene", "packshot"])
def test_points_lie_in_the_working_size_whatever_size_they_were_found_at(mode):
    photo = scene(8, 420, 420)
    if mode == "packshot":
        photo = ImageOps.expand(photo, 150, "white")
    values = shrunk(pixels(photo), FEATURES_SIDE_PX)
    found = photo_features(values)
    working = shrunk(values, WORKING_SIDE_PX)
    assert (found.local.points_px.max(axis=0) <= np.array(working.shape[1::-1]) - 0.5).all()
    matched = align(found.local, extract_features(working))
    assert matched is not None and len(matched.matched_px) > 30
    np.testing.assert_allclose(matched.matrix, np.eye(2, 3), atol=0.5)
    assert len(found.local.points_px) <= len(found.descriptors) == len(found.poses)
    assert (len(found.local.points_px) == len(found.descriptors)) == (mode == "scene")


def test_what_is_pasted_agrees_in_one_relative_pose():
    photo, room = scene(9, 384, 384), scene(10, 384, 384)
    small = photo.rotate(90).resize((150, 150), Image.Resampling.LANCZOS)
    room.paste(small, (100, 120))
    a, b = photo_features(pixels(photo)), photo_features(pixels(room))
    nearest = (a.descriptors @ b.descriptors.T).argmax(axis=1)
    inside = (np.abs(b.local.points_px[nearest] * 1.5 - [175, 195]) < 75).all(axis=1)
    poses = relative_poses(a.poses, b.poses[nearest])
    counts, chance = (np.bincount(poses[chosen], minlength=128) for chosen in (inside, ~inside))
    share, share_by_chance = counts.max() / inside.sum(), chance.max() / (~inside).sum()
    assert inside.sum() > 50 and share > 0.2 and share > 2 * share_by_chance


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
