import dataclasses
import json
import math

import numpy as np
import pytest
from made_photos import jpeg, pixels, scene
from sklearn.ensemble import HistGradientBoostingClassifier

from prodseek.duplicates import train_decision
from prodseek.duplicates.decision import (
    FEATURES,
    SMALL_SIDE_PX,
    DecisionModel,
    Tree,
    feature_values,
    model_from_json,
    model_json,
)
from prodseek.duplicates.hashes import Orientation
from prodseek.duplicates.proof import prove
from prodseek.duplicates.train_decision import (
    LOOK_RECALL,
    MOST_WRONG,
    MOST_WRONG_SMALL,
    _fitted,
    _tree,
    expected_calibration_error,
    fit_model,
)
from prodseek.duplicates.verification import compare_views, view

N_PAIRS = 600
# Values of leaves are kept to six places.
VALUES_ROUNDED = 5e-6


def confidences(model, rows):
    return np.array([model.confidence(row) for row in rows.tolist()])


def random_rows(seed, n_rows=N_PAIRS):
    """Measurements of which some are missing, and whether each pair is a copy: by a few of them, and by chance."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, len(FEATURES)))
    rows[rng.random(rows.shape) < 0.15] = math.nan
    says = np.nan_to_num(rows)
    left, followed = (list(FEATURES).index(name) for name in ("left_0", "followed_share"))
    is_copy = says[:, followed] - 1.5 * says[:, left] + np.abs(says[:, 0]) + rng.normal(0, 0.5, n_rows) > 0.8
    return rows, is_copy


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_decision, "N_TREES", 40)
        yield


@pytest.fixture(scope="module")
def fitted_model():
    rows, is_copy = random_rows(0)
    return fit_model(rows, is_copy, ["shoes", "lamps"] * (N_PAIRS // 2))


@pytest.fixture(scope="module")
def shipped():
    return model_from_json(model_json())


def test_the_trees_compute_what_scikit_learn_fitted(fitted_model):
    """Oracle: scikit-learn's own predictions."""
    rows, is_copy = random_rows(0)
    oracle = _fitted(rows, is_copy)
    unseen, _ = random_rows(1)
    probability = oracle.predict_proba(unseen)[:, 1]
    uncalibrated = dataclasses.replace(fitted_model, slope=1.0, intercept=0.0)
    np.testing.assert_allclose(confidences(uncalibrated, unseen), probability, atol=VALUES_ROUNDED)
    logits = oracle.decision_function(unseen)
    calibrated = 1 / (1 + np.exp(-(fitted_model.slope * logits + fitted_model.intercept)))
    np.testing.assert_allclose(confidences(fitted_model, unseen), calibrated, atol=VALUES_ROUNDED)
    assert np.ptp(probability) > 0.7


@pytest.mark.parametrize("seed", [2, 3])
def test_each_tree_computes_what_scikit_learn_s_does(seed):
    rows, is_copy = random_rows(seed)
    one_tree = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=15, learning_rate=1.0).fit(rows, is_copy)
    tree = _tree(one_tree._predictors[0][0].nodes)
    bias = float(one_tree._baseline_prediction.ravel()[0])
    unseen, _ = random_rows(seed + 10)
    for missing in (unseen, np.full_like(unseen[:2], math.nan), 1e9 * unseen[:50], -1e9 * unseen[:50]):
        found = [bias + tree.logit(row) for row in missing.tolist()]
        np.testing.assert_allclose(found, one_tree.decision_function(missing), atol=1e-6)


def test_a_row_goes_where_the_threshold_sends_it():
    tree = Tree((0, -1, 1, -1, -1), (2.0, 0, 5.0, 0, 0), (2, 0, 4, 0, 0), (True, False, False, False, False),
                (0, -1.0, 0, 0.5, 0.75))  # fmt: skip
    for row, value in (((2.0, 9), -1.0), ((2.1, 5), 0.5), ((3, 6), 0.75), ((math.nan, 9), -1.0), ((3, math.nan), 0.75)):
        assert tree.logit(row) == value


def rises(model, rows, sign):
    """The most that confidence changes against a sign, when one of its measurements rises."""
    rng = np.random.default_rng(5)
    worst = 0.0
    before = confidences(model, rows)
    for column, bound_to in enumerate(FEATURES.values()):
        if bound_to != sign:
            continue
        moved = rows.copy()
        moved[:, column] += rng.exponential(1.0, len(rows)) * 10 ** rng.uniform(-2, 1.5, len(rows))
        worst = max(worst, float((-sign * (confidences(model, moved) - before)).max()))
    return worst


def likely_rows(model, n_rows=60):
    """Rows with values near the thresholds of the trees."""
    rng = np.random.default_rng(6)
    rows = np.zeros((n_rows, len(FEATURES)))
    for column in range(len(FEATURES)):
        found = [t for tree in model.trees for t, f in zip(tree.threshold, tree.feature, strict=True) if f == column]
        rows[:, column] = rng.choice([value for value in found if math.isfinite(value)] or [0.0], n_rows)
    return rows + rng.normal(0, 1e-3, rows.shape)


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_left_never_makes_a_copy_of_a_pair_nor_agreement_another(shipped, sign):
    """For every feature with a sign in FEATURES: left_*, strength_*, tone_change down; followed_share, matching up."""
    assert rises(shipped, likely_rows(shipped), sign) <= 1e-12


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_model_that_is_fitted_anew_keeps_the_signs(fitted_model, sign):
    assert rises(fitted_model, random_rows(7, 60)[0], sign) <= 1e-12


