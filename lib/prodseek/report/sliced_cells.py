"""The sliced cells as a picture: which cells of each feature map were read for an object, drawn over the network's input."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from prodseek.report.templating import data_uri
from prodseek.report.thumbnails import thumbnail
from prodseek.runs.slice_layout import MapReading

VEIL = (19, 20, 22)
UNREAD_ALPHA = 176  # of the veil, 0..255
EDGE_ALPHA = 96  # over a cell that hardly counts; the cell that counts most has no veil


@dataclass(frozen=True)
class SlicedObject:
    """An object as it was sliced.

    title: of the picture. canvas: (n, n, 3) uint8 RGB, the network's input. box_px: x1 y1 x2 y2 in canvas pixels. readings:
    feature map -> what was read from it.
    """

    title: str
    canvas: NDArray[np.uint8]
    box_px: tuple[float, float, float, float]
    readings: Mapping[str, MapReading]


def render_cells(objects: Sequence[SlicedObject]) -> Markup:
    """A self-contained HTML fragment: for each object and map the network's input, veiled where nothing was read, with the
    map's cells, the box and the sampled points."""
    return Markup("").join(_object(number, each) for number, each in enumerate(objects))


def veil(weights: NDArray[np.float32]) -> Image.Image:
    """The veil, an RGBA image with a pixel for each cell: dense over cells that do not count, clear over those that count most.

    weights: (h, w) float32.
    """
    alpha = EDGE_ALPHA * (1 - weights / weights.max(initial=np.finfo(np.float32).tiny))
    alpha = np.where(weights > 0, alpha.round(), UNREAD_ALPHA).astype(np.uint8)
    colour = np.broadcast_to(np.array(VEIL, np.uint8), (*weights.shape, 3))
    return Image.fromarray(np.concatenate((colour, alpha[..., None]), axis=2))


def _object(number: int, shown: SlicedObject) -> Markup:
    side_px = shown.canvas.shape[0]
    picture_id = f"sliced-{number}"
    # Defined once and used for all maps.
    picture = Markup(
        '<svg class="definition" aria-hidden="true" width="0" height="0"><defs><image id="{}" width="{}" height="{}" href="{}"/>'
        "</defs></svg>\n"
    ).format(picture_id, side_px, side_px, data_uri(thumbnail(shown.canvas, side_px)))
    maps = Markup("").join(_map(picture_id, side_px, shown, name) for name in shown.readings)
    return Markup(
        '<div class="sliced">\n<h3 class="text" dir="auto">{}</h3>\n{}<div class="maps">\n{}</div>\n</div>\n'
    ).format(shown.title, picture, maps)


def _map(picture_id: str, side_px: int, shown: SlicedObject, name: str) -> Markup:
    reading = shown.readings[name]
    height, width = reading.weights.shape
    x1, y1, x2, y2 = shown.box_px
    buffer = io.BytesIO()
    veil(reading.weights).save(buffer, "PNG", optimize=True)
    how = "one generalised mean" if reading.side == 1 else f"means of {reading.side} × {reading.side} parts"
    counts = f"{int((reading.weights > 0).sum()):,} of {height * width:,} cells, {how}"
    lines = "".join(
        [f"M{x * reading.stride} 0V{side_px}" for x in range(1, width)]
        + [f"M0 {y * reading.stride}H{side_px}" for y in range(1, height)]
    )
    inner = range(1, reading.side)
    parts = "".join(
        [f"M{x1 + (x2 - x1) * part / reading.side:.1f} {y1:.1f}V{y2:.1f}" for part in inner]
        + [f"M{x1:.1f} {y1 + (y2 - y1) * part / reading.side:.1f}H{x2:.1f}" for part in inner]
    )
    points = "".join(f"M{x:.1f} {y:.1f}h0" for y in reading.y_px.tolist() for x in reading.x_px.tolist())
    return Markup(
        '<figure><svg viewBox="0 0 {side} {side}" role="img" aria-label="{label}">'
        '<use href="#{picture}"/>'
        '<image class="veil" width="{side}" height="{side}" preserveAspectRatio="none" href="data:image/png;base64,{veil}"/>'
        '<path class="lines" d="{lines}"/><path class="points" d="{points}"/>'
        '<path class="under" d="{box}{parts}"/><path class="box" d="{box}{parts}"/></svg>\n'
        '<figcaption><strong>{name}</strong> <span class="small">{counts}</span></figcaption></figure>\n'
    ).format(
        side=side_px,
        label=f"{shown.title}, {name}: {counts}",
        picture=picture_id,
        veil=base64.b64encode(buffer.getvalue()).decode(),
        lines=lines,
        points=points,
        box=f"M{x1:.1f} {y1:.1f}H{x2:.1f}V{y2:.1f}H{x1:.1f}Z",
        parts=parts,
        name=name,
        counts=counts,
    )
