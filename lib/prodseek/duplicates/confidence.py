"""The probability that two photos show the same: a calibrated logistic regression, trained by train_confidence.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from prodseek.duplicates.verification import Comparison

MODEL_FILE = "confidence.json"
FEATURES = (
    "log_matches",
    "match_share",
    "match_area",
    "matched_similarity",
    "structural_similarity",
    "matching_fraction",
    "log_shared_area",
    "structured_fraction",
    "hash_likeness",
)
_HASH_BITS = 256


@dataclass(frozen=True)
class ConfidenceModel:
    """The model: confidence = 1 / (1 + exp(-(slope * logit + intercept))), logit = weights . (features - mean) / scale + bias.

    slope and intercept were calibrated on photos that the weights were not fitted on. Source: Platt, "Probabilistic Outputs
    for Support Vector Machines", 1999. recipe: how and on what it was trained.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    slope: float
    intercept: float
    recipe: dict[str, Any]

    def confidence(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The confidences, (N,) float64, 0 to 1. features: (N, F) float64, in the order of FEATURES."""
        standard = (features - np.array(self.mean)) / np.array(self.scale)
        logit = self.slope * (standard @ np.array(self.weights) + self.bias) + self.intercept
        return np.asarray(0.5 * (1 + np.tanh(logit / 2)), np.float64)


def feature_values(comparison: Comparison, pdq_hamming: int | None) -> list[float]:
    """The features of a comparison, in the order of FEATURES. pdq_hamming: bits of 256; None if not measured."""
    difference = comparison.difference
    return [
        math.log1p(comparison.n_matches),
        comparison.match_share,
        comparison.match_area,
        difference.matched_similarity,
        difference.structural_similarity,
        difference.matching_fraction,
        math.log(min(comparison.area_a, comparison.area_b)),
        difference.structured_fraction,
        0.0 if pdq_hamming is None else max(0.0, 1 - 2 * pdq_hamming / _HASH_BITS),
    ]


def confidence_of(comparison: Comparison, pdq_hamming: int | None) -> float:
    """The confidence by the shipped model, 0 to 1. Arguments as for `feature_values`."""
    return float(_shipped_model().confidence(np.array([feature_values(comparison, pdq_hamming)]))[0])


def model_from_json(text: str) -> ConfidenceModel:
    """Read a model. Raises ValueError if the text is not a model of FEATURES, or a list in it has the wrong length."""
    model = TypeAdapter(ConfidenceModel).validate_json(text)
    for name in ("features", "mean", "scale", "weights"):
        n_values = len(getattr(model, name))
        if n_values != len(FEATURES):
            raise ValueError(f"{MODEL_FILE}: {name} has {n_values} values for {len(FEATURES)} features; train again")
    if model.features != FEATURES:
        raise ValueError(
            f"{MODEL_FILE}: trained on {', '.join(model.features)}, not on {', '.join(FEATURES)}; train again"
        )
    return model


def model_json() -> str:
    """The text of the shipped model."""
    return files("prodseek.duplicates").joinpath(MODEL_FILE).read_text(encoding="utf-8")


@cache
def _shipped_model() -> ConfidenceModel:
    return model_from_json(model_json())
