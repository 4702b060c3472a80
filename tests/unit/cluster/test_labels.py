"""Votes against counting by hand; levels nest; nothing changed, nothing changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prodseek.cluster.groups import NOISE
from prodseek.cluster.labels import Graph, carried, nested, settled, votes


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def graph(edges: dict[tuple[int, int], float], n_rows: int) -> Graph:
    rows, neighbours = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    return Graph(rows, neighbours, np.array(list(edges.values()), np.float32), n_rows)


def test_votes_are_added_up_by_cosine() -> None:
    near = graph({(0, 1): 0.9, (0, 2): 0.5, (0, 3): 0.6, (1, 0): -0.5, (2, 3): 0.5, (2, 0): 0.5}, 4)
    cast = votes(near, labels(NOISE, 1, 0, 0))
    assert cast.label.tolist() == [0, NOISE, 0, NOISE]
    np.testing.assert_allclose(cast.share, [0.55, 0, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(cast.own_share, [0, 0, 0.5, 0], atol=1e-6)


def test_the_lower_label_wins_a_tie() -> None:
    assert votes(graph({(0, 1): 0.5, (0, 2): 0.5}, 3), labels(NOISE, 4, 2)).label.tolist() == [2, NOISE, NOISE]


def test_nobody_votes_where_there_are_no_edges() -> None:
    cast = votes(graph({}, 3), labels(0, 0, NOISE))
    assert cast.label.tolist() == [NOISE] * 3 and cast.own_share.tolist() == [0] * 3


def test_noise_joins_what_most_of_its_neighbours_are_in_and_draws_others_after_it() -> None:
    near = graph({(2, 0): 0.9, (2, 1): 0.9, (2, 3): 0.9, (3, 2): 0.9, (4, 0): 0.5, (4, 5): 0.5}, 6)
    assert settled(near, labels(0, 0, NOISE, NOISE, NOISE, NOISE)).tolist() == [0, 0, 0, 0, NOISE, NOISE]


def test_a_fine_group_lies_where_most_of_its_rows_are() -> None:
    fine = labels(0, 0, 0, 1, 1, 2, 2, NOISE, NOISE)
    coarse = labels(4, 4, NOISE, 4, 6, NOISE, NOISE, 6, NOISE)
    assert nested(fine, coarse).tolist() == [4, 4, 4, 4, 4, 7, 7, 6, NOISE]


def test_groups_go_on_and_only_what_is_new_is_born() -> None:
    previous = labels(3, 3, 3, 5, 5, NOISE, NOISE, NOISE, NOISE, NOISE)
    fitted = labels(0, 0, 1, 1, 1, 1, 2, 2, 2, NOISE)
    assert carried(previous, fitted, 3).tolist() == [3, 3, 3, 5, 5, 5, 6, 6, 6, NOISE]


LABELS = st.lists(st.integers(NOISE, 4), min_size=1, max_size=30)


@given(st.data(), LABELS)
def test_whatever_the_labels_levels_nest_and_a_night_without_change_changes_nothing(data, values) -> None:  # type: ignore[no-untyped-def]
    n_rows = len(values)
    fine = np.array(values, np.int32)
    coarse = np.array(data.draw(st.lists(st.integers(NOISE, 3), min_size=n_rows, max_size=n_rows)), np.int32)
    pairs = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_rows - 1))
    near = graph(data.draw(st.dictionaries(pairs, st.floats(-1, 1, width=16), max_size=60)), n_rows)

    def night(last):  # type: ignore[no-untyped-def]
        found = (fine, coarse) if last is None else (carried(last[0], fine, 1), carried(last[1], coarse, 1))
        own = settled(near, found[0])
        return own, settled(near, nested(own, found[1]))

    first = night(None)
    assert all(len(set(first[1][first[0] == label].tolist())) == 1 for label in set(first[0].tolist()) - {NOISE})
    assert (first[1][first[0] != NOISE] != NOISE).all()
    for before, after in zip(first, night(first), strict=True):
        np.testing.assert_array_equal(before, after)
