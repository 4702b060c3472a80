"""The page of a search in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from synthetic_report import HOSTILE_TITLES

from prodseek.report.search_page import Match, SearchResult, Target, render_search
from prodseek.report.thumbnails import thumbnail

Open = Callable[..., Page]
Contrast = Callable[[Page], list[tuple[float, str]]]

NOTHING = "Nothing in the catalogue is like it; the nearest, at 3 %, is 'chair'."
NAMES = (*HOSTILE_TITLES, "n" * 90)
FACETS = {"likeness": 0.91, "visual": 0.8, "colour": 0.4, "texture": -0.2, "shape": 1.0}


def photo(width_px: int, height_px: int) -> bytes:
    pixels = np.linspace(0, 255, width_px * height_px * 3).astype(np.uint8).reshape(height_px, width_px, 3)
    return thumbnail(pixels, 440, (5.0, 5.0, width_px / 2, height_px / 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with difficult names, tall, wide and lost photos; and one that found nothing."""
    pictures = (photo(400, 300), photo(120, 600), photo(900, 90), None)
    matches = tuple(
        Match(
            rank,
            name,
            f"images/{name} {rank}.jpg",
            (5.0, 5.0, 60.0, 50.0),
            2**62 + rank,
            1.0 - rank / 9,
            None if rank % 3 == 0 else 1.0 - rank / 9,
            FACETS,
            pictures[rank % 4],
        )
        for rank, name in enumerate(NAMES, start=1)
    )
    made = tmp_path_factory.mktemp("search") / "found #1?"
    made.mkdir()
    target = Target(f"shop/{NAMES[0]}.jpg", (5.0, 5.0, 200.0, 150.0), pictures[0])
    run_id = "20260101T000000Z-00000000"
    (made / "search.html").write_bytes(render_search(SearchResult(run_id, "mix visual 0.5", target, matches)))
    lost = Target("lost.jpg", (0.0, 0.0, 9.0, 9.0), None)
    (made / "nothing.html").write_bytes(render_search(SearchResult(run_id, "likeness", lost, (), NOTHING)))
    return made


def test_names_are_text_and_pictures_are_drawn(open_page: Open, folder: Path) -> None:
    page = open_page("search.html", folder=folder)
    for number, name in enumerate(NAMES):
        expect(page.locator(".match h2 .text").nth(number)).to_have_text(name)
    assert page.locator("main script, main img[src=x]").count() == 0
    drawn = page.evaluate("Promise.all(Array.from(document.images, (image) => image.decode().then(() => image.alt)))")
    n_lost = sum(rank % 4 == 3 for rank in range(1, len(NAMES) + 1))
    assert len(drawn) == 1 + len(NAMES) - n_lost and all(drawn)
    expect(page.get_by_text("The photo cannot be read any more.")).to_have_count(n_lost)
    tile, picture = page.locator(".match .tile").first, page.locator(".match .tile img").first
    expect(tile).to_have_css("aspect-ratio", "1 / 1")
    assert tile.evaluate("(one) => one.clientWidth") == picture.evaluate("(one) => one.clientWidth")


def test_bars_are_as_long_as_their_facets_say(open_page: Open, folder: Path) -> None:
    page = open_page("search.html", folder=folder)
    bars = page.locator(".match").first.locator(".track")
    shares = bars.evaluate_all("(all) => all.map((one) => one.firstElementChild.offsetWidth / one.offsetWidth)")
    assert shares == pytest.approx([min(1, max(0, cosine)) for cosine in FACETS.values()], abs=0.03)


def test_a_search_that_found_nothing(open_page: Open, folder: Path) -> None:
    page = open_page("nothing.html", folder=folder)
    expect(page.get_by_role("heading", level=1)).to_have_text("No product like what is marked in lost.jpg")
    expect(page.get_by_text(NOTHING)).to_be_visible()


@pytest.mark.parametrize("file", ["search.html", "nothing.html"])
def test_light_dark_and_narrow(open_page: Open, contrast: Contrast, folder: Path, file: str) -> None:
    page = open_page(file, folder=folder)
    for scheme, painted in (("light", "rgb(246, 246, 243)"), ("dark", "rgb(19, 20, 22)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator("body")).to_have_css("background-color", painted)
        worst = contrast(page)
        assert worst[0][0] >= 1, worst[:5]
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.locator("html").evaluate("(html) => html.scrollWidth") <= 360
