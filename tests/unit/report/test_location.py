"""The picture of the location analysis."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from prodseek.report.location import MAX_POINTS, Panel, principal_plane, render_location


def panel(n_rows: int = 50, title: str = "Slices", r_squared: float = 0.784) -> Panel:
    rng = np.random.default_rng(0)
    return Panel(title, rng.normal(size=(n_rows, 6)), rng.uniform(size=(n_rows, 2)), r_squared)


def n_dots(html: str) -> int:
    return len(re.findall(r"M\d+ \d+h0", html))


def test_every_vector_is_a_dot_in_both_plots() -> None:
    html = render_location([panel(), panel(30)])

    assert n_dots(html) == 2 * (50 + 30)
    assert html.count("<svg") == 2 * 2
    assert html == render_location([panel(), panel(30)])


def test_it_is_well_formed_and_needs_nothing_beside_it() -> None:
    html = render_location([panel()])

    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        assert ElementTree.fromstring(picture).get("role") == "img"
    assert not re.search(r"https?:|href|src=|url\(", html)


def test_dots_lie_inside_their_plot() -> None:
    places = np.array(re.findall(r"M(\d+) (\d+)h0", render_location([panel()])), int)

    assert places.min() >= 0 and places.max() <= 300


def test_titles_are_escaped_and_hold_r_squared() -> None:
    html = render_location([panel(title="<b> & 'x'"), panel(r_squared=-0.3)])

    assert "<b>" not in html and "&lt;b&gt; &amp;" in html
    assert "R² 0.78" in html and "R² 0.00" in html


def test_colours_follow_the_place() -> None:
    """Along a line from left to right the dots of a darker shade come first."""
    x = np.linspace(0, 1, 40)
    html = render_location([Panel("line", x[:, None] * (3.0, 1.0), np.stack((x, 0 * x + 0.5), axis=1), 1.0)])
    by_x, by_y = (re.findall(r'<path stroke="(#\w+)" d="M(\d+)', plot) for plot in html.split("<svg ")[1:])

    assert len(by_x) == 9 and len(by_y) == 1
    left = [int(first) for _, first in by_x]
    assert left in (sorted(left), sorted(left, reverse=True))


def test_many_points_are_thinned() -> None:
    assert n_dots(render_location([panel(MAX_POINTS + 700)])) == 2 * MAX_POINTS


def test_the_plane_is_that_of_most_variance() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, 5)) * (0.1, 9, 0.1, 3, 0.1) + 7

    plane = principal_plane(rows)

    assert abs(np.corrcoef(plane[:, 0], rows[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(plane[:, 1], rows[:, 3])[0, 1]) > 0.99
    np.testing.assert_allclose(plane.mean(axis=0), 0, atol=1e-9)


def test_vectors_all_alike_or_of_one_value() -> None:
    centres = np.full((4, 2), 0.5)

    assert n_dots(render_location([Panel("alike", np.ones((4, 3)), centres, 0.0)])) == 8
    np.testing.assert_array_equal(principal_plane(np.arange(4.0)[:, None])[:, 1], 0)


@pytest.mark.parametrize(
    ("vectors", "centres", "message"),
    [
        (np.ones((4, 3)), np.ones((3, 2)), "expected"),
        (np.ones((4, 3)), np.ones((4, 3)), "expected"),
        (np.ones((1, 3)), np.ones((1, 2)), "two or more"),
        (np.full((4, 3), np.nan), np.ones((4, 2)), "not finite"),
    ],
)
def test_what_cannot_be_drawn_is_named(vectors: np.ndarray, centres: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"'odd'.*{message}"):
        render_location([Panel("odd", vectors, centres, 0.5)])
