"""Shapes of charts: where values lie, gaps, and what hardly moves."""

import pytest

from prodseek.report.charts import COLUMNS_SIZE, LINE_SIZE, columns, line


def points(text):
    return [tuple(float(part) for part in point.split(",")) for point in text.split()]


def test_values_rise_from_bottom_to_top_and_lie_evenly():
    drawn = line([0, 5, 10], [False, True, False])
    (stretch,) = (points(text) for text in drawn.points)
    (x0, low), (x1, middle), (x2, high) = stretch
    assert x1 - x0 == x2 - x1 > 0 and low > middle > high > 0 and middle == (low + high) / 2
    assert low < LINE_SIZE[1] and x2 < LINE_SIZE[0]
    assert drawn.marks == (x1,) and drawn.end == (x2, high)


def test_what_hardly_moves_looks_like_it():
    (stretch,) = line([0.990, 0.991], [False, False]).points
    (_, before), (_, after) = points(stretch)
    assert 0 < before - after < 1
    (stretch,) = line([7, 7, 7], [False] * 3).points
    assert len({y for _, y in points(stretch)}) == 1
    (stretch,) = line([0, 0], [False] * 2).points
    assert {y for _, y in points(stretch)} == {LINE_SIZE[1] / 2}


def test_gaps_part_a_line():
    drawn = line([1, 2, None, 3, None, 4, 5], [False] * 7)
    assert [len(points(text)) for text in drawn.points] == [2, 2] and len(drawn.single) == 1
    assert drawn.end[0] > drawn.single[0][0]
    assert line([1, 2, None], [False] * 3).end == points(line([1, 2, None], [False] * 3).points[0])[-1]


@pytest.mark.parametrize("values", [[], [1.0], [None, 1.0, None]])
def test_less_than_two_values_are_no_trend(values):
    assert line(values, [False] * len(values)) is None


def test_columns_stand_on_the_ground_and_are_to_scale():
    half, whole, none = columns([5, 10, 0])
    assert whole.height == COLUMNS_SIZE[1] == 2 * half.height and whole.y == 0
    assert all(column.y + column.height == COLUMNS_SIZE[1] for column in (half, whole, none))
    assert 0 < none.height <= 1 and half.x + half.width < whole.x
    assert columns([]) == () and columns([0.0])[0].height == 1
