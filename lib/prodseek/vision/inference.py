"""From photos to regions and slices, in batches, with one forward pass for each photo.

Work overlaps in bounded memory. `Detector.prepare` may run in threads of the caller, a batch ahead of the network. The
network runs in the caller's own thread. On a GPU that thread only launches work, so another thread computes the regions and
slices of the previous batch in the meantime. On a CPU the network leaves no core idle, and another thread would cost a tenth
and gain nothing. Pillow, torch and numpy's large operations let other threads run.
"""

from __future__ import annotations

import logging
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
from prodseek.photos.decode import DecodedImage
from prodseek.runs.slice_layout import SlicePart, slice_layout
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.foreground import Foreground, find_foreground
from prodseek.vision.letterbox import Letterbox, letterbox
from prodseek.vision.network import Network, NetworkOutput
from prodseek.vision.networks import load_network
from prodseek.vision.nms import select_batch
from prodseek.vision.precision import FittedNetwork, fit_network
from prodseek.vision.regions import Detection, Region, build_regions
from prodseek.vision.settings import DetectorSettings, describe, model_id
from prodseek.vision.slicing import View, slice_regions
from prodseek.vision.weights import PinnedFile

__all__ = ["Detector", "DetectorSettings", "ImageRegions", "PreparedImage", "load_detector", "model_id"]

# A photo decoded at a longer side of this many times input_px gives the same network input as the full photo, to less than
# one grey level on average.
DECODE_FACTOR = 1.5

# Maximum size of a layer's output on a CPU; it bounds the batch. glibc returns blocks above 32 MiB to the system whenever
# they are freed, and to get them back, filled with zeros, takes as long as the network itself.
_MAX_CPU_BYTES = 24 * 1024 * 1024

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageRegions:
    """The regions of one image and their slices. slices: (len(regions), slice_length) float16, in the same order."""

    image_id: str
    regions: tuple[Region, ...]
    slices: NDArray[np.float16]


@dataclass(frozen=True)
class PreparedImage:
    """A photo as the network takes it, without the photo itself.

    canvas: (input_px, input_px, 3) uint8 RGB. placed: where the photo is in it. foreground: in pixels of that part.
    """

    image_id: str
    canvas: NDArray[np.uint8]
    placed: Letterbox
    foreground: Foreground | None


