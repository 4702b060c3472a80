"""From photos to regions and slices, in batches, with one forward pass a photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prodseek.errors import ConfigError
from prodseek.images import DecodedImage
from prodseek.slice_layout import SlicePart, slice_layout
from prodseek.vision.foreground import find_foreground
from prodseek.vision.letterbox import letterbox
from prodseek.vision.network import Network, NetworkOutput
from prodseek.vision.networks import load_network
from prodseek.vision.nms import select_detections
from prodseek.vision.regions import Detection, Region, build_regions
from prodseek.vision.settings import DetectorSettings, describe, model_id
from prodseek.vision.slicing import View, slice_regions
from prodseek.vision.weights import PinnedFile

__all__ = ["Detector", "DetectorSettings", "ImageRegions", "load_detector", "model_id"]


@dataclass(frozen=True)
class ImageRegions:
    """The regions of one image and their slices. slices: (len(regions), slice_length) float16, same order."""

    image_id: str
    regions: tuple[Region, ...]
    slices: NDArray[np.float16]


class Detector:
    """A network on a device, with what is around it. Get one from `load_detector`."""

    def __init__(self, settings: DetectorSettings, network: Network, device: torch.device) -> None:
        self.settings = settings
        self.model_id = model_id(settings)
        self.layout: dict[str, SlicePart] = slice_layout({m.name: m.channels for m in network.feature_maps})
        self._network = network
        self._device = device

    def embed(self, images: Iterable[tuple[str, DecodedImage]]) -> Iterator[ImageRegions]:
        """Find and slice every image's regions; results come in the order of the images, a batch at a time.

        images: (image_id, photo); at most batch_size of them are held at once. A photo may be decoded at a
        reduced size, input_px on its longer side or more; boxes are in pixels of its full size all the same.
        """
        remaining = iter(images)
        while batch := list(islice(remaining, self.settings.batch_size)):
            yield from self._embed_batch(batch)

    def embed_boxes(self, image: DecodedImage, boxes: Sequence[Sequence[float]]) -> NDArray[np.float16]:
        """Slice boxes drawn by a person, with one forward pass.

        boxes: (N, 4) x1 y1 x2 y2, source pixels at full size. Returns (N, slice_length) float16. Raises
        ValueError for a box that covers nothing of the photo.
        """
        drawn = np.asarray(boxes, np.float32).reshape(-1, 4)
        canvas, placed = letterbox(image, self.settings.input_px)
        found = find_foreground(canvas[placed.inner])
        view = View(canvas, placed, None if found is None else found.mask, drawn)
        output = self._forward([canvas])
        return slice_regions(output.maps, self._network.feature_maps, [view], self.layout)[0]

    def _embed_batch(self, batch: list[tuple[str, DecodedImage]]) -> list[ImageRegions]:
        boxed = [letterbox(image, self.settings.input_px) for _, image in batch]
        output = self._forward([canvas for canvas, _ in boxed])
        regions: list[tuple[Region, ...]] = []
        views: list[View] = []
        for index, (canvas, placed) in enumerate(boxed):
            found = find_foreground(canvas[placed.inner])
            foreground = None
            if found is not None:
                box = np.array([(found.x1_px, found.y1_px, found.x2_px, found.y2_px)], np.float32)
                corner = np.array((placed.left_px, placed.top_px) * 2, np.float32)
                foreground = _as_box(placed.clip_to_source(placed.to_source(box + corner))[0])
            detections = [
                Detection(name, score, _as_box(placed.clip_to_source(placed.to_source(box[None]))[0]))
                for name, score, box in self._detect(output, index)
            ]
            of_image = build_regions(
                placed.width_px, placed.height_px, detections, foreground, self.settings.min_box_px
            )
            regions.append(of_image)
            boxes = np.array([region.box for region in of_image], np.float32)
            views.append(View(canvas, placed, None if found is None else found.mask, boxes))
        slices = slice_regions(output.maps, self._network.feature_maps, views, self.layout)
        return [
            ImageRegions(image_id, of_image, rows)
            for (image_id, _), of_image, rows in zip(batch, regions, slices, strict=True)
        ]

    def _forward(self, canvases: list[NDArray[np.uint8]]) -> NetworkOutput:
        precision = torch.float16 if self._device.type == "cuda" else torch.float32
        with torch.inference_mode():
            # (B, H, W, 3) seen as (B, 3, H, W) is channels_last already.
            pixels = torch.from_numpy(np.stack(canvases)).to(self._device).permute(0, 3, 1, 2)
            return self._network(pixels.to(precision) / 255)

    def _detect(self, output: NetworkOutput, index: int) -> list[tuple[str, float, NDArray[np.float32]]]:
        boxes, scores, classes = select_detections(
            output.boxes[index],
            output.scores[index],
            self.settings.score_threshold,
            self.settings.nms_iou_threshold,
            self.settings.max_detections,
        )
        names = self._network.class_names
        return [
            (names[class_index], score, box)
            for class_index, score, box in zip(classes.tolist(), scores.tolist(), boxes.cpu().numpy(), strict=True)
        ]


@lru_cache(maxsize=1)
def load_detector(settings: DetectorSettings) -> Detector:
    """The detector of these settings, loaded once a process. Raises WeightsError and ConfigError."""
    description = describe(settings)
    if settings.input_px <= 0 or settings.input_px % description.max_stride:
        raise ConfigError(
            f"input_px is {settings.input_px}; {description.name} takes positive multiples of {description.max_stride}"
        )
    device = _device(settings.device)
    if settings.torch_threads > 0:
        torch.set_num_threads(settings.torch_threads)
    loaded = load_network(settings.network, PinnedFile(settings.weights_path, settings.weights_sha256))
    network = cast(nn.Module, loaded).to(memory_format=torch.channels_last)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        network = network.half()
    return Detector(settings, cast(Network, network.to(device)), device)


def _device(wanted: str) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch finds no CUDA device; use auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _as_box(values: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in values)
    return (x1, y1, x2, y2)
