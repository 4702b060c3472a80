"""How sure a likeness makes: confidence is the share of hits that are right."""

from __future__ import annotations

from dataclasses import asdict, astuple
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from prodseek.embedding.confidence import (
    HUB_VIEWS,
    PRIOR_CALIBRATION,
    RIVALS,
    Calibration,
    InScenes,
    _as_of_other_photos,
    fit_confidence,
    hubness,
    likeness_score,
)
from prodseek.embedding.facets import unit

Vectors = NDArray[np.float64]
USUAL = Calibration(slope=25.0, none=6.0, standing_out=14.0, alike=6.0)


@pytest.mark.parametrize("n_objects", [0, 1, HUB_VIEWS], ids=["none", "one", "ten"])
def test_too_few_views_give_what_is_shipped(n_objects: int) -> None:
    some = unit(np.random.default_rng(0).normal(size=(n_objects, 8)))
    assert fit_confidence(some, some, np.arange(n_objects)) == PRIOR_CALIBRATION


def catalogue(n_products: int, n_views: int, noise: float, seed: int = 3) -> tuple[Vectors, Vectors]:
    """Views of the first products, and the products."""
    rng = np.random.default_rng(seed)
    gallery = unit(rng.normal(size=(n_products, 32)))
    return unit(gallery[:n_views] + noise * rng.normal(size=(n_views, 32))), gallery


def first_hits(
    calibration: Calibration, views: Vectors, gallery: Vectors, seen: Vectors
) -> tuple[Vectors, NDArray[np.intp]]:
    """The chance of the first hit of each view, and which product it is. seen: the views that tell hubs."""
    score = likeness_score(views @ gallery.T, hubness(gallery @ seen.T))
    order = np.argsort(-score, axis=1)
    best = np.take_along_axis(score, order, axis=1)
    return np.array([calibration.chances(row)[0] for row in best]), order[:, 0]


def test_confidence_is_the_share_of_hits_that_are_right() -> None:
    views, gallery = catalogue(1000, 1000, 0.2)
    with patch.multiple("prodseek.embedding.confidence", _OF_OTHER_PHOTOS=1.0, _PRIOR_STRENGTH=1):
        calibration = fit_confidence(views[:500], gallery, np.arange(1000))

    # The others ask: half of the time their product is there.
    there, found = first_hits(calibration, views[500::2], gallery, views[:500])
    missing, _ = first_hits(
        calibration, views[501::2], np.delete(gallery, np.arange(501, 1000, 2), axis=0), views[:500]
    )
    right = found == np.arange(500, 1000, 2)

    assert abs(there.mean() + missing.mean() - right.mean()) < 0.1
    assert there[right].mean() > 0.7 > 0.2 > missing.mean()


def test_a_product_under_several_ids_makes_no_hit_less_sure() -> None:
    views, gallery = catalogue(400, 200, 0.2)
    copies = np.concatenate([gallery, gallery[:200]])

    alone, copied = fit_confidence(views, gallery, np.arange(400)), fit_confidence(views, copies, np.arange(600))
    with patch("prodseek.embedding.confidence._COPY_COSINE", 2.0):
        taken_for_others = fit_confidence(views, copies, np.arange(600))

    sure, still_sure, unsure = (
        first_hits(fitted, views, gallery, views)[0].mean() for fitted in (alone, copied, taken_for_others)
    )
    assert still_sure > sure - 0.02 > unsure + 0.1


def test_what_stands_out_is_surer_than_one_of_many_alike() -> None:
    calibration = USUAL
    crowd = np.full(20, 0.3)

    among_alike = calibration.chances(np.concatenate([[0.5], [0.49, 0.48], crowd]))
    standing_out = calibration.chances(np.concatenate([[0.5], np.full(20, 0.05)]))
    all_alike = calibration.chances(np.full(20, 0.5))

    assert standing_out[0] > 0.9 > 0.5 > among_alike[0] > among_alike[1] > among_alike[2] > among_alike[3]
    assert all_alike.max() < 0.05, "nothing tells them apart"
    for chances in (among_alike, standing_out, all_alike):
        assert chances[:RIVALS].sum() < 1 and chances.min() > 0


def test_what_stands_out_no_less_is_less_sure_where_it_is_less_alike() -> None:
    """A ball in a shop of furniture stands out from chairs as the bean bag that is nearest to it."""
    scores = np.array([0.7, 0.45, 0.4, *np.full(7, 0.3)])
    alike, unlike = USUAL.chances(scores)[0], USUAL.chances(scores - 0.3)[0]
    assert alike > 0.95 > 0.9 > unlike


