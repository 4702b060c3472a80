"""prodseek beside detecting first and running ResNet-50 on every crop, five objects a photo."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import contenders
import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import nn
from torchvision.models import resnet50

from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.inference import Detector, PreparedImage, load_detector
from prodseek.vision.network import NetworkOutput
from prodseek.vision.nms import select_batch
from prodseek.vision.settings import DetectorSettings, Precision
from prodseek.vision.slicing import View, slice_regions

N_PHOTOS = 24
SIDE_PX = 500
N_OBJECTS = 5
CROP_PX = 224
N_CROPS_AT_ONCE = 8
ROUNDS = 3
# Five boxes of a photo, as shares of the network's input: from the whole of it to a fifth.
BOXES = ((0.0, 0.0, 1.0, 1.0), (0.1, 0.1, 0.6, 0.8), (0.5, 0.2, 0.9, 0.7), (0.2, 0.6, 0.5, 0.9), (0.7, 0.7, 0.9, 0.9))


def detect(detector: Detector, paths: Sequence[Path]) -> Iterator[tuple[list[PreparedImage], NetworkOutput]]:
    """What both do: from files to detections. The boxes that count are BOXES, so that every photo has five."""
    prepared = map_ahead(
        partial(contenders.read, detector), paths, contenders.READ_THREADS, ahead=contenders.BATCH_SIZE
    )
    for images, output in detector._outputs(iter(prepared)):
        with torch.inference_mode():
            select_batch(output.boxes, output.scores, contenders.SCORE_THRESHOLD, 0.45, 20)
        yield images, output


@lru_cache
def detector_in(precision: Precision, settings: DetectorSettings) -> Detector:
    """Like `load_detector`, which keeps one at a time."""
    return load_detector.__wrapped__(replace(settings, precision=precision))


def one_pass(precision: Precision, best: Detector, paths: Sequence[Path]) -> None:
    """prodseek: slices of the five boxes from the maps that are there already."""
    detector = detector_in(precision, best.settings)
    for images, output in detect(detector, paths):
        views = []
        for image in images:
            size = np.array((image.placed.width_px, image.placed.height_px) * 2, np.float32)
            mask = None if image.foreground is None else image.foreground.mask
            views.append(View(image.canvas, image.placed, mask, np.array(BOXES, np.float32) * size))
        slice_regions(output.maps, detector._network.feature_maps, views, detector.layout)


def detect_then_embed(precision: Precision, type_: torch.dtype, best: Detector, paths: Sequence[Path]) -> None:
    """A crop of each of the five boxes through a second network, N_CROPS_AT_ONCE at once."""
    detector = detector_in(precision, best.settings)
    resnet = second_network(type_)
    boxes = (np.array(BOXES) * contenders.INPUT_PX).round().astype(int).tolist()
    crops: list[torch.Tensor] = []
    with torch.inference_mode():
        for images, _ in detect(detector, paths):
            for image in images:
                pixels = torch.from_numpy(image.canvas)[None].permute(0, 3, 1, 2)
                for x1, y1, x2, y2 in boxes:
                    inside = pixels[:, :, y1:y2, x1:x2]
                    crops.append(F.interpolate(inside, (CROP_PX, CROP_PX), mode="bilinear", antialias=True))
            while len(crops) >= N_CROPS_AT_ONCE:
                resnet(torch.cat(crops[:N_CROPS_AT_ONCE]).to(type_) / 255)
                del crops[:N_CROPS_AT_ONCE]


@lru_cache
def second_network(type_: torch.dtype) -> nn.Module:
    """ResNet-50 as fast as it goes without changing it. Its weights are random: this is about time alone."""
    return resnet50(weights=None).eval().requires_grad_(False).to(memory_format=torch.channels_last).to(type_)


def main(folder: Path | None) -> None:
    settings = contenders.settings()
    fastest = load_detector(settings).precision
    two_processes = contenders.TwoProcesses(settings)
    ours = f"prodseek, {fastest}"
    runs: dict[str, contenders.Work] = {
        "detect in fp32, ResNet-50 in fp32": partial(detect_then_embed, "fp32", torch.float32),
        f"detect in {fastest}, ResNet-50 in fp32": partial(detect_then_embed, "auto", torch.float32),
        f"detect in {fastest}, ResNet-50 in bf16": partial(detect_then_embed, "auto", torch.bfloat16),
        "prodseek, fp32": partial(one_pass, "fp32"),
        ours: partial(one_pass, "auto"),
    }
    with contenders.photos(folder, N_PHOTOS, SIDE_PX) as paths:
        seconds = contenders.medians({name: partial(two_processes, work, paths) for name, work in runs.items()}, ROUNDS)
        n_photos = len(paths)
    two_processes.close()
    table = Table(
        "",
        "photos/s",
        f"{ours} is x as fast",
        "core ms/photo",
        title=f"{N_OBJECTS} objects a photo, 2 processes of 1 thread, median of {ROUNDS} rounds",
    )
    for name, median in seconds.items():
        table.add_row(
            name,
            f"{n_photos / median.wall:.2f}",
            f"{median.wall / seconds[ours].wall:.1f}",
            f"{1000 * median.processor / n_photos:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
