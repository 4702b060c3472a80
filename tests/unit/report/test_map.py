"""The map's data: what is unpacked is what was packed."""

from __future__ import annotations

import base64

import numpy as np

from prodseek.report.map import group_column, map_data, value_column


def unpacked(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_places_keep_their_proportions() -> None:
    places = np.array([[-2, 5], [0, 5.5], [2, 6]], np.float32)
    data = map_data(places, [])
    assert unpacked(data["x"], "<u2").tolist() == [0, 32768, 65535]
    assert unpacked(data["y"], "<u2").tolist() == [0, 8192, 16384]


def test_one_place_and_none() -> None:
    assert unpacked(map_data(np.ones((1, 2), np.float32), [])["x"], "<u2").tolist() == [0]
    assert map_data(np.zeros((0, 2), np.float32), [])["x"] == ""


def test_columns() -> None:
    groups = group_column("fine", "group", ["a", "b"], np.array([1, -1, 0]))
    assert groups["names"] == ["a", "b"] and unpacked(groups["values"], "<u4").tolist() == [1, 0xFFFFFFFF, 0]
    colours = value_column(
        "colour", "colour", ["blue", None, "red", "red", ""], {"red": (255, 0, 0), "blue": (0, 0, 9)}
    )
    assert colours["names"] == ["red", "blue"] and colours["colours"] == ["rgb(255 0 0)", "rgb(0 0 9)"]
    assert unpacked(colours["values"], "<u4").tolist() == [1, 0xFFFFFFFF, 0, 0, 0xFFFFFFFF]
