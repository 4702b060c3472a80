"""The page of an evaluation: how well each facet ranks, the scores by label, what changed, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from prodseek.report.location import Panel, render_location
from prodseek.report.sliced_cells import SlicedObject, render_cells
from prodseek.report.templating import environment, source
from prodseek.report.trends import Trend, render_trends
from prodseek.report.wording import counted

# Figures whose chart is shown first: name in `evaluation.run.figures` -> in words.
MAIN_FIGURES = {
    "retrieval visual P@1": "nearest photo has the same label",
    "retrieval visual mAP": "mean average precision",
    "groups fine ami": "groups, mutual information",
    "groups coarse ami": "coarse groups, mutual information",
    "duplicates pairs recall": "labelled pairs found",
    "duplicates pairs precision": "published pairs that are labelled",
    "place_in_vectors visual": "place read from visual, 0 is best",
    "index recall": "recall of the index",
}


@dataclass(frozen=True)
class Change:
    """A figure that changed."""

    name: str
    before: float
    now: float


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo with its object marked. thumbnail: WebP; None if the photo cannot be read."""

    uri: str
    label: str
    thumbnail: bytes | None


@dataclass(frozen=True)
class Example:
    """What one photo finds. role: why it is shown, such as `the hardest label`.

    matches: photos with their cosine similarity, the nearest first. mean_average_precision: of the target's label.
    """

    role: str
    target: LabelledPhoto
    matches: tuple[tuple[LabelledPhoto, float], ...]
    mean_average_precision: float


@dataclass(frozen=True)
class Location:
    """Objects at many places. place_share: for each panel, the share of all variance that is within an object, 0..1."""

    n_objects: int
    n_along: int
    panels: tuple[Panel, ...]
    place_share: tuple[float, ...]


@dataclass(frozen=True)
class Pictures:
    """The pictures beside the figures. missing: a sentence for each kind of picture that could not be made."""

    examples: tuple[Example, ...] = ()
    sliced: tuple[SlicedObject, ...] = ()
    location: Location | None = None
    missing: tuple[str, ...] = ()


def render_evaluation(
    evaluation: Mapping[str, Any],
    changes: Mapping[str, tuple[float, float]] | None,
    compared_with: str | None,
    trends: Sequence[Trend] = (),
    drawn: Pictures | None = None,
) -> bytes:
    """The page as self-contained HTML in UTF-8; all strings are escaped.

    evaluation: from `evaluation.run.evaluate`. changes: figure -> (before, now); None if there is nothing to compare with.
    compared_with: the run of the earlier evaluation. trends: of figures that at least two runs have, this run last.
    """
    drawn = drawn or Pictures()
    scores = list(evaluation["retrieval"].values())
    askable = {label: scores for label, scores in evaluation["by_label"].items() if scores["photos"] > 1}
    by_label = sorted(askable.items(), key=lambda item: (item[1]["mAP"], item[0]))
    largest = sorted(
        (Change(n, *v) for n, v in (changes or {}).items()), key=lambda c: (-abs(c.now - c.before), c.name)
    )
    of_name = {trend.name: trend for trend in trends}
    main = [Trend(words, of_name[name].values) for name, words in MAIN_FIGURES.items() if name in of_name]
    other = [trend for trend in trends if trend.name not in MAIN_FIGURES]
    made = environment()
    made.filters |= {"figure": _figure, "percent": _percent, "counted": counted}
    page = made.get_template("evaluation.html").render(
        evaluation=evaluation,
        measures=list(scores[0]) if scores else [],
        by_label=by_label,
        n_single=len(evaluation["by_label"]) - len(askable),
        changes=None if changes is None else largest,
        compared_with=compared_with,
        trends=render_trends(main) if main else None,
        other_trends=render_trends(other) if other else None,
        drawn=drawn,
        cells=render_cells(drawn.sliced) if drawn.sliced else None,
        location=render_location(drawn.location.panels) if drawn.location else None,
        style=Markup(source("page.css")),
        own_style=Markup(source("evaluation.css")),
    )
    return page.encode("utf-8")


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _percent(share: float) -> str:
    """The length of a bar in percent."""
    return f"{100 * min(1.0, max(0.0, share)):.1f}"
