"""How fast the report's pages open and filter with 100,000 objects, beside one page that holds every picture.

The objects are made up; the pictures are those of the sample in turns. Pages are opened from files in headless Chromium.
"""

from __future__ import annotations

import argparse
import base64
import html
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlparse

from playwright.sync_api import Browser, Error, Page, sync_playwright
from rich.console import Console
from rich.table import Table
from synthetic_overview import make_overview
from synthetic_report import Report, make_report, write_report

from prodseek.photos.decode import decode_image
from prodseek.report.overview import render_overview
from prodseek.report.thumbnails import LARGE_SIDE_PX, SMALL_SIDE_PX, thumbnail

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "images"
_MIB = 2**20
_GIVE_UP_ms = 120_000
_SETTLED_ms = 2_000
_SHARDS = (1024, 256, 64, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    options = parser.parse_args()
    n = options.objects
    console = Console(width=110)
    report = make_report(n, n // 250, n // 5, n * 2 // 25, n // 25, per_shard=_SHARDS, hostile=False)
    pictures = _pictures()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        write_report(report, root, pictures)
        (root / "index.html").write_bytes(render_overview(make_overview(report)))
        table = Table(title=f"{n:,} objects, {n // 5:,} groups, {n * 2 // 25:,} duplicate groups")
        for column in ("page", "first load, MiB", "opens, s", "then", "takes, s", "JS heap, MiB"):
            table.add_column(column, justify="left" if column in ("page", "then") else "right")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for file, drawn, action, act in PAGES:
            table.add_row(*_measure(browser, root, file, drawn, action, act))
        for n_shown in (n // 100, n // 10, n):
            table.add_row(*_measure_one_page(browser, root, report, pictures, n_shown))
        browser.close()
    console.print(table)


def _filter_duplicates(page: Page) -> None:
    page.get_by_role("searchbox", name="With").fill("lamp no. 4")
    page.get_by_text("match, of").wait_for()


def _filter_groups(page: Page) -> None:
    page.get_by_role("searchbox", name="With").fill("lamp")
    page.get_by_text("match, of").wait_for()


def _zoom_map(page: Page) -> None:
    drawn = page.locator("#map")
    for _ in range(10):
        before = drawn.get_attribute("data-drawn")
        page.get_by_role("button", name="Nearer").click()
        page.locator(f"#map:not([data-drawn='{before}'])").wait_for()


def _open_panel(page: Page) -> None:
    page.locator("main [data-object]").first.click()
    page.locator("dialog.panel .object-facts").wait_for()


def _find(page: Page) -> None:
    page.locator("#find-words").fill("lamp 999")
    page.keyboard.press("Enter")
    page.locator("dialog.find [role=status]", has_text="object").wait_for()


# File, what is there once it can be used, what is then measured and how.
PAGES: list[tuple[str, str, str, Callable[[Page], None]]] = [
    ("index.html", "#find:not([hidden])", "open an object", _open_panel),
    ("duplicates.html", "#cards > article", "filter all by text", _filter_duplicates),
    ("groups.html", "#cards > article", "filter all by text", _filter_groups),
    ("map.html", "#map[data-drawn]", "ten zooms", _zoom_map),
    ("object.html#100", ".object-facts", "find in all objects", _find),
]


def _measure(
    browser: Browser, root: Path, file: str, drawn: str, action: str, act: Callable[[Page], None]
) -> tuple[str, ...]:
    page = browser.new_page()
    page.set_default_timeout(_GIVE_UP_ms)
    loaded: list[int] = []
    page.on("requestfinished", lambda request: loaded.append(_size_bytes(request.url)))
    name, _, state = file.partition("#")
    started = time.perf_counter()
    page.goto((root / name).as_uri() + "#" * bool(state) + state)
    page.locator(drawn).first.wait_for()
    page.evaluate("new Promise((idle) => requestIdleCallback(idle))")
    opened = time.perf_counter()
    page.wait_for_timeout(_SETTLED_ms)  # pictures in sight go on loading
    n_bytes = sum(loaded)
    asked = time.perf_counter()
    act(page)
    acted = time.perf_counter()
    row = (file, f"{n_bytes / _MIB:.2f}", f"{opened - started:.2f}", action, f"{acted - asked:.2f}", _heap_mib(page))
    page.close()
    return row


def _measure_one_page(
    browser: Browser, root: Path, report: Report, pictures: list[tuple[str, str]], n_shown: int
) -> tuple[str, ...]:
    """A page of figures whose pictures lie in it, filtered by hiding figures: as the report was before."""
    path = root / "one.html"
    with path.open("w") as page_file:
        page_file.write("<!DOCTYPE html><meta charset=utf-8><title>one</title><body>")
        for number, shown in enumerate(report.objects[:n_shown]):
            photo = shown["photos"][0]
            text = html.escape(f"{photo['title']} {photo['product_id']} {photo['uri']}")
            source = f"data:image/webp;base64,{pictures[number % len(pictures)][0]}"
            page_file.write(
                f'<figure><img src="{source}" alt="" loading="lazy" width=200 height=200><p>{text}</p></figure>\n'
            )
        page_file.write("<p id=end>end</p>")
    name, n_bytes = f"one page, {n_shown:,} objects", path.stat().st_size
    page = browser.new_page()
    page.set_default_timeout(_GIVE_UP_ms)
    try:
        started = time.perf_counter()
        page.goto(path.as_uri())
        page.evaluate("new Promise((idle) => requestIdleCallback(idle))")
        opened = time.perf_counter()
        page.evaluate(
            """() => {
              for (const one of document.querySelectorAll("figure")) {
                one.hidden = !one.textContent.toLowerCase().includes("lamp no. 4");
              }
              document.body.offsetHeight;
            }"""
        )
        acted = time.perf_counter()
        times = (f"{opened - started:.2f}", "filter all by text", f"{acted - opened:.2f}", _heap_mib(page))
    except Error as error:
        times = ("never", error.message.splitlines()[0][:40], "", "")
    page.close()
    path.unlink()
    return (name, f"{n_bytes / _MIB:.2f}", *times)


def _heap_mib(page: Page) -> str:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return f"{metrics['JSHeapUsedSize'] / _MIB:.0f}"


def _size_bytes(url: str) -> int:
    path = Path(unquote(urlparse(url).path))
    return path.stat().st_size if url.startswith("file:") and path.is_file() else 0


def _pictures() -> list[tuple[str, str]]:
    """Thumbnails of the sample's photos: of the middle, and of the whole."""
    made = []
    for path in sorted([*SAMPLE.glob("room-*.jpg"), *SAMPLE.glob("armchair-*.jpg")]):
        pixels = decode_image(path.read_bytes()).pixels
        height, width = pixels.shape[:2]
        box = (0.15 * width, 0.1 * height, 0.9 * width, 0.95 * height)
        pair = thumbnail(pixels, SMALL_SIDE_PX, box, "crop"), thumbnail(pixels, LARGE_SIDE_PX)
        made.append((base64.b64encode(pair[0]).decode(), base64.b64encode(pair[1]).decode()))
    return made


if __name__ == "__main__":
    main()
