"""A labelled catalogue through the real network and a projection fitted on it: what the benchmarks measure on."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from notebook_slice import hidden_maps, notebook_slice
from numpy.typing import NDArray

from prodseek.config import load_config
from prodseek.embedding.confidence import InScenes
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection
from prodseek.embedding.projection_fit import Measured, fit_projection
from prodseek.embedding.view_kinds import Kinds, KindSums, ViewKind, view_kinds
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.runs.slice_layout import slice_length
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.inference import Detector, PreparedImage, load_detector
from prodseek.vision.nuisance import slice_in_scene, slice_places, slice_views
from prodseek.vision.settings import DetectorSettings
from prodseek.vision.weights import obtain_weights

DATA = Path(__file__).parents[1] / "data"
SAMPLE = DATA / "sample"
DECODE_SIDE_PX = 832
N_FIT_VIEWS = 2
N_FIT_IMAGES = 192


@dataclass(frozen=True)
class Photo:
    """One readable photo: its manifest row, its bytes' id, and its regions' slices, ours and the notebooks'.

    box: of the primary region. slices, kinds: of all regions, (R, slice_length) float16 and (R,) int8; primary_kind: of the
    primary one.
    """

    row: dict[str, str]
    path: Path
    image_id: str
    frame: NDArray[np.float16]
    primary: NDArray[np.float16]
    notebook_frame: NDArray[np.float32]
    notebook_primary: NDArray[np.float32]
    box: tuple[float, float, float, float]
    slices: NDArray[np.float16]
    kinds: Kinds
    primary_kind: int


def detector(**settings: object) -> Detector:
    """The shipped network as the base configuration has it."""
    weights = load_config().network.weights
    path = obtain_weights(weights.file_name, weights.sha256, weights.sources, weights.folder)
    return load_detector(DetectorSettings(path, weights.sha256, score_threshold=0.2, **settings))  # type: ignore[arg-type]


def rows_of(manifest: Path, uri_column: str) -> list[tuple[dict[str, str], Path]]:
    """A manifest's rows, each with the photo's path."""
    with manifest.open(newline="", encoding="utf-8") as stream:
        return [(row, manifest.parent / row[uri_column]) for row in csv.DictReader(stream)]


def decode(path: Path) -> DecodedImage:
    return decode_image(path.read_bytes(), max_side_px=DECODE_SIDE_PX)


def embed(network: Detector, rows: Sequence[tuple[dict[str, str], Path]]) -> list[Photo]:
    """Every readable photo's frame and primary region."""
    found: list[tuple[dict[str, str], Path, str]] = []

    def prepare(entry: tuple[dict[str, str], Path]) -> tuple[str, DecodedImage] | None:
        try:
            data = entry[1].read_bytes()
            return content_id(data), decode_image(data, max_side_px=DECODE_SIDE_PX)
        except (FileNotFoundError, ImageRejected):
            return None

    def readable() -> Iterator[PreparedImage]:
        for (row, path), image in zip(rows, map_ahead(prepare, rows, threads=2), strict=True):
            if image is not None:
                found.append((row, path, image[0]))
                yield network.prepare(*image)

    photos = []
    with hidden_maps(network) as maps:
        for index, image in enumerate(network.embed_prepared(readable())):
            hidden, frame = maps.popleft(), image.regions[-1].box
            primary = next(i for i, region in enumerate(image.regions) if region.is_primary)
            box = image.regions[primary].box
            is_plain = any(region.kind == "foreground" for region in image.regions)
            areas = np.array([region.area_fraction for region in image.regions])
            kinds = view_kinds(np.full(len(areas), is_plain), areas)
            size = (round(frame[2]), round(frame[3]), network.settings.input_px)
            photos.append(
                Photo(
                    *found[index],
                    image.slices[-1],
                    image.slices[primary],
                    notebook_slice(hidden, *size, frame),
                    notebook_slice(hidden, *size, box),
                    box,
                    image.slices,
                    kinds,
                    int(kinds[primary]),
                )
            )
    return photos


def fit(network: Detector, photos: Sequence[Photo], n_images: int = N_FIT_IMAGES) -> Projection:
    """Fit a projection as the stage `project` does."""
    return fit_projection(measured(network, photos, n_images))


def measured(network: Detector, photos: Sequence[Photo], n_images: int = N_FIT_IMAGES) -> Measured:
    """What the stage `project` fits a projection to."""
    slices = np.stack([photo.primary for photo in photos])
    kinds = KindSums.empty(network.layout)
    for photo in photos:
        kinds = kinds.add(photo.slices, photo.kinds)
    nuisances, in_scenes = views(network, photos, n_images)
    moments = Moments.empty(network.layout).add(slices)
    return Measured(moments, kinds, nuisances, in_scenes, slices, primary_kinds(photos), products_of(photos))


def products_of(photos: Sequence[Photo]) -> NDArray[np.int64]:
    """A number for each photo's product; its path where the manifest names none."""
    names = [photo.row.get("product_id") or photo.row.get("product") or str(photo.path) for photo in photos]
    return np.array([zlib.crc32(name.encode()) for name in names], np.int64)


def primary_kinds(photos: Sequence[Photo]) -> Kinds:
    return np.array([photo.primary_kind for photo in photos], np.int8)


def views(network: Detector, photos: Sequence[Photo], n_images: int = N_FIT_IMAGES) -> tuple[Moments, InScenes]:
    """How slices change under views of their objects, and objects in scenes, measured on n_images of the photos."""
    moments, in_scenes = Moments.empty(network.layout), InScenes.empty(slice_length(network.layout))
    before, scene = None, None
    for photo in sorted(photos, key=lambda photo: photo.image_id)[:n_images]:
        image = decode(photo.path)
        seed = int(photo.image_id[:16], 16)
        for seen in (
            slice_views(network, image, photo.box, N_FIT_VIEWS, before, seed),
            slice_places(network, image, photo.box, before, seed),
        ):
            moments = moments.add_views(seen, len(seen))
        if before is not None:
            pasted = slice_in_scene(network, image, photo.box, scene or before, seed)
            kind = np.array([photo.primary_kind], np.int8)
            own = InScenes(photo.primary[None], kind, products_of([photo]), pasted)
            in_scenes = in_scenes.merge(own)
        if photo.primary_kind != ViewKind.PACKSHOT:
            scene = image
        before = image
    return moments, in_scenes
