"""Class-wise non-maximum suppression against a naive one."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prodseek.vision.nms import select_batch, select_detections


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inter = width * height
    return float(inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter))


def naive(boxes: np.ndarray, scores: np.ndarray, threshold: float, iou: float) -> list[tuple[int, int]]:
    candidates = [(i, c) for i in range(len(boxes)) for c in range(scores.shape[1]) if scores[i, c] > threshold]
    candidates.sort(key=lambda pair: (-scores[pair], pair))
    kept: list[tuple[int, int]] = []
    for i, c in candidates:
        if all(c != other_class or overlap(boxes[i], boxes[j]) <= iou for j, other_class in kept):
            kept.append((i, c))
    return kept


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n_boxes=st.integers(0, 40), n_classes=st.integers(1, 3))
def test_same_as_naive(seed: int, n_boxes: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 30, (n_boxes, 2)).astype(np.float32)
    boxes = np.concatenate((corners, corners + rng.integers(1, 30, (n_boxes, 2))), axis=1).astype(np.float32)
    # Few different scores, so that there are ties.
    scores = (rng.integers(0, 6, (n_boxes, n_classes)) / 6).astype(np.float32)

    found_boxes, found_scores, found_classes = select_detections(
        torch.from_numpy(boxes), torch.from_numpy(scores), 0.2, 0.45, max_detections=1000
    )

    expected = naive(boxes, scores, 0.2, 0.45)
    np.testing.assert_array_equal(found_boxes.numpy(), boxes[[i for i, _ in expected]].reshape(-1, 4))
    np.testing.assert_array_equal(found_scores.numpy(), [scores[pair] for pair in expected])
    assert found_classes.tolist() == [c for _, c in expected]


def test_the_best_are_kept_when_there_are_too_many() -> None:
    boxes = torch.tensor([[i * 20.0, 0.0, i * 20.0 + 10, 10.0] for i in range(5)])
    scores = torch.tensor([[0.3], [0.9], [0.5], [0.9], [0.4]])

    kept, values, _ = select_detections(boxes, scores, 0.1, 0.45, max_detections=3)

    np.testing.assert_allclose(values.numpy(), [0.9, 0.9, 0.5], rtol=1e-6)
    assert kept[:, 0].tolist() == [20.0, 60.0, 40.0]


def test_images_of_a_batch_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(4)
    corners = torch.rand(4, 30, 2, generator=generator) * 40
    boxes = torch.cat((corners, corners + 5 + torch.rand(4, 30, 2, generator=generator) * 30), 2)
    scores = torch.rand(4, 30, 3, generator=generator)
    scores[1] = 0  # an image without any
    scores[2] = 0.5  # one of nothing but ties

    together = select_batch(boxes, scores, 0.3, 0.45, 20)

    assert [len(found) for found, _, _ in together][1] == 0
    for index, of_image in enumerate(together):
        alone = select_detections(boxes[index], scores[index], 0.3, 0.45, 20)
        assert all(torch.equal(a, b) for a, b in zip(of_image, alone, strict=True))


def test_a_network_that_detects_nothing() -> None:
    found = select_batch(torch.zeros(2, 0, 4), torch.zeros(2, 0, 0), 0.3, 0.45, 20)

    assert [len(boxes) for boxes, _, _ in found] == [0, 0]
