"""Our Darknet networks against OpenCV 4's importer: the same boxes, scores and tapped feature maps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from prodseek.vision.darknet import load_darknet, n_weights
from prodseek.vision.darknet_cfg import Description, describe, read_description

cv2 = pytest.importorskip("cv2", reason="the oracle is OpenCV 4 (opencv-python-headless<5)")


def blob(input_px: int) -> torch.Tensor:
    """A clock face on a wall: something that the published weights see an object in."""
    canvas = np.full((input_px, input_px, 3), (200, 190, 170), np.uint8)
    middle, radius = (input_px // 2, input_px // 2), input_px // 3
    cv2.circle(canvas, middle, radius, (250, 250, 250), -1)
    cv2.circle(canvas, middle, radius, (30, 30, 30), max(1, input_px // 40))
    for hour in range(12):
        angle = hour * np.pi / 6
        end = tuple(int(middle[i] + 0.85 * radius * (np.cos, np.sin)[i](angle)) for i in (0, 1))
        cv2.circle(canvas, end, max(1, input_px // 60), (10, 10, 10), -1)
    cv2.line(canvas, middle, (middle[0], middle[1] - int(0.7 * radius)), (0, 0, 0), max(1, input_px // 50))
    cv2.line(canvas, middle, (middle[0] + radius // 2, middle[1]), (0, 0, 0), max(1, input_px // 40))
    return torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255


def opencv_layer(net: cv2.dnn.Net, description: Description, index: int) -> str:
    """OpenCV's name of the last step of Darknet layer `index`."""
    kind = description.layers[index].section.kind
    wanted = "shortcut" if kind == "shortcut" else "leaky"
    names = [name for name in net.getLayerNames() if re.fullmatch(rf"{wanted}_\d+", name)]
    exact = [name for name in names if name in (f"{wanted}_{index}", f"{wanted}_{index + 1}")]
    return exact[-1]


def assert_equal_to_opencv(description: Description, weights_path: Path, tmp_path: Path, input_px: int) -> None:
    """Assert equality to 1e-3 of tapped maps, boxes and scores."""
    batch = blob(input_px)
    cfg_path = tmp_path / "opencv.cfg"
    # Without a threshold of its own OpenCV writes 0 for every score below .2.
    cfg_path.write_text(description.text.replace("[yolo]", "[yolo]\nthresh=1e-9"), encoding="utf-8")
    with torch.inference_mode():
        ours = load_darknet(description, weights_path)(batch)
    net = cv2.dnn.readNetFromDarknet(str(cfg_path), str(weights_path))
    net.setInput(batch.numpy())
    heads = [f"yolo_{i}" for i, layer in enumerate(description.layers) if layer.section.kind == "yolo"]
    taps = {f"stride{s}": opencv_layer(net, description, i) for s, i in sorted(description.taps.items())}
    outputs = net.forward([*heads, *taps.values()])

    for (name, _), theirs in zip(taps.items(), outputs[len(heads) :], strict=True):
        found = ours.maps[name].numpy()
        assert found.shape == theirs.shape
        np.testing.assert_allclose(found, theirs, atol=1e-3, rtol=1e-3)

    # Both order boxes by cell, then anchor.
    boxes, scores = ours.boxes[0].numpy(), ours.scores[0].numpy()
    rows = np.concatenate(outputs[: len(heads)])
    assert len(rows) == len(boxes)
    centres, sizes = rows[:, 0:2] * input_px, rows[:, 2:4] * input_px
    theirs = np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1)
    np.testing.assert_allclose(boxes / input_px, theirs / input_px, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(scores, rows[:, 5:], atol=1e-3)
    assert rows[:, 5:].max() > 1e-2, "the picture gives no score that could tell right from wrong"


def test_tiny_with_the_published_weights(tiny_weights: Path, tmp_path: Path) -> None:
    description = read_description("yolov3-tiny")
    assert_equal_to_opencv(description, tiny_weights, tmp_path, input_px=416)


@pytest.mark.parametrize("network", ["yolov3-tiny", "yolov3", "yolov3-spp"])
def test_written_random_weights(network: str, tmp_path: Path) -> None:
    input_px = 96
    text = re.sub(r"(width|height)=\d+", rf"\1={input_px}", read_description(network).text)
    description = describe(text, network)
    weights_path = tmp_path / "net.weights"
    write_random_weights(description, weights_path)
    assert_equal_to_opencv(description, weights_path, tmp_path, input_px)


def write_random_weights(description: Description, path: Path) -> None:
    """Weights that keep values in a natural range through a hundred layers and let some boxes score."""
    rng = np.random.default_rng(11)
    chunks = [np.array([0, 2, 0, 0, 0], "<i4").tobytes()]
    for layer in description.layers:
        if layer.section.kind != "convolutional":
            continue
        n_inputs = layer.in_channels * layer.section.integer("size") ** 2
        vectors = [rng.normal(0, 0.1, layer.channels)]
        if layer.section.integer("batch_normalize", 0):
            vectors += [
                rng.uniform(0.5, 0.9, layer.channels),
                rng.normal(0, 0.1, layer.channels),
                rng.uniform(0.5, 1.5, layer.channels),
            ]
        kernel = rng.normal(0, 1 / np.sqrt(n_inputs), layer.channels * n_inputs)
        chunks += [values.astype("<f4").tobytes() for values in (*vectors, kernel)]
    path.write_bytes(b"".join(chunks))
    assert path.stat().st_size == 20 + 4 * sum(n_weights(layer) for layer in description.layers)
