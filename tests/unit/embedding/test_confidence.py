"""How sure a likeness makes: confidence is the share of hits that are right."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.embedding.confidence import (
    HUB_VIEWS,
    PRIOR_CALIBRATION,
    Calibration,
    InScenes,
    fit_confidence,
    hubness,
    likeness_score,
)
from prodseek.embedding.facets import unit


@pytest.mark.parametrize("n_objects", [0, 1, 15], ids=["none", "one", "fifteen"])
def test_too_few_views_give_what_is_shipped(n_objects: int) -> None:
    assert fit_confidence(np.zeros((n_objects, n_objects)), np.eye(n_objects, dtype=bool)) == PRIOR_CALIBRATION


def test_confidence_is_the_share_of_hits_that_are_right() -> None:
    rng = np.random.default_rng(3)
    gallery = unit(rng.normal(size=(1000, 32)))
    cosine = unit(gallery + 0.2 * rng.normal(size=gallery.shape)) @ gallery.T
    calibration = fit_confidence(cosine[:500], np.eye(500, 1000, dtype=bool))

    # Asked of the others: half of the time their object is there.
    asked = cosine[500:].copy()
    asked[::2, 500:] = np.where(np.eye(500, dtype=bool)[::2], -1, asked[::2, 500:])
    score = likeness_score(asked, hubness(cosine[:500].T))
    best = score.argmax(axis=1)
    confidence = np.array([calibration.confidence(value) for value in score.max(axis=1).tolist()])
    right = best == np.arange(500, 1000)

    assert abs(confidence.mean() - right.mean()) < 0.1
    assert confidence[right].mean() > 0.6 and confidence[~right].mean() < 0.3


def test_confidence_rises_with_the_cosine_and_stays_a_share() -> None:
    calibration = Calibration(12.0, -7.0)

    values = [calibration.confidence(cosine) for cosine in (-1.0, 0.0, 0.5, 0.9, 1.0)]

    assert values == sorted(values) and 0 <= values[0] < 0.01 and 0.9 < values[-1] <= 1


def test_objects_in_scenes_travel_as_bytes() -> None:
    rng = np.random.default_rng(0)
    slices, kinds = rng.random((2, 3, 7)).astype(np.float16), np.array([0, 2, 1], np.int8)
    some = InScenes(slices[0], kinds, np.array([5, -6, 2**62]), slices[1])
    both = some.merge(InScenes.empty(7)).merge(some)

    again = InScenes.from_bytes(both.to_bytes(), 7)

    for name in ("objects", "kinds", "products", "views"):
        np.testing.assert_array_equal(getattr(again, name), getattr(both, name))
    assert len(InScenes.from_bytes(b"", 7).views) == 0


def test_hubs_are_what_many_views_are_near_to() -> None:
    cosine = np.full((3, 40), 0.1)
    cosine[1] = 0.6
    cosine[2, 0] = 1.0

    of_hubs = hubness(cosine)

    assert of_hubs.argmax() == 1 and of_hubs[1] == pytest.approx(0.6)
    assert of_hubs[2] == pytest.approx(0.1 + 0.9 / HUB_VIEWS), "one view is no hub"
    assert not hubness(cosine[:, : HUB_VIEWS - 1]).any(), "too few views say nothing"


def test_another_photo_of_the_product_is_a_right_answer() -> None:
    rng = np.random.default_rng(5)
    gallery = unit(rng.normal(size=(400, 32)))
    twice = np.concatenate([gallery, unit(gallery + 0.05 * rng.normal(size=gallery.shape))])
    cosine = unit(gallery[:100] + 0.2 * rng.normal(size=(100, 32))) @ twice.T
    products = np.tile(np.arange(400), 2)

    told = fit_confidence(cosine, products[:100, None] == products)
    untold = fit_confidence(cosine, np.eye(100, 800, dtype=bool))

    assert told.confidence(0.4) > 1.3 * untold.confidence(0.4)


@pytest.mark.parametrize("confidence", [0.0, 0.01, 0.2, 0.5, 0.97, 1.0])
def test_the_score_of_a_confidence_has_that_confidence(confidence: float) -> None:
    calibration = Calibration(13.2, -5.1)
    assert calibration.confidence(calibration.score_of(confidence)) == pytest.approx(confidence)


def test_views_that_are_nearer_to_others_than_to_themselves_calibrate_nothing() -> None:
    n = 64
    cosine = np.random.default_rng(0).uniform(0.5, 0.9, (n, 4 * n))
    cosine[np.arange(n), np.arange(n)] = 0.05
    is_own = np.zeros((n, 4 * n), bool)
    is_own[np.arange(n), np.arange(n)] = True
    is_own[:, -1] = np.argsort(cosine[:, -1]) < n // 4
    assert fit_confidence(cosine, is_own).slope > 0
