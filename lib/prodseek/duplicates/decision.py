"""The probability that one photo was made from the other: boosted trees over what was measured, fitted by train_decision.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import TypeAdapter

from prodseek.duplicates.guards import is_proved
from prodseek.duplicates.proof import Proof
from prodseek.duplicates.verification import Comparison

MODEL_FILE = "decision.json"
# How each measurement may move the probability: 1 only up, -1 only down, 0 either way. So nothing that is left unexplained can
# ever make a copy more likely, however few pairs of a kind were fitted.
FEATURES = {
    "log_matches": 0,
    "match_share": 0,
    "hash_likeness": 0,
    "followed_share": 1,
    "followed_error_px": 0,
    **{f"{what}_{level}": -1 for what in ("left", "strength") for level in range(4)},
    **{f"fine_{what}_{level}": -1 for what in ("left", "strength") for level in range(2)},
    "hue_left_0": -1,
    "hue_strength_0": -1,
    "faint": -1,
    "fine_faint": -1,
    "fine_texture": -1,
    "fine_shared": 0,
    "fine_flat_noise": 0,
    "fine_edge_noise": 0,
    "fine_side_px": 0,
    "flat_noise": 0,
    "edge_noise": 0,
    "plain": 0,
    "ground_share": 0,
    "ground_change": 0,
    "outline_change": -1,
    "outline_part_px": -1,
    "ground_missed": 0,
    "tone_change": -1,
    "tone_change_90": 0,
    "curve_least": 0,
    "curve_most": 0,
    "light_change": 0,
    "colour_left": -1,
    "colour_left_95": -1,
    "colour_left_most": -1,
    "chroma_low": 0,
    "chroma_high": 0,
    "hue_spread": 0,
    "hue_change": -1,
    "structured": 0,
    "matching": 1,
    "n_cells": 0,
    "cells_matching": 1,
    "mark": -1,
    "mark_one_sided": 1,
    "mark_correlation": 0,
    "mark_on_ground": 0,
    "mark_box": 0,
    "mark_thick": 0,
    "mark_parts": 0,
    "mark_largest": -1,
    "mark_at_border": 0,
    "mark_crosses": 0,
    "mark_ink": 0,
    "mark_ink_beneath": 0,
    "matching_beside": 1,
    "sharper": 0,
    "noisier": 0,
    "stretch": 0,
    "tilt": 0,
    "mirrored": 0,
    "inner_area": 0,
    "inner_content": 0,
    "outer_area": 0,
    "outer_content": 0,
    "outer_plain": 0,
    "outer_crossing": 0,
    "outer_seam": 0,
    "outer_spans": 0,
    "outer_repeats": 0,
    "inner_thing_px": -1,
    "outer_thing_px": -1,
    "outer_alone_px": -1,
    "margin_hides": 0,
    "margins_differ": 0,
    "fine_wave": -1,
    "hue_wave": -1,
    "chroma_alone": -1,
    # Whether the guards let it be a copy.
    "proved": 1,
}
# What depends on which of the two photos comes first.
_EITHER_SIGN = ("mark_one_sided", "sharper", "noisier")
_HASH_BITS = 256
# Faint differences hide in smaller photos: of ten planted negatives that were proved, by turns, eight are that small.
SMALL_SIDE_PX = 450


@dataclass(frozen=True)
class Tree:
    """A decision tree of N nodes, the root first. A row goes left where its feature is at most the threshold.

    feature: place in FEATURES, -1 in a leaf. threshold: (N,). right: (N,) places of the right children; the left one follows its
    node. nan_left: whether a missing value goes left. value: (N,) of a leaf, added to the logit.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    right: tuple[int, ...]
    nan_left: tuple[bool, ...]
    value: tuple[float, ...]

    def logit(self, values: Sequence[float]) -> float:
        """The leaf's value of one row."""
        node = 0
        while self.feature[node] >= 0:
            value = values[self.feature[node]]
            goes_left = self.nan_left[node] if math.isnan(value) else value <= self.threshold[node]
            node = node + 1 if goes_left else self.right[node]
        return self.value[node]


@dataclass(frozen=True)
class DecisionModel:
    """The model: confidence = 1 / (1 + exp(-(slope * logit + intercept))), logit = bias + the sum over the trees.

    slope and intercept were calibrated on catalogues that the trees were not fitted on. Source: Platt, "Probabilistic Outputs
    for Support Vector Machines", 1999. copy_confidence: from here on a pair is a copy; small_copy_confidence: likewise where the
    photos were compared at less than SMALL_SIDE_PX; below look_confidence it is none; between them a person looks. recipe: how
    and on what it was trained.
    """

    features: tuple[str, ...]
    trees: tuple[Tree, ...]
    bias: float
    slope: float
    intercept: float
    copy_confidence: float
    small_copy_confidence: float
    look_confidence: float
    recipe: dict[str, Any]

    def confidence(self, values: Sequence[float]) -> float:
        """The confidence of one pair, 0 to 1. values: in the order of FEATURES."""
        logit = self.bias + sum(tree.logit(values) for tree in self.trees)
        return 0.5 * (1 + math.tanh((self.slope * logit + self.intercept) / 2))

    @property
    def surest_confidence(self) -> float:
        """From here on any pair is a copy that is proved."""
        return max(self.copy_confidence, self.small_copy_confidence)

    def is_sure(self, confidence: float, fine_side_px: float) -> bool:
        """Whether a pair is a copy, if that is proved too. fine_side_px: see `Proof`."""
        return confidence >= (self.copy_confidence if fine_side_px >= SMALL_SIDE_PX else self.small_copy_confidence)


def feature_values(comparison: Comparison, proof: Proof, pdq_hamming: int | None) -> list[float]:
    """The measurements in the order of FEATURES; the same whichever photo comes first. pdq_hamming: bits of 256."""
    values = proof.values() | {
        "log_matches": math.log1p(comparison.n_matches),
        "match_share": comparison.match_share,
        "hash_likeness": 0.0 if pdq_hamming is None else max(0.0, 1 - 2 * pdq_hamming / _HASH_BITS),
    }
    for name in _EITHER_SIGN:
        values[name] = abs(values[name])
    values["proved"] = float(is_proved(values))
    return [float(values[name]) for name in FEATURES]


def model_from_json(text: str) -> DecisionModel:
    """Read a model. Raises ValueError if the text is not a model of FEATURES."""
    model = TypeAdapter(DecisionModel).validate_json(text)
    if model.features != tuple(FEATURES):
        unlike = sorted(set(model.features) ^ set(FEATURES)) or ["their order"]
        raise ValueError(f"{MODEL_FILE}: trained on other measurements ({', '.join(unlike)}); train again")
    return model


def model_json() -> str:
    """The text of the shipped model."""
    return files("prodseek.duplicates").joinpath(MODEL_FILE).read_text(encoding="utf-8")


@cache
def shipped_model() -> DecisionModel:
    """The model that comes with prodseek."""
    return model_from_json(model_json())
