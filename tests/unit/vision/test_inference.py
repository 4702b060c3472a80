"""The detector, through the published network: order, batches, prompts, reduced decodes."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

from prodseek.errors import ConfigError, WeightsError
from prodseek.photos.decode import DecodedImage, decode_image
from prodseek.runs.slice_layout import slice_length
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.inference import (
    Detector,
    DetectorSettings,
    ImageRegions,
    PreparedImage,
    load_detector,
    model_id,
)
from prodseek.vision.network import FeatureMap, NetworkOutput
from prodseek.vision.precision import FittedNetwork
from prodseek.vision.settings import network_layout
from prodseek.vision.weights import file_sha256


@pytest.fixture(scope="module")
def settings(tiny_weights: Path) -> DetectorSettings:
    # Lower than usual, so that drawn pictures give detections.
    return DetectorSettings(tiny_weights, file_sha256(tiny_weights), score_threshold=0.03)


@pytest.fixture(scope="module")
def detector(settings: DetectorSettings) -> Detector:
    return load_detector(settings)


def picture(index: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A scene of soft blobs with a clock and a traffic light: shapes that the network knows."""
    rng = np.random.default_rng(index)
    image = Image.fromarray(rng.integers(60, 200, (5, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    x, y, r = int(size[0] * 0.3), int(size[1] * 0.5), int(size[1] * (0.2 + 0.02 * (index % 6)))
    draw.ellipse((x - r, y - r, x + r, y + r), fill="white", outline="black", width=max(2, r // 12))
    draw.line((x, y, x, y - int(0.7 * r)), fill="black", width=max(2, r // 15))
    draw.line((x, y, x + r // 2, y), fill="black", width=max(2, r // 12))
    left, top, side = int(size[0] * 0.68), int(size[1] * 0.15), int(size[1] * 0.16)
    draw.rectangle((left, top, left + side, top + 3 * side), fill=(20, 20, 20))
    for row, colour in enumerate(("red", "yellow", "lime")):
        draw.ellipse((left + 4, top + row * side + 4, left + side - 4, top + (row + 1) * side - 4), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(0.7))


def decoded(image: Image.Image) -> DecodedImage:
    return DecodedImage(np.asarray(image), image.width, image.height, "PNG")


def cosines(a: NDArray[np.float16], b: NDArray[np.float16]) -> NDArray[np.float64]:
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    product = (wide_a * wide_b).sum(axis=1)
    return np.asarray(product / np.linalg.norm(wide_a, axis=1) / np.linalg.norm(wide_b, axis=1))


def test_every_image_has_regions_in_order_and_one_is_primary(detector: Detector) -> None:
    images = [(f"id{index}", decoded(picture(index, (300 + 10 * index, 250)))) for index in range(5)]

    results = list(detector.embed(images))

    assert [result.image_id for result in results] == [image_id for image_id, _ in images]
    for result, (_, image) in zip(results, images, strict=True):
        assert result.slices.shape == (len(result.regions), slice_length(detector.layout))
        assert result.slices.dtype == np.float16 and np.isfinite(result.slices).all()
        assert sum(region.is_primary for region in result.regions) == 1
        assert result.regions[-1].kind == "frame"
        scores = [region.score for region in result.regions if region.score is not None]
        assert scores == sorted(scores, reverse=True)
        for region in result.regions:
            assert 0 <= region.x1_px < region.x2_px <= image.width_px
            assert 0 <= region.y1_px < region.y2_px <= image.height_px


def test_the_network_sees_what_is_drawn(detector: Detector) -> None:
    (result,) = detector.embed([("a", decoded(picture(3)))])

    found = {region.class_name: region for region in result.regions if region.kind == "detection"}
    assert {"clock", "traffic light"} & set(found), sorted(str(name) for name in found)


def test_a_packshots_product_is_primary(detector: Detector) -> None:
    image = Image.new("RGB", (500, 400), (248, 248, 248))
    ImageDraw.Draw(image).rectangle((150, 100, 349, 299), fill=(150, 40, 60))

    (result,) = detector.embed([("a", decoded(image))])

    (primary,) = [region for region in result.regions if region.is_primary]
    assert primary.kind == "foreground"
    np.testing.assert_allclose(primary.box, (150, 100, 350, 300), atol=5)


def test_results_do_not_depend_on_the_batch(settings: DetectorSettings) -> None:
    images = [(f"id{index}", decoded(picture(index))) for index in range(6)]

    one = list(load_detector(replace(settings, batch_size=1)).embed(images))
    many = list(load_detector(replace(settings, batch_size=32)).embed(images))

    assert len(one) == len(many) == len(images)
    for a, b in zip(one, many, strict=True):
        assert_alike(a, b)


def assert_alike(a: ImageRegions, b: ImageRegions) -> None:
    assert [(r.kind, r.class_name, r.is_primary) for r in a.regions] == [
        (r.kind, r.class_name, r.is_primary) for r in b.regions
    ]
    np.testing.assert_allclose([r.box for r in a.regions], [r.box for r in b.regions], atol=0.5)
    assert cosines(a.slices, b.slices).min() > 0.9999


def test_a_prompt_equal_to_a_region_gives_its_slice(detector: Detector) -> None:
    image = decoded(picture(1))
    (result,) = detector.embed([("a", image)])
    assert len(result.regions) > 1

    slices = detector.embed_boxes(image, [region.box for region in result.regions])

    assert slices.shape == result.slices.shape
    assert cosines(slices, result.slices).min() > 0.9999


def test_a_prompt_outside_the_photo_is_refused(detector: Detector) -> None:
    with pytest.raises(ValueError, match="400 x 300 px"):
        detector.embed_boxes(decoded(picture(0)), [[500, 10, 600, 50]])


def test_a_reduced_decode_gives_full_size_boxes(detector: Detector) -> None:
    buffer = io.BytesIO()
    picture(2, (1600, 1200)).save(buffer, "JPEG", quality=95)
    full = decode_image(buffer.getvalue())
    reduced = decode_image(buffer.getvalue(), max_side_px=832)

    (from_full,), (from_reduced,) = detector.embed([("a", full)]), detector.embed([("a", reduced)])

    assert reduced.pixels.shape[1] <= 832
    assert from_reduced.regions[-1].box == from_full.regions[-1].box == (0, 0, 1600, 1200)
    assert cosines(from_full.slices[-1:], from_reduced.slices[-1:])[0] > 0.99


def test_no_images_no_results(detector: Detector) -> None:
    assert list(detector.embed([])) == []


@pytest.mark.parametrize("finish_aside", [False, True])
def test_a_bounded_number_is_read_ahead(
    settings: DetectorSettings, monkeypatch: pytest.MonkeyPatch, finish_aside: bool
) -> None:
    n_taken = 0

    def images() -> Iterator[tuple[str, DecodedImage]]:
        nonlocal n_taken
        while True:
            n_taken += 1
            yield f"id{n_taken}", decoded(picture(n_taken % 6, (64, 64)))

    two_at_once = load_detector(replace(settings, batch_size=2))
    monkeypatch.setattr(two_at_once, "_finish_aside", finish_aside)
    results = two_at_once.embed(images())
    for n_given in range(1, 12):
        next(results)
        assert n_taken <= n_given + 3 * 2
    results.close()  # type: ignore[attr-defined]


def test_an_error_of_preparing_in_threads_comes_out(detector: Detector) -> None:
    def prepare(index: int) -> PreparedImage:
        if index == 7:
            raise OSError("the disk is gone")
        return detector.prepare(f"id{index}", decoded(picture(index, (64, 64))))

    results = detector.embed_prepared(map_ahead(prepare, range(20), 2, ahead=4))
    with pytest.raises(OSError, match="the disk is gone"):
        list(results)


@pytest.mark.parametrize("finish_aside", [False, True])
def test_in_threads_or_not_is_the_same(detector: Detector, monkeypatch: pytest.MonkeyPatch, finish_aside: bool) -> None:
    images = [(f"id{index}", decoded(picture(index))) for index in range(11)]
    plain = list(detector.embed(images))
    monkeypatch.setattr(detector, "_finish_aside", finish_aside)

    threaded = list(detector.embed_prepared(map_ahead(lambda each: detector.prepare(*each), images, 3, ahead=5)))

    assert [(a.image_id, a.regions) for a in plain] == [(b.image_id, b.regions) for b in threaded]
    for a, b in zip(plain, threaded, strict=True):
        np.testing.assert_array_equal(a.slices, b.slices)


class SmallMemory(nn.Module):
    """A network that runs out of memory above a batch size."""

    class_names = ("thing",)
    feature_maps = tuple(FeatureMap(f"stride{stride}", stride, 4) for stride in (8, 16, 32))

    def __init__(self, largest_batch: int) -> None:
        super().__init__()
        self.largest_batch = largest_batch
        self.batches: list[int] = []

    def forward(self, batch: torch.Tensor) -> NetworkOutput:
        self.batches.append(len(batch))
        if len(batch) > self.largest_batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        mean = batch.mean((1, 2, 3))
        maps = {f"stride{s}": mean[:, None, None, None].repeat(1, 4, 416 // s, 416 // s) for s in (8, 16, 32)}
        return NetworkOutput(torch.zeros(len(batch), 1, 4), torch.zeros(len(batch), 1, 1), maps)


def small_memory_detector(settings: DetectorSettings, largest_batch: int, batch_size: int) -> Detector:
    fitted = FittedNetwork(SmallMemory(largest_batch), "fp32", torch.float32, largest_bytes=1)
    return Detector(replace(settings, batch_size=batch_size), fitted, torch.device("cpu"))


def test_out_of_memory_halves_the_batch(settings: DetectorSettings, caplog: pytest.LogCaptureFixture) -> None:
    images = [(f"id{index}", decoded(Image.new("L", (64, 64), 20 * index).convert("RGB"))) for index in range(11)]
    detector = small_memory_detector(settings, largest_batch=2, batch_size=8)

    results = list(detector.embed(images))

    assert [result.image_id for result in results] == [image_id for image_id, _ in images]
    # The first batch is tried at 8 and at 4; all after it at 2.
    assert cast(SmallMemory, detector._network).batches == [8, 4, 2, 2, 2, 2, 2, 1]
    assert detector.n_halvings == 2
    assert "going on with 4" in caplog.text and "going on with 2" in caplog.text
    whole = small_memory_detector(settings, largest_batch=8, batch_size=8)
    for a, b in zip(results, whole.embed(images), strict=True):
        np.testing.assert_array_equal(a.slices, b.slices)


def test_an_image_that_does_not_fit_alone_is_an_error(settings: DetectorSettings) -> None:
    detector = small_memory_detector(settings, largest_batch=0, batch_size=2)

    with pytest.raises(torch.OutOfMemoryError):
        list(detector.embed([("a", decoded(picture(0))), ("b", decoded(picture(1)))]))


def test_on_a_cpu_no_layer_gives_more_than_glibc_keeps(settings: DetectorSettings) -> None:
    fitted = FittedNetwork(SmallMemory(99), "fp32", torch.float32, largest_bytes=5 * 1024 * 1024)
    detector = Detector(replace(settings, batch_size=16), fitted, torch.device("cpu"))

    list(detector.embed([(f"id{index}", decoded(picture(index, (64, 64)))) for index in range(9)]))

    assert cast(SmallMemory, detector._network).batches == [4, 4, 1]


def test_bf16_and_fp32_find_the_same(settings: DetectorSettings) -> None:
    images = [(f"id{index}", decoded(picture(index))) for index in range(4)]

    exact = list(load_detector(replace(settings, precision="fp32")).embed(images))
    rounded = list(load_detector(replace(settings, precision="bf16")).embed(images))

    for a, b in zip(exact, rounded, strict=True):
        assert a.regions[-1] == b.regions[-1]
        assert cosines(a.slices[-1:], b.slices[-1:]).min() > 0.999
        sure = [[r for r in each.regions if (r.score or 0) > 0.2] for each in (a, b)]
        assert [r.class_name for r in sure[0]] == [r.class_name for r in sure[1]]
        np.testing.assert_allclose([r.box for r in sure[0]], [r.box for r in sure[1]], atol=2)


def test_the_smallest_photos(detector: Detector) -> None:
    images = [("a", decoded(Image.new("RGB", size, "teal"))) for size in ((16, 16), (1, 900), (2000, 16))]

    for result in detector.embed(images):
        assert [region.kind for region in result.regions if region.is_primary] == ["frame"]
        assert np.isfinite(result.slices).all()


def test_a_detector_is_loaded_once(settings: DetectorSettings) -> None:
    assert load_detector(settings) is load_detector(replace(settings))


def test_the_model_id_follows_what_changes_the_result(settings: DetectorSettings) -> None:
    base = model_id(settings)

    assert base.startswith("yolov3-tiny-416-")
    assert base == model_id(replace(settings, batch_size=1, torch_threads=1, device="cpu", precision="bf16"))
    changed = [
        replace(settings, input_px=608),
        replace(settings, score_threshold=0.2),
        replace(settings, nms_iou_threshold=0.5),
        replace(settings, max_detections=3),
        replace(settings, min_box_px=30),
        replace(settings, weights_sha256="0" * 64),
        replace(settings, network="yolov3"),
    ]
    assert len({base, *(model_id(other) for other in changed)}) == len(changed) + 1


def test_the_layout_is_known_without_the_network(settings: DetectorSettings, detector: Detector) -> None:
    assert network_layout(replace(settings, weights_path=Path("absent"))) == detector.layout


def test_wrong_weights_are_refused(settings: DetectorSettings) -> None:
    with pytest.raises(WeightsError, match="expected 0000"):
        load_detector(replace(settings, weights_sha256="0" * 64))


@pytest.mark.parametrize("input_px", [0, 100, -32])
def test_an_input_size_the_network_cannot_take(settings: DetectorSettings, input_px: int) -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        load_detector(replace(settings, input_px=input_px))


def test_settings_and_regions_come_without_torch() -> None:
    code = (
        "import sys, prodseek.vision, prodseek.vision.settings, prodseek.vision.regions; "
        "import prodseek.vision.weights, prodseek.embedding.projection; sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
