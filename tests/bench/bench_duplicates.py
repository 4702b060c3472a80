"""Milliseconds to verify a candidate pair, and to look at its photos, beside comparing two PDQ hashes.

A photo is decoded and its local features extracted once in a partition; what that comes to for a pair depends on how many pairs
share the photo. Here each of the sample's photos meets the PARTNERS that follow it: most pairs are of unlike photos, as most
candidates are. The last row is what a pair costs in all.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from prodseek.duplicates.features import WORKING_SIDE_PX
from prodseek.duplicates.hashes import best_orientation
from prodseek.duplicates.verification import compare_views, view
from prodseek.photos.decode import decode_image
from prodseek.photos.hashes import pdq_hashes

PHOTOS = Path(__file__).parents[1] / "data" / "sample" / "images"
N_PHOTOS = 60
PARTNERS = 2


def main() -> None:
    paths = [path for path in sorted(PHOTOS.glob("*.jpg")) if not path.name.startswith("bad-")][:N_PHOTOS]
    view(decode_image(paths[0].read_bytes(), max_side_px=WORKING_SIDE_PX).pixels)
    started = time.process_time()
    photos = [decode_image(path.read_bytes(), max_side_px=WORKING_SIDE_PX).pixels for path in paths]
    decoded = time.process_time()
    views = [view(photo) for photo in photos]
    decode_ms, extract_ms = (1000 * t / len(paths) for t in (decoded - started, time.process_time() - decoded))
    hashes, _ = pdq_hashes(photos)
    hashing_ms, comparing_ms = [], []
    for a in range(len(photos)):
        for b in range(a + 1, min(a + 1 + PARTNERS, len(photos))):
            started = time.process_time()
            best_orientation(hashes[a], hashes[b])
            between = time.process_time()
            compare_views(views[a], views[b])
            hashing_ms.append(1000 * (between - started))
            comparing_ms.append(1000 * (time.process_time() - between))
    n_pairs = len(comparing_ms)
    shared_ms = (decode_ms + extract_ms) * len(photos) / n_pairs
    table = Table(
        "", "mean ms", "median ms", title=f"{n_pairs} pairs of {len(photos)} sample photos, one thread, processor time"
    )
    table.add_row(
        "PDQ, eight orientations, a pair", f"{statistics.mean(hashing_ms):.2f}", f"{statistics.median(hashing_ms):.2f}"
    )
    table.add_row("decoding, a photo", f"{decode_ms:.2f}", "")
    table.add_row("local features, a photo", f"{extract_ms:.2f}", "")
    table.add_row(
        "comparison, a pair", f"{statistics.mean(comparing_ms):.2f}", f"{statistics.median(comparing_ms):.2f}"
    )
    table.add_row("verification in all, a pair", f"{statistics.mean(comparing_ms) + shared_ms:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
