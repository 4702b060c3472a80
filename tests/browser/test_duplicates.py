"""The duplicates page: filters, export, and one photo laid over another."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from synthetic_report import Report

from prodseek.report.records import Likeness, PairApart, ShownPhoto

Open = Callable[..., Page]
Link = tuple[str, ShownPhoto, ShownPhoto, Likeness]


def pairs_of(report: Report, tab: str) -> list[PairApart]:
    n_to_look_at = report.about["n_pairs_to_look_at"]
    return report.pairs[:n_to_look_at] if tab == "look" else report.pairs[n_to_look_at:]


def cards(report: Report, tab: str) -> Iterator[tuple[str, list[ShownPhoto], list[Link]]]:
    """Id, photos and links of every group or pair, in the order of the data."""
    if tab:
        for pair in pairs_of(report, tab):
            yield "", [pair["a"], pair["b"]], [("", pair["a"], pair["b"], pair["likeness"])]
        return
    for group in report.duplicates:
        kept = group["representative"]
        links = [(group["group_id"], kept, copy["photo"], copy["likeness"]) for copy in group["copies"]]
        yield group["group_id"], [kept, *(copy["photo"] for copy in group["copies"])], links


def folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.category(letter).startswith("M")).lower()


def left_by(report: Report, state: dict[str, str]) -> list[list[Link]]:
    """What the filters leave, card by card: the page's filters once more."""
    verdicts = set(filter(None, state.get("verdict", "").split(",")))
    left = []
    for card_id, photos, links in cards(report, state.get("tab", "")):
        relative = [photo["uri"].removeprefix("/shop/spring sale #1/") for photo in photos]
        shown = [f"{photo['product_id']} {photo['title']}" for photo in photos]
        text = folded(" ".join([*shown, *relative, card_id]))
        kept = [
            link
            for link in links
            if (not verdicts or link[3]["verdict"] in verdicts)
            and link[3]["confidence"] >= int(state.get("min", "0")) / 100
        ]
        across = len({photo["product_id"] for photo in photos}) > 1
        found = all(word in text for word in folded(state.get("find", "")).split())
        if kept and found and (across or not state.get("across")):
            left.append(kept)
    orders: dict[str, Callable[[list[Link]], float]] = {
        "unsure": lambda links: min(link[3]["confidence"] for link in links),
        "sure": lambda links: -min(link[3]["confidence"] for link in links),
    }
    return sorted(left, key=orders[state["sort"]]) if "sort" in state else left


def saved(page: Page) -> list[list[str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these as CSV").click()
    raw = download.value.path().read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.endswith(b"\r\n")
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))


FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one
STATES: list[dict[str, str]] = [
    {},
    {"verdict": "cropped,mirrored"},
    {"min": "80", "sort": "unsure"},
    {"across": "1", "sort": "sure"},
    {"find": "CALOUNENE  KRESLO"},
    {"find": "dup-00041"},
    {"find": "=hyperlink"},
    {"verdict": "rotated", "min": "60", "across": "1", "find": "p-0"},
    {"tab": "look"},
    {"tab": "look", "verdict": "mirrored", "sort": "unsure"},
    {"tab": "apart"},
    {"tab": "apart", "verdict": "same_object,recoloured", "min": "55", "sort": "unsure"},
    {"find": "no such thing"},
]


