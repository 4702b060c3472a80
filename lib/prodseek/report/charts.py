"""The geometry of small charts over runs: lines with gaps, and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# In the charts' own units; a page may scale them to any size.
LINE_SIZE = (160, 36)
COLUMNS_SIZE = (640, 120)
_INSET = 4
# Minimum range of a line chart, as a share of its largest value, so that small changes look small.
_LEAST_SPAN = 0.05
_COLUMN_SHARE = 0.72
_LEAST_HEIGHT = 1.0


@dataclass(frozen=True)
class Line:
    """A line chart. points: of each stretch without a gap, as in SVG. single: values with a gap on both sides.

    marks: x of runs that cannot be compared with the previous run. end: the last value.
    """

    points: tuple[str, ...]
    single: tuple[tuple[float, float], ...]
    marks: tuple[float, ...]
    end: tuple[float, float]


@dataclass(frozen=True)
class Column:
    """One column of a chart that starts at 0."""

    x: float
    y: float
    width: float
    height: float


def line(values: Sequence[float | None], is_marked: Sequence[bool]) -> Line | None:
    """A chart of LINE_SIZE over `values`, the oldest first, with None for a gap; None for fewer than two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    least = _LEAST_SPAN * max(abs(low), abs(high))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    span = high - low or 1.0
    width, height = LINE_SIZE
    step = (width - 2 * _INSET) / (len(values) - 1)
    xs = [_INSET + place * step for place in range(len(values))]
    stretches: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(xs, values, strict=True):
        if value is None:
            stretches.append([])
        else:
            up = (value - low) / span if high > low else 0.5
            stretches[-1].append((round(x, 1), round(height - _INSET - up * (height - 2 * _INSET), 1)))
    return Line(
        tuple(" ".join(f"{x},{y}" for x, y in stretch) for stretch in stretches if len(stretch) > 1),
        tuple(stretch[0] for stretch in stretches if len(stretch) == 1),
        tuple(round(x, 1) for x, marked in zip(xs, is_marked, strict=True) if marked),
        next(stretch[-1] for stretch in reversed(stretches) if stretch),
    )


def columns(values: Sequence[float]) -> tuple[Column, ...]:
    """Columns of COLUMNS_SIZE over `values`, which are not negative, the oldest first."""
    if not values:
        return ()
    width, height = COLUMNS_SIZE
    step = width / len(values)
    highest = max(values) or 1.0
    heights = [max(_LEAST_HEIGHT, value / highest * height) for value in values]
    return tuple(
        Column(
            round((place + (1 - _COLUMN_SHARE) / 2) * step, 1),
            round(height - tall, 1),
            round(_COLUMN_SHARE * step, 1),
            round(tall, 1),
        )
        for place, tall in enumerate(heights)
    )