def test_all_that_is_left_and_nothing_else_of_it_may_only_speak_against_a_copy():
    for name, sign in FEATURES.items():
        if "left" in name or "strength" in name:
            assert sign == -1, name
    assert set(FEATURES.values()) == {-1, 0, 1}


def test_the_shipped_model_says_how_it_was_made(shipped):
    assert {"script", "pairs", "copies_share", "planted_seeds", "scikit_learn"} <= set(shipped.recipe)
    assert shipped.recipe["script"] == "prodseek.duplicates.train_decision"
    assert len(shipped.recipe["pairs"]) >= 2
    assert 0 < shipped.look_confidence < shipped.copy_confidence <= shipped.small_copy_confidence <= 1
    assert model_from_json(json.dumps(dataclasses.asdict(shipped))) == shipped


def test_a_model_of_other_features_is_refused(fitted_model):
    values = dataclasses.asdict(fitted_model)
    with pytest.raises(
        ValueError, match=r"decision.json: trained on other measurements \(colour_of_the_sky, .*train again"
    ):
        model_from_json(json.dumps(values | {"features": ["colour_of_the_sky", *values["features"][1:]]}))
    with pytest.raises(ValueError, match=r"other measurements \(their order\)"):
        model_from_json(json.dumps(values | {"features": values["features"][::-1]}))
    with pytest.raises(ValueError, match="slope"):
        model_from_json(json.dumps({name: value for name, value in values.items() if name != "slope"}))
    with pytest.raises(ValueError, match="JSON"):
        model_from_json("{")


def test_confidence_is_a_probability_whatever_comes(fitted_model):
    for value in (0.0, 1e30, -1e30, math.inf, -math.inf, math.nan):
        assert 0 <= fitted_model.confidence([value] * len(FEATURES)) <= 1


def test_a_model_is_calibrated_on_catalogues_that_its_trees_have_not_seen():
    rows, is_copy = random_rows(8)
    names = ["shoes", "lamps", "rugs"] * (N_PAIRS // 3)
    model = fit_model(rows, is_copy, names)
    assert fit_model(rows, is_copy, names) == model
    assert model.recipe["pairs"] == {"lamps": 200, "rugs": 200, "shoes": 200}
    unseen, is_unseen_copy = random_rows(9, 1500)
    assert expected_calibration_error(confidences(model, unseen), is_unseen_copy) < 0.06
    assert model.recipe["copies_share"] == pytest.approx(is_copy.mean(), abs=1e-4)
    assert 0 < MOST_WRONG < MOST_WRONG_SMALL and MOST_WRONG + MOST_WRONG_SMALL == 0.001 and 0.9 < LOOK_RECALL < 1


def test_where_catalogues_contradict_each_other_nothing_is_sure():
    rows, is_copy = random_rows(10)
    names = np.array(["shoes", "lamps"] * (N_PAIRS // 2))
    model = fit_model(rows, np.where(names == "shoes", is_copy, ~is_copy), names.tolist())
    assert not (confidences(model, rows) > model.small_copy_confidence).mean() > 0.02


def test_small_photos_and_those_of_no_known_size_must_be_surer_to_be_copies(shipped):
    model = dataclasses.replace(shipped, copy_confidence=0.9, small_copy_confidence=0.97)
    assert model.is_sure(0.9, SMALL_SIDE_PX) and not model.is_sure(0.89, SMALL_SIDE_PX)
    for side_px in (SMALL_SIDE_PX - 1, math.nan):
        assert model.is_sure(0.97, side_px) and not model.is_sure(0.96, side_px)


def test_the_measurements_of_a_pair_are_the_features():
    a, b = pixels(scene(1)), pixels(jpeg(scene(1), 60))
    comparison = compare_views(view(a), view(b), Orientation.IDENTITY)
    proof = prove(a, b, comparison, lambda: (a, b))
    row = dict(zip(FEATURES, feature_values(comparison, proof, 32), strict=True))
    assert row["hash_likeness"] == 0.75 and row["log_matches"] == pytest.approx(math.log1p(comparison.n_matches))
    assert row["left_0"] == proof.left_0 and row["outer_area"] == proof.overlap.values()["outer_area"]
    assert row["sharper"] == abs(proof.sharper)
    for bits, likeness in ((None, 0), (0, 1), (128, 0), (200, 0)):
        assert dict(zip(FEATURES, feature_values(comparison, proof, bits), strict=True))["hash_likeness"] == likeness


def test_the_sign_of_what_depends_on_the_order_is_dropped():
    a, b = pixels(scene(2)), pixels(jpeg(scene(2), 60))
    comparison = compare_views(view(a), view(b), Orientation.IDENTITY)
    proof = prove(a, b, comparison, lambda: (a, b))
    rows = [
        feature_values(comparison, dataclasses.replace(proof, sharper=s, noisier=s, mark_one_sided=s), None)
        for s in (-0.7, 0.7)
    ]
    assert rows[0] == rows[1]


def test_the_calibration_error_is_the_gap_between_confidence_and_truth():
    confidence = np.array([0.05, 0.05, 0.95, 0.95])
    assert expected_calibration_error(confidence, np.array([False, False, True, True])) == pytest.approx(0.05)
    assert expected_calibration_error(confidence, np.array([True, True, False, False])) == pytest.approx(0.95)
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0


def test_a_model_is_a_value():
    assert DecisionModel.__dataclass_params__.frozen and Tree.__dataclass_params__.frozen
