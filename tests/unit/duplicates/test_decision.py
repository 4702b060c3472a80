import dataclasses
import io
import json

import numpy as np
import pytest
from made_photos import pixels, textured_photo
from PIL import Image
from sklearn.linear_model import LogisticRegression

from prodseek.duplicates import confidence as confidence_module
from prodseek.duplicates.confidence import FEATURES, ConfidenceModel, confidence_of, feature_values, model_from_json
from prodseek.duplicates.planting.files import jpeg
from prodseek.duplicates.train_confidence import expected_calibration_error
from prodseek.duplicates.verification import compare_views, view

SHIPPED = (confidence_module.files("prodseek.duplicates") / "confidence.json").read_text()


def test_the_model_computes_what_scikit_learn_fitted():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, len(FEATURES)))
    fitted = LogisticRegression().fit(features, features[:, 0] + features[:, 3] > 0)
    zeros, ones = (0.0,) * len(FEATURES), (1.0,) * len(FEATURES)
    model = ConfidenceModel(FEATURES, zeros, ones, tuple(fitted.coef_[0]), fitted.intercept_[0], 1.0, 0.0, {})
    np.testing.assert_allclose(model.confidence(features), fitted.predict_proba(features)[:, 1], atol=1e-12)
    assert np.isfinite(model.confidence(1e6 * features)).all()


def test_the_shipped_model_says_how_it_was_made():
    model = model_from_json(SHIPPED)
    assert {"photos", "pairs_fitted", "pairs_calibrated", "seed", "scikit_learn", "script"} <= set(model.recipe)
    assert model_from_json(json.dumps(dataclasses.asdict(model))) == model


def test_a_model_of_other_features_is_refused():
    values = json.loads(SHIPPED)
    with pytest.raises(ValueError, match="weights has 8 values for 9 features"):
        model_from_json(json.dumps(values | {"weights": values["weights"][:-1]}))
    with pytest.raises(ValueError, match="trained on other"):
        model_from_json(json.dumps(values | {"features": ["other", *values["features"][1:]]}))


def test_copies_are_sure_and_unlike_photos_are_not():
    photo = view(pixels(textured_photo(1)))
    copy = compare_views(photo, view(pixels(Image.open(io.BytesIO(jpeg(textured_photo(1), 30))))))
    assert len(feature_values(copy, 4)) == len(FEATURES)
    assert confidence_of(copy, 4) > 0.99
    other = compare_views(photo, view(pixels(textured_photo(2))))
    assert other is None or confidence_of(other, 120) < 0.1


def test_the_calibration_error_is_the_gap_between_confidence_and_truth():
    confidence = np.array([0.05, 0.05, 0.95, 0.95])
    assert expected_calibration_error(confidence, np.array([False, False, True, True])) == pytest.approx(0.05)
    assert expected_calibration_error(confidence, np.array([True, True, False, False])) == pytest.approx(0.95)
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0
