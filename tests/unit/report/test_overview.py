"""The first page: complete, escaped, well formed, readable without a script, the same every time."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from prodseek.errors import ReconciliationError
from prodseek.report.overview import EXAMPLES_AT_FIRST, render_overview
from prodseek.report.overview_model import (
    MAX_THUMBNAILS,
    ChangedGroup,
    ChangedPhoto,
    Changes,
    Cost,
    CountedExamples,
    GroupChanges,
    IndexQuality,
    NewCopy,
    NewDuplicateGroup,
    NewPair,
    Overview,
    RejectedRows,
    RejectExample,
    RowsIn,
    TableFile,
    wanted_photos,
)
from prodseek.report.records import About
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.gates import Breach
from prodseek.runs.history import Evaluation, History, RunFigures

VOID = {"meta", "img", "input", "br", "link"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "' onload='x",
    "</style></title>",
    "#&event=born?x=%00",
]
WEBP = thumbnail(np.full((8, 6, 3), 90, np.uint8), 8)
NIGHT = datetime(2026, 11, 24, 3, 14, tzinfo=UTC)


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

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if len({name for name, _ in attrs}) != len(attrs):
            self.unbalanced.append(f"{tag} repeats an attribute")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def all(self, tag: str, css_class: str | None = None) -> list[dict[str, str | None]]:
        return [
            a
            for t, a in self.elements
            if t == tag and (css_class is None or css_class in (a.get("class") or "").split())
        ]


ABOUT = About(
    run_id="20261124T031207Z-0000000a",
    finished=NIGHT.isoformat(),
    catalogue="/shop/catalog.csv",
    prodseek_version="0.1.0",
    n_objects=1203,
    n_images=1203,
    n_duplicate_groups=22,
    n_all_duplicate_groups=22,
    n_pairs=9,
    n_all_pairs=9,
    n_pairs_to_look_at=3,
    n_all_pairs_to_look_at=3,
    objects_per_shard=1024,
    groups_per_shard=256,
    region_thumbs_per_shard=64,
    photo_thumbs_per_shard=16,
    facets=["visual"],
    group_facets=["visual"],
    verdicts={},
)
FIGURES = {
    "rows_in": 1213,
    "images": 1208,
    "rejected": 5,
    "regions": 2431,
    "embedded": 40,
    "cached": 1163,
    "duplicate_groups": 22,
    "duplicate_photos": 56,
    "pairs_judged_copies": 30,
    "pairs_to_look_at": 3,
    "pairs_apart": 6,
    "groups": 431,
    "coarse_groups": 31,
    "in_no_group": 0.0825,
    "index_recall": 0.9721,
    "graph_recall": 0.99,
}


def _run(days_ago: int, model_id: str = "tiny", projection_id: str = "p1", **figures: float) -> RunFigures:
    finished = NIGHT - timedelta(days=days_ago)
    return RunFigures(
        f"{finished:%Y%m%dT%H%M%SZ}-0000000a",
        finished,
        model_id,
        projection_id,
        {**FIGURES, **figures},
        {"ingest": 4.0, "embed": 60.0 + days_ago},
    )


def _photo(name: str, **more: str) -> ChangedPhoto:
    return ChangedPhoto(hashlib.sha256(name.encode()).hexdigest(), "P-1", f"/shop/{name}", **more)


CAME = tuple(_photo(f"new {i}.jpg", title="Red mug" if i == 0 else "") for i in range(5))
FIRST = Overview(ABOUT, _run(0), RowsIn(7, 7, 7, 9), Cost(8), History())


@pytest.fixture(scope="module")
def full() -> Overview:
    half = RejectExample("/shop/half.jpg", "3 bytes missing", "P-9")
    changes = Changes(
        run_id=_run(1).run_id,
        came=CountedExamples(41, CAME),
        went=CountedExamples(1, (_photo("gone.jpg"),)),
        replaced=CountedExamples(1, (_photo("other.jpg"),)),
        moved=CountedExamples(1, (_photo("now.jpg", was_product_id="P-0", was_uri="/shop/then.jpg"),)),
        repaired=CountedExamples(2, (_photo("mended.jpg", reason="truncated"),)),
        rejects=(RejectedRows("truncated", 2, (half,)),),
        n_lost=1,
        duplicate_groups=CountedExamples(1, (NewDuplicateGroup("d/17", 3, "P-4", "/shop/keep.jpg", "Blue mug"),)),
        copies=CountedExamples(1, (NewCopy("d-18", "P-5", "/shop/copy.jpg"),)),
        pairs_to_look_at=CountedExamples(1, (NewPair("mirrored", 0.6, "c", "/shop/c.jpg", "d", "d.jpg"),)),
        pairs_apart=CountedExamples(
            6, tuple(NewPair("recoloured", 0.7, "a", f"/shop/a{i}.jpg", "b", "b.jpg") for i in range(5))
        ),
        groups=(
            GroupChanges("born", 3, 1, (ChangedGroup("g-1", "fine", "Wooden & chairs", 12),)),
            GroupChanges("merged", 1, 0, (ChangedGroup("g-2", "coarse", "Mugs", 40, ("Cups", "Beakers")),)),
            GroupChanges("split", 0, 0),
            GroupChanges("retired", 1, 0, (ChangedGroup("g-3", "fine", "Lamps", 3),)),
        ),
    )
    missing = RejectedRows("missing", 3, (RejectExample("/shop/away.jpg", "no such file"), RejectExample("", "row 3")))
    runs = (
        _run(4, "other", images=1000, pairs_apart=7),
        _run(3, images=1100),
        _run(2, projection_id="p0"),
        _run(1, images=1200),
    )
    return Overview(
        ABOUT,
        _run(0),
        RowsIn(1213, 1208, 1203, 2431, (missing, RejectedRows("truncated", 2, (half,)))),
        Cost(2, 0.5, "EUR"),
        History(
            runs,
            tuple(
                Evaluation(run.run_id, "labels.csv", "kind", {"precision_at_1": 0.8 + place / 50})
                for place, run in enumerate(runs)
            ),
            n_skipped=1,
        ),
        changes,
        {photo.image_id: WEBP for photo in CAME},
        {CAME[1].image_id: 77},
        IndexQuality("IVF64,Flat, nprobe 8", 10, 0.9721, 0.95, 200),
        (TableFile("images", 1208, "/out/runs/r1/images", "one row a photo"),),
        (Breach("max_reject_share", 0.4, 0.3, "40.0 % of rows were rejected, at most 30.0 %", ("a.jpg: missing",)),),
    )


@pytest.fixture(scope="module")
def page(full: Overview) -> _Page:
    return _Page(render_overview(full))


@pytest.mark.parametrize(
    "text",
    [
        "1,213 photos came in, 1,208 were read, 5 set aside; 43 are new since the last run; "
        "34 are copies of another photo, 3 pairs are for a person to look at; 431 groups of look-alikes.",
        "20261124T031207Z-0000000a", "24 November 2026, 03:14 UTC", "/shop/catalog.csv", "tiny", "prodseek 0.1.0",
        "over 5 runs", "1,203 distinct files", "2.0 a photo", "In no group 8 % no change",
        "Photos read 1,208 +8 since the run before", "Recall of the index 0.972 no change", "reaches the target 0.95",
        "5 runs: 1,000 on 20 November, 1,208 on 24 November; lowest 1,000, highest 1,208.",
        "another network on 21 November; projection fitted again on 22 November",
        "1 earlier run cannot be shown", "Measured by labels kind in labels.csv", "86 % +2.0 points",
        "41 came", "1 gone", "gone.jpg", "now.jpg was then.jpg of P-0", "mended.jpg was truncated", "2 newly set aside",
        "1 new group of copies", "3 photos of Blue mug keep.jpg", "1 photo joined a group", "copy.jpg",
        "1 new pair to look at: a person decides", "mirrored 60 % likely a copy",
        "6 new pairs of variants kept apart", "recoloured 70 % likely a copy", "2 more of them",
        "4 new, 1 of them coarse", "Wooden & chairs 12 regions", "Mugs 40 regions, coarse was Cups, Beakers",
        "0 split off others", "1 no more there Lamps", "New photos 5 of 41", "The photo cannot be read any more.",
        "5 rows, 2 of them new", "1 photo among them could be read by the last run",
        "truncated 2 2 new", "The file ends too early", "new half.jpg product P-9 3 bytes missing", "(no uri)", "and 1 more",
        "1 min 04 s, 0.036 core hours, 0.02 EUR", "2 cores reserved, at 0.500 EUR an hour each",
        "embed 40 photos seen by the network, 1,163 known from earlier runs 1 min 00 s 94 % 20 0.033 0.02",
        "Beyond a limit This night is not published unless", "40.0 % of rows were rejected, at most 30.0 % a.jpg: missing",
        "20 November 2026, 03:14 UTC: 1 min 08 s", "/out/runs/r1/images", "one row a photo",
    ],
)  # fmt: skip
def test_the_page_says(page: _Page, text: str) -> None:
    assert text in page.text


def test_a_run_within_its_limits_says_nothing_of_them() -> None:
    assert "Beyond a limit" not in _Page(render_overview(FIRST)).text


def test_a_first_run_says_so() -> None:
    page = _Page(render_overview(FIRST))
    assert "This is the first run; the next one is compared with it." in page.text
    assert "7 photos came in and all were read; 34 are copies" in page.text
    assert "Nothing: every row was read." in page.text and "None were written." in page.text
    assert not page.all("svg", "line") and not page.all("svg", "columns") and not page.all("img")
    assert "EUR" not in page.text and "nan" not in page.text.lower() and "new since" not in page.text


def test_a_last_run_that_is_no_longer_complete_is_named(full: Overview) -> None:
    page = _Page(render_overview(dataclasses.replace(full, changes=None, thumbnails={})))
    assert f"Run {_run(1).run_id} no longer has all of its tables" in page.text


def test_a_run_without_any_row_or_figure_is_still_a_page() -> None:
    figures = dataclasses.replace(_run(0), figures={}, seconds={})
    page = _Page(render_overview(Overview(ABOUT, figures, RowsIn(0, 0, 0, 0), Cost(1), History())))
    assert page.unbalanced == [] and "No photos came in." in page.text


def test_files_of_the_folder_that_are_no_rows_are_told(full: Overview) -> None:
    rows_in = dataclasses.replace(
        full.rows_in, passed_over="3 hidden, 1 without an ending (catalog.any_ending=true ...)"
    )
    says = "Files of the folder that are no rows: 3 hidden, 1 without an ending (catalog.any_ending=true ...)."
    assert says in _Page(render_overview(dataclasses.replace(full, rows_in=rows_in))).text
    assert "Files of the folder" not in _Page(render_overview(full)).text


def test_a_figure_that_a_run_did_not_keep_leaves_a_gap(full: Overview) -> None:
    runs = list(full.history.runs)
    runs[1] = dataclasses.replace(runs[1], figures={"images": 5})
    page = _Page(render_overview(dataclasses.replace(full, history=History(tuple(runs)))))
    n_charts = len(page.all("svg", "line"))
    # The photos read have no gap. Of all others one value stands alone before it and three go on after it, with a dot at the end.
    n_gaps = n_charts - page.text.count("5 runs: ")
    assert n_gaps == len(FIGURES) - 3
    assert len(page.all("polyline")) == n_charts and len(page.all("circle")) == n_charts + n_gaps


def test_a_recall_below_its_target_is_said_so(full: Overview) -> None:
    index = dataclasses.replace(full.index, recall=0.91)  # type: ignore[type-var]
    assert "BELOW the target 0.95" in _Page(render_overview(dataclasses.replace(full, index=index))).text


def test_what_other_pages_leave_out_is_said(full: Overview) -> None:
    fewer = {"n_objects": 1000, "n_duplicate_groups": 20, "n_pairs": 6, "n_pairs_to_look_at": 1}
    about = About(**{**ABOUT, **fewer})  # type: ignore[typeddict-item]
    text = _Page(render_overview(dataclasses.replace(full, about=about))).text
    for sentence in (
        "The other pages show 1,000 of 1,203 images.",
        "The 20 largest of 22 duplicate groups are shown; all are in the table duplicate_groups.",
        "The likeliest of 3 pairs to look at is shown; all are in the table near_duplicates.",
        "The 5 likeliest of 6 pairs of variants are shown; all are in the table near_duplicates.",
    ):
        assert sentence in text


def test_new_photos_are_shown_and_lead_to_their_object(full: Overview, page: _Page) -> None:
    images = page.all("img")
    assert len(images) == len(CAME) and "Red mug P-1: new 0.jpg" in {image["alt"] for image in images}
    for image in images:
        assert base64.b64decode((image["src"] or "").removeprefix("data:image/webp;base64,")) == WEBP
    (link,) = page.all("a", "tile")
    assert (link["href"], link["data-object"]) == ("object.html#77", "77")
    assert full.changes is not None and wanted_photos(full.changes) == (*CAME, *full.changes.replaced.examples)
    many = dataclasses.replace(full.changes, came=CountedExamples(99, CAME * 5))
    assert len(wanted_photos(many)) == MAX_THUMBNAILS


def test_examples_unfold_beyond_the_first(page: _Page) -> None:
    summaries = page.text
    assert f"{5 - EXAMPLES_AT_FIRST} more of them" in summaries and len(page.all("details")) == 2


@pytest.mark.parametrize("overview", ["full", "first"])
def test_well_formed_with_landmarks_and_resolved_references(overview: str, request: pytest.FixtureRequest) -> None:
    page = _Page(render_overview(FIRST if overview == "first" else request.getfixturevalue("full")))
    assert page.unbalanced == []
    assert [len(page.all(tag)) for tag in ("main", "nav", "h1")] == [1, 1, 1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = {(a["href"] or "")[1:] for a in page.all("a") if (a["href"] or "").startswith("#")}
    names = ("aria-labelledby", "aria-describedby", "for")
    references |= {a[name] or "" for _, a in page.elements for name in names if a.get(name)}
    assert references and references <= set(ids)
    for chart in page.all("svg"):
        assert chart.get("role") == "img" or chart.get("class") == "share"


def test_headings_never_skip_a_level(page: _Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_links_lead_to_the_states_of_the_other_pages(page: _Page) -> None:
    links = {a["href"] for a in page.all("a")}
    assert {
        "duplicates.html#find=d/17",
        "duplicates.html#tab=look",
        "duplicates.html#tab=look&find=c.jpg%20d.jpg",
        "duplicates.html#tab=apart",
        "duplicates.html#tab=apart&find=a0.jpg%20b.jpg",
        "groups.html#event=born&level=fine",
        "groups.html#level=fine&find=Wooden%20%26%20chairs",
        "groups.html#tab=gone",
    } <= links


def test_the_policy_needs_no_exception(full: Overview, page: _Page) -> None:
    policy = next(m["content"] or "" for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not page.all("style") and all(set(script) == {"src", "defer"} for script in page.all("script"))
    attributes = {name for _, found in page.elements for name in found}
    assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
    html = re.sub(r"data:image/webp;base64,[\w+/=]+", "", render_overview(full).decode())
    assert "//" not in html


def test_nothing_is_hidden_without_a_script(page: _Page) -> None:
    assert [attributes["id"] for _, attributes in page.elements if "hidden" in attributes] == ["find"]


def _poisoned(value: Any, poison: str) -> Any:
    """The same value with every string in it replaced."""
    if isinstance(value, str):
        return poison
    if isinstance(value, tuple):
        return tuple(_poisoned(item, poison) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, RunFigures | GroupChanges | type):
        fields = {f.name: _poisoned(getattr(value, f.name), poison) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


@pytest.mark.parametrize("poison", HOSTILE)
def test_every_string_stays_text(full: Overview, page: _Page, poison: str) -> None:
    about = About(**{key: _poisoned(value, poison) for key, value in ABOUT.items()})  # type: ignore[typeddict-item]
    runs = tuple(dataclasses.replace(run, model_id=poison, projection_id=poison) for run in full.history.runs)
    assert full.changes is not None
    events = tuple(
        dataclasses.replace(event, examples=_poisoned(event.examples, poison)) for event in full.changes.groups
    )
    changes = dataclasses.replace(_poisoned(full.changes, poison), groups=events)
    hostile = dataclasses.replace(
        _poisoned(full, poison),
        about=about,
        changes=changes,
        figures=dataclasses.replace(full.figures, model_id=poison, seconds={poison: 3.0}),
        history=dataclasses.replace(_poisoned(full.history, poison), runs=runs),
    )
    shown = _Page(render_overview(hostile))
    assert shown.unbalanced == []
    assert len(shown.all("script")) == len(page.all("script")) and not shown.all("style")
    assert {name for _, found in shown.elements for name in found} <= {n for _, found in page.elements for n in found}
    assert " ".join(poison.split()) in shown.text


def test_undecodable_file_names_and_control_characters_do_not_break_the_page(full: Overview) -> None:
    photos = CountedExamples(1, (dataclasses.replace(CAME[0], title="", uri="/shop/a\udcff\x00b", product_id="p\x1b"),))
    changes = dataclasses.replace(full.changes, came=photos, went=photos)  # type: ignore[type-var]
    page = _Page(render_overview(dataclasses.replace(full, changes=changes)))
    assert "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b" in page.text


def test_same_overview_same_bytes(full: Overview) -> None:
    assert render_overview(full) == render_overview(dataclasses.replace(full))


def test_rows_that_do_not_add_up_are_refused(full: Overview) -> None:
    rows_in = dataclasses.replace(full.rows_in, n_images=1200)
    with pytest.raises(ReconciliationError, match="1213 rows came in, but 1200 images and 5 rejects make 1205"):
        render_overview(dataclasses.replace(full, rows_in=rows_in))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"came": CountedExamples(1, CAME)}, "came since .*: 5 to show, but only 1"),
        ({"rejects": (RejectedRows("missing", 9),)}, "newly missing: 9 to show, but only 3"),
        ({"rejects": (RejectedRows("empty", 1),)}, "newly empty: 1 to show, but only 0"),
        ({"groups": (GroupChanges("born", 0, 0, (ChangedGroup("g", "fine", "t", 1),)),)}, "groups born: 1 to show"),
    ],
)
def test_more_shown_than_found_is_refused(full: Overview, changed: dict[str, Any], message: str) -> None:
    changes = dataclasses.replace(full.changes, **changed)  # type: ignore[type-var]
    with pytest.raises(ValueError, match=message):
        render_overview(dataclasses.replace(full, changes=changes))


def test_a_time_without_zone_and_too_many_pictures_are_refused(full: Overview) -> None:
    naive = dataclasses.replace(full.figures, finished=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="no time zone"):
        render_overview(dataclasses.replace(full, figures=naive))
    with pytest.raises(ValueError, match="25 thumbnails"):
        render_overview(dataclasses.replace(full, thumbnails={str(i): WEBP for i in range(MAX_THUMBNAILS + 1)}))


def test_no_odd_category_is_not_shown_as_all_well_where_few_products_could_be_asked(full: Overview) -> None:
    figures = full.figures.figures | {"in_other_category": 0, "products_asked": 12, "products": 178}
    figures["products_asked_narrowly"] = 10
    few = dataclasses.replace(full, figures=dataclasses.replace(full.figures, figures=figures))
    wide = "(2 of them only at a wider level of their category)"
    told = f"or another thing in the photo; asked of 12 of 178 products {wide}: the others have no category"
    assert told in render_overview(few).decode()
    unknown = dataclasses.replace(full, figures=dataclasses.replace(full.figures, figures={"in_other_category": 0}))
    assert "or another thing in the photo</dd>" in render_overview(unknown).decode()