class Detector:
    """A network on a device, with all steps before and after it. Get one from `load_detector`.

    n_halvings: how often a batch did not fit into the GPU's memory and was halved.
    """

    def __init__(self, settings: DetectorSettings, fitted: FittedNetwork, device: torch.device) -> None:
        self.settings = settings
        self.model_id = model_id(settings)
        self.device = device
        self.precision = fitted.precision
        self.n_halvings = 0
        self._network = cast(Network, fitted.network)
        self.layout: dict[str, SlicePart] = slice_layout({m.name: m.channels for m in self._network.feature_maps})
        self._type = fitted.type
        self._finish_aside = device.type == "cuda"
        self._at_once = settings.batch_size
        if device.type == "cpu":
            self._at_once = min(self._at_once, max(1, _MAX_CPU_BYTES // fitted.largest_bytes))

    @property
    def enough_side_px(self) -> int:
        """Photos may be decoded with their longer side reduced to this, see `decode_image`."""
        return round(DECODE_FACTOR * self.settings.input_px)

    def prepare(self, image_id: str, image: DecodedImage) -> PreparedImage:
        """Do everything that a photo needs before the network. May be called in any thread."""
        canvas, placed = letterbox(image, self.settings.input_px)
        return PreparedImage(image_id, canvas, placed, find_foreground(canvas[placed.inner]))

    def embed(self, images: Iterable[tuple[str, DecodedImage]]) -> Iterator[ImageRegions]:
        """Find and slice the regions of each image. Results come in the order of the images, a batch at a time.

        images: (image_id, photo); at most four batches are in memory at a time. A photo may be decoded at a reduced size with
        a longer side of at least `enough_side_px`; boxes are still in pixels of its full size.
        """
        return self.embed_prepared(self.prepare(image_id, image) for image_id, image in images)

    def embed_prepared(self, images: Iterable[PreparedImage]) -> Iterator[ImageRegions]:
        """`embed` for photos from `prepare`, which may run a batch ahead in threads of the caller (`map_ahead`)."""
        outputs = self._outputs(iter(images))
        batches = map_ahead(self._finish, outputs, threads=1) if self._finish_aside else map(self._finish, outputs)
        for batch in batches:
            yield from batch

    def embed_boxes(self, image: DecodedImage, boxes: Sequence[Sequence[float]]) -> NDArray[np.float16]:
        """Slice boxes that a person drew, with one forward pass.

        boxes: (N, 4) x1 y1 x2 y2, source pixels at full size. Returns (N, slice_length) float16. Raises ValueError for a box
        that covers nothing of the photo.
        """
        return self.embed_prepared_boxes(self.prepare("", image), boxes)

    def embed_prepared_boxes(self, prepared: PreparedImage, boxes: Sequence[Sequence[float]]) -> NDArray[np.float16]:
        """`embed_boxes` in a photo from `prepare`."""
        view = _view(prepared, np.asarray(boxes, np.float32).reshape(-1, 4))
        output = self._forward([prepared])
        return slice_regions(output.maps, self._network.feature_maps, [view], self.layout)[0]

    def _outputs(self, images: Iterator[PreparedImage]) -> Iterator[tuple[list[PreparedImage], NetworkOutput]]:
        """Run the network on one batch after another; a batch that does not fit into the GPU's memory is halved."""
        while batch := list(islice(images, self._at_once)):
            while batch:
                part, output = batch[: self._at_once], None
                try:
                    output = self._forward(part)
                except torch.OutOfMemoryError:
                    if len(part) == 1:
                        raise
                # Not inside `except`, where the error still references the memory that the network allocated.
                if output is None:
                    self._halve(len(part))
                else:
                    yield part, output
                    batch = batch[len(part) :]

    def _halve(self, n_images: int) -> None:
        self.n_halvings += 1
        self._at_once = n_images // 2
        _logger.warning(
            "a batch of %d images does not fit into the memory of %s: going on with %d",
            n_images,
            self.device,
            self._at_once,
        )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _forward(self, images: list[PreparedImage]) -> NetworkOutput:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack([image.canvas for image in images]))
            if self.device.type == "cuda":  # pinned, so that the copy is asynchronous
                pixels = pixels.pin_memory().to(self.device, non_blocking=True)
            # (B, H, W, 3) viewed as (B, 3, H, W) is already channels_last.
            return self._network(pixels.permute(0, 3, 1, 2).to(self._type) / 255)

    def _finish(self, done: tuple[list[PreparedImage], NetworkOutput]) -> list[ImageRegions]:
        images, output = done
        with torch.inference_mode():
            found = select_batch(
                output.boxes,
                output.scores,
                self.settings.score_threshold,
                self.settings.nms_iou_threshold,
                self.settings.max_detections,
            )
        regions = [
            self._regions(image, boxes.numpy(), scores.tolist(), classes.tolist())
            for image, (boxes, scores, classes) in zip(images, found, strict=True)
        ]
        views = [
            _view(image, np.array([region.box for region in of_image], np.float32))
            for image, of_image in zip(images, regions, strict=True)
        ]
        slices = slice_regions(output.maps, self._network.feature_maps, views, self.layout)
        return [
            ImageRegions(image.image_id, of_image, rows)
            for image, of_image, rows in zip(images, regions, slices, strict=True)
        ]

    def _regions(
        self, image: PreparedImage, boxes: NDArray[np.float32], scores: list[float], classes: list[int]
    ) -> tuple[Region, ...]:
        placed, found = image.placed, image.foreground
        in_source = placed.clip_to_source(placed.to_source(boxes))
        names = self._network.class_names
        detections = [
            Detection(names[class_index], score, _as_box(box))
            for class_index, score, box in zip(classes, scores, in_source, strict=True)
        ]
        foreground = None
        if found is not None:
            box = np.array([(found.x1_px, found.y1_px, found.x2_px, found.y2_px)], np.float32)
            corner = np.array((placed.left_px, placed.top_px) * 2, np.float32)
            foreground = _as_box(placed.clip_to_source(placed.to_source(box + corner))[0])
        return build_regions(placed.width_px, placed.height_px, detections, foreground, self.settings.min_box_px)


@lru_cache(maxsize=1)
def load_detector(settings: DetectorSettings) -> Detector:
    """The detector of these settings, loaded once in each process. Raises WeightsError and ConfigError.

    The network's precision is chosen here, see `precision.fit_network`.
    """
    describe(settings)  # raises the errors that can be found without loading
    device = _device(settings.device, settings.gpu)
    if settings.torch_threads > 0:
        torch.set_num_threads(settings.torch_threads)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
    loaded = load_network(settings.network, PinnedFile(settings.weights_path, settings.weights_sha256))
    fitted = fit_network(cast(nn.Module, loaded), settings.precision, settings.input_px, device)
    return Detector(settings, fitted, device)


def _view(image: PreparedImage, boxes: NDArray[np.float32]) -> View:
    mask = None if image.foreground is None else image.foreground.mask
    return View(image.canvas, image.placed, mask, boxes)


def _device(wanted: str, gpu: int) -> torch.device:
    n_gpus = 0 if wanted == "cpu" else torch.cuda.device_count()
    if n_gpus == 0:
        if wanted == "cuda":
            raise ConfigError("embed.device is cuda, but torch finds no CUDA device; use auto or cpu")
        return torch.device("cpu")
    if gpu >= n_gpus:
        raise ConfigError(
            f"GPU {gpu} was asked for, but torch finds only {n_gpus}, counted from 0; see conf/find-gpus.sh"
        )
    return torch.device("cuda", gpu)


def _as_box(values: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in values)
    return (x1, y1, x2, y2)
