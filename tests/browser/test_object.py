"""An object's panel and its page, and finding objects."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from synthetic_report import Report

Open = Callable[..., Page]


def numbers(page: Page, selector: str) -> list[int]:
    return page.locator(selector).evaluate_all("(all) => all.map((one) => Number(one.dataset.object))")


def test_the_page_of_an_object_says_all(open_page: Open, report: Report) -> None:
    number = next(
        n for n, shown in enumerate(report.objects) if shown["pairs"] and shown["duplicates"] >= 0 and shown["others"]
    )
    shown = report.objects[number]
    page = open_page("object.html", str(number))
    facts = page.locator(".object-facts")
    for text in (
        shown["photos"][0]["product_id"],
        f"{shown['width_px']:,} × {shown['height_px']:,} px",
        shown["detection_id"],
        "images/",
    ):
        expect(facts).to_contain_text(text)
    expect(page.locator("figcaption").first).to_have_text("Also in the photo: potted plant 45 %")
    for facet, title in (("likeness", "Most like it"), ("colour", "By colour")):
        section = page.locator("section").filter(has=page.get_by_role("heading", name=title))
        expect(section.locator("figure")).to_have_count(len(report.neighbours[number][facet]))
        for place, (other, cosine) in enumerate(report.neighbours[number][facet]):
            expect(section.locator("[data-object]").nth(place)).to_have_attribute("href", f"object.html#{other}")
            expect(section.locator("figure").nth(place)).to_contain_text(f"{cosine:.3f}")
    group = report.duplicates[shown["duplicates"]]
    copies = page.locator("section").filter(has=page.get_by_role("heading", name="Copies of this photo"))
    expect(copies.locator("figure")).to_have_count(1 + len(group["copies"]))
    n_to_look_at = report.about["n_pairs_to_look_at"]
    for tab, title in (("look", "To look at: a person decides"), ("apart", "Alike, but no copies")):
        pairs = [pair for pair in shown["pairs"] if (pair < n_to_look_at) == (tab == "look")]
        alike = page.locator("section").filter(has=page.get_by_role("heading", name=title))
        expect(alike.locator("figure")).to_have_count(len(pairs))
        for place, pair in enumerate(pairs):
            expect(alike.get_by_role("link", name="compare").nth(place)).to_have_attribute(
                "href", f"duplicates.html#tab={tab}&group={pair}"
            )
    fine = report.groups["visual"]["fine"][shown["group"]]
    expect(page.get_by_role("heading", name="Its group").locator("..")).to_contain_text(fine["title"])


def test_an_object_in_another_categorys_group_says_so(open_page: Open, report: Report) -> None:
    number, *_ = report.groups["visual"]["odd_category"][0]
    page = open_page("object.html", str(number))
    expect(page.locator("#object")).to_contain_text("filed as <i>lamps</i>; like <b>chairs</b> (7 of 8 nearest)")


def test_an_object_without_a_title_has_no_line_for_it(open_page: Open, report: Report) -> None:
    number = next(n for n, shown in enumerate(report.objects) if not any(row["title"] for row in shown["photos"]))
    facts = open_page("object.html", str(number)).locator(".object-facts")
    expect(facts.locator("dt").first).to_have_text("Product")
    assert (
        facts.evaluate("(one) => Array.from(one.childNodes, (node) => node.nodeName)")
        == ["DIV"] * facts.locator(":scope > div").count()
    )


def test_the_box_lies_on_the_photo(open_page: Open, report: Report) -> None:
    number = next(
        n for n, shown in enumerate(report.objects) if shown["kind"] == "foreground" and n not in report.missing
    )
    shown = report.objects[number]
    page = open_page("object.html", str(number))
    image, box = page.locator(".whole img"), page.locator(".whole rect.line:not(.other)")
    expect(image).to_have_attribute("src", re.compile("^data:"))
    photo, frame = image.bounding_box(), box.evaluate("(one) => one.getBoundingClientRect().toJSON()")
    assert photo
    scale = photo["width"] / shown["width_px"]
    assert photo["height"] / shown["height_px"] == pytest.approx(scale, rel=0.02)
    x1, y1, x2, y2 = (edge * scale for edge in shown["box_px"])
    assert [frame["left"] - photo["x"], frame["top"] - photo["y"]] == pytest.approx([x1, y1], abs=2)
    assert [frame["width"], frame["height"]] == pytest.approx([x2 - x1, y2 - y1], abs=2)


def test_one_object_leads_to_the_next(open_page: Open, report: Report) -> None:
    page = open_page("object.html", "40")
    other = report.neighbours[40]["likeness"][1][0]
    page.locator(f'[data-object="{other}"]').first.click()
    expect(page.locator(".object-facts")).to_contain_text(report.objects[other]["detection_id"])
    assert page.url.endswith(f"#{other}")
    page.go_back()
    expect(page.locator(".object-facts")).to_contain_text(report.objects[40]["detection_id"])
    page.get_by_role("link", name="Object after").click()
    expect(page.locator(".object-facts")).to_contain_text(report.objects[41]["detection_id"])


@pytest.mark.parametrize("state", ["", "999999"])
def test_an_object_that_is_not_there(open_page: Open, report: Report, state: str) -> None:
    page = open_page("object.html", state)
    expect(page.get_by_role("alert")).to_contain_text(f"Its objects are 0 to {len(report.objects) - 1}.")


def test_the_panel_by_keyboard(open_page: Open, report: Report) -> None:
    page = open_page("groups.html", "group=fine-0")
    gallery = numbers(page, "#cards .gallery [data-object]")
    opener = page.locator("#cards [data-object]").nth(5)
    opener.focus()
    page.keyboard.press("Enter")
    panel = page.locator("dialog.panel")

    def shows(number: int) -> None:
        expect(panel.locator(".object-facts")).to_contain_text(report.objects[number]["detection_id"])
        expect(panel.get_by_role("link", name="Own page")).to_have_attribute("href", f"object.html#{number}")

    shows(gallery[5])
    page.keyboard.press("ArrowRight")
    shows(gallery[6])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    shows(gallery[4])
    expect(panel).to_contain_text(f"5 of {len(gallery)}")
    near = report.neighbours[gallery[4]]["likeness"][2][0]
    panel.locator(f'[data-object="{near}"]').first.focus()
    page.keyboard.press("Enter")
    shows(near)
    page.keyboard.press("ArrowRight")
    shows(report.neighbours[gallery[4]]["likeness"][3][0])
    panel.get_by_role("button", name="Back").click()
    shows(gallery[4])
    expect(panel.get_by_role("button", name="Back")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_click_beside_the_panel_closes_it(open_page: Open) -> None:
    page = open_page("groups.html", "tab=odd")
    page.locator("#cards [data-object]").first.click()
    expect(page.locator("dialog.panel")).to_be_visible()
    page.mouse.click(4, 4)
    expect(page.locator("dialog.panel")).to_be_hidden()


def test_find_by_words_without_case_and_accents(open_page: Open, report: Report) -> None:
    page = open_page("map.html")
    page.keyboard.press("/")
    box = page.locator("#find-words")
    expect(box).to_be_focused()
    box.fill("LAMP  p-001")
    page.keyboard.press("Enter")
    finder = page.locator("dialog.find")
    expected = [
        n
        for n, shown in enumerate(report.objects)
        if any("lamp" in row["title"].lower() for row in shown["photos"])
        and any("P-001" in row["product_id"] for row in shown["photos"])
    ]
    assert 5 < len(expected) < 200
    expect(finder.get_by_role("status")).to_have_text(f"{len(expected)} objects.")
    assert numbers(page, "dialog.find [data-object]") == expected
    again = finder.get_by_role("searchbox")
    for words, found in (
        ("calounene kreslo", [9]),
        ("été #1?.jpg", [0]),
        ("ETE", [0]),
        ("<script>window", [0]),
        (report.objects[77]["detection_id"], [77]),
        ("沙发 👟", [9]),
    ):
        again.fill(words)
        expect(finder.get_by_role("status")).to_have_text(f"{len(found)} object.")
        expect(finder.locator("[data-object]")).to_have_attribute("href", f"object.html#{found[0]}")
    again.fill("no such thing")
    expect(finder.get_by_role("status")).to_contain_text("Nothing matches “no such thing”.")
    again.fill("p-0")
    expect(finder.get_by_role("status")).to_have_text(f"{len(report.objects)} objects; the first 200 are shown.")
    expect(finder.locator("[data-object]")).to_have_count(200)
    finder.locator("[data-object]").nth(3).click()
    expect(page.locator("dialog.panel:not(.find)")).to_contain_text(report.objects[3]["detection_id"])
    page.keyboard.press("Escape")
    expect(finder).to_be_visible()
    page.keyboard.press("Escape")
    expect(finder).to_be_hidden()


def test_finding_on_the_page_of_an_object_leads_to_another(open_page: Open, report: Report) -> None:
    page = open_page("object.html", "5")
    page.locator("#find-words").fill(report.objects[50]["detection_id"])
    page.keyboard.press("Enter")
    page.locator("dialog.find [data-object]").click()
    expect(page.locator(".object-facts")).to_contain_text(report.objects[50]["detection_id"])
    expect(page.locator("dialog.find")).to_be_hidden()
