"""The likeness that a search asks for: one facet, or a mix of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.errors import PromptError
from prodseek.runs.columns import FACETS
from prodseek.search.prompts import PromptFault

_MIX = "mix="


@dataclass(frozen=True)
class Likeness:
    """Facets with their weights, which sum to 1, in the order of FACETS."""

    weights: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> Likeness:
        """Parse `visual`, or `mix=visual:0.5,colour:0.5`; weights are scaled to sum to 1. Raises PromptError."""
        if text in FACETS:
            return cls(((text, 1.0),))
        given: dict[str, float] = {}
        for part in text.removeprefix(_MIX).split(","):
            facet, separator, weight = part.partition(":")
            if not text.startswith(_MIX) or facet not in FACETS or facet in given or not separator:
                raise _not_a_likeness(text)
            try:
                given[facet] = float(weight)
            except ValueError as error:
                raise _not_a_likeness(text) from error
        total = sum(given.values())
        if not all(weight >= 0 for weight in given.values()) or not 0 < total < float("inf"):
            raise _not_a_likeness(text)
        return cls(tuple((facet, given[facet] / total) for facet in FACETS if given.get(facet)))

    @property
    def facet(self) -> str | None:
        """The single facet; None for a mix."""
        return self.weights[0][0] if len(self.weights) == 1 else None

    def __str__(self) -> str:
        return self.facet or _MIX + ",".join(f"{facet}:{weight:.3g}" for facet, weight in self.weights)

    def cosine(
        self, query: Mapping[str, NDArray[np.float32]], vectors: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The weighted mean of the facets' cosines, (N,) float32.

        query: facet -> (d,) float32. vectors: facet -> (N, d) float32. Both have unit length.
        """
        cosines = cosines_of(query, vectors)
        return np.asarray(sum(weight * cosines[facet] for facet, weight in self.weights), np.float32)


def cosines_of(
    query: Mapping[str, NDArray[np.float32]], vectors: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """The cosines by facet: facet -> (N,) float32. Computed row by row, so that the last bits do not depend on other rows."""
    return {facet: np.einsum("nd,d->n", vectors[facet], query[facet]) for facet in FACETS}


def _not_a_likeness(text: str) -> PromptError:
    return PromptError(
        PromptFault.INVALID_PROMPT,
        f"the facet {text!r} is unknown; ask for {', '.join(FACETS)}, or a mix such as mix=visual:0.5,colour:0.5",
    )
