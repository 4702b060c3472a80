"""Photos a second from file to slices, beside a plain PyTorch loop that decodes, runs and looks at one batch after another."""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from prodseek.config import load_config
from prodseek.images import DecodedImage, decode_image
from prodseek.pipeline import map_ahead
from prodseek.vision.darknet import load_darknet
from prodseek.vision.darknet_cfg import read_description
from prodseek.vision.inference import load_detector
from prodseek.vision.letterbox import letterbox
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import obtain_weights

PHOTOS = Path(__file__).parents[1] / "data" / "sample" / "images"
N_PHOTOS = 96
BATCH_SIZE = 16
INPUT_PX = 416
ROUNDS = 3


def read(path: Path, max_side_px: int | None) -> tuple[str, DecodedImage]:
    return path.name, decode_image(path.read_bytes(), max_side_px=max_side_px)


def ours(settings: DetectorSettings, paths: list[Path]) -> None:
    detector = load_detector(settings)
    for _ in detector.embed(map_ahead(partial(read, max_side_px=2 * INPUT_PX), paths, threads=2)):
        pass


def plain_loop(network: torch.nn.Module, paths: list[Path]) -> None:
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH_SIZE):
            images = [read(path, None)[1] for path in paths[start : start + BATCH_SIZE]]
            canvases = [torch.from_numpy(letterbox(image, INPUT_PX)[0]).permute(2, 0, 1) for image in images]
            network(torch.stack(canvases).float() / 255)


def bare_network(network: torch.nn.Module, paths: list[Path]) -> None:
    batch = torch.rand(BATCH_SIZE, 3, INPUT_PX, INPUT_PX).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(len(paths) // BATCH_SIZE):
            network(batch)


def main(photos: Path) -> None:
    weights = load_config().network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    settings = DetectorSettings(path, weights.sha256, input_px=INPUT_PX, batch_size=BATCH_SIZE, score_threshold=0.2)
    paths = [p for p in sorted(photos.glob("*.jpg")) if not p.name.startswith("bad-")][:N_PHOTOS]
    network = load_darknet(read_description("yolov3-tiny"), path).eval()
    contenders = {
        "plain loop (decode, network; no regions)": partial(plain_loop, network, paths),
        "bare network (no decoding)": partial(bare_network, network, paths),
        "prodseek (file to slices)": partial(ours, settings, paths),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    # The first round warms up caches and thread pools.
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    baseline = next(iter(medians.values()))
    table = Table(
        "", "photos/s", "x plain loop", title=f"{len(paths)} photos, {torch.get_num_threads()} threads, {ROUNDS} rounds"
    )
    for name, median in medians.items():
        table.add_row(name, f"{len(paths) / median:.1f}", f"{baseline / median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS)
