"""Views of one object under nuisance changes, to measure what an embedding should ignore."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prodseek.photos.decode import DecodedImage
from prodseek.vision.foreground import find_foreground
from prodseek.vision.inference import Detector

Box = tuple[float, float, float, float]

CANVAS_PX = 416
PLACED_SIDE = (0.35, 0.95)  # of the canvas
CROP_SIDE = (-0.02, 0.14)  # share of the box cut off on each side; below 0: kept around it
GAMMA = 0.35  # this and the next three: maximum change up or down, as a natural logarithm
GAIN = 0.2
CONTRAST = 0.25
TINT = 0.06  # gain of a single channel
JPEG_QUALITY = (25, 92)
N_PLACES = 4
OBJECT_SIDE = (0.3, 0.6)  # of the canvas; when only the place changes, there must be room to move
SCENE_SIDE = (0.25, 0.6)  # of the canvas, of an object in a scene
BOX_OFF = 0.06  # share of its sides by which a box round it may be off
GRID_OBJECT_SIDE = 0.4  # of the canvas
GRID_LEVEL = 232  # of the canvas, a pale grey


def slice_views(
    detector: Detector, photo: DecodedImage, box: Box, n_views: int, backdrop: DecodedImage | None, seed: int
) -> NDArray[np.float16]:
    """Slices of a box and of n_views random views of it, (1 + n_views, slice_length) float16; a forward pass for each.

    box: x1 y1 x2 y2, source pixels of the photo at full size. backdrop: see `nuisance_view`. Equal seeds give equal views.
    """
    rng = np.random.default_rng(seed)
    shown = _shown(photo, box)
    views = [nuisance_view(photo.pixels, shown, _pixels(backdrop), rng) for _ in range(n_views)]
    return np.concatenate([detector.embed_boxes(photo, [box]), *(_slice(detector, *view) for view in views)])


def slice_places(
    detector: Detector, photo: DecodedImage, box: Box, backdrop: DecodedImage | None, seed: int
) -> NDArray[np.float16]:
    """Slices of an object at N_PLACES places of one canvas, (N_PLACES, slice_length) float16; a forward pass for each.

    Only the place changes, because its effect would be lost among views that change everything at once. Yet place changes a
    network's maps most, because they are padded with zeros at their edges. Arguments as for `slice_views`.
    """
    rng = np.random.default_rng((seed, N_PLACES))
    placed = object_places(photo.pixels, _shown(photo, box), _pixels(backdrop), rng)
    return np.concatenate([_slice(detector, *view) for view in placed])


def slice_in_scene(
    detector: Detector, photo: DecodedImage, box: Box, scene: DecodedImage, seed: int
) -> NDArray[np.float16]:
    """The slice of an object that was pasted into another photo, (1, slice_length) float16; one forward pass.

    It is asked for by a box as a person draws it. Arguments as for `slice_views`.
    """
    rng = np.random.default_rng((seed, N_PLACES, 1))
    return _slice(detector, *in_scene(photo.pixels, _shown(photo, box), scene.pixels, rng))


def slice_grid_places(
    detector: Detector, photo: DecodedImage, box: Box, n_along: int
) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    """Slices of an object at n_along x n_along places of a plain canvas, and the object's centres there; row by row.

    Returns (n_along ** 2, slice_length) float16 and (n_along ** 2, 2) float64, x y in 0..1. It takes a forward pass for each
    place. Arguments as for `slice_views`.
    """
    placed = grid_places(photo.pixels, _shown(photo, box), n_along)
    boxes = np.array([of_object for _, of_object in placed])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / CANVAS_PX
    return np.concatenate([_slice(detector, *view) for view in placed]), centres


def _shown(photo: DecodedImage, box: Box) -> Box:
    """Convert a box from pixels of the photo at full size to pixels of `photo.pixels`."""
    height, width = photo.pixels.shape[:2]
    x_scale, y_scale = width / photo.width_px, height / photo.height_px
    return (box[0] * x_scale, box[1] * y_scale, box[2] * x_scale, box[3] * y_scale)


def _pixels(backdrop: DecodedImage | None) -> NDArray[np.uint8] | None:
    return None if backdrop is None else backdrop.pixels


def _slice(detector: Detector, view: NDArray[np.uint8], box: Box) -> NDArray[np.float16]:
    return detector.embed_boxes(DecodedImage(view, view.shape[1], view.shape[0], "JPEG"), [box])


def object_places(
    pixels: NDArray[np.uint8], box: Box, backdrop: NDArray[np.uint8] | None, rng: np.random.Generator
) -> list[tuple[NDArray[np.uint8], Box]]:
    """Views of the object in a box, alone and at one size, at N_PLACES random places of one canvas.

    Arguments as for `nuisance_view`. Returns each view, (CANVAS_PX, CANVAS_PX, 3) uint8, with the object's box in it.
    """
    canvas = _canvas(backdrop, rng)
    cut_out = _cut_out(pixels, box, rng.uniform(*OBJECT_SIDE))
    corners = [tuple(int(rng.integers(0, CANVAS_PX - side + 1)) for side in cut_out.size) for _ in range(N_PLACES)]
    return [_put(cut_out, canvas, left, top) for left, top in corners]


def in_scene(
    pixels: NDArray[np.uint8], box: Box, scene: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Box]:
    """The object in a box, in other light, pasted anywhere into a scene, and a box drawn round it, not quite exactly.

    Arguments as for `nuisance_view`; scene: another photo. Returns the view, (CANVAS_PX, CANVAS_PX, 3) uint8, and the box.
    """
    canvas = Image.fromarray(scene).resize((CANVAS_PX, CANVAS_PX), Image.Resampling.BILINEAR)
    cut_out = _cut_out(pixels, box, rng.uniform(*SCENE_SIDE))
    lit = Image.fromarray(_relight(np.asarray(cut_out.convert("RGB")), rng))
    if cut_out.mode == "RGBA":
        lit.putalpha(cut_out.getchannel("A"))
    left, top = (int(rng.integers(0, CANVAS_PX - side + 1)) for side in lit.size)
    view, (x1, y1, x2, y2) = _put(lit, canvas, left, top)
    off = rng.uniform(-BOX_OFF, BOX_OFF, 4) * (lit.width, lit.height, lit.width, lit.height)
    drawn = np.clip(np.array([x1, y1, x2, y2]) + off, 0, CANVAS_PX)
    return view, (float(drawn[0]), float(drawn[1]), float(drawn[2]), float(drawn[3]))


def grid_places(pixels: NDArray[np.uint8], box: Box, n_along: int) -> list[tuple[NDArray[np.uint8], Box]]:
    """Views of the object in a box, alone and at one size, at n_along x n_along even places of a plain canvas; row by row.

    Arguments as for `nuisance_view`. Returns the same as `object_places`.
    """
    canvas = Image.new("RGB", (CANVAS_PX, CANVAS_PX), (GRID_LEVEL,) * 3)
    cut_out = _cut_out(pixels, box, GRID_OBJECT_SIDE)
    lefts, tops = (np.linspace(0, CANVAS_PX - side, n_along).round().astype(int).tolist() for side in cut_out.size)
    return [_put(cut_out, canvas, left, top) for top in tops for left in lefts]


def _cut_out(pixels: NDArray[np.uint8], box: Box, side: float) -> Image.Image:
    """Cut out what a box shows, scaled to a longer side of `side` x the canvas; along its outline if the background is plain."""
    height, width = pixels.shape[:2]
    cut_out = Image.fromarray(pixels)
    found = find_foreground(pixels)
    if found is not None:
        cut_out.putalpha(Image.fromarray(found.mask.astype(np.uint8) * 255).resize((width, height)))
    scale = side * CANVAS_PX / max(box[2] - box[0], box[3] - box[1])
    size = (max(8, round((box[2] - box[0]) * scale)), max(8, round((box[3] - box[1]) * scale)))
    return cut_out.resize(size, Image.Resampling.BILINEAR, box=box)


def _put(cut_out: Image.Image, canvas: Image.Image, left: int, top: int) -> tuple[NDArray[np.uint8], Box]:
    view = canvas.copy()
    view.paste(cut_out, (left, top), cut_out if cut_out.mode == "RGBA" else None)
    return np.asarray(view), (float(left), float(top), float(left + cut_out.width), float(top + cut_out.height))


def nuisance_view(
    pixels: NDArray[np.uint8], box: Box, backdrop: NDArray[np.uint8] | None, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Box]:
    """A random view of the object in a box: mirrored, in other light, and either moved to another place and background or
    cropped; compressed as JPEG.

    pixels: (H, W, 3) uint8 RGB. box: x1 y1 x2 y2, pixels of that array. backdrop: another photo to paste the object on; None
    allows only plain colours. Returns the view, (h, w, 3) uint8 RGB, and the box in it.
    """
    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        width = pixels.shape[1]
        box = (width - box[2], box[1], width - box[0], box[3])
    lit = _relight(pixels, rng)
    if rng.random() < 0.5:
        view, box = _place(pixels, lit, box, backdrop, rng)
    else:
        view, box = _crop(lit, box, rng)
    buffer = io.BytesIO()
    Image.fromarray(view).save(buffer, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
    return np.asarray(Image.open(buffer).convert("RGB")), box


def _relight(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change the exposure, the contrast and the colour of the light."""
    gamma = np.exp(rng.uniform(-GAMMA, GAMMA))
    gains = np.exp(rng.uniform(-GAIN, GAIN)) * np.exp(rng.uniform(-TINT, TINT, 3))
    contrast = np.exp(rng.uniform(-CONTRAST, CONTRAST))
    lit = (pixels.astype(np.float32) / 255) ** np.float32(gamma) * gains.astype(np.float32)
    middle = lit.mean()
    relit: NDArray[np.uint8] = (np.clip((lit - middle) * np.float32(contrast) + middle, 0, 1) * 255).astype(np.uint8)
    return relit


