"""The page of a search: the target, and the products that look like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from prodseek.report import wording
from prodseek.report.templating import environment, source


@dataclass(frozen=True)
class Target:
    """The target of a search. name: of the photo, as it was given. box_px: x1 y1 x2 y2.

    thumbnail: WebP of the photo with the box; None if it cannot be read.
    """

    name: str
    box_px: tuple[float, float, float, float]
    thumbnail: bytes | None


@dataclass(frozen=True)
class Match:
    """A product that was found. confidence: see `Hit`. thumbnail: as for the target. facets: facet -> cosine similarity."""

    rank: int
    product_id: str
    uri: str
    box_px: tuple[float, float, float, float]
    detection_id: int
    cosine_similarity: float
    confidence: float | None
    facets: Mapping[str, float]
    thumbnail: bytes | None

    @property
    def figure(self) -> str:
        """What the order of matches follows: how sure it is, or the cosine that was asked for."""
        return f"{self.cosine_similarity:.3f}" if self.confidence is None else wording.chance(self.confidence)


@dataclass(frozen=True)
class SearchResult:
    """Everything on the page. facet: the likeness that was asked for, such as `visual`.

    notes: what is not among the matches, in sentences.
    """

    run_id: str
    facet: str
    target: Target
    matches: tuple[Match, ...]
    notes: str = ""

    @property
    def ranked_by(self) -> str:
        """See `wording.ranked_by`."""
        return wording.ranked_by(self.facet)

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        found = wording.counted(len(self.matches), "product") if self.matches else "No product"
        return f"{found} like what is marked in {self.target.name.rpartition('/')[2] or self.target.name}"


def render_search(result: SearchResult) -> bytes:
    """The page as self-contained HTML in UTF-8; all strings are escaped."""
    made = environment()
    made.filters |= {"box": lambda box: ", ".join(f"{edge:.0f}" for edge in box), "share": _share}
    page = made.get_template("search.html").render(
        result=result, style=Markup(source("page.css")), search_style=Markup(source("search.css"))
    )
    return page.encode("utf-8")


def _share(cosine: float) -> str:
    """The length of a bar in percent; 0 for a negative cosine."""
    return f"{100 * min(1.0, max(0.0, cosine)):.0f}"
