"""The overlay of sliced cells: veiled is what is not read, and everything lies where it was read."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from prodseek.report.sliced_cells import EDGE_ALPHA, UNREAD_ALPHA, SlicedObject, render_cells, veil
from prodseek.runs.slice_layout import MapReading

WEIGHTS = np.array([[0, 0.1, 0.2], [0, 0.3, 0.4], [0, 0, 0]], np.float32)
FINE = MapReading(16, 1, WEIGHTS, np.array([24, 40], np.float32), np.array([8, 24], np.float32))
GRID = MapReading(24, 3, np.ones((2, 2), np.float32) / 4, np.array([20], np.float32), np.array([4, 12, 20], np.float32))


def sliced(title: str = "Chair") -> SlicedObject:
    canvas = np.zeros((48, 48, 3), np.uint8)
    return SlicedObject(title, canvas, (16.0, 0.0, 48.0, 33.0), {"stride16": FINE, "stride24": GRID})


def test_the_veil_is_dense_over_cells_that_are_not_read_and_clear_over_what_counts_most() -> None:
    alpha = np.asarray(veil(WEIGHTS))[..., 3]

    np.testing.assert_array_equal(alpha == UNREAD_ALPHA, WEIGHTS == 0)
    assert alpha[1, 2] == 0 and alpha[0, 1] == round(EDGE_ALPHA * 0.75)
    assert (np.asarray(veil(np.zeros((2, 2), np.float32)))[..., 3] == UNREAD_ALPHA).all()


def test_maps_are_drawn_with_their_cells_points_and_parts() -> None:
    html = render_cells([sliced()])

    pictures = [ElementTree.fromstring(text) for text in re.findall(r"<svg viewBox.*?</svg>", html, re.DOTALL)]
    assert [picture.get("viewBox") for picture in pictures] == ["0 0 48 48"] * 2
    for picture, reading, n_lines, n_parts in ((pictures[0], FINE, 4, 0), (pictures[1], GRID, 2, 4)):
        shown = picture.find("image")
        assert shown is not None
        png = base64.b64decode(str(shown.get("href")).removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(veil(reading.weights)))
        paths = {str(path.get("class")): str(path.get("d")) for path in picture.findall("path")}
        points = [tuple(map(float, point)) for point in re.findall(r"M([\d.]+) ([\d.]+)h0", paths["points"])]
        assert points == [(x, y) for y in reading.y_px.tolist() for x in reading.x_px.tolist()]
        assert paths["lines"].count("M") == n_lines
        assert paths["box"].startswith("M16.0 0.0H48.0V33.0H16.0Z") and paths["box"].count("M") == 1 + n_parts
    assert "M16.0 11.0H48.0" in html and "M26.7 0.0V33.0" in html
    assert "4 of 9 cells, one generalised mean" in html and "4 of 4 cells, means of 3 × 3 parts" in html


def test_titles_are_escaped_and_the_photo_is_held_once() -> None:
    html = render_cells([sliced('"><script>'), sliced("another")])

    assert "<script" not in html and "&lt;script&gt;" in html
    assert html.count("data:image/webp") == 2 and html.count("<use href=") == 4
    assert all(target.startswith(("#sliced-", "data:image/")) for target in re.findall(r'href="([^"]*)', html))
