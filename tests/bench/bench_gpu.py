"""On a GPU: photos a second from file to slices, beside the network alone. Says so and ends where there is none."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import contenders
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.darknet import n_weights
from prodseek.vision.darknet_cfg import Description, read_description
from prodseek.vision.inference import Detector, load_detector
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import file_sha256

N_PHOTOS = 512
SIDE_PX = 500
BATCH_SIZE = 64
READ_THREADS = 12
ROUNDS = 5


def write_random_weights(description: Description, path: Path) -> None:
    """Weights that keep values in a natural range: this is about time alone."""
    rng = np.random.default_rng(11)
    chunks = [np.array([0, 2, 0, 0, 0], "<i4").tobytes()]
    for layer in description.layers:
        n_kernel = layer.channels * layer.in_channels * layer.section.integer("size", 1) ** 2
        if n_weights(layer):
            n_vectors = (n_weights(layer) - n_kernel) // layer.channels
            vectors = [rng.normal(0, 0.1, layer.channels), *[np.ones(layer.channels)] * (n_vectors - 1)]
            kernel = rng.normal(0, np.sqrt(layer.channels / n_kernel), n_kernel)
            chunks += [values.astype("<f4").tobytes() for values in (*vectors, kernel)]
    path.write_bytes(b"".join(chunks))


def embed(detector: Detector, paths: list[Path]) -> float:
    prepared = map_ahead(partial(contenders.read, detector), paths, READ_THREADS, ahead=2 * BATCH_SIZE)
    for _ in detector.embed_prepared(prepared):
        pass
    torch.cuda.synchronize()
    return 0.0


def bare(detector: Detector, paths: list[Path]) -> float:
    side_px = detector.settings.input_px
    batch = torch.rand(BATCH_SIZE, 3, side_px, side_px, device=detector.device).to(detector._type)
    batch = batch.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(0, len(paths), BATCH_SIZE):
            detector._network(batch)
    torch.cuda.synchronize()
    return 0.0


def main(folder: Path | None) -> None:
    if not torch.cuda.is_available():
        print("no CUDA device: the benchmark of the GPU is left out")
        return
    table = Table("", "photos/s", "bare network, photos/s", "of bare", title=f"batch {BATCH_SIZE}")
    with tempfile.TemporaryDirectory(prefix="prodseek-bench-") as name:
        path = Path(name) / "yolov3.weights"
        write_random_weights(read_description("yolov3"), path)
        # A threshold that random scores do not pass in their thousands.
        large = DetectorSettings(path, file_sha256(path), "yolov3", 608, score_threshold=0.9)
        for settings in (contenders.settings(), large):
            detector = load_detector(replace(settings, batch_size=BATCH_SIZE))
            with contenders.photos(folder, N_PHOTOS, SIDE_PX) as paths:
                seconds = contenders.medians(
                    {"ours": partial(embed, detector, paths), "bare": partial(bare, detector, paths)}, ROUNDS
                )
                n_photos = len(paths)
            table.add_row(
                f"{settings.network} {settings.input_px}, {detector.precision}",
                f"{n_photos / seconds['ours'].wall:.0f}",
                f"{n_photos / seconds['bare'].wall:.0f}",
                f"{seconds['bare'].wall / seconds['ours'].wall:.0%}",
            )
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
