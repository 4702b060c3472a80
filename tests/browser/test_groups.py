"""The groups page: two levels of galleries, filters, lineage, the odd ones out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, expect
from synthetic_report import Report, make_report, write_report

from prodseek.report.records import ShownGroup

Open = Callable[..., Page]
NEWEST_FIRST = ["born", "split", "merged", "grown", "shrunk", "continued"]


def left_by(report: Report, state: dict[str, str]) -> list[str]:
    """What the filters leave, such as "fine-3", in order: the page's filters once more."""
    groups = report.groups[state.get("facet", "visual")]
    listed: list[tuple[str, ShownGroup, list[ShownGroup]]] = []
    if state.get("level") == "fine" or not groups["coarse"]:
        listed = [(f"fine-{n}", group, []) for n, group in enumerate(groups["fine"])]
    else:
        for n, group in enumerate(groups["coarse"]):
            listed.append((f"coarse-{n}", group, [fine for fine in groups["fine"] if fine["parent"] == n]))
        listed += [(f"fine-{n}", group, []) for n, group in enumerate(groups["fine"]) if group["parent"] < 0]

    def found(group: ShownGroup) -> bool:
        text = (
            f"{group['title']} {group['category']} {group['class_name']} {group['colour']} {group['group_id']}".lower()
        )
        return all(word in text for word in state.get("find", "").lower().split())

    left = [
        (name, group)
        for name, group, finer in listed
        if group["n_regions"] >= int(state.get("least", "0"))
        and group["event"] == state.get("event", group["event"])
        and (found(group) or any(found(fine) for fine in finer))
    ]
    orders: dict[str, Callable[[ShownGroup], tuple[float, ...]]] = {
        "loose": lambda group: (group["cohesion"],),
        "new": lambda group: (NEWEST_FIRST.index(group["event"]), -group["n_regions"]),
    }
    order = orders.get(state.get("sort", ""), lambda group: (-group["n_regions"],))
    return [name for name, group in sorted(left, key=lambda one: order(one[1]))]


STATES: list[dict[str, str]] = [
    {},
    {"level": "fine"},
    {"level": "fine", "find": "LAMP white"},
    {"find": "vase fine 26"},
    {"event": "merged"},
    {"least": "9", "level": "fine", "sort": "loose"},
    {"sort": "new", "level": "fine", "find": "fine"},
    {"facet": "colour"},
    {"find": "no such thing"},
]


def test_filters_leave_what_python_leaves(open_page: Open, report: Report) -> None:
    page = open_page("groups.html")
    for state in STATES:
        page.goto(f"{page.url.partition('#')[0]}#{urlencode(state)}")
        left = left_by(report, state)
        assert cards_once(page, left[:24]) == left[:24], state
        if len(left) > 24:
            page.get_by_role("link", name="Next page").click()
            assert cards_once(page, left[24:48]) == left[24:48], state
        if "find" in state:
            expect(page.locator("#count")).to_contain_text("match")


def cards_once(page: Page, expected: list[str]) -> list[str]:
    """The cards shown, once they are those expected or two seconds are over."""
    for _ in range(100):
        shown = page.locator("#cards > article").evaluate_all("(all) => all.map((card) => card.dataset.group)")
        if shown == expected:
            break
        page.wait_for_timeout(20)
    return shown


def test_controls_and_address_say_the_same(open_page: Open, report: Report) -> None:
    page = open_page("groups.html")
    page.get_by_role("combobox", name="Level").select_option("fine")
    page.get_by_role("spinbutton", name="At least").fill("5")
    page.get_by_role("combobox", name="Since the last run").select_option(label="grown")
    page.get_by_role("searchbox", name="With").fill("fine")
    left = left_by(report, {"level": "fine", "least": "5", "event": "grown", "find": "fine"})
    expect(page.locator("#count")).to_have_text(f"{len(left)} groups match, of {len(report.groups['visual']['fine'])}.")
    page.get_by_role("combobox", name="Alike by").select_option("colour")
    expect(page.get_by_role("combobox", name="Level")).to_be_hidden()
    again = open_page("groups.html", page.url.partition("#")[2])
    expect(again.get_by_role("searchbox", name="With")).to_have_value("fine")
    expect(again.get_by_role("combobox", name="Alike by")).to_have_value("colour")
    again.get_by_role("link", name="Show all").click()
    expect(again.locator("#count")).to_have_text(f"{len(report.groups['colour']['fine'])} fine groups.")


def test_a_coarse_group_unfolds_to_its_finer_ones(open_page: Open, report: Report) -> None:
    groups = report.groups["visual"]
    page = open_page("groups.html")
    card = page.locator('[data-group="coarse-2"]')
    finer = [n for n, group in enumerate(groups["fine"]) if group["parent"] == 2]
    card.get_by_text(f"{len(finer)} finer groups").click()
    headings = card.locator("h3")
    expect(headings).to_have_count(len(finer))
    assert headings.first.inner_text().startswith(groups["fine"][finer[0]]["title"])
    first = groups["fine"][finer[0]]
    tiles = card.locator(".finer section").first.locator("[data-object]")
    n_first = first["n_exemplars"] + 14
    expect(tiles).to_have_count(min(n_first, len(first["members"])))
    numbers = [int(number) for number in tiles.evaluate_all("(all) => all.map((one) => one.dataset.object)")]
    assert numbers == first["members"][:n_first]
    expect(card.locator(".finer section").first).to_contain_text("3 objects more in the table curation_groups")
    headings.first.get_by_role("link").click()
    expect(page.locator("#cards > article")).to_have_count(1)
    expect(page.locator("#cards > article")).to_have_attribute("data-group", f"fine-{finer[0]}")
    page.locator("header").get_by_role("link", name=groups["coarse"][2]["title"]).click()
    expect(page.locator("#cards > article")).to_have_attribute("data-group", "coarse-2")
    expect(page.locator("#cards h3")).to_have_count(len(finer))


