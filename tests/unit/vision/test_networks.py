"""Every network through the detector: regions and slices of two photos, whatever their batch, and of prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prodseek.errors import ConfigError, WeightsError
from prodseek.photos.decode import DecodedImage
from prodseek.runs.slice_layout import slice_length
from prodseek.vision.inference import DetectorSettings, load_detector, model_id
from prodseek.vision.networks import NETWORKS, describe_network, load_network
from prodseek.vision.settings import network_layout
from prodseek.vision.weights import PinnedFile, file_sha256

INPUT_PX = 128
CASES = ("yolov3-tiny", "resnet50", "yolov3u", "yolov3-tinyu", "yolov8n")


@pytest.fixture(params=CASES)
def settings(
    request: pytest.FixtureRequest,
    tiny_weights: Path,
    resnet_weights: Callable[[], PinnedFile],
    ultralytics_checkpoint: Callable[[str], PinnedFile],
) -> DetectorSettings:
    """A network's settings with weights that give every photo a few detections, if it detects at all."""
    if request.param == "yolov3-tiny":
        name, weights, threshold = request.param, PinnedFile(tiny_weights, file_sha256(tiny_weights)), 0.01
    elif request.param == "resnet50":
        name, weights, threshold = request.param, resnet_weights(), 0.3
    else:
        name, weights, threshold = "ultralytics", ultralytics_checkpoint(request.param), 0.3
    return DetectorSettings(weights.path, weights.sha256, name, INPUT_PX, score_threshold=threshold, precision="fp32")


def photos() -> list[tuple[str, DecodedImage]]:
    """A packshot on white and a scene."""
    packshot = Image.new("RGB", (260, 200), (250, 250, 250))
    ImageDraw.Draw(packshot).ellipse((60, 40, 190, 160), fill=(170, 40, 30), outline=(40, 10, 10), width=6)
    noise = np.random.default_rng(4).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    scene = Image.fromarray(noise).resize((180, 300), Image.Resampling.BICUBIC)
    ImageDraw.Draw(scene).rectangle((30, 60, 130, 250), fill=(30, 60, 120), outline="white", width=5)
    return [
        (name, DecodedImage(np.asarray(image), image.width, image.height, "PNG"))
        for name, image in (("packshot", packshot), ("scene", scene))
    ]


def assert_alike(a: NDArray[np.float16], b: NDArray[np.float16], min_cosine: float = 0.9999) -> None:
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    cosines = (wide_a * wide_b).sum(1) / np.linalg.norm(wide_a, axis=1) / np.linalg.norm(wide_b, axis=1)
    assert cosines.min() > min_cosine


def test_regions_slices_batches_and_prompts(settings: DetectorSettings) -> None:
    pictures = photos()
    one = list(load_detector(replace(settings, batch_size=1)).embed(pictures))
    detector = load_detector(replace(settings, batch_size=32))
    many = list(detector.embed(pictures))

    assert detector.layout == network_layout(settings)
    for (_, picture), alone, together in zip(pictures, one, many, strict=True):
        kinds = [region.kind for region in together.regions]
        assert kinds.count("frame") == 1 and ("detection" in kinds) == (settings.network != "resnet50")
        assert together.slices.shape == (len(kinds), slice_length(detector.layout))
        assert np.isfinite(together.slices).all() and (together.slices != 0).mean() > 0.2
        assert [(r.kind, r.class_name) for r in alone.regions] == [(r.kind, r.class_name) for r in together.regions]
        np.testing.assert_allclose([r.box for r in alone.regions], [r.box for r in together.regions], atol=0.5)
        assert_alike(alone.slices, together.slices)
        assert_alike(detector.embed_boxes(picture, [r.box for r in together.regions]), together.slices)
    assert "foreground" in [region.kind for region in many[0].regions]


@pytest.mark.parametrize("settings", ["resnet50", "yolov8n"], indirect=True)
def test_the_default_precision(settings: DetectorSettings) -> None:
    exact = list(load_detector(settings).embed(photos()))
    chosen = list(load_detector(replace(settings, precision="auto")).embed(photos()))

    for a, b in zip(exact, chosen, strict=True):
        assert a.regions[-1] == b.regions[-1]
        assert_alike(a.slices[-1:], b.slices[-1:], 0.999)


def test_what_is_described_is_what_is_loaded(settings: DetectorSettings) -> None:
    weights = PinnedFile(settings.weights_path, settings.weights_sha256)
    described, network = describe_network(settings.network, weights), load_network(settings.network, weights)

    assert (network.name, network.class_names, network.feature_maps) == (
        described.name,
        described.class_names,
        described.feature_maps,
    )
    assert settings.network in NETWORKS and model_id(settings).startswith(f"{described.name}-{INPUT_PX}-")
    with torch.inference_mode():
        output = network(torch.rand(2, 3, 64, 96))
    n_boxes = output.boxes.shape[1]
    assert output.boxes.shape == (2, n_boxes, 4) and output.scores.shape == (2, n_boxes, len(network.class_names))
    assert {name: values.shape for name, values in output.maps.items()} == {
        m.name: (2, m.channels, 64 // m.stride, 96 // m.stride) for m in network.feature_maps
    }
    assert {values.dtype for values in (output.boxes, output.scores, *output.maps.values())} == {torch.float32}


def test_wrong_weights_and_sizes_are_refused(settings: DetectorSettings) -> None:
    with pytest.raises(WeightsError, match="expected 0000"):
        load_detector(replace(settings, weights_sha256="0" * 64))
    with pytest.raises(ConfigError, match="positive multiples of 32"):
        load_detector(replace(settings, input_px=100))
    with pytest.raises(ConfigError, match="positive multiples of 32"):  # on the driver
        model_id(replace(settings, input_px=100))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer3.0.conv1.weight"), 'Missing key.*"layer3.0.conv1.weight"'),
        (lambda state: state.update(extra=torch.zeros(1)), 'Unexpected key.*"extra"'),
        (lambda state: state.update({"bn1.weight": torch.zeros(3)}), "size mismatch for bn1.weight"),
        (lambda state: state["conv1.weight"].fill_(torch.inf), "conv1.weight holds values that are not finite"),
        (lambda state: state.update(epoch=3), "holds no state_dict"),
    ],
)
def test_resnets_weights_fit_to_the_last_key(
    change: Callable[[dict[str, torch.Tensor]], object],
    message: str,
    resnet_weights: Callable[[], PinnedFile],
    tmp_path: Path,
) -> None:
    state = torch.load(resnet_weights().path, weights_only=True)
    change(state)
    path = tmp_path / "resnet50.pth"
    torch.save(state, path)

    with pytest.raises(WeightsError, match=message):
        load_network("resnet50", PinnedFile(path, file_sha256(path)))


def test_a_resnet_of_other_classes(resnet_weights: Callable[[], PinnedFile], tmp_path: Path) -> None:
    state = torch.load(resnet_weights().path, weights_only=True)
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 2048), torch.zeros(7)
    path = tmp_path / "resnet50.pth"
    torch.save(state, path)

    assert load_network("resnet50", PinnedFile(path, file_sha256(path))).class_names == ()


def test_a_darknet_file_is_no_resnet(tiny_weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"was not written by torch\.save, or is damaged|more than weights"):
        load_network("resnet50", PinnedFile(tiny_weights, file_sha256(tiny_weights)))
