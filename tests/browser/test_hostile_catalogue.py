"""A catalogue written by someone who means harm: nothing of it runs in a page, and nothing of it is a formula in an export."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from synthetic_report import Report, make_report, write_report

Open = Callable[..., Page]

MARKUP = (
    "<script>window.hacked = 1</script>", "</script><script>window.hacked = 1</script>", "<!--<script>",
    "]]><x onload=window.hacked=1>", '"><img src=x onerror="window.hacked = 1">', "' onmouseover='window.hacked = 1",
    "<svg/onload=window.hacked=1>", "javascript:window.hacked=1", "data:text/html,<script>window.hacked=1</script>",
    "\u2028window.hacked = 1//", "\u2029*/hacked/*", "${window.hacked = 1}", "{{ hacked }}", "{% hacked %}",
    "</title><script>window.hacked = 1</script>", "\\u003cscript>", "\\", "&lt;b>", "__proto__", "constructor",
    "\u202egpj.exe", "\u2066\u2067\u200f", "\0nul", "\ud800", "%00", "long " * 2000, "#product=1&x", "\ufeff",
)  # fmt: skip
FORMULAS = (
    '=HYPERLINK("http://example.invalid","x")', "+1+1", "-1+1", "@SUM(1)", " =1+1", "\t=1+1", "\r=1+1", "\n=1+1",
    "\u00a0=1+1", "\u200b=1+1", "\ufeff=1+1", "\u202e=1+1", "\u3000@x", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x",
    "\ufe66x", '"=1+1"', "x;=1+1", "x\t=1+1", "x\n=1+1", "x; +1", 'x",=1+1', "x\r\n\u200b-1", "=cmd|' /C calc'!A0",
    "\0=1+1",
)  # fmt: skip
SIGNS = "=+-@"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    """A report in which every text of the catalogue is hostile."""
    report = make_report(90, 3, 9, 24, 24)
    texts = cycle(MARKUP + FORMULAS)
    for photo in _photos(report):
        photo["product_id"], photo["title"], photo["uri"] = next(texts), next(texts), "/shop/" + next(texts)
    for link in _likenesses(report):
        link["evidence"] = [(next(texts), next(texts))]
    for groups in report.groups.values():
        for group in groups["fine"] + groups["coarse"]:
            group["title"], group["category"], group["class_name"] = next(texts), next(texts), next(texts)
    for column in report.map["columns"]:
        column["names"] = [next(texts) for _ in column["names"]]
    folder = tmp_path_factory.mktemp("hostile")
    write_report(report, folder)
    return report, folder


def _photos(report: Report) -> Iterator[Any]:
    for shown in report.objects:
        yield from shown["photos"]
    for group in report.duplicates:
        yield group["representative"]
        yield from (one["photo"] for one in group["copies"])
    for pair in report.pairs:
        yield from (pair["a"], pair["b"])


def _likenesses(report: Report) -> Iterator[Any]:
    yield from (one["likeness"] for group in report.duplicates for one in group["copies"])
    yield from (pair["likeness"] for pair in report.pairs)


@pytest.mark.parametrize(
    ("file", "state"),
    [
        ("duplicates.html", ""),
        ("duplicates.html", "tab=look"),
        ("duplicates.html", "tab=apart"),
        ("groups.html", ""),
        ("groups.html", "group=fine-1"),
        ("map.html", "by=class"),
        ("object.html", "0"),
        ("object.html", "7"),
    ],
)
def test_no_text_becomes_markup(open_page: Open, hostile: tuple[Report, Path], file: str, state: str) -> None:
    page = open_page(file, state, folder=hostile[1])
    assert page.locator(".failure").count() == 0
    assert page.locator("main script, main svg[onload], main img[src=x], main iframe, main x").count() == 0
    assert page.evaluate("({}).hacked === undefined && Object.keys(Object.prototype).length === 0")
    links = page.evaluate("Array.from(document.links, (link) => link.protocol)")
    assert set(links) <= {"file:"}
    page.get_by_role("searchbox", name="Find").fill("script")
    expect(page.locator("#announce, main").first).to_be_attached()


@pytest.mark.parametrize("tab", ["", "tab=look", "tab=apart"])
def test_no_cell_of_an_export_is_a_formula(open_page: Open, hostile: tuple[Report, Path], tab: str) -> None:
    page = open_page("duplicates.html", tab, folder=hostile[1])
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these as CSV").click()
    text = download.value.path().read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) > 10 and {len(row) for row in rows} == {len(rows[0])}
    assert not [value for row in rows for value in row if _is_formula(value)]
    for separator in ";\t":  # as a spreadsheet of another country reads it
        read = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        assert not [value for row in read for value in row if _is_formula(value)]


def _is_formula(value: str) -> bool:
    """Whether the first that is to be seen of a cell is a sign by which a formula begins, and it is no number."""
    visible = [sign for sign in unicodedata.normalize("NFKC", value) if unicodedata.category(sign)[0] not in "ZC"]
    return bool(visible) and visible[0] in SIGNS
