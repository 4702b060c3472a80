"""The location analysis as a picture: do the vectors of objects at many places show where the object was?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

MAX_POINTS = 2000  # points shown in a panel; of more, evenly spaced ones
_SIDE = 300  # of a plot, in units of the SVG
_PAD = 12
_FOOT = 34
# Viridis at even steps (van der Walt and Smith, 2015): its brightness grows evenly, also for colour-blind people.
_SHADES = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
_AXES = (("left", "right"), ("top", "bottom"))
_STYLE = """
.location { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; margin: 0; }
.location p { margin: 0 0 0.5rem; display: flex; justify-content: space-between; gap: 0.75rem; align-items: baseline; }
.location p span { white-space: nowrap; font-variant-numeric: tabular-nums; }
.location div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 12rem), 1fr)); gap: 1.25rem; }
.location svg { display: block; width: 100%; height: auto; }
.location text { font-size: 15px; fill: var(--muted, #5c6068); }
.location rect.plot { fill: #ffffff; stroke: var(--line, #e2e2dc); }
.location path { fill: none; stroke-width: 6; stroke-linecap: round; stroke-opacity: 0.75; }
"""


@dataclass(frozen=True)
class Panel:
    """Vectors of one kind.

    vectors: (N, d). centres: (N, 2), x y of the object in its photo, from the top left corner, in any unit. r_squared: of
    predicting the centres from the vectors (`embedding.leakage`); a value below 0 is shown as 0.
    """

    title: str
    vectors: NDArray[np.floating]
    centres: NDArray[np.floating]
    r_squared: float


def render_location(panels: Sequence[Panel]) -> Markup:
    """A self-contained HTML fragment: for each panel the vectors' two principal components, coloured by the objects' x and y.

    Equal panels give equal text. Inside a page of the report it uses the page's colours. Raises ValueError for panels whose
    arrays do not match or are not finite, or that have fewer than two vectors.
    """
    drawn = Markup("").join(_panel(panel) for panel in panels)
    return Markup('<style>{}</style>\n<div class="location">\n{}</div>\n').format(Markup(_STYLE), drawn)


def principal_plane(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """The two principal components of vectors (N, d), (N, 2) float64, each with its largest value positive; 0 if missing."""
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(centred), 2))
    n_axes = min(2, len(values))
    plane[:, :n_axes] = left[:, :n_axes] * values[:n_axes]
    largest = plane[np.abs(plane).argmax(axis=0), (0, 1)]
    return plane * np.where(largest < 0, -1.0, 1.0)


def _panel(panel: Panel) -> Markup:
    n_vectors = len(panel.vectors)
    if panel.vectors.ndim != 2 or panel.centres.shape != (n_vectors, 2) or n_vectors < 2 or not panel.vectors.shape[1]:
        raise ValueError(
            f"panel {panel.title!r}: vectors {panel.vectors.shape} and centres {panel.centres.shape}, expected (N, d) and "
            "(N, 2) of two or more"
        )
    if not (np.isfinite(panel.vectors).all() and np.isfinite(panel.centres).all() and np.isfinite(panel.r_squared)):
        raise ValueError(f"panel {panel.title!r} holds values that are not finite")
    shown = np.linspace(0, n_vectors - 1, min(n_vectors, MAX_POINTS)).round().astype(int)
    plane = principal_plane(panel.vectors)[shown]
    lowest, highest = plane.min(axis=0), plane.max(axis=0)
    from_middle = (plane - (lowest + highest) / 2) / ((highest - lowest).max() or 1.0)  # one scale, within +-0.5
    # y grows upwards, as in any plot.
    places = (_SIDE / 2 + (_SIDE - 2 * _PAD) * from_middle * (1, -1)).round().astype(int)
    r_squared = max(0.0, panel.r_squared)
    label = f"{panel.title}: R squared of the place {r_squared:.2f}"
    plots = Markup("").join(_plot(places, panel.centres[shown, axis], axis, label) for axis in (0, 1))
    return Markup(
        '<figure style="margin:0"><p><strong>{}</strong><span>R² {:.2f}</span></p>\n<div>\n{}</div></figure>\n'
    ).format(panel.title, r_squared, plots)


def _plot(places: NDArray[np.int64], values: NDArray[np.floating], axis: int, label: str) -> Markup:
    """A scatter plot. places: (N, 2) in the plot. values: (N,), coloured from the lowest, first shade, to the highest, last."""
    span = np.ptp(values) or 1.0
    shades = ((values - values.min()) / span * len(_SHADES)).astype(int).clip(max=len(_SHADES) - 1)
    first, last = _AXES[axis]
    head = Markup(
        '<svg viewBox="-1 -1 {} {}" role="img" aria-label="{}, coloured from {} to {}">\n'
        '<rect class="plot" width="{}" height="{}" rx="8"/>\n'
    )
    lines = [head.format(_SIDE + 2, _SIDE + _FOOT + 1, label, first, last, _SIDE, _SIDE)]
    for index, shade in enumerate(_SHADES):
        dots = "".join(f"M{x} {y}h0" for x, y in places[shades == index].tolist())
        if dots:
            lines.append(Markup('<path stroke="{}" d="{}"/>\n').format(shade, dots))
    baseline, width = _SIDE + 22, 12
    bar_left = _SIDE / 2 - width * len(_SHADES) / 2
    for index, shade in enumerate(_SHADES):
        lines.append(
            Markup('<rect x="{:g}" y="{}" width="{}" height="10" fill="{}"/>\n').format(
                bar_left + width * index, baseline - 10, width, shade
            )
        )
    lines.append(Markup('<text x="{:g}" y="{}" text-anchor="end">{}</text>').format(bar_left - 8, baseline, first))
    lines.append(
        Markup('<text x="{:g}" y="{}">{}</text></svg>\n').format(bar_left + width * len(_SHADES) + 8, baseline, last)
    )
    return Markup("").join(lines)
