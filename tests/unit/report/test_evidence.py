"""What a card shows of a pair: from either side, with the way from one photo to the other."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.report.evidence import identical_bytes, inverse, likeness

TRANSFORM = [0.5, 0.1, 0.2, -0.05, 0.6, 0.1]
PAIR = {
    "verdict": "cropped",
    "decision": "look",
    "confidence": 0.987654,
    "evidence": {
        "pdq_hamming": 12,
        "orientation": "identity",
        "n_matches": None,
        "structural_similarity": 0.98765,
        "unexplained_fraction": 0.0125,
        "cosine_likeness": 0.6,
        "cosine_visual": 0.5,
        "ciede2000": 17.23,
        "tone_change": None,
        "doubt": None,
        "transform": TRANSFORM,
    },
    **{f"{name}_a_px": float(i) for i, name in enumerate(("x1", "y1", "x2", "y2"))},
    **{f"{name}_b_px": 10.0 + i for i, name in enumerate(("x1", "y1", "x2", "y2"))},
}


def moved(transform: list[float], points: np.ndarray) -> np.ndarray:
    matrix = np.array(transform).reshape(2, 3)
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_pair_from_either_side() -> None:
    found, swapped = likeness(PAIR), likeness(PAIR, is_swapped=True)

    assert found["verdict"] == "cropped" and found["decision"] == "look" and found["confidence"] == 0.9877
    assert dict(found["evidence"]) == {
        "PDQ bits apart": "12",
        "structural similarity": "0.988",
        "unexplained share": "0.013",
        "likeness cosine": "0.600",
        "visual cosine": "0.500",
        "colour difference (CIEDE2000)": "17.2",
    }
    assert found["box_a_px"] == swapped["box_b_px"] == [0.0, 1.0, 2.0, 3.0]
    assert found["box_b_px"] == swapped["box_a_px"] == [10.0, 11.0, 12.0, 13.0]
    assert found["transform"] is not None and swapped["transform"] == TRANSFORM
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_allclose(moved(found["transform"], moved(TRANSFORM, corners)), corners, atol=1e-4)


@pytest.mark.parametrize("transform", [[1.0, 0, 0, 2, 0, 0], [0.0] * 6])
def test_a_transform_without_a_way_back(transform: list[float]) -> None:
    assert inverse(transform) is None


@pytest.mark.parametrize(("decision", "told"), [("look", True), ("variant", False), ("copy", False)])
def test_a_person_is_told_what_to_look_for(decision: str, told: bool) -> None:
    doubtful = {**PAIR, "decision": decision, "evidence": {**PAIR["evidence"], "doubt": "faint"}}
    assert (likeness(doubtful)["evidence"][0] == ("look closely:", "something faint differs")) == told


def test_no_transform_and_no_boxes() -> None:
    bare = {**PAIR, "evidence": {**PAIR["evidence"], "transform": None, "orientation": "mirror"}, "x1_a_px": None}
    assert likeness(bare)["transform"] is None and likeness(bare)["box_a_px"] is None
    assert ("turned", "mirror") in likeness(bare)["evidence"]
    assert identical_bytes()["confidence"] == 1.0 and identical_bytes()["decision"] == "copy"
