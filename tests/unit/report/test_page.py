"""The page: complete, escaped, self-contained, well formed, the same every time."""

import base64
import dataclasses
import hashlib
import itertools
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from prodseek.errors import ReconciliationError
from prodseek.report.model import (
    Copy,
    CurationGroup,
    DuplicateGroup,
    Duplicates,
    Evidence,
    FacetGroups,
    IndexQuality,
    Intake,
    Member,
    PairApart,
    Photo,
    RejectedRows,
    RejectExample,
    Report,
    RunFacts,
    StageTime,
    TableFile,
)
from prodseek.report.page import MEMBERS_AT_FIRST, render_report
from prodseek.report.thumbnails import thumbnail

VOID = {"meta", "img", "input", "br"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "' onload='x",
    "</style></title>",
]


class _Page(HTMLParser):
    """Elements with their attributes and the text, and every tag that does not pair up."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self._words: list[str] = []
        self.feed(html.decode("utf-8"))
        self.close()
        self.unbalanced += self._open
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if len({name for name, _ in attrs}) != len(attrs):
            self.unbalanced.append(f"{tag} repeats an attribute")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            self._words.append(data)

    def all(self, tag, css_class=None):
        return [
            a
            for t, a in self.elements
            if t == tag and (css_class is None or css_class in (a.get("class") or "").split())
        ]


WEBP = thumbnail(np.full((8, 6, 3), 90, np.uint8), 8)


def _photo(name: str, product_id: str = "P-1", title: str = "") -> Photo:
    return Photo(hashlib.sha256(name.encode()).hexdigest(), product_id, f"/shop/{name}", 640, 480, WEBP, title)


def _members(n: int, prefix: str = "m") -> tuple[Member, ...]:
    return tuple(Member(i, _photo(f"{prefix}{i}.jpg", f"P-{i}"), "chair") for i in range(n))


RUN = RunFacts("2026-11-24T03-12-07", datetime(2026, 11, 24, 3, 14, tzinfo=UTC), "/shop", "yolov3-tiny", "0.1.0")
EMPTY = Report(RUN, Intake(7, 7, 7, 9), curation=(FacetGroups("visual", 0, 7, 7),))


@pytest.fixture(scope="module")
def full() -> Report:
    group = DuplicateGroup(
        "d-17",
        5,
        _photo("keep.jpg", title="Red mug"),
        (
            Copy(
                _photo("same.jpg"),
                "re_encoded",
                0.97,
                (Evidence("PDQ distance", 12), Evidence("cosine", 0.98765)),
            ),
            Copy(_photo("other.jpg", "P-2"), "mirrored", 0.8),
        ),
    )
    pair = PairApart(
        _photo("blue.jpg", "P-3"),
        _photo("green.jpg", "P-4"),
        "recoloured",
        0.7,
        (Evidence("colour difference", 23.4),),
    )
    gallery = CurationGroup("g-5", "Wooden chairs", 90, 31, 0.8349, _members(3, "e"), _members(MEMBERS_AT_FIRST + 4))
    return Report(
        RUN,
        Intake(
            1213,
            1208,
            1203,
            2431,
            (
                RejectedRows(
                    "truncated",
                    "The file ends too early.",
                    5,
                    (RejectExample("/shop/half.jpg", "3 bytes missing", "P-9"),),
                ),
            ),
        ),
        Duplicates(22, 56, (group,), 3, 9, (pair,)),
        (FacetGroups("visual", 431, 2431, 96, (gallery,), _members(2, "odd")),),
        IndexQuality("IVF64,Flat, nprobe 8", 10, 0.972, 0.95, 200),
        (StageTime("ingest", 4.2), StageTime("embed", 61.3, "from cache")),
        (TableFile("images", 1208, "/out/runs/r1/images", "one row a photo"),),
    )


@pytest.fixture(scope="module")
def page(full) -> _Page:
    return _Page(render_report(full))


@pytest.mark.parametrize(
    "text",
    [
        "1,213 photos came in, 1,208 were read, 5 set aside; 34 are copies of another photo; "
        "431 groups of look-alikes.",
        "2026-11-24T03-12-07", "24 November 2026, 03:14 UTC", "yolov3-tiny", "prodseek 0.1.0",
        "1,203 distinct files", "2,431", "56 photos in them; 3 across products",
        "Index recall@10 0.972", "reaches the target 0.95", "1 min 06 s in all", "from cache",
        "truncated", "The file ends too early.", "half.jpg", "3 bytes missing", "and 4 more",
        "/out/runs/r1/images", "one row a photo",
        "The largest of 22 duplicate groups is shown; all are in the table duplicate_groups.",
        "2 more photos in the table", "re-encoded 97 % sure", "PDQ distance 12", "cosine 0.988",
        "640 × 480 px", "Red mug", "Saved again, in another format or quality.",
        "The surest of 9 pairs is shown", "recoloured 70 % sure", "colour difference 23.4",
        "The largest of 431 groups is shown; all are in the table curation_groups.", "Wooden chairs",
        "90 regions · 31 products · cohesion 0.83", "4 more", "67 more regions in the table",
        "96 regions in no group; the 2 oddest are shown.",
    ],
)  # fmt: skip
def test_the_page_says(page, text):
    assert text in page.text


def test_in_no_group_is_a_share_of_the_regions_that_took_part(full):
    facet = dataclasses.replace(full.curation[0], n_regions=400, n_ungrouped=100)
    assert "In no group 25 % 100 regions" in _Page(render_report(dataclasses.replace(full, curation=(facet,)))).text


def test_a_recall_below_its_target_is_said_so(full):
    index = dataclasses.replace(full.index, recall=0.91)
    assert "BELOW the target 0.95" in _Page(render_report(dataclasses.replace(full, index=index))).text


def test_only_a_copy_under_another_product_is_flagged(page):
    assert page.text.count("other product") == 2
    assert "P-2 other product" in page.text and "P-4 other product" in page.text
    assert len(page.all("p", "differs")) == 2


def test_every_photo_is_there_once_with_its_alt_text(full, page):
    images = page.all("img")
    group, facet = full.duplicates.groups[0], full.curation[0]
    n_gallery = len(facet.groups[0].exemplars) + len(facet.groups[0].members) + len(facet.odd_ones_out)
    assert len(images) == 1 + len(group.copies) + 2 + n_gallery
    assert all(image["alt"] and image["loading"] == "lazy" for image in images)
    assert "Red mug P-1: keep.jpg" in {image["alt"] for image in images}
    assert all(base64.b64decode(image["src"].removeprefix("data:image/webp;base64,")) == WEBP for image in images)


def test_exemplars_come_before_members_and_the_odd_ones_last(page):
    alts = [image["alt"] for image in page.all("img")]
    assert alts.index("chair, P-2: e2.jpg") < alts.index("chair, P-0: m0.jpg") < alts.index("chair, P-0: odd0.jpg")
    assert len(page.all("figure", "exemplar")) == 3


@pytest.mark.parametrize("report", ["full", "empty"])
def test_well_formed_with_landmarks_and_resolved_references(report, request):
    page = _Page(render_report(EMPTY if report == "empty" else request.getfixturevalue(report)))
    assert page.unbalanced == []
    assert [len(page.all(tag)) for tag in ("main", "nav", "h1", "title")] == [1, 1, 1, 1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = {a["href"][1:] for a in page.all("a")}
    references |= {a[name] for _, a in page.elements for name in ("aria-labelledby", "for") if a.get(name)}
    assert references and references <= set(ids)


def test_headings_never_skip_a_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_fetched_from_anywhere(full, page):
    addresses = [a[name] for _, a in page.elements for name in ("src", "href", "srcset", "action") if name in a]
    assert addresses and all(address.startswith(("#", "data:image/webp;base64,")) for address in addresses)
    html = re.sub(r"data:image/webp;base64,[\w+/=]+", "", render_report(full).decode())
    assert "http" not in html.replace("http-equiv", "")
    assert "//" not in html and "@import" not in html and "url(" not in html
    assert not page.all("link") and not page.all("iframe")


def test_the_policy_allows_the_pages_own_script_and_no_other(full, page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*)</script>", render_report(full).decode(), re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy and "default-src 'none'" in policy
    assert len(page.all("script")) == 1


def test_without_the_script_nothing_but_the_controls_is_hidden(page):
    hidden = [(tag, attributes.get("class")) for tag, attributes in page.elements if "hidden" in attributes]
    assert {css_class for _, css_class in hidden} == {"search", "filters", "nothing"}


def test_empty_report_is_sensible():
    page = _Page(render_report(EMPTY))
    for text in ("7 photos came in and all were read; none is a copy of another; no groups of look-alikes.",
                 "Nothing: every row was read.", "None: no photo is a copy of another.", "None found.",
                 "None: no regions are alike enough", "None were written."):  # fmt: skip
        assert text in page.text
    assert not page.all("img") and "nan" not in page.text.lower() and "None of" not in page.text


def test_a_report_without_any_row_or_facet_is_still_a_page():
    page = _Page(render_report(Report(RUN, Intake(0, 0, 0, 0), stages=(StageTime("ingest", 0.0),))))
    assert page.unbalanced == [] and "No photos came in." in page.text


def test_groups_found_but_none_shown_are_not_called_none(full):
    report = dataclasses.replace(
        full, duplicates=Duplicates(4, 9, n_pairs_apart=2), curation=(FacetGroups("visual", 3, 30, 0),)
    )
    text = _Page(render_report(report)).text
    for sentence in (
        "None of the 4 duplicate groups is shown here",
        "None of the 2 pairs is",
        "None of the 3 groups is",
    ):
        assert sentence in text


def test_several_facets_each_have_their_section(full):
    colour = dataclasses.replace(full.curation[0], facet="colour")
    page = _Page(render_report(dataclasses.replace(full, curation=(full.curation[0], colour))))
    assert page.unbalanced == []
    assert "Groups by visual" in page.text and "Groups by colour" in page.text
    assert {"groups-1", "groups-2"} <= {s.get("id") for s in page.all("section")}


def _poisoned(value, poison):
    """The same report with every string in it replaced."""
    if isinstance(value, str):
        return poison
    if isinstance(value, tuple):
        return tuple(_poisoned(item, poison) for item in value)
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(
            value, **{f.name: _poisoned(getattr(value, f.name), poison) for f in dataclasses.fields(value)}
        )
    return value


@pytest.mark.parametrize("poison", HOSTILE)
def test_every_string_of_the_report_stays_text(full, page, poison):
    hostile = _Page(render_report(_poisoned(full, poison)))
    assert hostile.unbalanced == []
    assert len(hostile.all("script")) == len(hostile.all("style")) == 1
    assert len(hostile.all("img")) == len(page.all("img"))
    names = {name for _, attributes in hostile.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert " ".join(poison.split()) in hostile.text


def test_unicode_and_very_long_titles_are_kept_and_wrap(full):
    title = "Été 茶碗 👟 עברית " + "W" * 5000
    group = dataclasses.replace(full.curation[0].groups[0], title=title)
    facet = dataclasses.replace(full.curation[0], groups=(group,))
    html = render_report(dataclasses.replace(full, curation=(facet,)))
    assert title in html.decode()
    assert 'class="text" dir="auto"' in html.decode() and ".text { overflow-wrap: anywhere" in html.decode()


def test_undecodable_file_names_and_control_characters_do_not_break_the_page(full):
    page = _Page(render_report(_poisoned(full, "a\udcff\x00b")))
    assert "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b" in page.text


def test_same_report_same_bytes(full):
    assert render_report(full) == render_report(dataclasses.replace(full))


def test_rows_that_do_not_add_up_are_refused(full):
    intake = dataclasses.replace(full.intake, n_images=1200)
    with pytest.raises(ReconciliationError, match="1213 rows came in, but 1200 images and 5 rejects make 1205"):
        render_report(dataclasses.replace(full, intake=intake))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "duplicates",
            lambda r: dataclasses.replace(r.duplicates, n_groups=0),
            "duplicate groups: 1 to show",
        ),
        (
            "duplicates",
            lambda r: dataclasses.replace(r.duplicates, n_pairs_apart=0),
            "pairs kept apart: 1 to show",
        ),
        (
            "curation",
            lambda r: (dataclasses.replace(r.curation[0], n_ungrouped=1),),
            "odd ones out: 2 to show",
        ),
        ("curation", lambda r: (dataclasses.replace(r.curation[0], n_regions=1),), "in no group: 96 to show"),
        ("run", lambda r: dataclasses.replace(r.run, finished=datetime(2026, 1, 1)), "time zone"),
    ],
)
def test_more_shown_than_found_is_refused(full, field, value, message):
    with pytest.raises(ValueError, match=message):
        render_report(dataclasses.replace(full, **{field: value(full)}))


def _contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_text_contrast_is_aa_in_light_and_dark(full):
    palettes = re.findall(r":root \{(.*?)\}", render_report(full).decode(), re.DOTALL)
    assert len(palettes) == 2
    for palette in palettes:
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", palette))
        texts = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("page", "surface")]
        texts += [("badge-ink", "badge"), ("flag-ink", "flag"), ("flag-ink", "surface")]
        for ink, ground in texts:
            assert _contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
