"""The page of an evaluation in a real browser."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from synthetic_report import HOSTILE_TITLES

from prodseek.report.evaluation_page import Example, LabelledPhoto, Location, Pictures, render_evaluation
from prodseek.report.location import Panel
from prodseek.report.sliced_cells import UNREAD_ALPHA, VEIL, SlicedObject
from prodseek.report.thumbnails import thumbnail
from prodseek.report.trends import Trend
from prodseek.runs.slice_layout import MapReading

Open = Callable[..., Page]
Contrast = Callable[[Page], list[tuple[float, str]]]

LABELS = (*HOSTILE_TITLES, "n" * 90)
SCORES = {"P@1": 0.9, "P@10": 0.5, "recall@1": 0.1, "recall@10": 0.4, "mAP": 0.45}
EVALUATION = {
    "run_id": "20260103T000000Z-00000000",
    "labels": {"file": LABELS[0], "labelled": 99, "in_run": 99, "photos": 99, "labels": 5, "queries": 90},
    "retrieval": {"visual": SCORES, "slice": {**SCORES, "P@1": 0.3}},
    "by_label": {
        **{label: {"photos": 9.0, **SCORES, "mAP": number / 10} for number, label in enumerate(LABELS)},
        "alone": {"photos": 1.0, **dict.fromkeys(SCORES, 0.0)},
    },
    "groups": {"fine": {"n_groups": 3, "ami": 0.5, "homogeneity": 0.9, "noise": 0.1}},
    "duplicates": {
        "groups": 2,
        "groups_with_two_labels": 1,
        "pairs": {"n_labelled": 4, "n_published": 5, "precision": 0.8, "recall": 1.0, "verdict_right": None},
    },
    "place_in_vectors": {"visual": -0.01, "slice": 0.4},
    "index": {"recall": 0.99, "recall_k": 10, "recall_target": 0.95},
}
CHANGES = {f"retrieval visual P@{k}": (0.5, 0.5 + k / 100) for k in range(1, 13)}
SIDE_PX = 96
# The veil is darkest over the map's left half, which is not read; the canvas is white.
WEIGHTS = np.repeat(np.array([[0, 0, 0, 1, 1, 1]], np.float32), 6, axis=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    pictures = [thumbnail(rng.integers(0, 255, (*size, 3), np.uint8), 200) for size in ((90, 60), (20, 90))] + [None]
    shown = [LabelledPhoto(f"{label} {n}.jpg", label, pictures[n % 3]) for n, label in enumerate(LABELS)]
    examples = tuple(
        Example(role, target, tuple((photo, 0.9 - n / 10) for n, photo in enumerate(shown)), 0.5)
        for role, target in zip(("the best", "the hardest"), (shown[0], shown[-1]), strict=True)
    )
    points = np.arange(8, SIDE_PX, 16, dtype=np.float32)
    sliced = SlicedObject(
        LABELS[1],
        np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8),
        (48.0, 0.0, 96.0, 96.0),
        {f"stride{stride}": MapReading(16, side, WEIGHTS, points[3:], points) for stride, side in ((16, 1), (32, 3))},
    )
    panels = tuple(
        Panel(name, rng.normal(size=(50, 4)), rng.uniform(size=(50, 2)), 0.4) for name in ("slice", "visual")
    )
    pictures = Pictures(examples, (sliced,), Location(5, 5, panels, (0.4, 0.1)), (f"No picture of {LABELS[1]}.",))
    runs = [f"2026010{day}T000000Z-00000000" for day in (1, 2, 3)]
    trends = [
        Trend(name, tuple(zip(runs, (0.5, 0.7, 0.6), strict=True)))
        for name in ("retrieval visual P@1", "index recall", LABELS[0])
    ]
    made = tmp_path_factory.mktemp("evaluation") / "evaluations #1?"
    made.mkdir()
    (made / "all.html").write_bytes(render_evaluation(EVALUATION, CHANGES, LABELS[1], trends, pictures))
    (made / "first.html").write_bytes(render_evaluation(EVALUATION, None, None))
    return made


def test_labels_are_text_and_pictures_are_drawn(open_page: Open, folder: Path) -> None:
    page = open_page("all.html", folder=folder)
    expect(page.locator(".example h3").first).to_have_text(LABELS[0])
    expect(page.locator(".missing")).to_have_text(f"No picture of {LABELS[1]}.")
    expect(page.locator(".sliced h3")).to_have_text(LABELS[1])
    listed = page.locator("section:has(> #labels) tbody th").all_text_contents()
    # By mean average precision; the label of one photo is left out. HTML knows one kind of line break.
    assert listed == [label.replace("\r", "\n") for label in LABELS]
    assert page.locator("main script, main img[src=x]").count() == 0
    decoded = page.evaluate("Promise.all(Array.from(document.images, (image) => image.decode().then(() => image.alt)))")
    n_lost = sum(n % 3 == 2 for n in range(len(LABELS)))
    n_lost_targets = sum(n % 3 == 2 for n in (0, len(LABELS) - 1))
    assert len(decoded) == 2 * (len(LABELS) - n_lost) + 2 - n_lost_targets and all(decoded)
    expect(page.locator(".example .other")).to_have_count(2 * (len(LABELS) - 1))


def test_what_is_not_read_is_veiled_and_what_is_read_is_clear(open_page: Open, folder: Path) -> None:
    """Colours as they are on the screen: of the left half, which is not read, and of a cell of the right half."""
    page = open_page("all.html", folder=folder)
    picture = page.locator(".maps svg[role=img]").first
    picture.scroll_into_view_if_needed()
    pixels = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB")).astype(float)
    side = pixels.shape[0] / 6  # of a cell
    # Between lines and points: a quarter into the cell.
    left, right = (pixels[round(2.25 * side), round((column + 0.25) * side)] for column in (1, 4))
    veiled = 255 * (1 - UNREAD_ALPHA / 255) + np.array(VEIL) * UNREAD_ALPHA / 255
    assert left == pytest.approx(veiled, abs=4) and right == pytest.approx([255] * 3, abs=4)


def test_what_is_folded_opens_by_keyboard(open_page: Open, folder: Path) -> None:
    page = open_page("all.html", folder=folder)
    page.get_by_text("4 smaller changes").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="retrieval visual P@1 0.500 0.510 +0.010")).to_be_visible()
    page.get_by_text("All other figures").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="0.500 to 0.700 in 3 evaluations").last).to_be_visible()


@pytest.mark.parametrize("file", ["all.html", "first.html"])
def test_light_dark_and_narrow(open_page: Open, contrast: Contrast, folder: Path, file: str) -> None:
    page = open_page(file, folder=folder)
    for scheme, painted in (("light", "rgb(246, 246, 243)"), ("dark", "rgb(19, 20, 22)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator("body")).to_have_css("background-color", painted)
        worst = contrast(page)
        assert worst[0][0] >= 1, worst[:5]
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.locator("html").evaluate("(html) => html.scrollWidth") <= 360
    # The names of the columns are not lost where rows are folded.
    cell = page.locator("section:has(> #retrieval) td").first
    assert cell.evaluate("(one) => getComputedStyle(one, '::before').content") == '"P@1"'
