"""What likeness is fitted to: components that find objects count, and confidence is the share that is right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.facets import unit
from prodseek.embedding.likeness_fit import (
    PRIOR_CALIBRATION,
    PRIOR_WEIGHTS,
    Calibration,
    InScenes,
    fit_confidence,
    fit_weights,
)

N_OBJECTS, DIM = 300, 16


def seen(noise: dict[str, float], n_objects: int = N_OBJECTS) -> tuple[dict[str, NDArray[np.float64]], ...]:
    """Views of objects and the objects, by component; noise: component -> how far its views are off."""
    rng = np.random.default_rng(3)
    gallery = {name: unit(rng.normal(size=(n_objects, DIM))) for name in PRIOR_WEIGHTS}
    views = {name: unit(gallery[name] + noise[name] * rng.normal(size=(n_objects, DIM))) for name in PRIOR_WEIGHTS}
    return views, gallery


def test_a_component_that_finds_nothing_has_no_weight() -> None:
    views, gallery = seen({"texture": 0.4, "grid": 0.4, "colour": 20.0, "shape": 0.7})

    weights = fit_weights(views, gallery, np.arange(N_OBJECTS))

    assert sum(weights.values()) == pytest.approx(1, abs=0.02)
    assert weights["colour"] < 0.08 < weights["shape"] < weights["texture"]


@pytest.mark.parametrize("n_objects", [0, 1, 15], ids=["none", "one", "fifteen"])
def test_too_few_views_give_the_shipped_weights(n_objects: int) -> None:
    views, gallery = seen(dict.fromkeys(PRIOR_WEIGHTS, 0.2), n_objects)
    total = sum(PRIOR_WEIGHTS.values())

    weights = fit_weights(views, gallery, np.arange(n_objects))

    assert weights == {name: round(weight / total, 2) for name, weight in PRIOR_WEIGHTS.items()}
    assert fit_confidence(np.zeros((n_objects, n_objects)), np.arange(n_objects)) == PRIOR_CALIBRATION


def test_confidence_is_the_share_of_hits_that_are_right() -> None:
    views, gallery = seen({"texture": 0.25, "grid": 0.25, "colour": 0.25, "shape": 0.25}, 1000)
    cosine = sum(views[name] @ gallery[name].T for name in PRIOR_WEIGHTS) / 4
    calibration = fit_confidence(cosine[:500], np.arange(500))

    # Asked of the others: half of the time their object is there.
    asked = cosine[500:].copy()
    asked[::2, 500:] = np.where(np.eye(500, dtype=bool)[::2], -1, asked[::2, 500:])
    best = asked.argmax(axis=1)
    confidence = np.array([calibration.confidence(value) for value in asked.max(axis=1).tolist()])
    right = best == np.arange(500, 1000)

    assert abs(confidence.mean() - right.mean()) < 0.05
    assert confidence[right].mean() > 0.9 and confidence[~right].mean() < 0.3


def test_confidence_rises_with_the_cosine_and_stays_a_share() -> None:
    calibration = Calibration(12.0, -7.0)

    values = [calibration.confidence(cosine) for cosine in (-1.0, 0.0, 0.5, 0.9, 1.0)]

    assert values == sorted(values) and 0 <= values[0] < 0.01 and 0.9 < values[-1] <= 1


def test_objects_in_scenes_travel_as_bytes() -> None:
    rng = np.random.default_rng(0)
    some = InScenes(
        rng.random((3, 7)).astype(np.float16), np.array([0, 2, 1], np.int8), rng.random((3, 7)).astype(np.float16)
    )
    both = some.merge(InScenes.empty(7)).merge(some)

    again = InScenes.from_bytes(both.to_bytes(), 7)

    for name in ("objects", "kinds", "views"):
        np.testing.assert_array_equal(getattr(again, name), getattr(both, name))
    assert len(InScenes.from_bytes(b"", 7).views) == 0
