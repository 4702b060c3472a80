"""The map: points where the data has them, names that do not overlap, legend, mouse and keyboard."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from synthetic_report import Report

Open = Callable[..., Page]


def positions(report: Report) -> np.ndarray:
    """x and y of each object in 0..1, y downwards."""
    x, y = (np.frombuffer(base64.b64decode(report.map[axis]), "<u2") / 65535 for axis in ("x", "y"))  # type: ignore[literal-required]
    return np.stack([x, 1 - y], 1)


def on_screen(page: Page, report: Report) -> np.ndarray:
    """Where each object lies in the window while all of the map is shown."""
    box = page.locator("#map").bounding_box()
    assert box
    places = positions(report)
    low, high = places.min(0), places.max(0)
    size = np.array([box["width"], box["height"]])
    scale = ((size - [100, 70]) / (high - low)).min()
    return (places - (low + high) / 2) * scale + size / 2 + [box["x"], box["y"]]


def lonely(report: Report) -> int:
    """The object that is farthest from all others and has a picture."""
    places = positions(report)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(len(places))
    order = np.argsort(-apart.min(1))
    return int(next(number for number in order if number not in report.missing))


def pixels(page: Page) -> np.ndarray:
    """What the map shows: rows, columns, red, green, blue and opacity."""
    width, height, values = page.locator("#map").evaluate(
        """(map) => {
          const { data } = map.getContext("2d").getImageData(0, 0, map.width, map.height);
          return [map.width, map.height, btoa(data.reduce((text, one) => text + String.fromCharCode(one), ""))];
        }"""
    )
    return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width, 4)


@pytest.mark.parametrize("ratio", [1, 2])
def test_points_lie_where_they_should_and_have_their_colour(open_page: Open, report: Report, ratio: int) -> None:
    page = open_page("map.html", "by=colour", device_scale_factor=ratio, viewport={"width": 900, "height": 600})
    page.get_by_label("names of groups").uncheck()
    page.wait_for_timeout(100)
    assert page.locator("#map").evaluate("(map) => map.width / map.clientWidth") == pytest.approx(ratio, abs=0.01)
    places = on_screen(page, report)
    colours = next(column for column in report.map["columns"] if column["name"] == "colour")
    values = np.frombuffer(base64.b64decode(colours["values"]), "<u4")
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e6 * np.eye(len(places))
    alone = np.flatnonzero(apart.min(1) > 12)
    assert len(alone) > 20
    box = page.locator("#map").bounding_box()
    assert box
    seen = pixels(page)
    for number in alone[:40]:
        css = colours["colours"][values[number]].lstrip("#")
        column, row = ((places[number] - [box["x"], box["y"]]) * ratio).astype(int)
        assert seen[row, column, :3].tolist() == [int(css[at : at + 2], 16) for at in (0, 2, 4)]


def test_pointing_shows_and_clicking_opens_an_object(open_page: Open, report: Report) -> None:
    page = open_page("map.html")
    number = lonely(report)
    at = on_screen(page, report)[number]
    page.mouse.move(*at)
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    expect(tip).to_have_attribute("data-number", str(number))
    expect(tip).to_contain_text(
        report.objects[number]["photos"][0]["title"] or report.objects[number]["photos"][0]["product_id"]
    )
    assert tip.locator("img").evaluate("(image) => image.naturalWidth") > 0
    page.mouse.click(*at)
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[number]["detection_id"])
    page.keyboard.press("Escape")
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_the_wheel_zooms_where_the_pointer_is_and_dragging_moves(open_page: Open, report: Report) -> None:
    page = open_page("map.html")
    number = lonely(report)
    at = on_screen(page, report)[number]
    page.mouse.move(*at)
    for _ in range(6):
        page.mouse.wheel(0, -200)
    expect(page.locator("#tip")).to_have_attribute("data-number", str(number))
    page.mouse.down()
    there = at + np.array([-150, 90])
    page.mouse.move(*there, steps=4)
    page.mouse.up()
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.mouse.move(*(there + 1))
    expect(page.locator("#tip")).to_be_visible()
    page.mouse.click(*(there + 1))
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[number]["detection_id"])
    page.keyboard.press("Escape")
    page.get_by_role("button", name="The whole map").click()
    page.mouse.click(*at)
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[number]["detection_id"])


def test_the_keyboard_moves_and_opens(open_page: Open, report: Report) -> None:
    page = open_page("map.html")
    page.locator("#map").focus()
    page.keyboard.press("+")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "-", "0"):
        page.keyboard.press(key)
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    places = positions(report)
    middle = (places.min(0) + places.max(0)) / 2
    nearest = int(np.linalg.norm(places - middle, axis=1).argmin())
    expect(tip).to_have_attribute("data-number", str(nearest))
    expect(page.locator("#map-status")).not_to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[nearest]["detection_id"])
    page.keyboard.press("Escape")
    expect(page.locator("#map")).to_be_focused()


def test_the_legend_says_and_lights_up(open_page: Open, report: Report) -> None:
    page = open_page("map.html")
    columns = {column["name"]: column for column in report.map["columns"]}
    entries = page.locator("#legend > li")
    expect(entries).to_have_count(len(columns["coarse"]["names"]))
    values = np.frombuffer(base64.b64decode(columns["coarse"]["values"]), "<u4")
    assert entries.nth(3).inner_text().split("\n") == [
        columns["coarse"]["names"][3],
        str(int((values == 3).sum())),
        "gallery",
    ]
    expect(page.locator("#legend-none")).to_have_text(f"{int((values == 0xFFFFFFFF).sum())} in none of them")
    expect(entries.nth(3).get_by_role("link")).to_have_attribute("href", "groups.html#facet=visual&group=coarse-3")
    drawn = "(map) => map.toDataURL()"
    before = page.locator("#map").evaluate(drawn)
    entries.nth(3).get_by_role("button").click()
    expect(entries.nth(3).get_by_role("button")).to_have_attribute("aria-pressed", "true")
    assert "on=3" in page.url
    page.wait_for_timeout(100)
    assert page.locator("#map").evaluate(drawn) != before
    page.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(100)
    assert page.locator("#map").evaluate(drawn) == before
    page.get_by_label("Colour by").select_option("fine")
    expect(entries).to_have_count(40)
    page.get_by_role("button", name=f"{len(columns['fine']['names']) - 40} more").click()
    expect(entries).to_have_count(len(columns["fine"]["names"]))
    page.get_by_label("Find in this list").fill("lamp")
    expect(entries).to_have_count(sum("lamp" in name.lower() for name in columns["fine"]["names"]))
    page.go_back()
    expect(page.get_by_label("Colour by")).to_have_value("coarse")


def test_names_do_not_overlap_stay_within_the_map_and_fine_ones_come_with_nearness(open_page: Open) -> None:
    page = open_page("map.html")
    placed: list[dict[str, Any]] = page.evaluate(
        """() => {
          const names = Array.from({ length: 300 }, (_, i) => "group number " + i);
          const found = names.map((_, i) => ({ count: 300 - i, x: (i * 0.618) % 1, y: (i * 0.287) % 1, spread: 0.01 }));
          const labels = [...prodseek.mapLabels(names.slice(0, 40), found, "coarse", 13, 24),
            ...prodseek.mapLabels(names, found, "fine", 11, 15)];
          const width = (label) => 7 * Math.max(...label.lines.map((line) => line.length));
          const edges = { left: 0, top: 0, right: 1, bottom: 1 };
          return [300, 1000, 20000].map((scale) => prodseek.placeLabels(labels, scale, width, edges).map((box) => ({ ...box })));
        }"""
    )
    counts = []
    for scale, boxes in zip((300, 1000, 20000), placed, strict=True):
        edges = np.array([[box["left"], box["top"], box["right"], box["bottom"]] for box in boxes])
        assert edges.min() >= -1e-9 and edges.max() <= scale + 1e-9, "names are not cut off"
        across = (edges[:, None, 0] < edges[None, :, 2]) & (edges[None, :, 0] < edges[:, None, 2])
        down = (edges[:, None, 1] < edges[None, :, 3]) & (edges[None, :, 1] < edges[:, None, 3])
        assert np.array_equal(across & down, np.eye(len(edges), dtype=bool))
        counts.append([sum(box["label"]["level"] == level for box in boxes) for level in ("coarse", "fine")])
    (some, none), (more, _), (all_, fine) = counts
    assert 0 < some < 40 and none == 0 and more >= some and all_ == 40 and fine > 250


def test_dark_mode_draws_other_colours(open_page: Open) -> None:
    backgrounds = []
    for scheme in ("light", "dark"):
        page = open_page("map.html", color_scheme=scheme)
        backgrounds.append(
            page.locator("#legend .swatch").first.evaluate("(one) => getComputedStyle(one).backgroundColor")
        )
    assert backgrounds[0] != backgrounds[1]


def test_pinching(open_page: Open, report: Report) -> None:
    page = open_page("map.html", has_touch=True)
    number = lonely(report)
    at = on_screen(page, report)[number]
    page.locator("#map").evaluate(
        """(map, [x, y]) => {
          const send = (type, id, dx) => map.dispatchEvent(new PointerEvent(type,
            { pointerId: id, pointerType: "touch", clientX: x + dx, clientY: y, bubbles: true }));
          map.setPointerCapture = () => {};
          send("pointerdown", 11, -20); send("pointerdown", 12, 20);
          for (let dx = 24; dx <= 60; dx += 4) { send("pointermove", 11, -dx); send("pointermove", 12, dx); }
          send("pointerup", 11, -60); send("pointerup", 12, 60);
        }""",
        at.tolist(),
    )
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.mouse.click(*at)
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[number]["detection_id"])