def _place(
    original: NDArray[np.uint8],
    lit: NDArray[np.uint8],
    box: Box,
    backdrop: NDArray[np.uint8] | None,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], Box]:
    """Place the photo, or only its product if the background is plain, anywhere on a canvas with another background."""
    height, width = lit.shape[:2]
    scale = np.exp(rng.uniform(*np.log(PLACED_SIDE))) * CANVAS_PX / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    canvas = _canvas(backdrop, rng)
    left, top = (int(rng.integers(0, CANVAS_PX - side + 1)) for side in size)
    cut_out = find_foreground(original) if rng.random() < 0.5 else None
    mask = None if cut_out is None else Image.fromarray(cut_out.mask.astype(np.uint8) * 255).resize(size)
    canvas.paste(Image.fromarray(lit).resize(size, Image.Resampling.BILINEAR), (left, top), mask)
    x_scale, y_scale = size[0] / width, size[1] / height
    moved = (left + box[0] * x_scale, top + box[1] * y_scale, left + box[2] * x_scale, top + box[3] * y_scale)
    return np.asarray(canvas), moved


def _canvas(backdrop: NDArray[np.uint8] | None, rng: np.random.Generator) -> Image.Image:
    """A canvas that is pale, of any colour, or another photo."""
    background = rng.random()
    canvas = Image.new("RGB", (CANVAS_PX, CANVAS_PX), tuple(int(v) for v in rng.integers(200, 256, 3)))
    if background >= 0.4:
        canvas.paste(tuple(int(v) for v in rng.integers(0, 256, 3)), (0, 0, CANVAS_PX, CANVAS_PX))
    if background >= 0.6 and backdrop is not None:
        canvas = Image.fromarray(backdrop).resize(canvas.size, Image.Resampling.BILINEAR)
    return canvas


def _crop(pixels: NDArray[np.uint8], box: Box, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Box]:
    """Crop the photo to the box, or a little tighter or wider; the new box is the whole crop."""
    height, width = pixels.shape[:2]
    cuts = rng.uniform(*CROP_SIDE, 4)
    box_width, box_height = box[2] - box[0], box[3] - box[1]
    x1 = min(max(0, int(box[0] + cuts[0] * box_width)), width - 1)
    y1 = min(max(0, int(box[1] + cuts[1] * box_height)), height - 1)
    x2 = max(x1 + 1, min(width, int(box[2] - cuts[2] * box_width)))
    y2 = max(y1 + 1, min(height, int(box[3] - cuts[3] * box_height)))
    cropped = np.ascontiguousarray(pixels[y1:y2, x1:x2])
    return cropped, (0.0, 0.0, float(x2 - x1), float(y2 - y1))
