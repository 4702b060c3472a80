"""Precision at k, leave one out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from prodseek.embedding.evaluation import precision_at_k, ranking


def on_a_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)


def test_by_hand() -> None:
    vectors = on_a_circle(0, 10, 22, 180, 192)

    assert precision_at_k(vectors, ["a", "a", "b", "b", "b"], 1) == pytest.approx(4 / 5)
    assert precision_at_k(vectors, ["a", "a", "b", "b", "b"], 2) == pytest.approx(5 / 10)


def test_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1500, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [str(label) for label in rng.integers(0, 5, len(vectors))]

    expected = []
    for row in range(len(vectors)):
        similarity = vectors @ vectors[row]
        nearest = [other for other in np.argsort(-similarity) if other != row][:10]
        expected.append(np.mean([labels[other] == labels[row] for other in nearest]))
    assert precision_at_k(vectors, labels, 10) == pytest.approx(float(np.mean(expected)), abs=1e-4)


@pytest.mark.parametrize("k", [0, 5, -1])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=f"k is {k}"):
        precision_at_k(on_a_circle(0, 1, 2, 3, 4), list("aabbb"), k)


def test_labels_missing() -> None:
    with pytest.raises(ValueError, match="2 vectors, but 1 labels"):
        precision_at_k(on_a_circle(0, 1), ["a"], 1)


def test_ranking_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(300, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = rng.choice(list("abcdefg"), 300).tolist()
    rows = np.array([5, 17, 123, 299])
    found = ranking(vectors, labels, [1, 10], rows)
    for place, row in enumerate(rows.tolist()):
        others = np.delete(np.arange(300), row)
        is_alike = np.array(labels)[others] == labels[row]
        cosine = vectors[others] @ vectors[row]
        assert found.average_precision[place] == pytest.approx(average_precision_score(is_alike, cosine), abs=1e-6)
        assert found.n_alike[place] == is_alike.sum()
        best = is_alike[np.argsort(-cosine, kind="stable")[:10]].sum()
        assert found.precision[10][place] == pytest.approx(best / 10)
        assert found.recall[10][place] == pytest.approx(best / is_alike.sum())


def test_a_label_of_one_photo_has_no_recall():
    found = ranking(on_a_circle(0, 1, 50), list("aab"), [1])
    assert found.precision[1].tolist() == [1, 1, 0]
    assert np.isnan(found.recall[1]).tolist() == [False, False, True]
    assert np.isnan(found.average_precision).tolist() == [False, False, True]
