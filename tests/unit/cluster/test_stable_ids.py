import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.cluster.stable_ids import match_groups


def images(*numbers):
    return {f"image {number}" for number in numbers}


def match(current, previous, run_id="run2", min_overlap=0.3):
    return match_groups(current, previous, "visual", run_id, min_overlap)


def events(rows):
    return [(row.group_id, row.previous_group_id, row.event) for row in rows]


def test_the_first_run_bears_every_group():
    ids, rows = match({0: images(1, 2), 1: images(3, 4)}, {})
    assert len(set(ids.values())) == 2
    assert events(rows) == sorted((group_id, None, "born") for group_id in ids.values())


def test_nothing_changed_nothing_changes():
    previous = {"g1": images(*range(10)), "g2": images(*range(10, 30))}
    ids, rows = match({7: previous["g2"], 8: previous["g1"]}, previous)
    assert ids == {7: "g2", 8: "g1"}
    assert events(rows) == [("g1", "g1", "continued"), ("g2", "g2", "continued")]
    assert all(row.overlap == 1 for row in rows)


def test_growth_and_shrinking_are_told():
    previous = {"g1": images(*range(10)), "g2": images(*range(10, 30))}
    ids, rows = match({0: images(*range(10), 50, 51, 52), 1: images(*range(10, 24))}, previous)
    assert ids == {0: "g1", 1: "g2"}
    assert events(rows) == [("g1", "g1", "grown"), ("g2", "g2", "shrunk")]


def test_a_split_group_goes_on_as_its_larger_part():
    previous = {"g": images(*range(20))}
    ids, rows = match({0: images(*range(7)), 1: images(*range(7, 20))}, previous)
    assert ids[1] == "g" and ids[0] != "g"
    assert (ids[0], "g", "split") in events(rows) and ("g", "g", "shrunk") in events(rows)


def test_a_merged_group_goes_on_as_the_larger_of_its_parts():
    previous = {"big": images(*range(20)), "small": images(*range(20, 30))}
    ids, rows = match({0: images(*range(30))}, previous)
    assert ids == {0: "big"}
    assert events(rows) == [("big", "big", "grown"), ("big", "small", "merged")]


def test_what_vanishes_is_retired_and_what_is_new_is_born():
    ids, rows = match({0: images(1, 2, 3)}, {"old": images(7, 8, 9)})
    assert ids[0] != "old"
    assert sorted(row.event for row in rows) == ["born", "retired"]


def test_too_small_an_overlap_keeps_no_id():
    ids, _ = match({0: images(*range(9, 19))}, {"old": images(*range(10))})
    assert ids[0] != "old"


def test_ids_are_never_used_again():
    first, _ = match({0: images(1, 2, 3)}, {}, run_id="run1")
    again, _ = match({0: images(1, 2, 3)}, {}, run_id="run3")
    assert first[0] != again[0]


groupings = st.lists(st.integers(0, 4), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(groupings, groupings)
def test_every_group_of_both_runs_is_accounted_for(new, old):
    current = {label: images(*np.flatnonzero(np.array(new) == label).tolist()) for label in set(new)}
    previous = {f"g{label}": images(*np.flatnonzero(np.array(old) == label).tolist()) for label in set(old)}
    ids, rows = match(current, previous)
    assert ids.keys() == current.keys() and len(set(ids.values())) == len(ids)
    assert {row.group_id for row in rows} - {None} == set(ids.values())
    assert {row.previous_group_id for row in rows} - {None} == set(previous)
    keys = [(row.event, row.group_id, row.previous_group_id) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert 0 <= row.overlap <= 1
        if row.event in ("continued", "grown", "shrunk"):
            assert row.group_id == row.previous_group_id
    assert match(dict(reversed(current.items())), dict(reversed(previous.items()))) == (ids, rows)
