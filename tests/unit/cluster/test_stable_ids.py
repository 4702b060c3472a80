"""Ids survive what leaves a group recognisable; every group of both runs is accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.stable_ids import Content, match_groups


def images(start: int, stop: int) -> set[str]:
    return {f"image-{number}" for number in range(start, stop)}


def matched(current: dict[int, set[str]], previous: dict[str, set[str]], run_id: str = "run-2"):  # type: ignore[no-untyped-def]
    contents = {label: Content(len(group), min(group)) for label, group in current.items()}
    sizes = {name: len(group) for name, group in previous.items()}
    shared = {(a, b): len(one & other) for a, one in current.items() for b, other in previous.items() if one & other}
    return match_groups(contents, sizes, shared, "visual-fine", run_id, 0.3)


def night(current: dict[int, set[str]], previous: dict[str, set[str]]):  # type: ignore[no-untyped-def]
    ids, rows = matched(current, previous)
    return ids, {(row.group_id, row.previous_group_id): row.event for row in rows}


def test_the_first_night_all_are_born_with_different_ids() -> None:
    ids, events = night({0: images(0, 5), 1: images(5, 9)}, {})
    assert len(set(ids.values())) == 2
    assert events == {(ids[0], None): "born", (ids[1], None): "born"}


def test_nothing_changed_nothing_changes() -> None:
    ids, events = night({3: images(0, 5), 1: images(5, 9)}, {"a": images(0, 5), "b": images(5, 9)})
    assert ids == {3: "a", 1: "b"}
    assert set(events.values()) == {"continued"}


def test_growing_shrinking_and_retiring() -> None:
    ids, events = night(
        {0: images(0, 14), 1: images(20, 26)}, {"a": images(0, 10), "b": images(20, 30), "c": images(40, 50)}
    )
    assert ids == {0: "a", 1: "b"}
    assert events == {("a", "a"): "grown", ("b", "b"): "shrunk", (None, "c"): "retired"}


def test_a_split_keeps_the_id_with_the_larger_piece() -> None:
    ids, events = night({0: images(0, 4), 1: images(4, 10)}, {"a": images(0, 10)})
    assert ids[1] == "a" and ids[0] != "a"
    assert events == {("a", "a"): "shrunk", (ids[0], "a"): "split"}


def test_a_merge_keeps_the_larger_ones_id() -> None:
    ids, events = night({0: images(0, 10)}, {"a": images(0, 6), "b": images(6, 10)})
    assert ids == {0: "a"}
    assert events == {("a", "a"): "grown", ("a", "b"): "merged"}


def test_the_assignment_is_the_best_of_all_not_the_first_that_fits() -> None:
    # Label 0 overlaps most with `a`, but then label 1, which shares images with `a` alone, would have nothing.
    ids, _ = night({0: images(0, 11) | images(20, 30), 1: images(11, 19)}, {"a": images(0, 19), "b": images(20, 30)})
    assert ids == {0: "b", 1: "a"}


def test_what_was_retired_comes_back_under_a_new_id() -> None:
    group = {0: images(0, 10)}
    first, _ = matched(group, {}, "run-1")
    away, rows = matched({0: images(50, 60)}, {first[0]: images(0, 10)}, "run-2")
    assert {row.event for row in rows} == {"born", "retired"}
    back, rows = matched(group, {away[0]: images(50, 60)}, "run-3")
    assert back[0] not in (first[0], away[0]) and first[0].startswith("visual-fine-")


def test_a_title_fits_on_while_the_content_is_the_same() -> None:
    _, rows = matched({0: images(0, 10)}, {"a": images(0, 10)})
    assert rows[0].is_unchanged
    _, rows = matched({0: images(0, 10)}, {"a": images(4, 14)})
    assert rows[0].event == "continued" and not rows[0].is_unchanged


GROUPS = st.lists(st.sets(st.integers(0, 30), min_size=1, max_size=12), max_size=6)


@given(GROUPS, GROUPS)
def test_every_group_of_both_runs_is_accounted_for(now: list[set[int]], before: list[set[int]]) -> None:
    def disjoint(groups: list[set[int]]) -> list[set[str]]:
        seen: set[int] = set()
        parts = []
        for group in groups:
            part, seen = group - seen, seen | group
            if part:
                parts.append({str(number) for number in part})
        return parts

    current = dict(enumerate(disjoint(now)))
    previous = {f"old-{number}": group for number, group in enumerate(disjoint(before))}
    ids, rows = matched(current, previous)
    assert len(set(ids.values())) == len(ids) == len(current)
    assert {row.group_id for row in rows if row.group_id} == set(ids.values())
    assert {row.previous_group_id for row in rows if row.previous_group_id} == set(previous)
