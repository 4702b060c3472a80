"""Trends: the figures of a run beside those of earlier runs, each in a small chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 260, 84
_PAD = 6
LEAST_SPAN = 0.02  # minimum range of a chart, so that small changes look small


@dataclass(frozen=True)
class Trend:
    """A figure over runs. values: (run_id, value) of the runs that have it, at least one, the oldest first."""

    name: str
    values: tuple[tuple[str, float], ...]


def render_trends(trends: Sequence[Trend]) -> Markup:
    """A self-contained HTML fragment: a line chart for each figure, with its lowest, highest and last value."""
    return Markup('<div class="trends">\n{}</div>\n').format(Markup("").join(_chart(trend) for trend in trends))


def _chart(trend: Trend) -> Markup:
    values = [value for _, value in trend.values]
    low, high = min(values), max(values)
    middle, span = (low + high) / 2, max(high - low, LEAST_SPAN)
    step = (WIDTH - 2 * _PAD) / max(1, len(values) - 1)
    places = [
        (_PAD + number * step, HEIGHT / 2 - (value - middle) / span * (HEIGHT - 2 * _PAD))
        for number, value in enumerate(values)
    ]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = Markup("").join(
        Markup('<circle cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
            f"{x:.1f}", f"{y:.1f}", 4 if number == len(values) - 1 else 2.5, f"{run_id}: {value:.3f}"
        )
        for number, ((x, y), (run_id, value)) in enumerate(zip(places, trend.values, strict=True))
    )
    span_text = f"{low:.3f} to {high:.3f} in {len(values)} evaluations"
    return Markup(
        '<figure class="trend"><figcaption><span>{}</span> <strong>{}</strong></figcaption>'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="{}"/>{}</svg><p class="small">{}</p></figure>\n'
    ).format(trend.name, f"{values[-1]:.3f}", WIDTH, HEIGHT, f"{trend.name}: {span_text}", line, dots, span_text)
