"""A made-up report in a folder with a difficult name, and a browser that minds everything that goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright
from synthetic_overview import make_overview
from synthetic_report import Report, make_report, write_report

from prodseek.report.overview import render_overview

Open = Callable[..., Page]
Contrast = Callable[[Page], list[tuple[float, str]]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def report() -> Report:
    return make_report()


@pytest.fixture(scope="session")
def report_folder(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "a report #1?"
    write_report(report, folder)
    (folder / "index.html").write_bytes(render_overview(make_overview(report)))
    return folder


@pytest.fixture
def troubles() -> list[str]:
    """What the pages of a test complained of; a test that expects some clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, report_folder: Path, troubles: list[str]) -> Iterator[Open]:
    """Open a page of the report once it is drawn: open_page("map.html", "by=class", color_scheme="dark")."""
    contexts = []

    def opened(file: str, state: str = "", folder: Path = report_folder, **options: Any) -> Page:
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("requestfailed", lambda request: _mind(request, troubles))
        page.goto((folder / file).as_uri() + ("#" + state if state else ""))
        if options.get("java_script_enabled", True):
            page.wait_for_selector(DRAWN.get(file, "main"), state="attached")
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            if context.browser and page.locator("html").evaluate("() => 'hacked' in window"):
                troubles.append(f"catalogue text ran as a script on {page.url}")
        context.close()
    assert not troubles


@pytest.fixture(scope="session")
def contrast() -> Contrast:
    """What a page's texts have of the contrast that they need, 1 being enough, the worst first."""
    return lambda page: page.evaluate(CONTRAST)


def _mind(request: Request, troubles: list[str]) -> None:
    if request.failure != "net::ERR_ABORTED":  # a page that is left lets go of what it was still reading
        troubles.append(f"failed: {request.url} {request.failure}")


DRAWN = {
    "index.html": "#find:not([hidden]), .failure",
    "duplicates.html": "#count:not(:text-is('Reading …')), .failure",
    "groups.html": "#count:not(:text-is('Reading …')), .failure",
    "map.html": "#map[data-drawn], .failure",
    "object.html": "#object > *, .failure",
}

# Contrast of every text with what is painted below it (WCAG 2.2, 1.4.3), the worst first.
CONTRAST = """() => {
  const parts = (css) => css.match(/[\\d.]+/g).map(Number);
  const linear = (value) => (value <= 10.31 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  function below(element) {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  }
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const hidden = !element.checkVisibility({ visibilityProperty: true }) || element.closest("option, :disabled");
    if (hidden || !texts.currentNode.data.trim()) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const [a, b] = [light(parts(style.color)), light(below(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05) / (large ? 3 : 4.5), texts.currentNode.data.trim().slice(0, 40)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""
