"""Our ultralytics networks against ultralytics' own `predict` and its own layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torchvision.ops import box_iou

from prodseek.photos.decode import DecodedImage
from prodseek.vision.letterbox import letterbox
from prodseek.vision.network import NetworkOutput
from prodseek.vision.nms import select_detections
from prodseek.vision.ultralytics_network import load
from prodseek.vision.weights import PinnedFile

INPUT_PX = 192
BOX_TOLERANCE_PX = 0.01  # of 192; sums in another order in float32
SCORE_TOLERANCE = 1e-4
MAP_TOLERANCE = 1e-3  # ours has batch normalisation folded in, theirs has not

Checkpoint = Callable[..., PinnedFile]


def canvases() -> torch.Tensor:
    """Two photos, one wide and one tall, as the detector letterboxes them: (2, 3, INPUT_PX, INPUT_PX)."""
    found: list[NDArray[np.uint8]] = []
    for index, size in enumerate(((300, 200), (170, 320))):
        rng = np.random.default_rng(index)
        image = Image.fromarray(rng.integers(0, 255, (9, 7, 3), dtype=np.uint8)).resize(size)
        draw = ImageDraw.Draw(image)
        for _ in range(12):
            x, y, side = (int(value) for value in rng.integers(10, 150, 3))
            draw.rectangle((x, y, x + side, y + side // 2), fill=tuple(rng.integers(0, 255, 3).tolist()))
        found.append(letterbox(DecodedImage(np.asarray(image), *size, "PNG"), INPUT_PX)[0])
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


def in_a_gap(values: torch.Tensor) -> float:
    """A threshold that no value is near, so that rounding does not decide: the middle of the widest gap."""
    values = values.sort().values
    gap = int((values[1:] - values[:-1]).argmax())
    return float((values[gap] + values[gap + 1]) / 2)


def thresholds(output: NetworkOutput) -> tuple[float, float]:
    """A score that some hundred boxes have, and an overlap that some of these have with others of their class."""
    score = in_a_gap(output.scores.amax(2).flatten().sort(descending=True).values[100:400])
    overlaps = []
    for boxes, scores in zip(output.boxes, output.scores, strict=True):
        candidates = scores.amax(1) > score
        classes = scores[candidates].argmax(1)
        overlap = box_iou(boxes[candidates], boxes[candidates])
        overlaps.append(overlap[(classes[:, None] == classes).triu(1)])
    found = torch.cat(overlaps)
    return score, in_a_gap(found[(found > 0.2) & (found < 0.6)])


@pytest.mark.parametrize(
    ("name", "fused"),
    [
        pytest.param("yolov3u", False, marks=pytest.mark.slow),
        ("yolov3-tinyu", False),
        ("yolov8n", False),
        ("yolov8n", True),
        ("yolo26n", False),
    ],
)
def test_the_boxes_of_predict(name: str, fused: bool, ultralytics_checkpoint: Checkpoint) -> None:
    weights = ultralytics_checkpoint(name, fused)
    batch = canvases()
    with torch.inference_mode():
        output = load("ultralytics", weights)(batch)
    score_threshold, iou_threshold = thresholds(output)

    theirs = predict(weights, batch, score_threshold, iou_threshold)

    for index, wanted in enumerate(theirs):
        boxes, scores, classes = select_detections(
            output.boxes[index], output.scores[index], score_threshold, iou_threshold, 300
        )
        assert_equal(boxes, scores, classes, wanted)
    n_found, n_candidates = sum(map(len, theirs)), int((output.scores.amax(2) > score_threshold).sum())
    assert 10 < n_found < n_candidates, "the pictures cannot tell right from wrong"


def test_the_boxes_of_a_head_without_nms(ultralytics_checkpoint: Checkpoint) -> None:
    weights = ultralytics_checkpoint("yolo26n", True)
    batch = canvases()
    network = load("ultralytics", weights)
    with torch.inference_mode():
        output = network(batch)
    score_threshold = in_a_gap(output.scores.flatten().sort(descending=True).values[50:200])

    theirs = predict(weights, batch, score_threshold, 0.5)

    assert network.end_to_end
    for index, wanted in enumerate(theirs):
        boxes, scores, classes = select_detections(output.boxes[index], output.scores[index], score_threshold, 1.0, 300)
        assert_equal(boxes, scores, classes, wanted)
    assert sum(map(len, theirs)) > 10


def assert_equal(boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, wanted: torch.Tensor) -> None:
    """wanted: (N, 6) x1 y1 x2 y2 score class, best first; ultralytics cuts boxes at the picture's edges."""
    assert len(wanted) == len(boxes)
    torch.testing.assert_close(scores, wanted[:, 4], atol=SCORE_TOLERANCE, rtol=0)
    # Within each class: where two scores are equal but for rounding, either may come first.
    ours, theirs = classes.argsort(stable=True), wanted[:, 5].argsort(stable=True)
    assert classes[ours].tolist() == wanted[theirs, 5].int().tolist()
    torch.testing.assert_close(boxes[ours].clamp(0, INPUT_PX), wanted[theirs, :4], atol=BOX_TOLERANCE_PX, rtol=0)


@pytest.mark.parametrize("name", ["yolov3u", "yolov3-tinyu", "yolov8n"])
def test_the_maps_of_the_backbones_last_layers(name: str, ultralytics_checkpoint: Checkpoint) -> None:
    weights = ultralytics_checkpoint(name)
    from ultralytics.nn.tasks import load_checkpoint  # now that it was imported as prodseek imports it

    batch = canvases()
    theirs: dict[int, torch.Tensor] = {}
    model, _ = load_checkpoint(weights.path)
    for index, layer in enumerate(model.model[:-1]):
        layer.register_forward_hook(lambda _layer, _inputs, output, index=index: theirs.setdefault(index, output))

    with torch.inference_mode():
        ours = load("ultralytics", weights)(batch).maps
        model(batch)

    expected = {"yolov3u": (6, 8, 10), "yolov3-tinyu": (6, 8, 12), "yolov8n": (4, 6, 9)}[name]
    for stride, index in zip((8, 16, 32), expected, strict=True):
        torch.testing.assert_close(ours[f"stride{stride}"], theirs[index], atol=MAP_TOLERANCE, rtol=MAP_TOLERANCE)
        assert ours[f"stride{stride}"].std() > 0.1


def predict(
    weights: PinnedFile, batch: torch.Tensor, score_threshold: float, iou_threshold: float
) -> list[torch.Tensor]:
    """What ultralytics itself finds in every image: (N, 6) x1 y1 x2 y2 score class, input pixels."""
    from ultralytics import YOLO

    results = YOLO(weights.path).predict(
        batch,
        conf=score_threshold,
        iou=iou_threshold,
        max_det=300,
        imgsz=INPUT_PX,
        device="cpu",
        verbose=False,
    )
    return [result.boxes.data for result in results]
