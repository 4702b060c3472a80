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

PLAIN = "plain loop, fp32, 2 threads"


def main(folder: Path | None) -> None:
    settings = contenders.settings()
    detector = load_detector(settings)
    two_processes = contenders.TwoProcesses(settings)
    plain, bare, ours = contenders.plain_loop, contenders.bare_network, contenders.embed
    bare_name = f"bare network, {detector.precision}, 2 threads"
    with contenders.photos(folder, N_PHOTOS, SIDE_PX) as paths:
        seconds = contenders.medians(
            {
                PLAIN: partial(contenders.OneProcess(detector, plain), paths),
                "plain loop, fp32, 2 processes": partial(two_processes, plain, paths),
                bare_name: partial(contenders.OneProcess(detector, bare), paths),
                f"bare network, {detector.precision}, 2 processes": partial(two_processes, bare, paths),
                "prodseek, 2 threads in the network": partial(contenders.OneProcess(detector, ours), paths),
                "prodseek, 2 pipelines of 1 thread": partial(contenders.OneProcess(detector, ours, 2), paths),
                "prodseek, 2 processes (as in Spark)": partial(two_processes, ours, paths),
            },
            ROUNDS,
        )
        n_photos = len(paths)
    two_processes.close()
    table = Table(
        "",
        "photos/s",
        "x plain loop",
        "of bare",
        "core ms/photo",
        title=f"yolov3-tiny {contenders.INPUT_PX}, {n_photos} photos of {SIDE_PX} px, median of {ROUNDS} rounds",
        caption="plain loop: decode, NCHW network, NMS, box means, one batch after another. "
        "bare network: noise in, no decoding, no regions, no slices.",
    )
    for name, median in seconds.items():
        table.add_row(
            name,
            f"{n_photos / median.wall:.1f}",
            f"{seconds[PLAIN].wall / median.wall:.2f}",
            f"{seconds[bare_name].wall / median.wall:.0%}",
            f"{1000 * median.processor / n_photos:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
