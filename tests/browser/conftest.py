"""A made-up report in a folder with a difficult name, and a browser that minds everything that goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from synthetic_report import Report, make_report, write_report

Open = Callable[..., Page]


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
        page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
        page.goto((folder / file).as_uri() + ("#" + state if state else ""))
        if options.get("java_script_enabled", True):
            page.wait_for_selector(DRAWN[file], state="attached")
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            if context.browser and page.locator("html").evaluate("() => 'hacked' in window"):
                troubles.append(f"catalogue text ran as a script on {page.url}")
        context.close()
    assert not troubles


DRAWN = {
    "duplicates.html": "#count:not(:text-is('Reading …')), .failure",
    "groups.html": "#count:not(:text-is('Reading …')), .failure",
    "map.html": "#map[data-drawn], .failure",
    "object.html": "#object > *, .failure",
}
