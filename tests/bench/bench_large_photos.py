"""What photos of 3,000 px cost beside photos of 500 px, from file to slices."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import contenders
from rich.console import Console
from rich.table import Table

N_PHOTOS = 32
SIDES_PX = (500, 1500, 3000)
GRAIN = 6.0  # grey levels
ROUNDS = 5


def main(folder: Path | None) -> None:
    processes = contenders.TwoProcesses(contenders.settings())
    with (
        contenders.photos(folder, N_PHOTOS, SIDES_PX[0]) as small,
        contenders.photos(folder, N_PHOTOS, SIDES_PX[1], GRAIN) as medium,
        contenders.photos(folder, N_PHOTOS, SIDES_PX[2], GRAIN) as large,
    ):
        sizes = dict(zip(SIDES_PX, (small, medium, large), strict=True))
        n_bytes = {side_px: sum(path.stat().st_size for path in paths) for side_px, paths in sizes.items()}
        seconds = contenders.medians(
            {str(side_px): partial(processes, contenders.embed, paths) for side_px, paths in sizes.items()}, ROUNDS
        )
    processes.close()
    table = Table(
        "longer side",
        "KB a photo",
        "photos/s",
        f"time, x {SIDES_PX[0]} px",
        "core ms/photo",
        title=f"yolov3-tiny {contenders.INPUT_PX}, {N_PHOTOS} photos, 2 processes, median of {ROUNDS} rounds",
    )
    for side_px in SIDES_PX:
        median = seconds[str(side_px)]
        table.add_row(
            f"{side_px} px",
            f"{n_bytes[side_px] / N_PHOTOS / 1024:.0f}",
            f"{N_PHOTOS / median.wall:.1f}",
            f"{median.wall / seconds[str(SIDES_PX[0])].wall:.2f}",
            f"{1000 * median.processor / N_PHOTOS:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
