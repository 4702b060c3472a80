"""A labelled catalogue through the real network and a projection fitted on it: what the benchmarks measure on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from notebook_slice import hidden_maps, notebook_slice
from numpy.typing import NDArray

from prodseek.config import load_config
from prodseek.embedding.moments import Moments
from prodseek.embedding.projection import Projection, fit_projection
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.storage.read_ahead import map_ahead
from prodseek.vision.inference import Detector, PreparedImage, load_detector
from prodseek.vision.nuisance import slice_places, slice_views
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

    box: of the primary region.
    """

    row: dict[str, str]
    path: Path
    image_id: str
    frame: NDArray[np.float16]
    primary: NDArray[np.float16]
    notebook_frame: NDArray[np.float32]
    notebook_primary: NDArray[np.float32]
    box: tuple[float, float, float, float]


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
            size = (round(frame[2]), round(frame[3]), network.settings.input_px)
            photos.append(
                Photo(
                    *found[index],
                    image.slices[-1],
                    image.slices[primary],
                    notebook_slice(hidden, *size, frame),
                    notebook_slice(hidden, *size, box),
                    box,
                )
            )
    return photos


def fit(network: Detector, photos: Sequence[Photo], n_images: int = N_FIT_IMAGES) -> Projection:
    """Fit a projection as the stage `project` does."""
    slices = np.stack([photo.primary for photo in photos])
    return fit_projection(Moments.empty(network.layout).add(slices), nuisances(network, photos, n_images), slices)


def nuisances(network: Detector, photos: Sequence[Photo], n_images: int = N_FIT_IMAGES) -> Moments:
    """How slices change under views of their objects, measured on n_images of the photos."""
    moments, before = Moments.empty(network.layout), None
    for photo in sorted(photos, key=lambda photo: photo.image_id)[:n_images]:
        image = decode(photo.path)
        seed = int(photo.image_id[:16], 16)
        for views in (
            slice_views(network, image, photo.box, N_FIT_VIEWS, before, seed),
            slice_places(network, image, photo.box, before, seed),
        ):
            moments = moments.add_views(views, len(views))
        before = image
    return moments
