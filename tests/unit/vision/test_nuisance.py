"""Views of an object: its box goes where the object goes, and everything else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.photos.decode import DecodedImage
from prodseek.runs.slice_layout import slice_length
from prodseek.vision.inference import DetectorSettings, load_detector
from prodseek.vision.nuisance import (
    CANVAS_PX,
    GRID_OBJECT_SIDE,
    N_PLACES,
    Box,
    grid_places,
    nuisance_view,
    object_places,
    slice_grid_places,
    slice_places,
    slice_views,
)
from prodseek.vision.weights import file_sha256

BOX: Box = (60.0, 40.0, 140.0, 100.0)


def photo(background: int = 128) -> NDArray[np.uint8]:
    """A green block in BOX on grey."""
    pixels = np.full((150, 200, 3), background, np.uint8)
    pixels[40:100, 60:140] = (20, 180, 40)
    return pixels


def greenness(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    wide = pixels.astype(int)
    return np.asarray(wide[..., 1] - np.maximum(wide[..., 0], wide[..., 2]) > 40)


@pytest.mark.parametrize("seed", range(40))
def test_the_box_is_where_the_object_is(seed: int) -> None:
    view, box = nuisance_view(photo(), BOX, None, np.random.default_rng(seed))

    height, width = view.shape[:2]
    x1, y1, x2, y2 = box
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    inside = view[round(y1) : round(y2), round(x1) : round(x2)]
    assert greenness(inside).mean() > 0.85
    outside = greenness(view)
    outside[max(0, round(y1) - 2) : round(y2) + 2, max(0, round(x1) - 2) : round(x2) + 2] = False
    # A canvas of a random colour may be green too.
    assert outside.mean() < 0.05 or outside.mean() > 0.3


def test_views_differ_and_seeds_repeat_them() -> None:
    rng = np.random.default_rng(7)
    views = [nuisance_view(photo(), BOX, None, rng)[0] for _ in range(6)]
    again = np.random.default_rng(7)

    for index, view in enumerate(views):
        np.testing.assert_array_equal(view, nuisance_view(photo(), BOX, None, again)[0])
        assert all(view.shape != other.shape or (view != other).any() for other in views[:index])


def test_a_backdrop_is_used() -> None:
    backdrop = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    spread = [
        float(nuisance_view(photo(), BOX, backdrop, np.random.default_rng(seed))[0][:20].std()) for seed in range(40)
    ]

    assert max(spread) > 40  # no plain canvas varies like this


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (16, 16)])
def test_the_smallest_photos(size: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    for seed in range(12):
        view, box = nuisance_view(pixels, (0.0, 0.0, float(size[0]), float(size[1])), None, np.random.default_rng(seed))
        assert box[0] < box[2] <= view.shape[1] and box[1] < box[3] <= view.shape[0]


def test_slices_of_views_resemble_their_object(tiny_weights: Path) -> None:
    detector = load_detector(DetectorSettings(tiny_weights, file_sha256(tiny_weights)))
    # Decoded at half size: the box is in pixels of the full one.
    image = DecodedImage(photo(), 400, 300, "JPEG")
    box: Box = (120.0, 80.0, 280.0, 200.0)

    slices = slice_views(detector, image, box, 3, None, seed=5)

    assert slices.shape == (4, slice_length(detector.layout)) and np.isfinite(slices).all()
    np.testing.assert_array_equal(slices[:1], detector.embed_boxes(image, [box]))
    np.testing.assert_array_equal(slices, slice_views(detector, image, box, 3, None, seed=5))
    grid = slices[:, detector.layout["grid"].span].astype(float)
    grid /= np.linalg.norm(grid, axis=1, keepdims=True)
    assert (grid[1:] @ grid[0]).min() > 0.3 and (grid[1:] @ grid[0]).max() < 0.9999

    places = slice_places(detector, image, box, None, seed=5)

    assert places.shape == (N_PLACES, slices.shape[1]) and np.isfinite(places).all()
    np.testing.assert_array_equal(places, slice_places(detector, image, box, None, seed=5))
    colour = places[:, detector.layout["colour"].span]
    np.testing.assert_allclose(colour, np.repeat(colour[:1], N_PLACES, axis=0), atol=0.03)


@pytest.mark.parametrize("is_plain", [True, False])
def test_only_the_place_changes(is_plain: bool) -> None:
    """Cut out of a plain background, or with what is in its box where the background is not plain."""
    pixels = photo()
    if not is_plain:
        rng = np.random.default_rng(0)
        pixels = np.where(greenness(pixels)[..., None], pixels, rng.integers(0, 90, pixels.shape)).astype(np.uint8)

    placed = object_places(pixels, BOX, None, np.random.default_rng(3))

    assert len(placed) == N_PLACES and len({box for _, box in placed}) == N_PLACES
    cut = [view[round(y1) : round(y2), round(x1) : round(x2)] for view, (x1, y1, x2, y2) in placed]
    for (view, _), inside in zip(placed, cut, strict=True):
        assert view.shape == (CANVAS_PX, CANVAS_PX, 3)
        assert greenness(inside[4:-4, 4:-4]).all()
        np.testing.assert_array_equal(inside, cut[0])


def test_a_grid_of_places_reaches_all_edges() -> None:
    placed = grid_places(photo(), BOX, 3)

    boxes = np.array([box for _, box in placed]).reshape(3, 3, 4)
    sides = boxes[0, 0, 2:] - boxes[0, 0, :2]
    assert sides.max() == round(GRID_OBJECT_SIDE * CANVAS_PX)
    np.testing.assert_array_equal(boxes[..., 2:] - boxes[..., :2], np.broadcast_to(sides, (3, 3, 2)))
    np.testing.assert_array_equal(boxes[0, :, 0], boxes[2, :, 0])
    assert boxes.min() == 0 and (boxes[2, 2, 2:] == CANVAS_PX).all()
    for view, (x1, y1, x2, y2) in placed:
        green = greenness(view)
        assert green[round(y1) : round(y2), round(x1) : round(x2)].mean() > 0.9
        assert green.sum() == green[round(y1) : round(y2), round(x1) : round(x2)].sum()


def test_slices_and_centres_of_a_grid_of_places_go_together(tiny_weights: Path) -> None:
    detector = load_detector(DetectorSettings(tiny_weights, file_sha256(tiny_weights)))
    image = DecodedImage(photo(), 400, 300, "JPEG")

    slices, centres = slice_grid_places(detector, image, (120.0, 80.0, 280.0, 200.0), 2)

    assert slices.shape == (4, slice_length(detector.layout)) and centres.shape == (4, 2)
    view, box = grid_places(image.pixels, BOX, 2)[3]
    np.testing.assert_array_equal(
        slices[3:], detector.embed_boxes(DecodedImage(view, CANVAS_PX, CANVAS_PX, "JPEG"), [box])
    )
    np.testing.assert_allclose(centres[3], [(box[0] + box[2]) / 2 / CANVAS_PX, (box[1] + box[3]) / 2 / CANVAS_PX])
