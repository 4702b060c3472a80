"""The number format that a network computes in: chosen once in each process, and held to a tolerance."""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

from prodseek.errors import ConfigError
from prodseek.vision.network import NetworkOutput
from prodseek.vision.settings import Precision

# How much a reduced precision may change the results for the probe picture, compared with fp32.
MAX_BOX_SHIFT_PX = 2.0  # of the corners of the best boxes, network-input pixels
MAX_SCORE_SHIFT = 0.03
MIN_COSINE = 0.999  # of the mean of a feature map over the frame, and over each ninth of it
N_COMPARED_BOXES = 10

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# On a CPU bf16 must be faster by more than the noise of a busy machine, so that all processes of a cluster of equal machines
# make the same choice.
MAX_TIME_SHARE = 0.75  # of fp32's time
_TRIAL_SECONDS = 0.5
_MAX_TRIALS = 3

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedNetwork:
    """A network on its device, in its number format.

    precision: fp32, bf16 or fp16. largest_bytes: size of the largest output of a layer, for one image.
    """

    network: nn.Module
    precision: Precision
    type: torch.dtype
    largest_bytes: int


@dataclass(frozen=True)
class _Trial:
    output: NetworkOutput
    seconds: float
    largest_bytes: int


def fit_network(network: nn.Module, wanted: Precision, input_px: int, device: torch.device) -> FittedNetwork:
    """Move a network to its device and choose its precision.

    network: follows `network.Network`, on the CPU, float32. wanted: `auto` means fp16 on a GPU, and on a CPU bf16 if a short
    trial finds it clearly faster than fp32 (MAX_TIME_SHARE). A reduced precision is used only if boxes, scores and features
    of a built-in picture stay within the tolerance of this module. Otherwise `auto` uses fp32, and a precision asked for by
    name raises ConfigError, as does fp16 on a CPU. So a precision never changes a result by more than the tolerance, and it
    is not part of the model id or of the cache's key.
    """
    if wanted == "fp16" and device.type == "cpu":
        raise ConfigError("precision is fp16, but the network runs on the CPU; use auto, bf16 or fp32")
    rounded_name: Precision = ("fp16" if device.type == "cuda" else "bf16") if wanted == "auto" else wanted
    network = network.to(memory_format=torch.channels_last)
    batch = torch.from_numpy(probe(input_px)).to(device).permute(2, 0, 1)[None].float() / 255
    rounded = copy.deepcopy(network) if rounded_name != "fp32" else None
    exact = network.to(device)
    exact_trial = _try(exact, batch)
    in_fp32 = FittedNetwork(exact, "fp32", torch.float32, exact_trial.largest_bytes)
    if rounded is None:
        return in_fp32
    type_ = _TYPES[rounded_name]
    round_weights(rounded, type_)
    rounded = rounded.to(device, type_)
    trial = _try(rounded, batch.to(type_))
    in_rounded = FittedNetwork(rounded, rounded_name, type_, trial.largest_bytes)
    times = f"{1000 * trial.seconds:.0f} ms an image, {1000 * exact_trial.seconds:.0f} in fp32"
    if wanted == "auto" and device.type == "cpu" and trial.seconds > MAX_TIME_SHARE * exact_trial.seconds:
        _logger.info("the network computes in fp32: %s takes %s", rounded_name, times)
        return in_fp32
    fault = beyond_tolerance(exact_trial.output, trial.output, input_px)
    if fault is not None and wanted != "auto":
        raise ConfigError(f"precision is {wanted}, but with it {fault}; use auto or fp32")
    if fault is not None:
        _logger.warning("the network computes in fp32: in %s %s", rounded_name, fault)
        return in_fp32
    _logger.info("the network computes in %s: %s", rounded_name, times)
    return in_rounded