@pytest.mark.parametrize("step", [0.0, 1e-6, 0.01, 0.2])
def test_chances_are_in_the_order_of_scores(step: float) -> None:
    chances = USUAL.chances(0.6 - step * np.arange(15))
    assert (np.diff(chances) <= 0).all()


def test_few_products_are_told_by_what_they_score_alone() -> None:
    calibration = USUAL
    assert calibration.chances(np.array([0.6]))[0] > 0.9 > 0.1 > calibration.chances(np.array([0.1]))[0]
    assert len(calibration.chances(np.zeros(0))) == 0


def test_what_was_cut_off_is_no_proof() -> None:
    calibration, scores = USUAL, np.array([0.5, 0.4, 0.38, 0.37])
    assert calibration.chances(scores, rest=0.36)[0] < 0.3 < 0.8 < calibration.chances(scores)[0]


def test_scores_out_of_all_reason_stay_chances() -> None:
    chances = Calibration(9000.0, 7.0, 2000.0, 2000.0).chances(np.array([1.0, 0.9, -1.0]))
    assert np.isfinite(chances).all() and chances.max() <= 1


def test_what_another_version_fitted_is_no_calibration() -> None:
    assert Calibration.of_facts({}) is None
    assert Calibration.of_facts({"slope": 12.0, "intercept": -5.0}) is None
    assert Calibration.of_facts({"slope": 12.0, "none": 5.0}) is None
    assert Calibration.of_facts(asdict(USUAL)) == USUAL


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
    _, gallery = catalogue(400, 0, 0.0)
    twice = np.concatenate([gallery, unit(gallery + 0.12 * rng.normal(size=gallery.shape))])
    views = unit(gallery[:100] + 0.2 * rng.normal(size=(100, 32)))

    with patch("prodseek.embedding.confidence._PRIOR_STRENGTH", 1):
        told = fit_confidence(views, twice, np.tile(np.arange(400), 2))
        untold = fit_confidence(views, twice, np.arange(800))

    assert (
        first_hits(told, views, gallery, views)[0].mean() > first_hits(untold, views, gallery, views)[0].mean() + 0.05
    )


@pytest.mark.parametrize("chance", [0.001, 0.01, 0.2, 0.5, 0.97])
def test_the_least_score_of_a_chance_has_it(chance: float) -> None:
    calibration, scores = USUAL, np.linspace(0.6, 0.0, 30)

    least = calibration.least_score(scores, chance)

    assert np.array_equal(scores >= least, calibration.chances_alone(scores) >= chance)
    assert calibration.least_score(scores, 0.0) == -np.inf and calibration.least_score(scores, 1.0) == np.inf


def test_a_sure_hit_takes_chances_but_hides_nothing() -> None:
    calibration, others = USUAL, np.linspace(0.4, 0.2, 9)
    beside, without = np.concatenate([[0.9], others]), np.concatenate([[0.41], others])
    assert calibration.chances(beside)[1] < 0.01 < calibration.chances(without)[1]
    assert calibration.chances_alone(beside)[1] == pytest.approx(calibration.chances_alone(without)[1])


def test_views_that_are_nearer_to_others_than_to_themselves_make_nothing_sure() -> None:
    rng = np.random.default_rng(0)
    views, gallery = unit(rng.normal(size=(64, 32))), unit(rng.normal(size=(256, 32)))
    calibration = fit_confidence(views, gallery, np.arange(256))
    assert first_hits(calibration, views, gallery, views)[0].max() < 0.5


def test_the_fewer_views_the_more_a_catalogue_is_like_what_is_shipped() -> None:
    views, gallery = catalogue(400, 400, 0.4)
    shipped = np.array(astuple(PRIOR_CALIBRATION))

    def departs(n: int) -> float:
        return float(np.abs(astuple(fit_confidence(views[:n], gallery, np.arange(400))) / shipped - 1).max())

    assert departs(12) < departs(60) < departs(400)


def test_a_view_that_is_no_better_than_the_rest_is_no_right_answer_of_another_photo() -> None:
    asked = np.array(
        [[0.9, 0.6, 0.5, *np.full(7, 0.1)], [0.9, 0.88, 0.5, *np.full(7, 0.1)], [0.9, np.nan, *np.full(8, np.nan)]]
    )

    scores, places = _as_of_other_photos(asked, np.array([0, 0, RIVALS]), np.full(3, 0.1))

    assert scores[0, 0] == pytest.approx(0.1 + 0.85 * 0.8) and places.tolist() == [0, 1, RIVALS]
    assert scores[1, 0] == 0.88 and scores[2, 0] == 0.9
