"""Makes the sample catalogue beside this script. Nobody needs it to run prodseek on the sample.

    apt-get install sweethome3d-furniture libegl1      # the models, and software OpenGL
    pip install vtk numpy pillow                       # made with vtk 9.7.2, numpy 2.4.6, pillow 13.0.0
    python make_sample.py --work /tmp/renders --out /tmp/sample

Step 1 renders every product photo and room scene to PNG, with masks, into --work (skipped where there
already, about 15 minutes on one core). Step 2 encodes them, plants near-duplicates and bad files, and
writes catalog.csv, truth.csv and ATTRIBUTION.md to --out, a new folder. Everything is seeded by
name, so one product can be rendered alone (`--only chair-oak`) and comes out the same. Step 3,
`python check.py OUT`, verifies what was written. The columns are explained in plant.py.

models.py reads the .sh3f libraries, render.py draws, surfaces.py paints floors and walls, scenes.py composes,
products.py says what is sold, plant.py makes the near-duplicates and the bad files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from plant import write_sample
from products import PRODUCTS, ROOMS, Product

N_VIEWS_EXTRA = 0.28  # share of products with a third photo; some of those get a fourth


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def plan(product: Product) -> list[tuple[str, tuple[int, int, int] | None]]:
    """The photos of a product: view and backdrop colour, None for an interior."""
    from scenes import TINTS, WHITE

    rng = seeded(product.product_id + "/plan")
    if product.variant_of:
        views = ["three_quarter_left", "three_quarter_right"]
    else:
        views = ["three_quarter_left", "three_quarter_right"]
        if rng.random() < N_VIEWS_EXTRA:
            views.append("front")
            if rng.random() < 0.4:
                views.append("high_angle")
    tint = TINTS[int(rng.integers(len(TINTS)))]
    shots: list[tuple[str, tuple[int, int, int] | None]] = []
    for i, view in enumerate(views):
        interior = i >= 1 and rng.random() < (0.55 if i == 1 else 0.35)
        white = not product.pale and rng.random() < 0.72
        shots.append((view, None if interior else WHITE if white else tint))
    return shots


def render_product(product: Product, work: Path) -> None:
    from scenes import model_of, product_photo

    model = model_of(product)
    for view, plain in plan(product):
        rng = seeded(f"{product.product_id}/{view}")
        long_px = int(rng.choice([512, 560, 600]))
        shot = product_photo(product, model, view, plain, long_px, rng)
        base = work / f"{product.product_id}__{view}"
        Image.fromarray(shot.mask).save(f"{base}.mask.png")
        shot.image.save(f"{base}.png")


def render_room(room_id: str, work: Path) -> None:
    from scenes import room_scene

    room = next(r for r in ROOMS if r.room_id == room_id)
    ids, shot = room_scene(room, 768, 576, seeded(room_id))
    Image.fromarray(shot.mask).save(work / f"{room_id}.mask.png")
    (work / f"{room_id}.json").write_text(json.dumps(ids))
    shot.image.save(work / f"{room_id}.png")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", help="render this product or room, in this process, and stop")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.only:
        product = next((p for p in PRODUCTS if p.product_id == args.only), None)
        render_product(product, args.work) if product else render_room(args.only, args.work)
        return 0
    for name in [p.product_id for p in PRODUCTS] + [r.room_id for r in ROOMS]:
        done = args.work / f"{name}.done"
        if not done.exists():  # a process each: one bad model cannot take the others with it
            result = subprocess.run([sys.executable, __file__, "--work", str(args.work), "--only", name])
            if result.returncode:
                print(f"{name}: not rendered (exit {result.returncode})", file=sys.stderr)
                return 1
            done.touch()
            print(name, flush=True)
    if args.out:
        write_sample(args.work, args.out, {p.product_id: plan(p) for p in PRODUCTS})
    return 0


if __name__ == "__main__":
    sys.exit(main())
