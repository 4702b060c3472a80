"""Photos a second from file to slices on two cores, beside a plain PyTorch loop and beside the network alone."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import contenders
from rich.console import Console
from rich.table import Table

from prodseek.vision.inference import load_detector

N_PHOTOS = 96
SIDE_PX = 500
ROUNDS = 5

PLAIN = "plain loop, fp32 (decode, network, NMS, box means)"
BARE = "bare network, {precision}, 2 threads (noise in, no regions)"


def main(folder: Path | None) -> None:
    settings = contenders.settings()
    detector = load_detector(settings)
    plain = contenders.plain_network(settings)
    processes = contenders.TwoProcesses(settings)
    bare = BARE.format(precision=detector.precision)
    with contenders.photos(folder, N_PHOTOS, SIDE_PX) as paths:
        seconds = contenders.medians(
            {
                PLAIN: partial(contenders.plain_loop, plain, paths),
                bare: partial(contenders.bare_network, detector, len(paths)),
                "prodseek, 1 process, 2 threads in the network": partial(contenders.in_one_process, detector, paths),
                "prodseek, 1 process, 2 pipelines of 1 thread": partial(contenders.in_two_threads, detector, paths),
                "prodseek, 2 processes of 1 thread, as in Spark": partial(processes, paths),
            },
            ROUNDS,
        )
        n_photos = len(paths)
    processes.close()
    table = Table(
        "",
        "photos/s",
        "x plain loop",
        "of bare network",
        title=f"yolov3-tiny {contenders.INPUT_PX}, {n_photos} photos of {SIDE_PX} px, median of {ROUNDS} rounds",
    )
    for name, median in seconds.items():
        table.add_row(
            name, f"{n_photos / median:.1f}", f"{seconds[PLAIN] / median:.2f}", f"{seconds[bare] / median:.0%}"
        )
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
