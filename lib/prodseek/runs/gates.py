"""Gates: figures of a night that must keep within their limits, or nothing is published."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prodseek.errors import StoreError

N_EXAMPLES = 5

_SHARES = ("max_reject_share", "max_odd_norm_share", "max_group_churn", "max_missing_share")


@dataclass(frozen=True)
class Figure:
    """What was measured of a night. gate: the setting that limits it, `min_...` or `max_...`.

    sentence: the figure in words. examples: rows that it comes from, at most N_EXAMPLES.
    """

    gate: str
    value: float
    sentence: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Breach:
    """A figure that is beyond its limit. sentence: says which gate, how far, and what was measured."""

    gate: str
    value: float
    limit: float
    sentence: str
    examples: tuple[str, ...]


def find_breaches(figures: Iterable[Figure], limits: Mapping[str, float | None]) -> tuple[Breach, ...]:
    """The figures beyond their limits, in the order of `figures`. A limit that is None or not there lets everything pass."""
    found = []
    for figure in figures:
        limit = limits.get(figure.gate)
        if limit is None:
            continue
        is_least = figure.gate.startswith("min_")
        # Written this way round, NaN is beyond every limit.
        if not (figure.value >= limit if is_least else figure.value <= limit):
            allowed = f"at {'least' if is_least else 'most'} {written(figure.gate, limit)} is allowed"
            sentence = f"gates.{figure.gate}: {written(figure.gate, figure.value)}, {allowed}; {figure.sentence}"
            found.append(Breach(figure.gate, figure.value, limit, sentence, figure.examples))
    return tuple(found)


def refuse_unread_share(n_unread: int, n_photos: int, limit: float | None, example: str | None = None) -> None:
    """Stop a night that could not read more of its photos than it may have rejects, because then the storage fails.

    limit: `gates.max_reject_share`. example: a photo and what its storage said. Raises StoreError.
    """
    if limit is not None and n_unread > limit * n_photos:
        such_as = "" if example is None else f", such as: {example}"
        raise StoreError(
            f"{n_unread} of {n_photos} photos cannot be read, more than gates.max_reject_share = {limit:g} allows; their "
            f"storage seems to fail{such_as}. Start the same command again when it works"
        )


def written(gate: str, value: float) -> str:
    """A value of a gate for a person."""
    return f"{100 * value:.1f} %" if gate in _SHARES else f"{value:.2f}"


def share(part: int, whole: int) -> float:
    """`part` of `whole`, 0..1; nothing of nothing is 0."""
    return part / whole if whole else 0.0


def embedding_drift(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """How far the mean of unit vectors has moved, in units of their spread about the mean that they had.

    before, now: (d,), the means. The spread is the root mean square distance of the vectors from `before`; since they have unit
    length it is sqrt(1 - |before|^2). So 1 is as far as a vector lies from the mean: Glass's delta (Glass 1976), of a
    mean in many dimensions. Two random samples of n vectors each are about sqrt(2 / n) apart.
    """
    spread = math.sqrt(max(1.0 - float(before @ before), 1e-6))  # vectors that are all equal have none
    return float(np.linalg.norm(now - before)) / spread


def churn(before: Set[str], now: Set[str]) -> float:
    """The share of what was there before or is there now that is not there both times, 0..1."""
    return share(len(before ^ now), len(before | now))
