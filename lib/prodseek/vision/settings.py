"""The settings of a detector, and the model id that they give. Does not import torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prodseek.errors import ConfigError
from prodseek.photos.decode import PIXELS_VERSION
from prodseek.runs.slice_layout import SLICE_VERSION, SlicePart, layout_to_dict, slice_layout
from prodseek.vision.network import NetworkDescription
from prodseek.vision.networks import describe_network
from prodseek.vision.weights import PinnedFile

NUISANCE_VERSION = 1  # raise it when `nuisance` makes other views of the same photo

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class DetectorSettings:
    """Everything that decides what a detector does.

    network: a name in `networks.NETWORKS`, or the path of a Darknet .cfg file. weights_path, weights_sha256: its weights
    file (.weights, .pt or .pth), which is checked before use. input_px: side of the network's square input, a multiple of
    its largest stride. score_threshold, nms_iou_threshold: 0..1. max_detections: how many detections of an image are kept,
    the best first. min_box_px: detections with a shorter side, in source pixels, are left out. torch_threads: CPU threads of
    the network, 0 for torch's own default. gpu: number of the GPU, if the device is one. precision: see
    `precision.fit_network`.

    batch_size, torch_threads, device and gpu change only the speed, and precision changes results only within a tolerance,
    so none of them is part of the model id.
    """

    weights_path: Path
    weights_sha256: str
    network: str = "yolov3-tiny"
    input_px: int = 416
    batch_size: int = 8
    score_threshold: float = 0.1
    nms_iou_threshold: float = 0.45
    max_detections: int = 20
    min_box_px: float = 8.0
    torch_threads: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpu: int = 0
    precision: Precision = "auto"


def describe(settings: DetectorSettings) -> NetworkDescription:
    """Describe the network without loading it.

    Raises as `networks.describe_network`, and ConfigError for an input_px that the network cannot take.
    """
    description = describe_network(settings.network, PinnedFile(settings.weights_path, settings.weights_sha256))
    if settings.input_px <= 0 or settings.input_px % description.max_stride:
        raise ConfigError(
            f"network.input_px is {settings.input_px}; {description.name} takes positive multiples of {description.max_stride}"
        )
    return description


def network_layout(settings: DetectorSettings) -> dict[str, SlicePart]:
    """The layout of the network's slices, from its description alone. Raises as `describe`."""
    return slice_layout({m.name: m.channels for m in describe(settings).feature_maps})


def model_id(settings: DetectorSettings) -> str:
    """A short id of what these settings compute: equal ids mean equal regions and slices.

    It is `<network>-<input_px>-<16 hex digits>`; the digits are a hash over the description, the weights, the thresholds and
    the versions of decoding and slicing. Only the description is read. Raises as `describe`.
    """
    description = describe(settings)
    content = {
        "description": description.identity,
        "class_names": description.class_names,
        "weights_sha256": settings.weights_sha256,
        "input_px": settings.input_px,
        "score_threshold": settings.score_threshold,
        "nms_iou_threshold": settings.nms_iou_threshold,
        "max_detections": settings.max_detections,
        "min_box_px": settings.min_box_px,
        "layout": layout_to_dict(network_layout(settings)),
        "slice_version": SLICE_VERSION,
        "pixels_version": PIXELS_VERSION,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{description.name}-{settings.input_px}-{digest[:16]}"