def test_a_coarse_group_that_is_one_fine_group_is_counted_and_shown_once(open_page: Open, tmp_path: Path) -> None:
    twins = make_report(60, 3, 3, 0, 0)
    write_report(twins, tmp_path)
    page = open_page("groups.html", folder=tmp_path)
    expect(page.locator("#tabs a").first).to_have_text("Groups 3")
    expect(page.locator("#cards > article")).to_have_count(3)
    expect(page.locator("#cards details")).to_have_count(0)
    first = twins.groups["visual"]["fine"][1]
    n_shown = min(len(first["members"]), first["n_exemplars"] + 14)
    expect(page.locator('[data-group="coarse-1"] [data-object]')).to_have_count(n_shown)


def test_groups_are_counted_as_the_log_counts_them(open_page: Open, report: Report) -> None:
    groups = report.groups["visual"]
    assert len(groups["fine"]) > len(groups["coarse"]) > 0
    expect(open_page("groups.html").locator("#tabs a").first).to_have_text(f"Groups {len(groups['fine'])}")


def test_more_members_come_on_demand(open_page: Open, report: Report) -> None:
    number, group = max(enumerate(report.groups["visual"]["fine"]), key=lambda one: len(one[1]["members"]))
    card = open_page("groups.html", f"group=fine-{number}").locator("#cards > article")
    n_left = len(group["members"]) - group["n_exemplars"] - 14
    assert n_left > 0
    expect(card.locator(".exemplar")).to_have_count(group["n_exemplars"])
    card.get_by_role("button", name=f"{n_left} more").click()
    expect(card.locator("[data-object]")).to_have_count(len(group["members"]))
    expect(card.locator("button")).to_be_hidden()


def test_what_happened_since_the_last_run(open_page: Open, report: Report) -> None:
    page = open_page("groups.html")
    words = {"born": "new", "grown": "grown", "shrunk": "shrunk", "merged": "merged from “old <i>one</i>”, “old two”"}
    words |= {"split": "split from “whole”"}
    for number, group in enumerate(report.groups["visual"]["coarse"]):
        badge = page.locator(f'[data-group="coarse-{number}"] > header .event')
        if group["event"] in words:
            expect(badge).to_have_text(words[group["event"]])
        else:
            expect(badge).to_have_count(0)
    page.get_by_role("link", name="Gone since the last run").click()
    expect(page.locator("#cards")).to_contain_text("Gone </p><b>lamps</b> fine, group old-1")


def test_the_odd_ones_out(open_page: Open, report: Report) -> None:
    page = open_page("groups.html")
    page.get_by_role("link", name="The odd ones out").click()
    odd = report.groups["visual"]["odd"]
    expect(page.locator("#count")).to_contain_text(f"{len(odd) + 2} objects in no fine group")
    expect(page.locator("#count")).to_contain_text(f"The report holds {len(odd)} of them")
    numbers = page.locator("#cards [data-object]").evaluate_all("(all) => all.map((one) => Number(one.dataset.object))")
    assert numbers == odd[:120]
    page.go_back()
    expect(page.locator("#cards > article").first).to_be_visible()


def test_what_sits_in_another_categorys_group(open_page: Open, report: Report) -> None:
    page = open_page("groups.html")
    page.get_by_role("link", name="Like another category").click()
    odd = report.groups["visual"]["odd_category"]
    expect(page.locator("#count")).to_contain_text(f"{len(odd)} objects like things of another category")
    expect(page.locator("#count")).to_contain_text(report.groups["visual"]["asked"])
    numbers = page.locator("#cards [data-object]").evaluate_all("(all) => all.map((one) => Number(one.dataset.object))")
    assert numbers == [number for number, *_ in odd[:120]]
    group = report.groups["visual"]["fine"][odd[0][1]]
    expect(page.locator("#cards figure").first).to_contain_text(
        f"filed as <i>lamps</i>; like <b>chairs</b> (7 of 8 nearest), in {group['title']}"
    )
    assert odd[-1][1] < 0
    expect(page.locator("#cards figure").last).to_contain_text("(7 of 8 nearest), in no group")


def test_a_group_says_what_it_is_named_by(open_page: Open, report: Report) -> None:
    page = open_page("groups.html", "level=fine&group=fine-1")
    expect(page.locator(".group-facts")).to_contain_text("named by its folders")


def test_a_group_that_is_not_there(open_page: Open) -> None:
    page = open_page("groups.html", "group=fine-99999")
    expect(page.locator("#count")).to_have_text("This report has no such group.")