def test_filters_leave_what_python_leaves_and_the_export_holds_it(open_page: Open, report: Report) -> None:
    for state in STATES:
        # A browser lets a page save no more than ten files one after another.
        page = open_page("duplicates.html")
        page.goto(f"{page.url.partition('#')[0]}#{urlencode(state)}")
        left = left_by(report, state)
        expect(page.locator("#count")).to_contain_text(sentence(report, state, len(left)))
        expect(page.locator("#cards > article")).to_have_count(min(24, len(left)))
        if not left:
            expect(page.get_by_role("button", name="Save these")).to_be_hidden()
            continue
        rows = saved(page)
        assert rows[0][:3] == ["group_id", "verdict", "confidence"]
        assert rows[0][-3:] == ["decision", "kept_because", "conflicts"]
        assert {row[-3] for row in rows[1:]} == {likeness["decision"] for links in left for *_, likeness in links}
        expected = [
            [group_id, likeness["verdict"], a["uri"], cell(a["title"]), b["uri"], cell(b["title"]), str(b["width_px"])]
            for links in left
            for group_id, a, b, likeness in links
        ]
        assert [[row[0], row[1], row[5], row[4], row[10], row[9], row[11]] for row in rows[1:]] == expected, state
        assert [float(row[2]) for row in rows[1:]] == [link[3]["confidence"] for links in left for link in links]
        assert not any(value.startswith(FORMULA) for row in rows for value in row)


def sentence(report: Report, state: dict[str, str], n_left: int) -> str:
    tab = state.get("tab", "")
    noun, n_all = ("pair", len(pairs_of(report, tab))) if tab else ("group", len(report.duplicates))
    if not state.keys() - {"tab", "sort"}:
        return f"{n_all} {noun}s."
    match n_left:
        case 0:
            return f"No {noun} matches, of {n_all}."
        case 1:
            return f"1 {noun} matches, of {n_all}."
    return f"{n_left} {noun}s match, of {n_all}."


def cell(text: str) -> str:
    return "'" + text if text.startswith(FORMULA) else text


def test_pages_follow_one_another_and_back_works(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html")
    numbers = "Array.from(document.querySelectorAll('#cards > article'), (card) => Number(card.dataset.number))"
    assert page.evaluate(numbers) == list(range(24))
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("#cards > article").first).to_have_attribute("data-number", "24")
    assert page.evaluate(numbers) == list(range(24, 48))
    expect(page.locator("#count")).to_be_in_viewport()
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Page 3").click()
    expect(page.locator("#cards > article")).to_have_count(len(report.duplicates) - 48)
    page.get_by_role("checkbox", name="cropped").check()
    expect(page.locator("#all")).to_be_visible()
    assert "page" not in page.url and "verdict=cropped" in page.url
    page.go_back()
    expect(page.locator("#cards > article").first).to_have_attribute("data-number", "24")
    page.go_back()
    expect(page.locator("#cards > article").first).to_have_attribute("data-number", "0")
    expect(page.get_by_role("checkbox", name="cropped")).not_to_be_checked()


