"""Galleries: objects numbered group after group, groups with members, events and the odd ones out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from prodseek.report.galleries import GroupHistory, RegionCounts, facet_groups, gallery_order, largest_first, places
from prodseek.runs.columns import COARSE, FINE


def summary_row(level: str, group_id: str, n_regions: int, exemplars: list[int], parent: str | None = None) -> dict:
    return {
        "level": level,
        "group_id": group_id,
        "coarse_group_id": parent,
        "title": f"title of {group_id}",
        "title_from": "folder",
        "n_regions": n_regions,
        "n_products": 1,
        "cohesion": 0.5,
        "separation": 0.25,
        "category": None,
        "category_share": None,
        "dominant_class": None,
        "dominant_colour": "red",
        "exemplar_ids": exemplars,
    }


SUMMARY = [
    summary_row(FINE, "f-small", 2, [11], "c-large"),
    summary_row(FINE, "f-large", 3, [22, 20], "c-large"),
    summary_row(FINE, "f-other", 2, [30], "c-small"),
    summary_row(COARSE, "c-large", 6, [22, 11]),
    summary_row(COARSE, "c-small", 2, [30]),
]
# detection_id, group, coarse, is_exemplar, membership, outlier_score; 20 and 21 have another category
MEMBERS = [
    (10, "f-small", "c-large", False, 0.9, 0.1),
    (11, "f-small", "c-large", True, 0.5, 0.1),
    (20, "f-large", "c-large", True, 0.6, 0.1),
    (21, "f-large", "c-large", False, 0.7, 0.1),
    (22, "f-large", "c-large", True, 0.9, 0.1),
    (25, None, "c-large", False, 0.0, 0.4),
    (30, "f-other", "c-small", True, 1.0, 0.0),
    (31, "f-other", "c-small", False, 1.0, 0.0),
    (90, None, None, False, 0.0, 0.3),
    (91, None, None, False, 0.0, 0.8),
]
LINEAGE = [
    {"level": FINE, "group_id": "f-small", "previous_group_id": None, "event": "born"},
    {"level": FINE, "group_id": "f-large", "previous_group_id": "f-large", "event": "grown"},
    {"level": FINE, "group_id": "f-large", "previous_group_id": "f-old", "event": "merged"},
    {"level": FINE, "group_id": "f-other", "previous_group_id": "f-other", "event": "continued"},
    {"level": FINE, "group_id": None, "previous_group_id": "f-gone", "event": "retired"},
]


def numbered() -> pa.Table:
    names = ["detection_id", "group_id", "coarse_group_id", "is_exemplar", "membership", "outlier_score"]
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in reversed(MEMBERS)])
    odd = ["lamp" if row[0] in (20, 21, 91) else None for row in reversed(MEMBERS)]
    for name, value in (
        ("odd_category", "lamp"),
        ("filed_category", "sofa"),
        ("odd_neighbours", 7),
        ("asked_neighbours", 8),
    ):
        table = table.append_column(name, pa.array([None if one is None else value for one in odd]))
    fine = places(table["group_id"], largest_first(SUMMARY, FINE))
    coarse = places(table["coarse_group_id"], largest_first(SUMMARY, COARSE))
    order = gallery_order(table, coarse, fine)
    return table.take(order).append_column("number", pa.array(np.arange(len(order))))


def test_objects_are_numbered_group_after_group_and_exemplars_first() -> None:
    assert numbered()["detection_id"].to_pylist() == [22, 20, 21, 11, 10, 25, 30, 31, 91, 90]


def test_groups_know_their_members_parents_and_what_happened() -> None:
    titles = {name: f"old {name}" for name in ("f-large", "f-old", "f-other", "f-gone")}
    found = facet_groups("visual", SUMMARY, numbered(), GroupHistory(LINEAGE, titles), RegionCounts(10, 3))

    lamp = {"filed_as": "sofa", "like": "lamp", "n_like": 7, "n_asked": 8}
    assert found["odd_category"] == [(2, 0, lamp), (1, 0, lamp), (8, -1, lamp)], (
        "the firmest first, each with its group, if any"
    )
    fine = {group["group_id"]: group for group in found["fine"]}
    assert [group["group_id"] for group in found["fine"]] == ["f-large", "f-other", "f-small"]
    assert fine["f-large"]["members"] == [0, 1, 2] and fine["f-large"]["n_exemplars"] == 2
    assert fine["f-small"]["members"] == [3, 4] and fine["f-small"]["parent"] == 0
    assert (fine["f-large"]["event"], fine["f-large"]["previous_titles"]) == ("merged", ["old f-old"])
    assert fine["f-small"]["event"] == "born" and fine["f-other"]["event"] == "continued"
    coarse = found["coarse"]
    assert coarse[0]["members"] == [0, 3, 5] and coarse[0]["n_exemplars"] == 2 and coarse[0]["parent"] == -1
    assert found["odd"] == [8, 5, 9]
    assert found["retired"] == [{"group_id": "f-gone", "title": "old f-gone", "level": FINE}]


def test_it_is_said_of_how_many_products_the_category_could_be_asked() -> None:
    found = facet_groups("visual", SUMMARY, numbered(), None, RegionCounts(10, 3, asked="asked of all products"))
    assert found["asked"] == "asked of all products"
    assert facet_groups("visual", SUMMARY, numbered(), None, RegionCounts(10, 3))["asked"] == ""


def test_in_a_first_run_nothing_has_happened() -> None:
    found = facet_groups("visual", SUMMARY, numbered(), None, RegionCounts(10, 3))
    assert {group["event"] for group in found["fine"]} == {""} and found["retired"] == []


def test_an_exemplar_that_is_not_shown_is_left_out() -> None:
    shown = numbered()
    shown = shown.filter(pa.compute.not_equal(shown["detection_id"], 22))
    found = facet_groups("visual", SUMMARY, shown, None, RegionCounts(10, 3))
    assert found["fine"][0]["members"] == [1, 2] and found["fine"][0]["n_exemplars"] == 1


def test_no_groups_at_all() -> None:
    found = facet_groups("visual", [], numbered(), None, RegionCounts(10, 10))
    assert found["fine"] == [] and len(found["odd"]) == 10
