"""The map: what is alike lies together, every row has a place, and the map is turned like the last one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from prodseek.cluster.groups import search_knn
from prodseek.cluster.layout import map_layout, turned_like


def planted(n_groups: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    vectors = np.repeat(rng.normal(size=(n_groups, 16)), size, axis=0) + 0.1 * rng.normal(size=(n_groups * size, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), np.repeat(
        np.arange(n_groups), size
    )


def test_what_is_alike_lies_together_and_the_map_is_the_same_twice() -> None:
    vectors, groups = planted(6, 25)
    indices, distances = search_knn(vectors, 16, 0)
    layout = map_layout(indices, distances, vectors, 0)

    assert layout.shape == (150, 2) and layout.dtype == np.float32
    nearest = KNeighborsClassifier(6).fit(layout, groups)
    assert nearest.score(layout, groups) > 0.98
    np.testing.assert_array_equal(layout, map_layout(indices, distances, vectors, 0))


def test_rows_that_no_edge_reaches_lie_on_a_rim() -> None:
    vectors, _ = planted(3, 10)
    indices, distances = search_knn(vectors, 8, 0)
    indices[:2, 1:] = -1
    indices[np.isin(indices, [0, 1]) & (np.arange(8) > 0)] = -1
    layout = map_layout(indices, distances, vectors, 0)

    assert np.isfinite(layout).all()
    radius = np.linalg.norm(layout, axis=1)
    assert radius[:2].min() > radius[2:].max()


@pytest.mark.parametrize("n_rows", [0, 1, 2, 4])
def test_few_rows_have_a_place_too(n_rows: int) -> None:
    vectors = np.eye(8, dtype=np.float32)[:n_rows]
    indices, distances = search_knn(vectors, 3, 0) if n_rows else (np.zeros((0, 1), np.int32), np.zeros((0, 1)))
    layout = map_layout(indices, distances, vectors, 0)
    assert layout.shape == (n_rows, 2) and np.isfinite(layout).all()
    assert len(np.unique(layout.round(4), axis=0)) == n_rows


def test_equal_rows_lie_in_one_place() -> None:
    vectors = np.tile(np.eye(1, 8, dtype=np.float32), (9, 1))
    indices, distances = search_knn(vectors, 4, 0)
    assert np.abs(map_layout(indices, distances, vectors, 0)).max() < 1e-3


def test_a_map_that_was_turned_mirrored_and_moved_comes_back() -> None:
    rng = np.random.default_rng(5)
    before = rng.normal(size=(40, 2)).astype(np.float32)
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]) @ np.diag([1, -1])
    layout = ((before - 3) @ turn).astype(np.float32)
    common = np.arange(0, 40, 2)

    np.testing.assert_allclose(turned_like(layout, common, before[common]), before, atol=1e-5)
    np.testing.assert_array_equal(turned_like(layout, common[:2], before[:2]), layout)
    stretched = turned_like(2 * layout, common, before[common])
    spans = np.linalg.norm(stretched - stretched.mean(0), axis=1) / np.linalg.norm(before - before.mean(0), axis=1)
    np.testing.assert_allclose(spans, 2, rtol=1e-4)
