"""Colours and shapes of many boxes at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from prodseek.runs.slice_layout import COLOUR_BINS, EDGE_ORIENTATIONS, EDGE_SIDE, SILHOUETTE_SIDE
from prodseek.vision.pixel_parts import (
    CHROMA_LIMIT,
    EDGE_FLOOR,
    PATCH_PX,
    _colour_histograms,
    _edges,
    pixel_parts,
)

N_COLOURS = COLOUR_BINS[0] * COLOUR_BINS[1] * COLOUR_BINS[2]
N_SHAPES = SILHOUETTE_SIDE**2 + EDGE_SIDE**2 * EDGE_ORIENTATIONS + 1


def canvas(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))


def views(n: int) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_] | None], list[NDArray[np.float32]]]:
    """Views of different sizes, every other one with a mask of its own size; more boxes than are done at once."""
    canvases, masks, boxes = [], [], []
    for index in range(n):
        width, height = 90 + 10 * index, 120 - 5 * index
        canvases.append(canvas(index, (width, height)))
        mask = np.zeros((40, 30), bool)
        mask[5:30, 4 : 10 + index] = True
        masks.append(mask if index % 2 else None)
        of_view = [(0, 0, width, height), (20, 30, 60.5, 70), (width - 20, 0, width, 5), (3.2, 4.7, 9, 50)]
        boxes.append(np.array(of_view[: index % 5], np.float32).reshape(-1, 4))
    return canvases, masks, boxes


def test_many_boxes_are_each_as_it_is_alone() -> None:
    canvases, masks, boxes = views(12)

    colour, shape = pixel_parts(canvases, masks, boxes)

    alone = [
        pixel_parts([of_canvas], [mask], [box[None]])
        for of_canvas, mask, of_view in zip(canvases, masks, boxes, strict=True)
        for box in of_view
    ]
    assert colour.shape == (len(alone), N_COLOURS) and shape.shape == (len(alone), N_SHAPES)
    assert colour.dtype == shape.dtype == np.float32
    np.testing.assert_allclose(colour, np.concatenate([each for each, _ in alone]), atol=1e-6)
    np.testing.assert_allclose(shape, np.concatenate([each for _, each in alone]), atol=1e-6)
    np.testing.assert_allclose(colour.sum(axis=1), 1, atol=1e-5)
    assert len(np.unique(shape.round(3), axis=0)) == len(shape)


def test_no_boxes() -> None:
    colour, shape = pixel_parts([canvas(0, (50, 40))], [None], [np.empty((0, 4), np.float32)])

    assert colour.shape == (0, N_COLOURS) and shape.shape == (0, N_SHAPES)


def test_a_pixel_is_shared_out_among_the_eight_bins_round_it() -> None:
    rng = np.random.default_rng(2)
    lab = rng.uniform((0, -110, -110), (100, 110, 110), (2, 5, 6, 3)).astype(np.float32)
    weights = rng.uniform(0, 1, (2, 5, 6)).astype(np.float32)

    found = _colour_histograms(*torch.from_numpy(lab).unbind(-1), torch.from_numpy(weights)).numpy()

    expected = np.zeros((2, *COLOUR_BINS))
    last = np.array(COLOUR_BINS) - 1
    scaled = np.stack((lab[..., 0] / 100, *((lab[..., i] / CHROMA_LIMIT + 1) / 2 for i in (1, 2))), -1)
    place = np.clip(scaled, 0, 1) * last
    low = np.minimum(place.astype(int), last - 1)
    for region, row, column in np.ndindex(2, 5, 6):
        for corner in np.ndindex(2, 2, 2):
            share = np.where(corner, place[region, row, column] - low[region, row, column], 0)
            share += np.where(corner, 0, 1 - (place[region, row, column] - low[region, row, column]))
            bin_ = tuple(low[region, row, column] + corner)
            expected[(region, *bin_)] += share.prod() * weights[region, row, column]
    expected /= expected.sum(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, expected.reshape(2, -1), atol=1e-6)


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 130, 179, -60])
def test_an_edge_is_shared_out_between_the_orientations_next_to_it(degrees: float) -> None:
    angle = np.radians(degrees)
    y, x = np.mgrid[0:PATCH_PX, 0:PATCH_PX].astype(np.float32)
    ramp = 2 * (np.cos(angle) * x + np.sin(angle) * y)

    cells = _edges(torch.from_numpy(ramp)[None].float(), torch.ones(1, PATCH_PX, PATCH_PX)).numpy()

    place = degrees % 180 / 180 * EDGE_ORIENTATIONS
    expected = np.zeros(EDGE_ORIENTATIONS)
    expected[int(place) % EDGE_ORIENTATIONS] = 1 - place % 1
    expected[(int(place) + 1) % EDGE_ORIENTATIONS] += place % 1
    strength = np.sqrt(2) * (PATCH_PX // EDGE_SIDE) ** 2
    expected *= strength / max(strength * np.linalg.norm(expected), EDGE_FLOOR)
    np.testing.assert_allclose(cells.reshape(-1, EDGE_ORIENTATIONS), np.tile(expected, (EDGE_SIDE**2, 1)), atol=1e-3)
