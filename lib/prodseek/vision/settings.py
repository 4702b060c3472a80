"""What a detector is made of, and the id of what it gives. No torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prodseek.errors import ConfigError
from prodseek.runs.slice_layout import SLICE_VERSION, SlicePart, layout_to_dict, slice_layout
from prodseek.vision.network import NetworkDescription
from prodseek.vision.networks import describe_network
from prodseek.vision.weights import PinnedFile

NUISANCE_VERSION = 1  # goes up when `nuisance` makes other views of the same photo

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class DetectorSettings:
    """Everything that decides what a detector does.

    network: a name of `networks.NETWORKS` or the path of a Darknet .cfg file. weights_path, weights_sha256: its
    weights file (.weights, .pt or .pth), checked before use. input_px: side of the network's
    square input, a multiple of its largest stride. score_threshold, nms_iou_threshold: in 0..1.
    max_detections: the best that many of an image are kept. min_box_px: detections with a shorter side, in
    source pixels, are left out. torch_threads: CPU threads of the network, 0 to leave torch's own number.
    gpu: which one of the machine's, where it is one. precision: see `precision.fit_network`. batch_size, torch_threads,
    device and gpu change the speed only, and precision
    changes results within a tolerance: none of them is part of the model id.
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
    """What is known of the network before it is loaded.

    Raises as `networks.describe_network`, and ConfigError for an input_px that the network cannot take.
    """
    description = describe_network(settings.network, PinnedFile(settings.weights_path, settings.weights_sha256))
    if settings.input_px <= 0 or settings.input_px % description.max_stride:
        raise ConfigError(
            f"input_px is {settings.input_px}; {description.name} takes positive multiples of {description.max_stride}"
        )
    return description


def network_layout(settings: DetectorSettings) -> dict[str, SlicePart]:
    """The layout of the network's slices, from its description alone. Raises as `describe`."""
    return slice_layout({m.name: m.channels for m in describe(settings).feature_maps})


def model_id(settings: DetectorSettings) -> str:
    """A short name for what these settings give: equal ids, equal regions and slices.

    `<network>-<input_px>-<16 hex digits>`, of a hash over the description, the weights, the thresholds and
    the version of slicing. Reads the description alone. Raises as `describe`.
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
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{description.name}-{settings.input_px}-{digest[:16]}"
