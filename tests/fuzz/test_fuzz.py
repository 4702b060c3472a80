"""A few hundred cases of every fuzz target, the same each time; `python tests/fuzz/run.py TARGET` goes on from there."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings


@pytest.mark.parametrize(
    ("name", "n_cases"),
    [
        ("images", 400),
        ("tars", 200),
        ("web", 150),
        ("manifests", 200),
        ("feeds", 200),
        ("held_photos", 200),
        ("darknet", 150),
        ("checkpoints", 30),
        ("artefacts", 40),
    ],
)
def test_a_short_search_finds_nothing(name: str, n_cases: int) -> None:
    target = import_module(f"target_{name}")

    @settings(
        max_examples=n_cases, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(target.cases())
    def search(case: object) -> None:
        target.check(case)

    search()
