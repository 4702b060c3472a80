"""Ids survive what leaves a group recognisable; every group of both runs is accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.stable_ids import match_groups


def images(start: int, stop: int) -> set[str]:
    return {f"image-{number}" for number in range(start, stop)}


def night(current: dict[int, set[str]], previous: dict[str, set[str]]):  # type: ignore[no-untyped-def]
    ids, rows = match_groups(current, previous, "visual", "run-2", 0.3)
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
    ids, rows = match_groups(current, previous, "visual", "run-2", 0.3)
    assert len(set(ids.values())) == len(ids) == len(current)
    assert {row.group_id for row in rows if row.group_id} == set(ids.values())
    assert {row.previous_group_id for row in rows if row.previous_group_id} == set(previous)
