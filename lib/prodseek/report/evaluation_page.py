"""The page of an evaluation: how well each facet ranks, label by label, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from prodseek.report.templating import environment, source


@dataclass(frozen=True)
class Change:
    """A figure that is not what it was."""

    name: str
    before: float
    now: float


def render_evaluation(
    evaluation: Mapping[str, Any], changes: Mapping[str, tuple[float, float]] | None, compared_with: str | None
) -> bytes:
    """The page as UTF-8 HTML that needs nothing beside it; every string is escaped.

    evaluation: what `evaluation.run.evaluate` returned. changes: figure -> (before, now), None where there is nothing to compare
    with; compared_with: the run they are compared with.
    """
    scores = list(evaluation["retrieval"].values())
    by_label = sorted(evaluation["by_label"].items(), key=lambda item: (item[1]["mAP"], item[0]))
    largest = sorted(
        (Change(n, *v) for n, v in (changes or {}).items()), key=lambda c: (-abs(c.now - c.before), c.name)
    )
    made = environment()
    made.filters |= {"figure": _figure, "percent": _percent}
    page = made.get_template("evaluation.html").render(
        evaluation=evaluation,
        measures=list(scores[0]) if scores else [],
        by_label=by_label,
        changes=None if changes is None else largest,
        compared_with=compared_with,
        style=Markup(source("page.css")),
        own_style=Markup(source("evaluation.css")),
    )
    return page.encode("utf-8")


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _percent(share: float) -> str:
    """How long a bar is."""
    return f"{100 * min(1.0, max(0.0, share)):.1f}"
