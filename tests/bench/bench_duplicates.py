"""Milliseconds to verify a candidate pair, beside comparing two PDQ hashes, which cannot tell what kind of copy it is."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from prodseek.duplicates.hashes import best_orientation, hashes_from_hex, pdq_hash
from prodseek.duplicates.verification import WORKING_SIDE_PX, compare_photos
from prodseek.images import decode_image

PHOTOS = Path(__file__).parents[1] / "data" / "sample" / "images"
N_PHOTOS = 40


def main() -> None:
    paths = [path for path in sorted(PHOTOS.glob("*.jpg")) if not path.name.startswith("bad-")][:N_PHOTOS]
    photos = [decode_image(path.read_bytes(), max_side_px=WORKING_SIDE_PX).pixels for path in paths]
    hashes = hashes_from_hex([pdq_hash(photo)[0] for photo in photos])
    times: dict[str, list[float]] = {"PDQ, eight orientations": [], "prodseek's verification": []}
    for a in range(len(photos) - 1):
        started = time.perf_counter()
        orientation, _ = best_orientation(hashes[a], hashes[a + 1])
        between = time.perf_counter()
        compare_photos(photos[a], photos[a + 1], orientation)
        times["PDQ, eight orientations"].append(between - started)
        times["prodseek's verification"].append(time.perf_counter() - between)
    table = Table("", "median ms a pair", title=f"{len(photos) - 1} pairs of neighbouring sample photos, one thread")
    for name, seconds in times.items():
        table.add_row(name, f"{1000 * statistics.median(seconds):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
