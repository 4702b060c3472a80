"""Exemplars are central and of different products; cohesion and separation against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from prodseek.cluster.groups import NOISE
from prodseek.cluster.quality import group_quality


def test_exemplars_are_central_and_of_different_products() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 0, 3]]
    vectors[1] = [0.8, 0.6, 0, 0]
    vectors[3] = [0.6, 0.8, 0, 0]
    labels = np.array([0, 0, 0, 0, NOISE], np.int32)
    found = group_quality(vectors, labels, ["p", "q", "p", "r", "s"], 3)
    assert set(found) == {0}
    assert found[0].exemplars[0] == 1 and set(found[0].exemplars) == {0, 1, 3}
    assert found[0].cohesion == pytest.approx((vectors[:4] @ vectors[list(found[0].exemplars)].T).mean())
    assert found[0].separation == 1.0


def test_equally_central_members_come_in_order() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    found = group_quality(vectors, np.zeros(6, np.int32), list("abcdef"), 2)
    assert found[0].exemplars == (0, 1)


def test_separation_is_to_the_nearest_other_group() -> None:
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    found = group_quality(vectors, np.array([5, 1, 3], np.int32), ["a", "b", "c"], 1)
    assert found[5].separation == pytest.approx(0.4) and found[1].separation == pytest.approx(0.4)
    assert found[3].separation == pytest.approx(1.0)


def test_no_groups_have_no_quality() -> None:
    assert group_quality(np.eye(3, dtype=np.float32), np.full(3, NOISE, np.int32), ["a"] * 3, 2) == {}
    assert group_quality(np.zeros((0, 3), np.float32), np.zeros(0, np.int32), [], 2) == {}
