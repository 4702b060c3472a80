"""The evidence between two photos, as a card shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prodseek.report.records import Box, Likeness
from prodseek.report.wording import DOUBTS, figure
from prodseek.runs.columns import BOX_EDGES

# Fields of `near_duplicates.evidence` that help a person to judge, in the order shown.
EVIDENCE_LABELS = {
    "pdq_hamming": "PDQ bits apart",
    "orientation": "turned",
    "n_matches": "matching details",
    "structural_similarity": "structural similarity",
    "unexplained_fraction": "unexplained share",
    "cosine_likeness": "likeness cosine",
    "cosine_visual": "visual cosine",
    "ciede2000": "colour difference (CIEDE2000)",
    "tone_change": "colour moved by tone (CIEDE2000)",
}
_UPRIGHT = "identity"
_SINGULAR = 1e-6


def likeness(pair: Mapping[str, Any], is_swapped: bool = False) -> Likeness:
    """The likeness from a row of `near_duplicates`. is_swapped: the row's second photo is a, and its first is b.

    The table's transform maps the row's first photo to its second; here it maps b to a.
    """
    evidence = pair["evidence"]
    first, second = _box(pair, "a"), _box(pair, "b")
    forth = evidence["transform"]
    return Likeness(
        verdict=pair["verdict"],
        decision=pair["decision"],
        confidence=round(pair["confidence"], 4),
        evidence=[
            *_doubt(pair),
            *(
                (label, figure(evidence[name]))
                for name, label in EVIDENCE_LABELS.items()
                if evidence[name] not in (None, _UPRIGHT)
            ),
        ],
        box_a_px=second if is_swapped else first,
        box_b_px=first if is_swapped else second,
        transform=forth if is_swapped or forth is None else inverse(forth),
    )


def _doubt(pair: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why a person is asked, if it is not only that the model is not sure."""
    doubt = pair["evidence"]["doubt"]
    return [("look closely:", DOUBTS[doubt])] if pair["decision"] == "look" and doubt else []


def identical_bytes() -> Likeness:
    """The likeness of two rows of the catalogue that name the same bytes."""
    return Likeness(
        verdict="identical_bytes",
        decision="copy",
        confidence=1.0,
        evidence=[],
        box_a_px=None,
        box_b_px=None,
        transform=None,
    )


def inverse(transform: list[float]) -> list[float] | None:
    """The inverse of an affine transform, both as six numbers, row by row; None if it has no inverse."""
    matrix = np.array(transform, np.float64).reshape(2, 3)
    if abs(np.linalg.det(matrix[:, :2])) < _SINGULAR:
        return None
    back = np.linalg.inv(matrix[:, :2])
    values: list[float] = np.column_stack([back, -back @ matrix[:, 2]]).round(6).ravel().tolist()
    return values


def _box(pair: Mapping[str, Any], side: str) -> Box | None:
    box = [pair[f"{name}_{side}_px"] for name in BOX_EDGES]
    return None if None in box else [round(value, 1) for value in box]
