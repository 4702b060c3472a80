"""What the benchmarks of embedding share: photos, the plain loop, and prodseek in one process, two threads or two processes."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from threadpoolctl import threadpool_limits
from torchvision.ops import roi_align

from prodseek.config import load_config
from prodseek.photos.decode import decode_image
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.darknet import LEAKY_SLOPE, DarknetNetwork, read_weights
from prodseek.vision.darknet_cfg import Layer, read_description
from prodseek.vision.inference import Detector, PreparedImage, load_detector
from prodseek.vision.letterbox import letterbox
from prodseek.vision.nms import select_detections
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import obtain_weights

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "images"
BATCH_SIZE = 16
INPUT_PX = 416
SCORE_THRESHOLD = 0.2
READ_THREADS = 2

Work = Callable[[Detector, Sequence[Path]], object]


def settings() -> DetectorSettings:
    """yolov3-tiny with the published weights. Also keeps numpy's BLAS to one thread, as Spark does in its workers."""
    threadpool_limits(1, user_api="blas")
    weights = load_config().network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    return DetectorSettings(
        path, weights.sha256, input_px=INPUT_PX, batch_size=BATCH_SIZE, score_threshold=SCORE_THRESHOLD
    )


@contextmanager
def photos(folder: Path | None, n_photos: int, side_px: int, grain: float = 0.0) -> Iterator[list[Path]]:
    """Photos of a folder, or of the sample catalogue, as JPEGs of quality 90 with a longer side of side_px.

    grain: deviation, in grey levels, of noise laid over them. Enlarged photos are smooth, and JPEGs of smooth photos are
    small and quickly decoded; with noise they are as large as a camera's.
    """
    rng = np.random.default_rng(0)
    found = [path for path in sorted((folder or SAMPLE).glob("*.jp*g")) if not path.name.startswith("bad-")]
    found = found[:: max(1, len(found) // n_photos)][:n_photos]
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        made = [Path(name) / f"{index}.jpg" for index in range(len(found))]
        for path, target in zip(found, made, strict=True):
            with Image.open(path) as opened:
                scale = side_px / max(opened.size)
                size = (round(opened.width * scale), round(opened.height * scale))
                photo = opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            if grain:
                noise = rng.standard_normal((photo.height, photo.width, 1), np.float32) * grain
                photo = Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8))
            photo.save(target, quality=90)
        yield made


class PlainNetwork(DarknetNetwork):
    """The same network written down plainly: every layer in its place, torch's own pooling."""

    def _run(self, index: int, layer: Layer, inputs: list[torch.Tensor]) -> torch.Tensor:
        section = layer.section
        if section.kind == "convolutional":
            output: torch.Tensor = self.convolutions[str(index)](inputs[0])
            return F.leaky_relu(output, LEAKY_SLOPE) if section.options["activation"] == "leaky" else output
        if section.kind == "maxpool":
            size, stride = section.integer("size"), section.integer("stride")
            padded = inputs[0] if size == stride else F.pad(inputs[0], (0, size - 1, 0, size - 1), value=-1e9)
            return F.max_pool2d(padded, size, stride)
        return super()._run(index, layer, inputs)


@lru_cache
def plain_network(detector_settings: DetectorSettings) -> PlainNetwork:
    """yolov3-tiny in fp32, NCHW."""
    return PlainNetwork(read_description("yolov3-tiny"), read_weights(detector_settings.weights_path)).eval()


def plain_loop(detector: Detector, paths: Sequence[Path]) -> None:
    """Decode, run, find and slice, one batch after another: what one writes first."""
    network = plain_network(detector.settings)
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH_SIZE):
            images = [decode_image(path.read_bytes()) for path in paths[start : start + BATCH_SIZE]]
            canvases = [torch.from_numpy(letterbox(image, INPUT_PX)[0]).permute(2, 0, 1) for image in images]
            output = network(torch.stack(canvases).float().contiguous() / 255)
            frame = torch.tensor([[0.0, 0.0, INPUT_PX, INPUT_PX]])
            found = [
                torch.cat((select_detections(boxes, scores, SCORE_THRESHOLD, 0.45, 20)[0], frame))
                for boxes, scores in zip(output.boxes, output.scores, strict=True)
            ]
            roi_align(output.maps["stride32"], found, 1, 1 / 32, aligned=True)


def bare_network(detector: Detector, paths: Sequence[Path]) -> None:
    """The detector's network in its precision and batch, on noise: no decoding, no regions, no slices."""
    at_once = detector._at_once
    batch = torch.rand(at_once, 3, INPUT_PX, INPUT_PX).to(detector._type).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(0, len(paths), at_once):
            detector._network(batch)


def read(detector: Detector, path: Path) -> PreparedImage:
    return detector.prepare(path.name, decode_image(path.read_bytes(), enough_side_px=detector.enough_side_px))


def embed(detector: Detector, paths: Sequence[Path]) -> None:
    """From files to slices, as a Spark task does it."""
    prepared = map_ahead(partial(read, detector), paths, READ_THREADS, ahead=BATCH_SIZE)
    for _ in detector.embed_prepared(prepared):
        pass


class OneProcess:
    """Work in this process with two threads in the network, or in two threads with one each."""

    def __init__(self, detector: Detector, work: Work, n_pipelines: int = 1) -> None:
        self._detector, self._work, self._n_pipelines = detector, work, n_pipelines

    def __call__(self, paths: Sequence[Path]) -> float:
        """Returns the processor's seconds."""
        started = time.process_time()
        if self._n_pipelines == 1:
            torch.set_num_threads(2)
            self._work(self._detector, paths)
        else:
            threads = [threading.Thread(target=self._one_thread, args=(paths[index::2],)) for index in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return time.process_time() - started

    def _one_thread(self, paths: Sequence[Path]) -> None:
        torch.set_num_threads(1)
        self._work(self._detector, paths)


class TwoProcesses:
    """Two processes of one thread each, as Spark has them on two cores; they load the network once."""

    def __init__(self, detector_settings: DetectorSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes = []
        for _ in range(2):
            end, other = context.Pipe()
            process = context.Process(target=_serve, args=(other, detector_settings), daemon=True)
            process.start()
            self._ends.append(end)
            self._processes.append(process)
        for end in self._ends:
            end.recv()

    def __call__(self, work: Work, paths: Sequence[Path]) -> float:
        """Each does its half of the photos. Returns the processors' seconds."""
        for index, end in enumerate(self._ends):
            end.send((work, paths[index::2]))
        return sum(end.recv() for end in self._ends)

    def close(self) -> None:
        for end, process in zip(self._ends, self._processes, strict=True):
            end.send(None)
            process.join()


def _serve(end: Connection, detector_settings: DetectorSettings) -> None:
    threadpool_limits(1, user_api="blas")
    torch.set_num_threads(1)
    detector = load_detector(detector_settings)
    end.send(0)
    while (task := end.recv()) is not None:
        work, paths = task
        started = time.process_time()
        work(detector, paths)
        end.send(time.process_time() - started)


@dataclass(frozen=True)
class Seconds:
    """Medians over the rounds: by the clock on the wall, and of the processors' time."""

    wall: float
    processor: float


def medians(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Seconds]:
    """Time each, one after another in every round; each returns the processor's seconds. The first round, which warms
    up, does not count."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    processor: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            processor[name].append(run())
            wall[name].append(time.perf_counter() - started)
    return {
        name: Seconds(statistics.median(wall[name][1:]), statistics.median(processor[name][1:])) for name in contenders
    }
