"""What holds for every page: contrast, narrow screens, the keyboard, no scripts, missing files, hostile text."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from synthetic_report import HOSTILE_TITLES, Report, make_report, write_report

Open = Callable[..., Page]
Contrast = Callable[[Page], list[tuple[float, str]]]

PAGES = [
    ("index.html", ""),
    ("duplicates.html", ""),
    ("duplicates.html", "tab=look"),
    ("duplicates.html", "tab=apart"),
    ("groups.html", ""),
    ("groups.html", "group=coarse-0"),
    ("groups.html", "tab=gone"),
    ("map.html", "by=class&on=1"),
    ("object.html", "0"),
]


@pytest.mark.parametrize(("file", "state"), PAGES)
def test_text_stands_out_controls_have_names_and_a_narrow_screen_is_enough(
    open_page: Open, contrast: Contrast, file: str, state: str
) -> None:
    page = open_page(file, state, color_scheme="light")
    nameless = page.evaluate(
        """() => Array.from(document.querySelectorAll("main button, main input, main select, nav input, main a"))
          .filter((one) => one.checkVisibility() && !(one.textContent.trim() || one.getAttribute("aria-label")
            || (one.labels && one.labels.length) || one.querySelector("img[alt]:not([alt=''])")))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("Array.from(document.images).filter((image) => !image.hasAttribute('alt')).length") == 0
    ids = page.evaluate("Array.from(document.querySelectorAll('[id]'), (one) => one.id)")
    assert len(ids) == len(set(ids))
    for scheme, painted in (("light", "rgb(246, 246, 243)"), ("dark", "rgb(19, 20, 22)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator("body")).to_have_css("background-color", painted)
        found = contrast(page)
        assert len(found) > 20 or "gone" in state
        assert found[0][0] >= 1, found[:5]
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.locator("html").evaluate("(html) => html.scrollWidth") <= 360
    link = page.locator("main [data-object]").first
    if link.count() and file != "object.html":
        link.click()
        expect(page.locator("dialog.panel .object-facts")).to_be_visible()
        assert page.locator("dialog.panel").evaluate("(one) => one.scrollWidth") <= 360


def test_by_keyboard_alone(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html", "tab=apart&min=50")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert "min=50" in page.url
    seen = []
    for _ in range(11):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "(document.activeElement.name || document.activeElement.id || document.activeElement.textContent)"
            )
        )
    wanted = [
        "tab-copies",
        "tab-look",
        "tab-apart",
        "verdict",
        "verdict",
        "verdict",
        "min",
        "find",
        "across",
        "sort",
        "export",
    ]
    assert seen == wanted
    page.locator("[name=min]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    variants = [pair for pair in report.pairs if pair["likeness"]["decision"] == "variant"]
    left = sum(pair["likeness"]["confidence"] >= 0.6 for pair in variants)
    expect(page.locator("#count")).to_have_text(f"{left} pairs match, of {len(variants)}.")


def test_hostile_text_is_text(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html")
    for title in HOSTILE_TITLES[:2]:
        expect(page.get_by_text(title, exact=True).first).to_be_visible()
    assert page.locator("main script, main img[src=x], main iframe").count() == 0
    page = open_page("object.html", "0")
    expect(page.locator("#object-name")).to_have_text(HOSTILE_TITLES[0])
    expect(page).to_have_title(HOSTILE_TITLES[0] + " · prodseek report")


def test_without_scripts_a_page_says_so(open_page: Open) -> None:
    page = open_page("duplicates.html", java_script_enabled=False)
    expect(page.get_by_text("This page is drawn by scripts")).to_be_visible()
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("groups.html", "data/groups-visual.js"),
        ("groups.html", "data/about.js"),
        ("groups.html", "thumbs/regions-0000.js"),
        ("map.html", "data/map.js"),
    ],
)
def test_a_missing_file_is_named(
    open_page: Open, report_folder: Path, tmp_path: Path, troubles: list[str], file: str, missing: str
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(report_folder, folder)
    (folder / missing).unlink()
    page = open_page(file, folder=folder)
    expect(page.get_by_role("alert").first).to_have_text(
        f"The file {missing} of this report cannot be read. Was the whole folder copied?"
    )
    assert troubles and all(missing in trouble or "ERR_FILE_NOT_FOUND" in trouble for trouble in troubles)
    troubles.clear()


def test_a_damaged_file_is_named(open_page: Open, report_folder: Path, tmp_path: Path, troubles: list[str]) -> None:
    folder = tmp_path / "report"
    shutil.copytree(report_folder, folder)
    damaged = folder / "data" / "groups-visual.js"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    page = open_page("groups.html", folder=folder)
    expect(page.get_by_role("alert")).to_have_text("The file data/groups-visual.js of this report is damaged.")
    assert len(troubles) == 1 and troubles.pop().startswith("error: ")


def test_a_report_of_nothing(open_page: Open, tmp_path: Path) -> None:
    empty = make_report(1, 0, 0, 0, 0)
    for facet in empty.groups.values():
        facet["odd"], facet["n_ungrouped"] = [0], 1
    empty.about["n_all_duplicate_groups"] = 0
    write_report(empty, tmp_path)
    expect(open_page("duplicates.html", folder=tmp_path).locator("#count")).to_have_text(
        "No photo is a copy of another."
    )
    for tab, nothing in (("look", "Nothing is left for a person to decide."), ("apart", "None found.")):
        expect(open_page("duplicates.html", f"tab={tab}", folder=tmp_path).locator("#count")).to_have_text(nothing)
    expect(open_page("groups.html", folder=tmp_path).locator("#count")).to_contain_text("No groups")
    expect(open_page("map.html", folder=tmp_path).locator("#map")).to_be_visible()
    expect(open_page("object.html", "0", folder=tmp_path).locator(".object-facts")).to_be_visible()
