"""The first page: all of it without scripts, unfolded by the keyboard, its links lead on."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect
from synthetic_report import HOSTILE_TITLES, Report

Open = Callable[..., Page]


def test_everything_is_there_without_scripts(open_page: Open) -> None:
    page = open_page("index.html", java_script_enabled=False)
    expect(page.get_by_role("heading", name="Since the last run", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Photos read, run by run")).to_be_visible()
    expect(page.get_by_text(HOSTILE_TITLES[0], exact=True).first).to_be_visible()
    assert page.locator("main script, main iframe").count() == 0
    expect(page.locator("main [hidden]")).to_have_count(0)


def test_pictures_are_shown_and_lead_to_their_object(open_page: Open, report: Report) -> None:
    page = open_page("index.html")
    widths = page.locator("main img").evaluate_all("(images) => images.map((image) => image.naturalWidth)")
    assert len(widths) == 23 and min(widths) > 0
    expect(page.get_by_text("The photo cannot be read any more.")).to_be_visible()
    page.locator("main [data-object='3']").click()
    expect(page.locator("dialog.panel")).to_contain_text(report.objects[3]["photos"][0]["product_id"])


def test_the_table_of_all_runs_unfolds_by_keyboard(open_page: Open) -> None:
    page = open_page("index.html")
    summary = page.get_by_text("All figures of 32 runs as a table")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("region", name="Figures of all runs")
    expect(table).to_be_visible()
    expect(table.get_by_role("row")).to_have_count(33)
    page.keyboard.press("Tab")
    expect(table).to_be_focused()


def test_links_lead_to_what_they_name(open_page: Open) -> None:
    page = open_page("index.html")

    def followed(name: str, place: int = 0) -> Page:
        # In a page of its own: to leave one that still reads its files is a failed request.
        link = page.get_by_role("link", name=name, exact=True).nth(place).get_attribute("href")
        file, _, state = str(link).partition("#")
        return open_page(file, state)

    apart = followed("new pairs of variants kept apart")
    expect(apart.locator("#tab-apart")).to_have_attribute("aria-current", "page")
    expect(followed("3 photos", 2).locator("#count")).to_contain_text("1 group matches")
    born = followed("new, 9 of them coarse")
    expect(born.locator("[name=event]")).to_have_value("born")
    expect(born.locator("[name=level]")).to_have_value("fine")
