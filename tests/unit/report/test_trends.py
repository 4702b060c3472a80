"""Small charts of figures over runs."""

from __future__ import annotations

import re

from prodseek.report.trends import HEIGHT, LEAST_SPAN, Trend, render_trends


def points(html: str) -> list[tuple[float, float]]:
    line = re.findall(r'<path d="M([^"]*)"', html)[0]
    return [(float(x), float(y)) for x, y in (point.split() for point in line.split("L"))]


def test_runs_go_from_left_to_right_and_larger_is_higher() -> None:
    html = render_trends([Trend("P@1", (("run-1", 0.5), ("run-2", 0.9), ("run-3", 0.7)))])

    (x1, low), (x2, high), (x3, middle) = points(html)
    assert x2 - x1 == x3 - x2 > 0
    assert 0 < high < middle < low < HEIGHT and middle == (low + high) / 2
    assert "0.500 to 0.900 in 3 evaluations" in html and "<strong>0.700</strong>" in html
    assert html.count("<circle") == 3 and "<title>run-2: 0.900</title>" in html


def test_what_hardly_changes_is_drawn_flat() -> None:
    flat = points(render_trends([Trend("P@1", (("a", 0.7), ("b", 0.7)))]))
    assert flat[0][1] == flat[1][1] == HEIGHT / 2
    slight = points(render_trends([Trend("P@1", (("a", 0.7), ("b", 0.7 + LEAST_SPAN / 10)))]))
    assert 0 < slight[0][1] - slight[1][1] < HEIGHT / 8


def test_names_are_escaped_and_one_run_is_a_dot() -> None:
    html = render_trends([Trend("<b>", (('"><img src=x>', 0.2),))])
    assert "<b>" not in html and "<img" not in html and html.count("<circle") == 1
