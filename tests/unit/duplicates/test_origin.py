import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from made_photos import scene

from prodseek.duplicates.origin import (
    LOSS_TERMS,
    SIGNS,
    Signs,
    loss_terms,
    model_from_json,
    model_json,
    shipped_model,
    signs_of,
)
from prodseek.duplicates.planting.files import jpeg as to_bytes
from prodseek.duplicates.planting.pairs import Photo
from prodseek.duplicates.traces import Octave, Trace, Traces
from prodseek.duplicates.train_origin import BLURRED, Measured, fit_model, measured, planted

ALIKE = (Octave(0.0, 1.0),) * 3
NONE = Trace(math.nan, math.nan, math.nan, 0.2)


def steps(missed, noise=0.2):
    return Trace(missed, 5.0, 0.9, noise)


def signs(a, b, octaves=ALIKE, evenness=0.4):
    return signs_of(Traces(a, b, octaves, evenness), 0.0)


@pytest.mark.parametrize(
    ("copy", "original", "evenness"),
    [
        (steps(0.05), steps(1.5), 0.4),
        (steps(0.1), steps(-0.7), 0.4),
        (steps(0.05), NONE, 0.4),
        (NONE, steps(1.5), 0.4),
        (Trace(math.nan, math.nan, math.nan, 2.5), steps(1.2), 0.9),
        (steps(2.5, noise=2.5), steps(1.5), 0.9),
        (steps(2.5, noise=2.5), NONE, 0.9),
    ],
    ids=[
        "encoded",
        "encoded with finer steps",
        "JPEG of PNG",
        "WebP of JPEG",
        "PNG with noise",
        "JPEG with noise",
        "of PNG",
    ],
)
def test_the_original_is_told(copy, original, evenness):
    assert shipped_model().log_odds(signs(copy, original, evenness=evenness)) > math.log(2)


def test_swapped_photos_have_opposite_signs():
    octaves = (Octave(-1.2, 0.97), Octave(-1.1, 0.98), Octave(-0.7, 0.99))
    back = tuple(Octave(-octave.gain, octave.agreement) for octave in octaves)
    for a in (steps(0.1), steps(1.5, noise=3.0), NONE):
        for b in (steps(-0.6), NONE):
            one = signs_of(Traces(a, b, octaves, 0.6, 0.7), -2.0)
            other = signs_of(Traces(b, a, back, 0.6, -0.7), 2.0)
            assert all(getattr(one, name) == pytest.approx(-getattr(other, name)) for name in SIGNS)


def test_equal_photos_have_no_signs():
    assert all(abs(getattr(signs(trace, trace), name)) < 1e-9 for trace in (steps(-3.0), NONE) for name in SIGNS)
    assert shipped_model().log_odds(Signs()) == 0


def test_a_blurred_photo_has_less_detail_and_a_sharpened_or_noisy_one_has_not_more():
    blurred = (Octave(-2.7, 0.3), Octave(-1.9, 0.7), Octave(-0.8, 0.93))
    sharpened = (Octave(1.2, 0.97), Octave(1.05, 0.99), Octave(0.7, 0.99))
    noisy = (Octave(1.2, 0.5), Octave(0.2, 0.92), Octave(0.02, 0.99))
    model = shipped_model()
    assert model.finer(Traces(steps(0.5), steps(0.2), blurred, 0.3)) == pytest.approx(-1.9)
    assert model.finer(Traces(steps(0.5), steps(0.2), sharpened, 0.4)) == 0
    assert model.finer(Traces(steps(1.5), steps(2.5, noise=2.5), noisy, 0.85)) == 0
    assert model.finer(Traces(NONE, NONE, ALIKE, 0.4)) == 0
    assert len(loss_terms(Traces(NONE, NONE, ALIKE, 0.4))) == len(LOSS_TERMS)


def test_a_model_of_other_measurements_is_refused():
    model = json.loads(model_json())
    del model["origin"]["closer"]
    with pytest.raises(ValueError, match="closer"):
        model_from_json(json.dumps(model))


def test_models_are_fitted_and_judged_by_turns():
    rng = np.random.default_rng(0)
    rows = []
    for number in range(240):
        kind, was_blurred = ("jpeg", False) if number % 3 else (BLURRED, True)
        finest = rng.normal(1.0 if was_blurred else 0.0, 0.2)
        octaves = (Octave(-0.8 - finest, 0.7), Octave(-0.8, 0.9), Octave(-0.4, 0.98))
        found = Signs(closer=float(rng.normal(1, 0.5)), blocks=float(rng.normal(0.5, 1)))
        terms = loss_terms(Traces(NONE, NONE, octaves, 0.4))
        rows.append(Measured(f"set {number % 2}", kind, found, -0.8, terms, was_blurred))
    model = fit_model(rows)
    assert model.origin["closer"] > 0 and model.origin["blocks"] > 0 and model.origin["noise_added"] == 0
    assert set(model.recipe["by_turns"]) == {"set 0", "set 1"}
    for found in model.recipe["by_turns"].values():
        assert found["original"] > 0.9 and found["blurred"] > 0.9
    assert model_from_json(json.dumps(asdict(model))) == model


def test_planted_copies_come_after_their_originals():
    photos = [Photo(to_bytes(scene(seed, 200, 150)), str(seed), "drawn") for seed in (1, 2)]
    pairs = list(planted(photos, 1))
    assert len(pairs) > 15 and all(pair.keep in ("a", None) and pair.is_copy for pair in pairs)
    assert [pair.data_a for pair in planted(photos, 1)] == [pair.data_a for pair in pairs]
    blurred = next(pair for pair in pairs if pair.kind == BLURRED)
    found = measured(blurred)
    assert found is not None and found.loss < 0 and found.was_blurred
