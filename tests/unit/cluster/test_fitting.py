"""A department is grouped as if it were a catalogue of its own; few rows and none; the same input, the same groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from prodseek.cluster.fitting import groups_of
from prodseek.cluster.groups import NOISE, Groups, search_knn
from prodseek.config import ClusterConfig, load_config

K = 17


def settings(**changed: int) -> ClusterConfig:
    return load_config().cluster.model_copy(update=changed)


def department(*, axis: int, n_kinds: int, size: int, spread: float) -> np.ndarray:
    """Kinds of a department round one axis, unit length. spread: of a kind, where kinds are about 1 from one another."""
    rng = np.random.default_rng(axis)
    kinds = np.repeat(rng.normal(size=(n_kinds, 12)) / 5, size, axis=0)
    found = np.zeros((n_kinds * size, 32))
    found[:, axis] = 1
    found[:, 4:16] = kinds + spread * rng.normal(size=kinds.shape) / 5
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def grouped(vectors: np.ndarray, **changed: int) -> Groups:
    return groups_of(search_knn(vectors, K, 0), vectors, settings(**changed), 0)


def test_departments_of_different_density_are_each_grouped_as_alone() -> None:
    dense = department(axis=0, n_kinds=40, size=5, spread=0.05)
    loose = department(axis=1, n_kinds=14, size=12, spread=0.3)
    mixed = grouped(np.concatenate([dense, loose]))
    first, second = grouped(dense), grouped(loose)
    for level in ("fine", "coarse"):
        together = getattr(mixed, level)
        for rows, alone in ((slice(0, 200), getattr(first, level)), (slice(200, None), getattr(second, level))):
            own = together[rows]
            np.testing.assert_array_equal(own == NOISE, alone == NOISE)
            np.testing.assert_array_equal(np.where(own == NOISE, NOISE, own - own[own != NOISE].min()), alone)
        assert not set(together[:200]) & set(together[200:]) - {NOISE}
    np.testing.assert_array_equal(mixed.outlier_score, np.r_[first.outlier_score, second.outlier_score])
    assert adjusted_mutual_info_score(np.repeat(np.arange(40), 5), mixed.fine[:200]) > 0.9


def test_the_same_input_gives_the_same_groups() -> None:
    vectors = department(axis=0, n_kinds=12, size=12, spread=0.4)
    first, second = grouped(vectors), grouped(vectors)
    np.testing.assert_array_equal(first.fine, second.fine)
    np.testing.assert_array_equal(first.coarse, second.coarse)
    np.testing.assert_array_equal(first.outlier_score, second.outlier_score)


@pytest.mark.parametrize("n_layouts", [1, 3])
def test_planted_kinds_are_found_with_one_layout_and_with_several(n_layouts: int) -> None:
    vectors = department(axis=0, n_kinds=12, size=12, spread=0.1)
    found = grouped(vectors, n_layouts=n_layouts)
    assert adjusted_mutual_info_score(np.repeat(np.arange(12), 12), found.fine) > 0.95


@pytest.mark.parametrize("n_rows", [0, 1, 2, 4, 5, 12])
def test_few_rows(n_rows: int) -> None:
    found = grouped(department(axis=0, n_kinds=1, size=12, spread=0.1)[:n_rows])
    assert len(found.fine) == len(found.coarse) == len(found.outlier_score) == n_rows
    assert n_rows > 4 or (found.fine == NOISE).all()


def test_equal_rows_are_one_group() -> None:
    found = grouped(np.tile(np.eye(1, 8, dtype=np.float32), (300, 1)))
    assert found.fine.tolist() == found.coarse.tolist() == [0] * 300
