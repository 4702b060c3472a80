"""Slicing: what every part holds, and boxes at and beyond the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torchvision.ops import roi_align

from prodseek.photos.decode import DecodedImage
from prodseek.runs.slice_layout import (
    GRID_CHANNELS,
    GRID_COLUMNS,
    GRID_ROWS,
    MAX_SLICE_BYTES,
    lay_out,
    layout_to_dict,
    slice_layout,
    slice_length,
)
from prodseek.vision.letterbox import letterbox, place
from prodseek.vision.network import FeatureMap
from prodseek.vision.slicing import View, network_boxes, slice_regions, sliced_cells

INPUT_PX = 96
MAPS = (FeatureMap("stride8", 8, 4), FeatureMap("stride16", 16, 4), FeatureMap("stride32", 32, 6))
LAYOUT = slice_layout({m.name: m.channels for m in MAPS})


def feature_maps(n_images: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        m.name: torch.rand(n_images, m.channels, INPUT_PX // m.stride, INPUT_PX // m.stride, generator=generator)
        for m in MAPS
    }


def view(boxes: list[list[float]], size: tuple[int, int] = (200, 100), mask: NDArray[np.bool_] | None = None) -> View:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    canvas, placed = letterbox(DecodedImage(pixels, size[0], size[1], "PNG"), INPUT_PX)
    return View(canvas, placed, mask, np.array(boxes, np.float32).reshape(-1, 4))


def test_the_layout_fits_any_network_into_4_kb() -> None:
    for channels in (8, 64, 1024, 4096):
        layout = slice_layout({"stride8": channels, "stride16": channels, "stride32": channels})
        assert 2 * slice_length(layout) <= MAX_SLICE_BYTES
        assert lay_out(layout_to_dict(layout)) == layout
    assert layout["grid"].length == GRID_ROWS * GRID_COLUMNS * GRID_CHANNELS


def test_the_grid_of_a_map_that_rises_to_the_right_is_folded() -> None:
    maps = feature_maps()
    maps["stride32"] = torch.arange(3, dtype=torch.float32).expand(1, 6, 3, 3).contiguous()

    (rows,) = slice_regions(maps, MAPS, [view([[0, 0, 100, 100]], size=(100, 100))], LAYOUT)

    grid = rows[0, LAYOUT["grid"].span].reshape(GRID_ROWS, GRID_COLUMNS, 6)
    # Two samples a side of a cell; the outermost lies beyond the last cell centre and reads its value: 0.125 and 1.875.
    np.testing.assert_allclose(grid[:, 0], 1.0, atol=1e-3)
    np.testing.assert_allclose(grid[:, 1], 1.0, atol=1e-3)


def test_rows_of_the_grid_stay_apart() -> None:
    maps = feature_maps()
    maps["stride32"] = torch.arange(3, dtype=torch.float32)[:, None].expand(1, 6, 3, 3).contiguous()

    (rows,) = slice_regions(maps, MAPS, [view([[0, 0, 100, 100]], size=(100, 100))], LAYOUT)

    grid = rows[0, LAYOUT["grid"].span].reshape(GRID_ROWS, GRID_COLUMNS, 6)
    np.testing.assert_allclose(grid, np.broadcast_to([[[0.125]], [[1.0]], [[1.875]]], grid.shape), atol=1e-3)


def test_a_mirrored_map_gives_the_same_grid() -> None:
    maps = feature_maps(seed=3)
    mirrored = {name: values.flip(3) for name, values in maps.items()}
    box = [[20, 10, 80, 90]]

    (rows,) = slice_regions(maps, MAPS, [view(box, size=(100, 100))], LAYOUT)
    (flipped,) = slice_regions(mirrored, MAPS, [view(box, size=(100, 100))], LAYOUT)

    np.testing.assert_allclose(flipped[:, LAYOUT["grid"].span], rows[:, LAYOUT["grid"].span], atol=2e-3)


def test_generalised_means_lie_between_mean_and_maximum() -> None:
    maps = feature_maps()
    maps["stride8"] = torch.full_like(maps["stride8"], 3.0)
    maps["stride16"] = torch.zeros_like(maps["stride16"])
    maps["stride16"][:, 0, 3, 3] = 6.0
    maps["stride16"][:, 1] = -1.0

    (rows,) = slice_regions(maps, MAPS, [view([[0, 0, 100, 100]], size=(100, 100))], LAYOUT)

    np.testing.assert_allclose(rows[0, LAYOUT["gem8"].span], 3.0, atol=1e-3)
    gem16 = rows[0, LAYOUT["gem16"].span].astype(float)
    assert gem16[0] == pytest.approx(6.0 / 36 ** (1 / 3), abs=1e-2)  # one cell of 36
    assert (gem16[1:] == 0).all()  # what is not positive does not count


def test_a_wide_map_is_reduced_cell_by_cell() -> None:
    wide = (FeatureMap("stride8", 8, 4), FeatureMap("stride16", 16, 4), FeatureMap("stride32", 32, 1024))
    layout = slice_layout({m.name: m.channels for m in wide})
    generator = torch.Generator().manual_seed(1)
    maps = feature_maps(2)
    maps["stride32"] = torch.rand(2, 1024, 3, 3, generator=generator)
    views = [view([[0, 0, 100, 100], [10, 30, 90, 90]], size=(100, 100)) for _ in range(2)]

    rows = np.concatenate(slice_regions(maps, wide, views, layout)).astype(float)
    reduced = rows[:, layout["grid"].span]
    full = []
    for index in range(2):
        for box in views[index].boxes:
            boxes = [torch.from_numpy(network_boxes(views[index].placed, box[None]))]
            cells = roi_align(maps["stride32"][index : index + 1], boxes, 3, 1 / 32, 2, aligned=True)[0]
            full.append(torch.stack(((cells[:, :, 0] + cells[:, :, 2]) / 2, cells[:, :, 1])).flatten().numpy())

    def distances(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.linalg.norm(values[:, None] - values[None], axis=-1)[np.triu_indices(4, 1)]

    # Random projections keep distances: of 6 x 216 values, to a few per cent.
    np.testing.assert_allclose(distances(reduced), distances(np.array(full)), rtol=0.15)


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 200, 100],  # all of it
        [-50, -50, 300, 300],  # over every edge
        [190, 90, 260, 160],
        [100, 50, 101, 51],  # far below a cell
        [199.9, 99.9, 200, 100],
        [0, 0, 1e-3, 1e-3],
        [0, 40, 200, 40.5],
    ],
)
def test_every_box_that_touches_the_photo_has_a_slice(box: list[float]) -> None:
    (rows,) = slice_regions(feature_maps(), MAPS, [view([box])], LAYOUT)

    assert rows.shape == (1, slice_length(LAYOUT))
    assert rows.dtype == np.float16
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows[0, LAYOUT["colour"].span].astype(float).sum(), 1.0, atol=0.01)


def test_a_box_over_the_edge_is_cut_there() -> None:
    (rows,) = slice_regions(feature_maps(), MAPS, [view([[-50, -50, 300, 300], [0, 0, 200, 100]])], LAYOUT)

    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    "box",
    [
        [10, 10, 10, 20],
        [20, 20, 10, 30],
        [300, 0, 400, 50],
        [-20, 0, 0, 50],
        [0, 0, float("nan"), 50],
        [0, 0, float("inf"), 50],
    ],
)
def test_a_box_that_covers_nothing_is_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="200 x 100 px"):
        slice_regions(feature_maps(), MAPS, [view([box])], LAYOUT)


def test_network_boxes_stay_inside_the_photo() -> None:
    placed = place(4000, 10, INPUT_PX)
    boxes = np.array([[0, 0, 1, 1], [3999, 9, 4000, 10], [0, 0, 4000, 10]], np.float32)

    mapped = network_boxes(placed, boxes)

    rows, columns = placed.inner
    assert (mapped[:, [0, 2]] >= columns.start).all() and (mapped[:, [0, 2]] <= columns.stop).all()
    assert (mapped[:, [1, 3]] >= rows.start).all() and (mapped[:, [1, 3]] <= rows.stop).all()
    assert (mapped[:, 2:] - mapped[:, :2] >= 0.999).all()


def test_images_of_a_batch_do_not_mix() -> None:
    maps = feature_maps(2)
    first, second = view([[0, 0, 50, 50], [20, 20, 80, 80]]), view([], size=(50, 50))
    third = view([[5, 5, 40, 40]], size=(50, 50))

    together = slice_regions(maps, MAPS, [first, third], LAYOUT)
    alone = slice_regions({k: m[1:] for k, m in maps.items()}, MAPS, [third], LAYOUT)
    with_none = slice_regions(maps, MAPS, [first, second], LAYOUT)

    assert [len(rows) for rows in together] == [2, 1]
    np.testing.assert_array_equal(together[1], alone[0])
    np.testing.assert_array_equal(with_none[0], together[0])
    assert with_none[1].shape == (0, slice_length(LAYOUT))


def test_values_beyond_float16_are_cut_off() -> None:
    maps = feature_maps()
    maps["stride32"] = maps["stride32"] + 1e6

    (rows,) = slice_regions(maps, MAPS, [view([[0, 0, 200, 100]])], LAYOUT)

    assert np.isfinite(rows).all()
    assert rows[0, LAYOUT["grid"].span].max() == np.finfo(np.float16).max


def product_view(product: tuple[int, int, int], background: tuple[int, int, int], masked: bool) -> View:
    """A chair-like outline; the mask knows it."""
    image = Image.new("RGB", (96, 96), background)
    mask = Image.new("1", (96, 96), 0)
    for canvas, fill in ((image, product), (mask, 1)):
        draw = ImageDraw.Draw(canvas)
        for box in ((30, 12, 38, 84), (30, 50, 66, 58), (60, 50, 66, 84)):
            draw.rectangle(box, fill=fill)
    canvas, placed = letterbox(DecodedImage(np.asarray(image), 96, 96, "PNG"), INPUT_PX)
    box = np.array([[28, 10, 70, 88]], np.float32)
    return View(canvas, placed, np.asarray(mask) if masked else None, box)


def parts(view: View) -> dict[str, NDArray[np.float64]]:
    (rows,) = slice_regions(feature_maps(), MAPS, [view], LAYOUT)
    return {name: rows[0, part.span].astype(np.float64) for name, part in LAYOUT.items()}


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_colour_is_the_products_where_the_background_is_known() -> None:
    red_on_white = parts(product_view((200, 30, 30), (255, 255, 255), masked=True))["colour"]
    red_on_blue = parts(product_view((200, 30, 30), (40, 60, 200), masked=True))["colour"]
    green_on_white = parts(product_view((30, 160, 60), (255, 255, 255), masked=True))["colour"]

    assert cosine(red_on_white, red_on_blue) > 0.98
    assert cosine(red_on_white, green_on_white) < 0.3


def test_shape_does_not_depend_on_colour() -> None:
    red = parts(product_view((200, 30, 30), (255, 255, 255), masked=True))["shape"]
    green = parts(product_view((30, 160, 60), (255, 255, 255), masked=True))["shape"]
    unmasked = parts(product_view((30, 160, 60), (255, 255, 255), masked=False))["shape"]

    assert cosine(red, green) > 0.99
    assert np.abs(unmasked[:64]).max() == 0  # no silhouette where the background is not known


def test_a_mask_that_the_box_hardly_touches_is_not_used() -> None:
    base = product_view((200, 30, 30), (255, 255, 255), masked=True)
    corner = np.array([[70, 0, 96, 30]], np.float32)

    with_mask = parts(View(base.canvas, base.placed, base.mask, corner))
    without = parts(View(base.canvas, base.placed, None, corner))

    np.testing.assert_array_equal(with_mask["colour"], without["colour"])
    np.testing.assert_array_equal(with_mask["shape"], without["shape"])


@pytest.mark.parametrize(
    "box",
    [[30, 10, 150, 95], [0, 0, 200, 100], [99, 50, 100, 51], [190, 2, 200, 99], [40.5, 33.3, 77.7, 61.9]],
    ids=["inside", "the whole photo", "one pixel", "right edge", "fractions"],
)
def test_the_cells_said_to_be_read_are_those_that_a_slice_depends_on(box: list[float]) -> None:
    """One cell after another is raised in maps of zeros: the slice notices just those that are said to be read."""
    seen = view([box])
    readings = sliced_cells(seen.placed, box, MAPS)
    for part, name in (("gem8", "stride8"), ("gem16", "stride16"), ("grid", "stride32")):
        weights = readings[name].weights
        maps = {m.name: torch.zeros(weights.size, m.channels, *(INPUT_PX // m.stride,) * 2) for m in MAPS}
        for cell in range(weights.size):
            maps[name][cell].view(-1, weights.size)[:, cell] = 1000.0

        slices = slice_regions(maps, MAPS, [seen] * weights.size, LAYOUT)

        noticed = np.array([(rows[0, LAYOUT[part].span] != 0).any() for rows in slices]).reshape(weights.shape)
        np.testing.assert_array_equal(noticed, weights > 0)
        assert weights.sum() == pytest.approx(1, abs=1e-5)
        assert noticed.any()


def test_samples_lie_in_the_middle_of_their_parts_of_the_box() -> None:
    readings = sliced_cells(place(96, 96, INPUT_PX), [8, 16, 56, 64], MAPS)

    np.testing.assert_allclose(readings["stride8"].x_px, np.arange(12, 56, 8))  # 48 px are six cells: one sample each
    np.testing.assert_allclose(readings["stride16"].y_px, [24, 40, 56])
    np.testing.assert_allclose(readings["stride32"].x_px, np.arange(12, 56, 8))  # two in each third
    assert [readings[m.name].side for m in MAPS] == [1, 1, 3]