def test_controls_and_address_say_the_same(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html")
    page.get_by_role("slider", name="At least").fill("70")
    page.get_by_role("searchbox", name="With").fill("p-000")
    page.get_by_role("checkbox", name="only across products").check()
    page.get_by_role("combobox", name="Order").select_option(label="most products first")
    expect(page).to_have_url(re.compile("sort=products"))
    left = left_by(report, {"min": "70", "find": "p-000", "across": "1"})
    expect(page.locator("#count")).to_contain_text(f"{len(left)} groups match")
    again = open_page("duplicates.html", page.url.partition("#")[2])
    expect(again.get_by_role("slider", name="At least")).to_have_value("70")
    expect(again.get_by_role("searchbox", name="With")).to_have_value("p-000")
    expect(again.get_by_role("checkbox", name="only across products")).to_be_checked()
    assert again.locator("#count").inner_text() == page.locator("#count").inner_text()
    again.get_by_role("link", name="Variants kept apart").click()
    expect(again.locator("#count")).to_have_text(f"{len(pairs_of(report, 'apart'))} pairs.")
    expect(again.get_by_role("checkbox", name="cropped")).to_be_hidden()
    expect(again.get_by_role("checkbox", name="recoloured")).to_be_visible()
    again.get_by_role("link", name="To look at").click()
    expect(again.locator("#count")).to_have_text(f"{len(pairs_of(report, 'look'))} pairs.")
    expect(again.get_by_text("a person decides")).to_be_visible()
    expect(again.get_by_role("checkbox", name="mirrored")).to_be_visible()
    expect(again.get_by_role("checkbox", name="same object")).to_be_hidden()


def test_cards_say_what_is_known(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html")
    first = page.locator("#cards > article").first
    group = report.duplicates[0]
    expect(first).to_contain_text(f"{group['n_photos']} photos")
    for copy in group["copies"]:
        expect(first).to_contain_text(report.about["verdicts"][copy["likeness"]["verdict"]]["label"])
        expect(first).to_contain_text(copy["photo"]["title"].strip().replace("\n", " "))
    expect(first.locator(".keep")).to_contain_text(f"keep{group['kept_because']}")
    expect(first.locator(".copies figure").first).to_contain_text(
        f"Why the other: {group['copies'][0]['kept_because']}"
    )
    expect(first.locator(".conflicts")).to_have_text(
        f"Same photo, {group['n_products']} products. They differ in {group['conflicts']}"
    )
    expect(page.locator("#cards > article").nth(1).locator(".conflicts")).to_have_count(0)
    expect(first.get_by_text("other product").first).to_be_visible()
    expect(first.get_by_text("PDQ distance 12").first).to_be_visible()
    expect(page.locator("#cards > article").nth(1)).to_contain_text("2 more in the table duplicate_groups")
    expect(page.locator("#count")).to_contain_text("The report holds the 60 largest of 65")
    narrowed = open_page("duplicates.html", "group=0&verdict=cropped").locator("#cards > article")
    expect(narrowed.locator(".copies > figure")).to_have_count(1)
    expect(narrowed).to_contain_text("4 that the filters leave out")


def test_the_shared_part_is_framed_in_both(open_page: Open, report: Report) -> None:
    number, copy = next(
        (number, copy)
        for number, group in enumerate(report.duplicates)
        for copy in group["copies"]
        if copy["likeness"]["verdict"] == "cropped" and len(group["copies"]) == 1
    )
    page = open_page("duplicates.html", f"group={number}")
    frame = "(box) => ['x', 'y', 'width', 'height'].map((side) => Number(box.getAttribute(side)))"
    shown = [page.locator(f"{place} rect.line").evaluate(frame) for place in (".keep", ".copies")]
    for (x, y, width, height), box in zip(
        shown, (copy["likeness"]["box_a_px"], copy["likeness"]["box_b_px"]), strict=True
    ):
        assert box == pytest.approx([x, y, x + width, y + height])
    tile, picture = page.locator(".keep .tile").bounding_box(), page.locator(".keep svg").bounding_box()
    assert tile and picture and abs(tile["width"] - picture["width"]) <= 2 and abs(tile["y"] - picture["y"]) <= 2


@pytest.mark.parametrize("verdict", ["cropped", "padded", "mirrored", "rotated", "re_encoded", "identical_bytes"])
def test_a_copy_lies_where_its_transform_says(open_page: Open, report: Report, verdict: str) -> None:
    number, place, group = next(
        (number, place, group)
        for number, group in enumerate(report.duplicates)
        for place, copy in enumerate(group["copies"])
        if copy["likeness"]["verdict"] == verdict
    )
    page = open_page("duplicates.html", f"group={number}")
    page.get_by_role("button", name="Compare").nth(place).click()
    expect(page.locator("dialog.compare .stage")).to_be_visible()
    on_screen = """() => {
      const stage = document.querySelector(".stage").getBoundingClientRect();
      const first = document.querySelector(".stage .a").getBoundingClientRect();
      const copy = document.querySelector(".stage .b");
      const matrix = new DOMMatrix(getComputedStyle(copy).transform);
      const corners = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([x, y]) => {
        const at = matrix.transformPoint(new DOMPoint(x * copy.offsetWidth, y * copy.offsetHeight));
        return [stage.left + copy.offsetLeft + at.x, stage.top + copy.offsetTop + at.y];
      });
      const bounds = copy.getBoundingClientRect();
      return { stage: stage.toJSON(), first: first.toJSON(), corners, bounds: bounds.toJSON() };
    }"""
    seen = page.evaluate(on_screen)
    first, corners = seen["first"], np.array(seen["corners"])
    t = np.array(group["copies"][place]["likeness"]["transform"] or [1, 0, 0, 0, 1, 0]).reshape(2, 3)
    expected = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) @ t.T
    expected = expected * [first["width"], first["height"]] + [first["left"], first["top"]]
    np.testing.assert_allclose(corners, expected, atol=1.5)
    bounds = seen["bounds"]
    np.testing.assert_allclose(
        [bounds["left"], bounds["top"], bounds["right"], bounds["bottom"]],
        [*expected.min(0), *expected.max(0)],
        atol=1.5,
    )
    a = group["representative"]
    assert first["width"] / first["height"] == pytest.approx(a["width_px"] / a["height_px"], rel=0.02)
    stage = seen["stage"]  # holds both, and no more
    both = np.vstack([expected, [[first["left"], first["top"]], [first["right"], first["bottom"]]]])
    np.testing.assert_allclose([stage["left"], stage["top"]], both.min(0), atol=1.5)
    np.testing.assert_allclose([stage["right"], stage["bottom"]], both.max(0), atol=1.5)


def test_comparing_by_keyboard(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html", "group=0")
    opener = page.get_by_role("button", name="Compare").nth(1)
    opener.focus()
    page.keyboard.press("Enter")
    stage = page.locator("dialog.compare .stage")
    expect(stage).to_have_attribute("data-shown", "b")
    expect(page.get_by_role("button", name="Blink by itself")).to_be_visible()  # motion is not wanted
    page.keyboard.press("Space")
    expect(stage).to_have_attribute("data-shown", "a")
    expect(page.locator("dialog .over")).to_have_css("opacity", "0")
    for mode, name in (("fade", "Fade"), ("wipe", "Wipe"), ("difference", "Difference")):
        page.get_by_role("radio", name=name).check()
        expect(stage).to_have_attribute("data-mode", mode)
    expect(page.locator("dialog .over")).to_have_css("mix-blend-mode", "difference")
    page.get_by_role("radio", name="Fade").check()
    page.locator("dialog input[type=range]").fill("25")
    expect(page.locator("dialog .over")).to_have_css("opacity", "0.25")
    page.get_by_role("radio", name="Wipe").check()
    expect(page.locator("dialog .over")).to_have_css("clip-path", "inset(0px 75% 0px 0px)")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.compare")).to_be_hidden()
    expect(opener).to_be_focused()


def test_blinking_goes_by_itself_where_motion_is_welcome(open_page: Open) -> None:
    page = open_page("duplicates.html", "group=0", reduced_motion="no-preference")
    page.get_by_role("button", name="Compare").first.click()
    stage = page.locator("dialog.compare .stage")
    for shown in ("a", "b"):
        expect(stage).to_have_attribute("data-shown", shown)
    page.get_by_role("button", name="Stop blinking").click()
    expect(page.get_by_role("button", name="Blink by itself")).to_be_visible()


def test_photos_that_cannot_be_laid_over_each_other_stand_side_by_side(open_page: Open, report: Report) -> None:
    number = next(n for n, pair in enumerate(report.pairs) if pair["likeness"]["transform"] is None)
    page = open_page("duplicates.html", f"tab=apart&group={number}")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("dialog.compare")).to_contain_text("cannot be laid over each other")
    expect(page.locator("dialog.compare .stage")).to_be_hidden()
    expect(page.locator("dialog.compare .pair img")).to_have_count(2)


def test_pictures_come_when_they_are_seen(open_page: Open, report: Report) -> None:
    page = open_page("duplicates.html")
    last = page.locator("#cards > article").last.locator("img").first
    assert last.get_attribute("src") is None
    last.scroll_into_view_if_needed()
    expect(last).to_have_attribute("src", re.compile("^data:image/webp;base64,"))
    missing = next(n for n in sorted(report.missing) if report.objects[n]["duplicates"] >= 0)
    group = open_page("duplicates.html", f"group={report.objects[missing]['duplicates']}")
    expect(group.get_by_text("The photo cannot be read any more.").first).to_be_visible()
    assert group.locator(".keep img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
