"""The page and the picture of a search."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
from PIL import Image

from prodseek.report.search_page import Match, SearchResult, Target, render_search
from prodseek.report.search_sheet import render_sheet
from prodseek.report.thumbnails import thumbnail

HOSTILE = '"><img src=x onerror=alert(1)><script>é</script>'


def picture(width_px: int = 300, height_px: int = 200) -> bytes:
    return thumbnail(np.full((height_px, width_px, 3), 90, np.uint8), 440, (10, 10, 100, 90))


def result(n: int, name: str = "chair", photo: bytes | None = None) -> SearchResult:
    facets = {"likeness": 0.91, "visual": 0.5, "colour": -0.2, "texture": 1.0, "shape": 0.5}
    matches = tuple(
        Match(rank, name, f"images/{name} #{rank}?.jpg", (1.2, 2.0, 30.7, 40.0), 7, 0.9123, 0.997, facets, photo)
        for rank in range(1, n + 1)
    )
    return SearchResult("20260101T000000Z-00000000", "visual", Target(f"photos/{name}", (1, 2, 3, 4), photo), matches)


def test_every_string_is_escaped_and_nothing_is_fetched() -> None:
    page = render_search(result(3, HOSTILE, picture())).decode()
    assert "<script" not in page and "<img src=x" not in page
    assert page.count("&lt;script&gt;é") >= 6
    assert page.count('src="data:image/webp;base64,') == 4 == page.count("<img ")
    assert not re.search(r"https?:|href=\"[^#]|url\(", page)
    assert page == render_search(result(3, HOSTILE, picture())).decode()


def test_every_picture_has_a_text_and_every_figure_a_name() -> None:
    page = render_search(result(2, "chair", picture())).decode()
    alts = re.findall(r'alt="([^"]+)"', page)
    assert len(alts) == 3 and all("marked" in alt for alt in alts)
    assert "2 products like what is marked in chair" in page
    assert ">99 %<" in page and "-0.20" in page and "width: 0%" in page


def test_what_is_not_among_the_matches_is_said() -> None:
    noted = replace(result(2), notes="Nothing in the catalogue is likely to be it.")
    assert "Nothing in the catalogue is likely to be it." in render_search(noted).decode()
    assert render_sheet(noted) != render_sheet(result(2))


def test_the_page_says_why_cosines_are_not_in_their_order() -> None:
    by_likeness = render_search(replace(result(2), facet="likeness")).decode()
    assert "likeness, less for what is near to everything" in by_likeness
    assert "near to everything" not in render_search(result(2)).decode()


def test_the_figure_of_a_match_follows_their_order() -> None:
    match = result(1).matches[0]
    assert match.figure == "99 %" and replace(match, confidence=None).figure == "0.912"


def test_photos_that_are_gone_and_nothing_found() -> None:
    assert render_search(result(2)).decode().count("cannot be read any more") == 3
    assert "No product like what is marked" in render_search(result(0)).decode()


def test_the_sheet_shows_the_target_and_rows_of_five() -> None:
    sizes = {}
    for n in (0, 1, 5, 6, 20):
        with Image.open(io.BytesIO(render_sheet(result(n, "chair", picture())))) as sheet:
            sizes[n] = sheet.size
    assert {width for width, _ in sizes.values()} == {1196}
    row_px = sizes[1][1] - sizes[0][1]
    assert sizes[5] == sizes[1] and sizes[6][1] == sizes[0][1] + 2 * row_px and sizes[20][1] == sizes[0][1] + 4 * row_px


def test_the_sheet_takes_any_name_and_missing_photos() -> None:
    for name in (HOSTILE, "x" * 500, "沙发\n\t sofa", "e\u0301te\u0301", ""):
        assert render_sheet(result(2, name)).startswith(b"\x89PNG")