def beyond_tolerance(exact: NetworkOutput, rounded: NetworkOutput, input_px: int) -> str | None:
    """Describe a difference beyond the tolerance; None if there is none."""
    for name in exact.maps:
        for n_cells in (1, 3):
            a, b = (F.adaptive_avg_pool2d(each.maps[name], n_cells).flatten(2) for each in (exact, rounded))
            cosine = float(F.cosine_similarity(a, b, dim=1).min())
            if not cosine >= MIN_COSINE:  # also for NaN
                return f"the cosine of features of {name} falls to {cosine:.5f}, below {MIN_COSINE}"
    if exact.scores.numel() == 0:
        return None
    best = exact.scores.amax(2)
    rows = best.topk(min(N_COMPARED_BOXES, best.shape[1]), 1).indices
    a, b = (each.boxes.gather(1, rows[..., None].expand(-1, -1, 4)).clamp(0, input_px) for each in (exact, rounded))
    shift_px = float((a - b).abs().max())
    if not shift_px <= MAX_BOX_SHIFT_PX:
        return f"a box moves by {shift_px:.2f} px, more than {MAX_BOX_SHIFT_PX}"
    score_shift = float((exact.scores - rounded.scores).abs().max())
    if not score_shift <= MAX_SCORE_SHIFT:
        return f"a score changes by {score_shift:.3f}, more than {MAX_SCORE_SHIFT}"
    return None


def round_weights(network: nn.Module, type_: torch.dtype) -> None:
    """Round the kernels of every convolution in place, so that the rounding errors within a kernel cancel (error diffusion).

    The rounding error of a weight is carried over to the next weight. If each were rounded on its own, the errors would add
    up where the input is smooth or of one sign, and shift whole channels: for yolov3-tiny in bf16 the cosine of box means
    with fp32 fell to .993, and boxes moved by 2 px. With error diffusion it stays above .9998, and boxes move by .7 px.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                kernels = module.weight.flatten(1).T.clone(memory_format=torch.contiguous_format)
                error = torch.zeros_like(kernels[0])
                for weights in kernels:  # one position of all kernels
                    wanted = weights + error
                    weights.copy_(wanted.to(type_))
                    error = wanted - weights
                module.weight.copy_(kernels.T.reshape(module.weight.shape))


def probe(input_px: int) -> NDArray[np.uint8]:
    """The probe picture, (input_px, input_px, 3) uint8 RGB: a wall, a clock and a traffic light, which are COCO classes."""
    side = input_px / 16
    image = Image.new("RGB", (input_px, input_px), (176, 160, 138))
    draw = ImageDraw.Draw(image)

    def box(x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
        return (x1 * side, y1 * side, x2 * side, y2 * side)

    width_px = max(1, round(side / 4))
    draw.rectangle(box(0, 12, 16, 16), fill=(96, 74, 58))
    draw.ellipse(box(1, 3, 8, 10), fill="white", outline="black", width=2 * width_px)
    draw.line((*box(4.5, 6.5, 4.5, 4),), fill="black", width=width_px)
    draw.line((*box(4.5, 6.5, 6.5, 7.5),), fill="black", width=width_px)
    draw.rectangle(box(10, 2, 13, 11), fill=(20, 20, 20))
    for row, colour in enumerate(("red", "yellow", "lime")):
        draw.ellipse(box(10.5, 2.5 + 3 * row, 12.5, 4.5 + 3 * row), fill=colour)
    return np.array(image.filter(ImageFilter.GaussianBlur(side / 20)))


def _try(network: nn.Module, batch: torch.Tensor) -> _Trial:
    """Run a network a few times in a short trial, and keep the best time.

    It is the CPU time of this thread, with one thread in the network, because on a busy machine the wall clock counts
    other work too, and threads wait for each other.
    """
    largest_bytes = 0

    def see(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal largest_bytes
        if isinstance(output, torch.Tensor):
            largest_bytes = max(largest_bytes, output.numel() * output.element_size() // len(output))

    hooks = [module.register_forward_hook(see) for module in network.modules()]
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds: list[float] = []
    try:
        with torch.inference_mode():
            while len(seconds) < _MAX_TRIALS and sum(seconds) < _TRIAL_SECONDS:
                started = time.thread_time()
                output: NetworkOutput = network(batch)
                seconds.append(time.thread_time() - started)
    finally:
        torch.set_num_threads(n_threads)
        for hook in hooks:
            hook.remove()
    return _Trial(output, min(seconds), largest_bytes)
