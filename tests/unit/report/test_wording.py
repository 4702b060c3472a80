"""The report's sentences and figures."""

from datetime import UTC, datetime
from typing import cast

import pytest

from prodseek.photos.decode import RejectReason
from prodseek.report import wording
from prodseek.report.overview_model import Changes, Cost, CountedExamples, Overview, RejectedRows, RowsIn
from prodseek.report.records import About
from prodseek.runs.history import History, RunFigures

FINISHED = datetime(2026, 11, 4, 3, 5, tzinfo=UTC)


def overview(rows_in: RowsIn, changes: Changes | None = None, **figures: float) -> Overview:
    about = cast(About, {})
    return Overview(about, RunFigures("r1", FINISHED, "tiny", "p", figures, {}), rows_in, Cost(1), History(), changes)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (
            overview(
                RowsIn(2485, 2480, 2470, 9000, (RejectedRows("missing", 4), RejectedRows("empty", 1))),
                duplicate_groups=22,
                duplicate_photos=56,
                groups=22,
            ),
            "2,485 photos came in, 2,480 were read, 5 set aside; 34 are copies of another photo; "
            "22 groups of look-alikes.",
        ),
        (
            overview(
                RowsIn(3, 3, 3, 3),
                Changes("r0", came=CountedExamples(1), repaired=CountedExamples(1)),
                duplicate_groups=1,
                duplicate_photos=2,
                pairs_to_look_at=1,
                groups=1,
            ),
            "3 photos came in and all were read; 2 are new since the last run; 1 is a copy of another photo, "
            "1 pair is for a person to look at; "
            "1 group of look-alikes.",
        ),
        (
            overview(RowsIn(1, 1, 1, 1), Changes("r0")),
            "1 photo came in and was read; none is new since the last run; none is a copy of another; "
            "no groups of look-alikes.",
        ),
        (overview(RowsIn(0, 0, 0, 0)), "No photos came in."),
    ],
)
def test_headline(shown, sentence):
    assert wording.headline(shown) == sentence


def test_every_reason_has_a_meaning():
    assert all(wording.reason_meaning(reason).endswith(".") for reason in RejectReason)
    assert wording.reason_meaning("some day") == ""


@pytest.mark.parametrize(
    ("now", "before", "unit", "text"),
    [
        (12, 0, "count", "+12"),
        (1000, 2500.0, "count", "−1,500"),
        (3, 3, "count", "no change"),
        (0.0945, 0.09, "share", "+0.5 points"),
        (0.09001, 0.09, "share", "no change"),
        (0.9, 0.915, "recall", "−0.015"),
    ],
)
def test_change(now, before, unit, text):
    assert wording.change(now, before, unit) == text


def test_small_amounts_are_never_nothing():
    assert [wording.core_hours(hours) for hours in (0, 1e-5, 0.0054, 1.25, 1204.4)] == [
        "0.000",
        "under 0.001",
        "0.005",
        "1.25",
        "1,204",
    ]
    assert [wording.money(amount) for amount in (0, 0.001, 0.42, 1204.5)] == ["0.00", "under 0.01", "0.42", "1,204.50"]
    assert [wording.rate(rate) for rate in (0.44, 26.2, 1204)] == ["0.4", "26", "1,204"]


def test_how_far_a_number_of_odd_categories_reaches() -> None:
    assert wording.products_asked(1780, 1780, 1780) == "asked of all products; not every wrong category is found so"
    assert wording.products_asked(194, 180, 194) == (
        "asked of all products (14 of them only at a wider level of their category); not every wrong category is found so"
    )
    assert wording.products_asked(194, None, 194) == "", "of a run that did not count it"
    assert wording.products_asked(12, 12, 1780) == (
        "asked of 12 of 1,780 products: the others have no category that is a kind of thing, or too few neighbours with one; "
        "not every wrong category is found so"
    )
    assert wording.products_asked(0, 0, 1).startswith("asked of 0 of 1 product: ")


def test_cap_sentence_says_what_is_left_out_and_where_it_is():
    assert wording.cap_sentence(200, 431, "group", "curation_groups") == (
        "The 200 largest of 431 groups are shown; all are in the table curation_groups."
    )
    assert wording.cap_sentence(1, 2, "pair", "near_duplicates", "surest") == (
        "The surest of 2 pairs is shown; all are in the table near_duplicates."
    )
    assert wording.cap_sentence(0, 1200, "pair", "near_duplicates").startswith("None of the 1,200 pairs")
    assert wording.cap_sentence(5, 5, "group", "curation_groups") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.002, "under 1 %"), (0.22, "22 %"), (0.9996, "99.9 %"), (1, "100 %")]
)
def test_percent_never_rounds_to_all_or_nothing(share, text):
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2485, "2,485"), (0.98249, "0.982"), (23.4, "23.4"), (-0.5, "-0.500"), (True, "yes"), ("a", "a")],
)
def test_figure(value, text):
    assert wording.figure(value) == text


def test_moment_does_not_depend_on_the_locale():
    assert wording.moment(FINISHED) == "4 November 2026, 03:05 UTC"


@pytest.mark.parametrize(
    ("uri", "catalogue", "shown"),
    [
        ("/shop/a/b.jpg", "/shop", "a/b.jpg"),
        ("/shop/a/b.jpg", "/shop/", "a/b.jpg"),
        ("/shop/a/b.jpg", "/shop/catalog.csv", "a/b.jpg"),
        ("file:///shop/a b#.jpg", "/shop", "a b#.jpg"),
        ("/shopping/b.jpg", "/shop", "/shopping/b.jpg"),
        ("s3://bucket/b.jpg", "/shop", "s3://bucket/b.jpg"),
        ("b.jpg", "catalog.csv", "b.jpg"),
    ],
)
def test_relative_uri(uri, catalogue, shown):
    assert wording.relative_uri(uri, catalogue) == shown


def test_a_verdict_without_words_is_shown_by_its_name():
    assert wording.verdict_words("turned_inside_out") == ("turned inside out", "")
    assert wording.verdict_words("re_encoded").label == "re-encoded"


def test_printable_keeps_text_and_marks_what_html_cannot_hold():
    assert wording.printable("Été\t茶 👟\n") == "Été\t茶 👟\n"
    assert wording.printable("a\x00b\x1b\udcff") == "a\N{REPLACEMENT CHARACTER}b" + "\N{REPLACEMENT CHARACTER}" * 2
