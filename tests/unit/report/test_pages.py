"""The pages that a browser draws: files, references between them, and nothing that their policy forbids."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import prodseek.report
from prodseek.report.pages import render_pages
from prodseek.report.records import About

HOSTILE = '"><img src=x onerror=alert(1)><script>é</script>'
TEMPLATES = Path(prodseek.report.__file__).parent / "templates"


def about(text: str = "r1") -> About:
    return {
        "run_id": text,
        "finished": "2026-11-24T03:12:00+00:00",
        "catalogue": text,
        "prodseek_version": text,
        "n_objects": 1234,
        "n_images": 1300,
        "n_duplicate_groups": 3,
        "n_all_duplicate_groups": 5,
        "n_pairs": 1,
        "n_all_pairs": 3,
        "n_pairs_to_look_at": 1,
        "n_all_pairs_to_look_at": 2,
        "objects_per_shard": 1024,
        "groups_per_shard": 256,
        "region_thumbs_per_shard": 64,
        "photo_thumbs_per_shard": 16,
        "facets": ["visual"],
        "group_facets": ["visual"],
        "verdicts": {text: {"label": text, "meaning": text, "tabs": ["copies"]}},
    }


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


PAGES = ["duplicates.html", "groups.html", "map.html", "object.html"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_only_files_that_are_written_and_holds_no_script_or_style(name: str) -> None:
    written = render_pages(about())
    assert sorted(file for file in written if file.endswith(".html")) == PAGES
    elements = Elements(written[name].decode()).found
    named = [values[key] for _, values in elements for key in ("src", "href") if values.get(key)]
    beside = {"index.html", "data/about.js", "data:,"}
    assert all(str(file).partition("#")[0] in written.keys() | beside | {""} for file in named)
    assert [values["src"] for tag, values in elements if tag == "script"][:2] == ["assets/shards.js", "data/about.js"]
    assert all(values.get("src") for tag, values in elements if tag == "script")
    assert not any(tag == "style" or "style" in values for tag, values in elements)
    assert not any(attribute.startswith("on") for _, values in elements for attribute in values)
    (policy,) = [values["content"] for tag, values in elements if tag == "meta" and "http-equiv" in values]
    assert policy == (
        "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"
    )
    assert any(values.get("id") == "no-scripts" for _, values in elements)


def test_every_string_is_escaped_and_the_same_facts_give_the_same_bytes() -> None:
    written, plain = render_pages(about(HOSTILE)), render_pages(about())
    assert written == render_pages(about(HOSTILE))
    for name in PAGES:
        assert len(Elements(written[name].decode()).found) == len(Elements(plain[name].decode()).found)
        assert b"&lt;script&gt;" in written[name]
    assert b"1,234 objects" in written["map.html"] and b"5 groups" in written["duplicates.html"]
    assert b"\x00" not in render_pages(about("a\x00"))["map.html"]


def test_every_file_of_the_assets_is_written_and_used() -> None:
    written = render_pages(about())
    there = {f"assets/{path.name}" for path in (TEMPLATES / "assets").iterdir()} | {"assets/page.css"}
    assert there == {file for file in written if file.startswith("assets/")}
    named = b"".join(written[name] for name in PAGES).decode() + (TEMPLATES / "overview.html").read_text()
    assert all(f'"{file}"' in named for file in there)


def test_scripts_set_no_markup_and_reach_for_nothing() -> None:
    for name, content in render_pages(about()).items():
        if name.endswith(".js"):
            assert content.startswith(b'"use strict";')
            assert not re.search(
                rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", content
            ), name
            assert not re.search(rb"\bfetch\(|XMLHttpRequest|https?://(?!www\.w3\.org/2000/svg)", content), name
        if name.endswith(".css"):
            assert not re.search(rb"url\(|@import|https?:", content), name
