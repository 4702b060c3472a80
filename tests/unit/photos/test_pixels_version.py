"""What is kept for ever of a photo's pixels is kept under another name once the same bytes give other pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodseek.duplicates import features
from prodseek.photos.decode import PIXELS_VERSION
from prodseek.runs.facts import thumbnails_cache
from prodseek.spark.cluster.looks import LOOKS_CACHE
from prodseek.vision import settings


def test_caches_of_pixels_are_called_by_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = settings.DetectorSettings(Path("yolov3-tiny.weights"), "0" * 64)
    before = settings.model_id(detector), features.features_recipe(), features.codes_recipe(28)
    monkeypatch.setattr(settings, "PIXELS_VERSION", PIXELS_VERSION + 1)
    monkeypatch.setattr(features, "PIXELS_VERSION", PIXELS_VERSION + 1)
    after = settings.model_id(detector), features.features_recipe(), features.codes_recipe(28)
    assert not set(before) & set(after)
    assert LOOKS_CACHE.key.endswith(f",pixels={PIXELS_VERSION}")
    assert thumbnails_cache(160, 256, PIXELS_VERSION).key.endswith(f",pixels={PIXELS_VERSION}")
    # What an older version kept is found under the name that it gave.
    assert thumbnails_cache(160, 256).key == "region_px=160,photo_px=256"
