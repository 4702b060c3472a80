"""What the benchmarks of embedding share: photos, the plain loop, and prodseek in one process, two threads or two processes."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.ops import roi_align

from prodseek.config import load_config
from prodseek.images import decode_image
from prodseek.pipeline import map_ahead
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


def settings() -> DetectorSettings:
    """yolov3-tiny with the published weights."""
    weights = load_config().network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    return DetectorSettings(
        path, weights.sha256, input_px=INPUT_PX, batch_size=BATCH_SIZE, score_threshold=SCORE_THRESHOLD
    )


@contextmanager
def photos(folder: Path | None, n_photos: int, side_px: int) -> Iterator[list[Path]]:
    """Photos of a folder, or of the sample catalogue, as JPEGs of quality 90 with a longer side of side_px."""
    found = [path for path in sorted((folder or SAMPLE).glob("*.jp*g")) if not path.name.startswith("bad-")]
    found = found[:: max(1, len(found) // n_photos)][:n_photos]
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        made = [Path(name) / f"{index}.jpg" for index in range(len(found))]
        for path, target in zip(found, made, strict=True):
            with Image.open(path) as opened:
                scale = side_px / max(opened.size)
                size = (round(opened.width * scale), round(opened.height * scale))
                opened.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(target, quality=90)
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


def plain_network(detector_settings: DetectorSettings) -> PlainNetwork:
    """yolov3-tiny in fp32, NCHW."""
    return PlainNetwork(read_description("yolov3-tiny"), read_weights(detector_settings.weights_path)).eval()


def plain_loop(network: PlainNetwork, paths: Sequence[Path]) -> None:
    """Decode, run, find and slice, one batch after another: what one writes first."""
    torch.set_num_threads(2)
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


def bare_network(detector: Detector, n_photos: int) -> None:
    """The detector's network in its precision and batch, on noise: no decoding, no regions, no slices."""
    torch.set_num_threads(2)
    at_once = detector._at_once
    batch = torch.rand(at_once, 3, INPUT_PX, INPUT_PX).to(detector._type).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(0, n_photos, at_once):
            detector._network(batch)


def read(detector: Detector, path: Path) -> PreparedImage:
    return detector.prepare(path.name, decode_image(path.read_bytes(), enough_side_px=detector.enough_side_px))


def embed(detector: Detector, paths: Sequence[Path]) -> int:
    """From files to slices, as a Spark task does it. Returns the number of regions."""
    prepared = map_ahead(partial(read, detector), paths, READ_THREADS, ahead=BATCH_SIZE)
    return sum(len(image.regions) for image in detector.embed_prepared(prepared))


def in_one_process(detector: Detector, paths: Sequence[Path]) -> None:
    torch.set_num_threads(2)
    embed(detector, paths)


def in_two_threads(detector: Detector, paths: Sequence[Path]) -> None:
    def work(own: Sequence[Path]) -> None:
        torch.set_num_threads(1)
        embed(detector, own)

    threads = [threading.Thread(target=work, args=(paths[index::2],)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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

    def __call__(self, paths: Sequence[Path]) -> None:
        for index, end in enumerate(self._ends):
            end.send(paths[index::2])
        for end in self._ends:
            end.recv()

    def close(self) -> None:
        for end, process in zip(self._ends, self._processes, strict=True):
            end.send(None)
            process.join()


def _serve(end: Connection, detector_settings: DetectorSettings) -> None:
    torch.set_num_threads(1)
    detector = load_detector(detector_settings)
    end.send(0)
    while (paths := end.recv()) is not None:
        end.send(embed(detector, paths))


def medians(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each, one after another in every round. The first round, which warms up, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}
