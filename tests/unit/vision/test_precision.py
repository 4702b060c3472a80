"""Precision: chosen by a trial, kept only within its tolerance."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from prodseek.errors import ConfigError
from prodseek.vision import precision
from prodseek.vision.darknet import load_darknet
from prodseek.vision.darknet_cfg import read_description
from prodseek.vision.network import FeatureMap, NetworkOutput
from prodseek.vision.precision import beyond_tolerance, fit_network, probe, round_weights

INPUT_PX = 96
CPU = torch.device("cpu")


class Double(nn.Module):
    """A network whose reduced precision is off by `shift` pixels, and whose time is what a test says."""

    name, class_names, feature_maps = "double", ("thing",), (FeatureMap("stride32", 32, 4),)

    def __init__(self, shift_px: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=32)
        self.shift_px = shift_px

    def forward(self, batch: torch.Tensor) -> NetworkOutput:
        values = self.convolution(batch).float()
        shift_px = 0.0 if batch.dtype == torch.float32 else self.shift_px
        boxes = torch.tensor([10.0, 20.0, 50.0, 60.0]).expand(len(batch), 1, 4) + shift_px
        return NetworkOutput(boxes, torch.full((len(batch), 1, 1), 0.5), {"stride32": values})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[torch.dtype, float]:
    """Seconds that a trial takes, by type; set by the test."""
    seconds: dict[torch.dtype, float] = {torch.float32: 3.0, torch.bfloat16: 1.0}
    real = precision._try

    def timed(network: nn.Module, batch: torch.Tensor) -> precision._Trial:
        trial = real(network, batch)
        return precision._Trial(trial.output, seconds[batch.dtype], trial.largest_bytes)

    monkeypatch.setattr(precision, "_try", timed)
    return seconds


def test_bf16_where_it_is_faster(clock: dict[torch.dtype, float]) -> None:
    fitted = fit_network(Double(), "auto", INPUT_PX, CPU)

    assert (fitted.precision, fitted.type) == ("bf16", torch.bfloat16)
    assert {parameter.dtype for parameter in fitted.network.parameters()} == {torch.bfloat16}


def test_fp32_where_that_is_faster(clock: dict[torch.dtype, float]) -> None:
    clock[torch.bfloat16] = 4.0

    fitted = fit_network(Double(), "auto", INPUT_PX, CPU)

    assert (fitted.precision, fitted.type) == ("fp32", torch.float32)
    assert {parameter.dtype for parameter in fitted.network.parameters()} == {torch.float32}


def test_fp32_where_boxes_would_move(clock: dict[torch.dtype, float], caplog: pytest.LogCaptureFixture) -> None:
    fitted = fit_network(Double(shift_px=2.5), "auto", INPUT_PX, CPU)

    assert fitted.precision == "fp32"
    assert "a box moves by 2.50 px" in caplog.text


def test_a_precision_asked_for_is_used_whatever_its_speed(clock: dict[torch.dtype, float]) -> None:
    clock[torch.bfloat16] = 4.0

    assert fit_network(Double(), "bf16", INPUT_PX, CPU).precision == "bf16"
    assert fit_network(Double(), "fp32", INPUT_PX, CPU).precision == "fp32"


def test_a_precision_asked_for_is_refused_beyond_the_tolerance() -> None:
    with pytest.raises(ConfigError, match=r"bf16.*a box moves by 2\.50 px"):
        fit_network(Double(shift_px=2.5), "bf16", INPUT_PX, CPU)


def test_fp16_is_for_gpus() -> None:
    with pytest.raises(ConfigError, match="runs on the CPU"):
        fit_network(Double(), "fp16", INPUT_PX, CPU)


def output(shift_px: float = 0.0, score: float = 0.5, feature: float = 0.0) -> NetworkOutput:
    boxes = torch.tensor([[[0.0, 0.0, 50.0, 50.0], [10.0, 10.0, 80.0, 900.0]]])
    boxes[0, 1, 0] += shift_px
    values = torch.ones(1, 8, 3, 3)
    values[:, 0, 0, 0] += feature
    return NetworkOutput(boxes, torch.tensor([[[0.9, 0.1], [0.2, score]]]), {"stride32": values})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (output(), None),
        (output(shift_px=1.9, score=0.52, feature=0.1), None),
        (output(shift_px=-2.1), "2.10 px"),
        (output(score=0.54), "score changes by 0.040"),
        (output(feature=1.0), "features of stride32"),  # one cell of nine
        (output(feature=float("nan")), "features of stride32"),
        (output(shift_px=float("nan")), "a box moves"),
        (output(score=float("nan")), "a score changes"),
    ],
)
def test_the_tolerance(other: NetworkOutput, said: str | None) -> None:
    found = beyond_tolerance(output(), other, INPUT_PX)

    assert found is None if said is None else found is not None and said in found


def test_a_network_that_detects_nothing_is_judged_by_its_features() -> None:
    nothing = NetworkOutput(torch.zeros(1, 0, 4), torch.zeros(1, 0, 0), {"stride8": torch.rand(1, 4, 5, 5)})

    assert beyond_tolerance(nothing, nothing, INPUT_PX) is None


def test_the_published_network_in_bf16_is_within_the_tolerance_because_errors_cancel(tiny_weights: Path) -> None:
    exact = load_darknet(read_description("yolov3-tiny"), tiny_weights)
    naive, carried = copy.deepcopy(exact).bfloat16(), copy.deepcopy(exact)
    round_weights(carried, torch.bfloat16)
    for before, after in zip(exact.parameters(), carried.parameters(), strict=True):
        if before.ndim == 4:
            assert torch.equal(after, after.bfloat16().float())  # rounded already
            assert (after - before).abs().max() < 2**-7 * before.abs().max()
    batch = torch.from_numpy(probe(416)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        outputs = [exact(batch), naive(batch.bfloat16()), carried.bfloat16()(batch.bfloat16())]

    assert beyond_tolerance(outputs[0], outputs[2], 416) is None
    assert beyond_tolerance(outputs[0], outputs[1], 416) is not None
    assert outputs[0].scores.max() > 0.5, "the probe shows nothing that the network knows"


@pytest.mark.parametrize("shape", [(1, 3, 1), (4, 1, 3), (1, 1, 1), (5, 7, 3)])
def test_kernels_of_any_shape_are_rounded(shape: tuple[int, int, int]) -> None:
    n_kernels, n_channels, size = shape
    layer = torch.nn.Conv2d(n_channels, n_kernels, size)
    before = layer.weight.detach().clone()

    round_weights(layer, torch.bfloat16)

    assert torch.equal(layer.weight, layer.weight.bfloat16().float())
    # Within a kernel the errors cancel: its sum is off by one rounding at most.
    off = (layer.weight - before).sum(dim=(1, 2, 3)).abs()
    assert (off <= 2**-7 * before.abs().amax(dim=(1, 2, 3)) + 1e-7).all()


def test_bf16_that_is_hardly_faster_is_not_taken(clock: dict[torch.dtype, float]) -> None:
    clock[torch.bfloat16] = 0.9 * clock[torch.float32]

    assert fit_network(Double(), "auto", INPUT_PX, CPU).precision == "fp32"
