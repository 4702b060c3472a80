"""Location leakage: how well a linear map reads from an object's vector where in the photo the object stood.

Products of the sample catalogue are cut from plain backgrounds and put at 5 x 5 places of a canvas; their boxes are known. R
squared is for objects that the map was not fitted on. In one room, what shows of it round an object gives the place away; where
objects are in several rooms, the map is asked in rooms that it was not fitted on.
Usage: bench_leakage.py [--figure FILE.html]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import catalogue
import numpy as np
import torch
from notebook_slice import hidden_maps, notebook_slice
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from prodseek.embedding.leakage import location_leakage
from prodseek.embedding.projection import Projection
from prodseek.embedding.view_kinds import view_kinds
from prodseek.photos.decode import DecodedImage
from prodseek.report.location import Panel, render_location
from prodseek.runs.columns import FACETS
from prodseek.vision.foreground import find_foreground
from prodseek.vision.inference import Detector

N_OBJECTS = 40
N_PLACES = 5  # along x, and along y
OBJECT_SIDE = 0.4  # of the canvas
MARGIN_PX = 4
PLAIN_LEVEL = 232
ROOM_URI = "images/room-{:02d}.jpg"
N_ROOMS = 15
NOTEBOOKS, RAW = "the notebooks' slice", "our raw slice"


@dataclass(frozen=True)
class Placed:
    """Objects at places of canvases.

    vectors: name -> (N, d). centres: (N, 2) x y, 0..1. held_together: N, what is held out at once: an object, or all objects
    of a canvas where there are several.
    """

    vectors: dict[str, NDArray[np.float32]]
    centres: NDArray[np.float64]
    held_together: list[str]


def cut_outs(photos: list[catalogue.Photo], side_px: int) -> Iterator[tuple[str, Image.Image]]:
    """The first photo with a plain background of each product: its product, cut out, its longer side side_px."""
    seen: set[str] = set()
    for photo in photos:
        product_id = photo.row["product_id"]
        pixels = catalogue.decode(photo.path).pixels
        found = None if product_id in seen else find_foreground(pixels)
        if found is not None:
            seen.add(product_id)
            mask = Image.fromarray(found.mask.astype(np.uint8) * 255).resize((pixels.shape[1], pixels.shape[0]))
            cut_out = Image.fromarray(pixels)
            cut_out.putalpha(mask)
            cut_out = cut_out.crop((round(found.x1_px), round(found.y1_px), round(found.x2_px), round(found.y2_px)))
            scale = side_px / max(cut_out.size)
            yield product_id, cut_out.resize((round(cut_out.width * scale), round(cut_out.height * scale)))


def place_everywhere(
    network: Detector,
    objects: list[tuple[str, Image.Image]],
    canvases: list[Image.Image],
    projection: Projection,
    on_plain_ground: bool,
) -> Placed:
    """Every object at every place of its canvas, through the network. Objects take the canvases, each as large as the
    network's input, in turn."""
    side_px = network.settings.input_px
    slices, notebooks, centres, held_together = [], [], [], []
    with hidden_maps(network) as maps:
        for index, (product_id, cut_out) in enumerate(objects):
            canvas = canvases[index % len(canvases)]
            lefts, tops = (np.linspace(MARGIN_PX, side_px - MARGIN_PX - side, N_PLACES) for side in cut_out.size)
            for left, top in ((round(left), round(top)) for top in tops for left in lefts):
                shown = canvas.copy()
                shown.paste(cut_out, (left, top), cut_out)
                box = (float(left), float(top), float(left + cut_out.width), float(top + cut_out.height))
                slices.append(network.embed_boxes(DecodedImage(np.asarray(shown), side_px, side_px, "JPEG"), [box])[0])
                notebooks.append(notebook_slice(maps.popleft(), side_px, side_px, side_px, box))
                centres.append(((box[0] + box[2]) / 2 / side_px, (box[1] + box[3]) / 2 / side_px))
                held_together.append(product_id if len(canvases) == 1 else str(index % len(canvases)))
    rows = np.stack(slices)
    kinds = view_kinds(np.full(len(rows), on_plain_ground), np.zeros(len(rows)))
    vectors = {NOTEBOOKS: np.stack(notebooks), RAW: rows.astype(np.float32)} | projection.apply(rows, kinds)
    return Placed(vectors, np.array(centres), held_together)


def main(figure: Path | None) -> None:
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    network = catalogue.detector()
    input_px = network.settings.input_px
    photos = catalogue.embed(network, catalogue.rows_of(catalogue.SAMPLE / "catalog.csv", "uri"))
    projection = catalogue.fit(network, photos)
    objects = list(islice(cut_outs(photos, round(OBJECT_SIDE * input_px)), N_OBJECTS))
    size = (input_px, input_px)
    paths = [catalogue.SAMPLE / ROOM_URI.format(number) for number in range(1, N_ROOMS + 1)]
    rooms = [Image.fromarray(catalogue.decode(path).pixels).resize(size) for path in paths]
    canvases = {
        "plain": [Image.new("RGB", size, (PLAIN_LEVEL,) * 3)],
        "in one room": rooms[:1],
        f"in {N_ROOMS} rooms": rooms,
    }
    placed = {
        name: place_everywhere(network, objects, on, projection, name == "plain") for name, on in canvases.items()
    }
    leaked = {
        (canvas, name): max(0.0, location_leakage(vectors, on.centres, on.held_together))
        for canvas, on in placed.items()
        for name, vectors in on.vectors.items()
    }
    table = Table(
        "",
        *canvases,
        title=f"R squared of a box's centre, {len(objects)} objects at {N_PLACES} x {N_PLACES} places",
    )
    for name in (NOTEBOOKS, RAW, *FACETS):
        table.add_row(
            name if name in (NOTEBOOKS, RAW) else f"ours, {name}",
            *(f"{leaked[canvas, name]:.3f}" for canvas in canvases),
        )
    Console().print(table)
    if figure is not None:
        panels = [
            Panel(f"{label}, {canvas}", on.vectors[name], on.centres, leaked[canvas, name])
            for canvas, on in placed.items()
            for name, label in (
                (NOTEBOOKS, "The notebooks' slice"),
                (RAW, "Our raw slice"),
                ("visual", "Our embedding"),
            )
        ]
        head = '<!doctype html><meta charset="utf-8"><title>Location</title><body style="font: 1rem system-ui">'
        figure.write_text(f"{head}\n{render_location(panels)}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, help="write the location analysis as an HTML page")
    main(parser.parse_args().figure)
