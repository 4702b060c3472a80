"""Votes of neighbours against counting by hand; levels nest; nothing changed, nothing changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.groups import NOISE, Groups
from prodseek.cluster.labels import (
    Graph,
    LevelLabels,
    belonging,
    carry_over,
    join_majority,
    labels_of_night,
    neighbour_votes,
    nested,
)


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def graph(edges: dict[tuple[int, int], float], n_rows: int) -> Graph:
    rows, neighbours = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    return Graph(rows, neighbours, np.array(list(edges.values()), np.float32), n_rows)


def test_votes_are_added_up_by_cosine() -> None:
    near = graph({(0, 1): 0.9, (0, 2): 0.5, (0, 3): 0.6, (1, 0): -0.5, (2, 3): 0.5, (2, 0): 0.5}, 4)
    votes = neighbour_votes(near, labels(NOISE, 1, 0, 0))
    assert votes.label.tolist() == [0, NOISE, 0, NOISE]
    np.testing.assert_allclose(votes.share, [0.55, 0, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(votes.own_share, [0, 0, 0.5, 0], atol=1e-6)


def test_the_lower_label_wins_a_tie() -> None:
    assert neighbour_votes(graph({(0, 1): 0.5, (0, 2): 0.5}, 3), labels(NOISE, 4, 2)).label.tolist() == [
        2,
        NOISE,
        NOISE,
    ]


def test_nobody_votes_where_there_are_no_edges() -> None:
    votes = neighbour_votes(graph({}, 3), labels(0, 0, NOISE))
    assert votes.label.tolist() == [NOISE] * 3 and votes.own_share.tolist() == [0] * 3


def test_noise_joins_what_most_of_its_neighbours_are_in_and_draws_others_after_it() -> None:
    near = graph({(2, 0): 0.9, (2, 1): 0.9, (2, 3): 0.9, (3, 2): 0.9, (4, 0): 0.5, (4, 5): 0.5}, 6)
    assert join_majority(near, labels(0, 0, NOISE, NOISE, NOISE, NOISE)).tolist() == [0, 0, 0, 0, NOISE, NOISE]


def test_a_fine_group_lies_where_most_of_its_rows_are() -> None:
    fine = labels(0, 0, 0, 1, 1, 2, 2, NOISE, NOISE)
    coarse = labels(4, 4, NOISE, 4, 6, NOISE, NOISE, 6, NOISE)
    assert nested(fine, coarse).tolist() == [4, 4, 4, 4, 4, 7, 7, 6, NOISE]


def test_groups_go_on_and_only_what_is_new_is_born() -> None:
    previous = labels(3, 3, 3, 5, 5, NOISE, NOISE, NOISE, NOISE, NOISE)
    fitted = labels(0, 0, 1, 1, 1, 1, 2, 2, 2, NOISE)
    assert carry_over(previous, fitted, 3).tolist() == [3, 3, 3, 5, 5, 5, 6, 6, 6, NOISE]


def test_a_graph_leaves_out_rows_themselves_and_places_without_a_neighbour() -> None:
    nearest = (
        np.array([[0, 1, 2], [1, 0, -1], [2, -1, -1]], np.int32),
        np.array([[0, 0.25, 0.5], [0, 0.25, 0.25], [0, 0, 0]]),
    )
    found = Graph.of_nearest(nearest)
    assert list(zip(found.rows.tolist(), found.neighbours.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0)]
    assert found.cosine.tolist() == [0.75, 0.5, 0.75] and found.n_rows == 3


def test_the_nearest_of_each_row_are_kept_and_the_first_of_equals() -> None:
    near = graph({(1, 0): 0.1, (0, 1): 0.2, (0, 2): 0.9, (0, 3): 0.2, (1, 2): 0.5, (1, 3): 0.4}, 4)
    kept = near.nearest(2)
    assert list(zip(kept.rows.tolist(), kept.neighbours.tolist(), strict=True)) == [(0, 2), (0, 1), (1, 2), (1, 3)]
    np.testing.assert_allclose(kept.cosine, [0.9, 0.2, 0.5, 0.4])
    assert kept.n_rows == 4 and len(graph({}, 2).nearest(3).rows) == 0


def test_a_smallest_group_can_win_a_row_whose_other_neighbours_are_many_and_further_away() -> None:
    near_by = {(3, row): 0.9 for row in range(3)}
    further = {(3, row): 0.5 for row in range(4, 12)}
    fine = labels(0, 0, 0, NOISE, *[NOISE] * 8)
    fitted = Groups(fine, fine, np.zeros(12, np.float32))
    assert labels_of_night(graph(near_by | further, 12), fitted, None, 3).fine.tolist() == [0] * 4 + [NOISE] * 8


def test_a_row_whose_nearest_are_mostly_in_no_group_stays_in_none() -> None:
    near = graph({(3, 4): 0.9, (3, 5): 0.9, (3, 6): 0.9, (3, 0): 0.8, (3, 1): 0.8, (3, 2): 0.8}, 7)
    fine = labels(0, 0, 0, NOISE, NOISE, NOISE, NOISE)
    fitted = Groups(fine, fine, np.zeros(7, np.float32))
    assert labels_of_night(near, fitted, None, 3).fine.tolist() == fine.tolist()


def test_membership_is_the_share_of_the_own_group_and_whole_without_neighbours() -> None:
    near = graph({(0, 1): 0.6, (0, 2): 0.2, (3, 0): 0.5}, 5)
    found = belonging(near, labels(0, 0, 1, NOISE, 1))
    np.testing.assert_allclose(found.membership, [0.75, 1, 1, 0, 1], atol=1e-6)
    assert found.nearest.tolist() == [NOISE, NOISE, NOISE, 0, NOISE]


def test_a_night_takes_the_fit_or_goes_on_from_the_last() -> None:
    near = graph({(4, 0): 0.9}, 5)
    fitted = Groups(labels(0, 0, 1, 1, NOISE), labels(0, 0, 0, 0, NOISE), np.zeros(5, np.float32))
    alone = labels_of_night(near, fitted, None, 2)
    assert alone.fine.tolist() == [0, 0, 1, 1, 0] and alone.coarse.tolist() == [0, 0, 0, 0, 0]
    assert alone.parents == {0: 0, 1: 0}
    last = LevelLabels(labels(7, 7, 7, NOISE, NOISE), labels(2, 2, 2, NOISE, NOISE))
    on = labels_of_night(near, fitted, last, 2)
    assert on.fine.tolist() == [7, 7, 7, 7, 7] and on.coarse.tolist() == [2, 2, 2, 2, 2]
    assert on.parents == {7: 2}


LABELS = st.lists(st.integers(NOISE, 4), min_size=1, max_size=30)


@given(st.data(), LABELS)
def test_whatever_the_labels_levels_nest_and_a_night_without_change_changes_nothing(data, values) -> None:  # type: ignore[no-untyped-def]
    n_rows = len(values)
    fine = np.array(values, np.int32)
    coarse = np.array(data.draw(st.lists(st.integers(NOISE, 3), min_size=n_rows, max_size=n_rows)), np.int32)
    pairs = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_rows - 1))
    near = graph(data.draw(st.dictionaries(pairs, st.floats(-1, 1, width=16), max_size=60)), n_rows)

    fitted = Groups(fine, coarse, np.zeros(n_rows, np.float32))
    first = labels_of_night(near, fitted, None, 1)
    for label, parent in first.parents.items():
        assert set(first.coarse[first.fine == label].tolist()) == {parent} and parent != NOISE
    assert set(first.parents) == set(first.fine.tolist()) - {NOISE}
    again = labels_of_night(near, fitted, first, 1)
    for level, before in first.by_level.items():
        np.testing.assert_array_equal(before, again.by_level[level])
