"""Gates: what is beyond its limit, and the figures that are held against them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prodseek.config import load_config
from prodseek.errors import ConfigError
from prodseek.runs.gates import Breach, Figure, churn, embedding_drift, find_breaches, share

REJECTS = Figure("max_reject_share", 0.5, "5 of 10 rows were rejected", ("a.jpg: missing, no file",))
REGIONS = Figure("min_regions_per_image", 1.0, "10 regions were found in 10 photos")


def test_only_what_is_beyond_its_limit_is_a_breach() -> None:
    assert find_breaches([REJECTS, REGIONS], {"max_reject_share": 0.3, "min_regions_per_image": 1.5}) == (
        Breach(
            "max_reject_share",
            0.5,
            0.3,
            "gates.max_reject_share: 50.0 %, at most 30.0 % is allowed; 5 of 10 rows were rejected",
            ("a.jpg: missing, no file",),
        ),
        Breach(
            "min_regions_per_image",
            1.0,
            1.5,
            "gates.min_regions_per_image: 1.00, at least 1.50 is allowed; 10 regions were found in 10 photos",
            (),
        ),
    )
    assert find_breaches([REJECTS, REGIONS], {"max_reject_share": 0.5, "min_regions_per_image": 1.0}) == ()
    assert find_breaches([REJECTS], {"max_reject_share": None}) == find_breaches([REJECTS], {}) == ()
    assert find_breaches([], {"max_reject_share": 0.0}) == ()
    assert [breach.gate for breach in find_breaches([REJECTS], {"max_reject_share": 0.0})] == ["max_reject_share"]


def unit_rows(n: int, towards: np.ndarray, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, len(towards))) + towards
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("gate", ["max_embedding_drift", "min_regions_per_image"])
def test_what_is_no_number_is_beyond_every_limit(gate: str) -> None:
    (breach,) = find_breaches([Figure(gate, math.nan, "nothing")], {gate: 0.5})
    assert breach.gate == gate and "nan" in breach.sentence


def test_drift_is_in_units_of_the_spread() -> None:
    towards = np.eye(16)[0]
    rows = unit_rows(400, towards, 0)
    mean = rows.mean(axis=0)
    spread = np.sqrt(((rows - mean) ** 2).sum(axis=1).mean())
    other = unit_rows(400, -towards, 1).mean(axis=0)
    assert embedding_drift(mean, mean) == 0
    assert embedding_drift(mean, other) == pytest.approx(np.linalg.norm(other - mean) / spread)
    samples = [unit_rows(200, towards, seed).mean(axis=0) for seed in range(2, 42)]
    assert np.mean([embedding_drift(a, b) for a, b in zip(samples[::2], samples[1::2], strict=True)]) == pytest.approx(
        np.sqrt(2 / 200), rel=0.1
    )
    halves = np.concatenate([rows[:200], np.repeat(rows[:1], 200, axis=0)])
    assert embedding_drift(mean, halves.mean(axis=0)) > 0.4, "half of the photos are one and the same"
    assert embedding_drift(towards, towards) == 0 and np.isfinite(embedding_drift(towards, -towards))


def test_shares() -> None:
    assert (share(1, 4), share(0, 0)) == (0.25, 0.0)
    assert churn({"a", "b", "c"}, {"b", "c", "d"}) == 0.5
    assert (churn(set(), set()), churn({"a"}, set()), churn({"a"}, {"a"})) == (0.0, 1.0, 0.0)


def test_limits_change_no_result_and_can_be_switched_off() -> None:
    off = load_config(settings=["gates.max_reject_share=null", "gates.max_group_churn=1"])
    assert off.gates.max_reject_share is None and off.fingerprint == load_config().fingerprint
    with pytest.raises(ConfigError, match=r"gates\.max_reject_share: 30 is not allowed"):
        load_config(settings=["gates.max_reject_share=30"])
