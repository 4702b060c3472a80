"""Pictures for an evaluation: what photos find, which cells were sliced for them, and whether vectors show an object's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.embedding.leakage import N_FOLDS, location_leakage
from prodseek.embedding.projection import PROJECTION, Projection
from prodseek.embedding.view_kinds import view_kinds
from prodseek.errors import ConfigError, StoreError, WeightsError
from prodseek.evaluation.run import RAW_SLICE, Measured
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.report.evaluation_page import Example, LabelledPhoto, Location, Pictures
from prodseek.report.location import Panel
from prodseek.report.sliced_cells import SlicedObject
from prodseek.report.thumbnails import LARGE_SIDE_PX, SMALL_SIDE_PX, thumbnail
from prodseek.runs.columns import BOX_PX, VISUAL
from prodseek.runs.facts import IngestFacts
from prodseek.runs.store import Run
from prodseek.search.run_settings import config_of, settings_of
from prodseek.storage import files
from prodseek.storage.read_ahead import map_ahead

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector

BEST, TYPICAL, HARDEST = "the label that is found best", "a label in the middle", "the hardest label"
N_MATCHES = 8
N_OBJECTS = 8
N_ALONG = 5
# Candidate photos for each object that is placed on a grid; photos with a plain background, to cut it out of, come first.
_CANDIDATES = 3
_DECODE_THREADS = 2


def draw_pictures(run: Run, measured: Measured, by_label: Mapping[str, Mapping[str, float]]) -> Pictures:
    """All pictures of a run that the available photos and network allow; for each missing kind a sentence that says why.

    by_label: from the evaluation. It takes a few more than N_OBJECTS x N_ALONG x N_ALONG forward passes.
    """
    manifest = run.manifest()
    try:
        config = config_of(run, manifest)
    except StoreError as error:
        return Pictures(missing=(f"There are no pictures: {error}.",))
    base_uri = manifest.facts(IngestFacts).base_uri
    source = PhotoSource.of(config, base_uri, run.root)
    photos = _Photos(measured.regions, source)
    targets = choose_targets(measured, by_label)
    examples = tuple(_example(photos, measured, role, row, by_label) for role, row in targets)
    shown = [photo for each in examples for photo in (each.target, *(match for match, _ in each.matches))]
    if shown and not any(photo.thumbnail for photo in shown):
        return Pictures(
            missing=(f"There are no pictures: the photos cannot be read any more from {source.copies or base_uri}.",)
        )
    try:
        settings = settings_of(run, manifest)
        # Imported here, because torch takes seconds.
        from prodseek.vision.inference import load_detector

        # For one photo at a time a second thread gains little, and on a busy machine it can be ten times slower.
        detector = load_detector(replace(settings, torch_threads=1))
        projection = Projection.from_bytes(files.read_bytes(run.path(PROJECTION)))
    except (ConfigError, OSError, StoreError, WeightsError) as error:
        return Pictures(examples, missing=(f"Without the network there are no pictures of cells and places: {error}.",))
    sliced = _sliced(photos, detector, targets)
    location = _location(photos, detector, projection)
    missing = () if location else (f"No picture of places: fewer than {N_FOLDS} labels have a photo that can be read.",)
    return Pictures(examples, sliced, location, missing)


def choose_targets(measured: Measured, by_label: Mapping[str, Mapping[str, float]]) -> list[tuple[str, int]]:
    """Choose photos to show: the reason and the row of each.

    They are of the labels with the highest, a middle and the lowest mean average precision; each is the photo closest to its
    label's mean. Labels with one photo are skipped.
    """
    ranked = sorted((scores["mAP"], label) for label, scores in by_label.items() if scores["photos"] > 1)
    if not ranked:
        return []
    labels = np.asarray(measured.regions.column("label").to_pylist())[measured.found.rows]
    chosen: dict[str, tuple[str, int]] = {}
    for role, (mean, label) in ((BEST, ranked[-1]), (HARDEST, ranked[0]), (TYPICAL, ranked[len(ranked) // 2])):
        away = np.where(labels == label, np.abs(measured.found.average_precision - mean), np.inf)
        chosen.setdefault(label, (role, int(measured.found.rows[int(np.argmin(away))])))
    order = (BEST, TYPICAL, HARDEST)
    return sorted(chosen.values(), key=lambda each: order.index(each[0]))


class _Photos:
    """The photos of labelled regions."""

    def __init__(self, regions: pa.Table, source: PhotoSource) -> None:
        self.uris: list[str] = regions.column("uri").to_pylist()
        self.labels: list[str] = regions.column("label").to_pylist()
        self.boxes: list[tuple[float, float, float, float]] = list(
            zip(*(regions.column(name).to_pylist() for name in BOX_PX), strict=True)
        )
        self.ids: list[str] = regions.column("image_id").to_pylist()
        self._source = source

    def read(self, row: int, enough_side_px: int) -> DecodedImage | None:
        """A photo, its longer side perhaps reduced to enough_side_px; None if it is gone or changed."""
        try:
            data = self._source.read(self.uris[row], self.ids[row])
            return (
                decode_image(data, self._source.limits, enough_side_px) if content_id(data) == self.ids[row] else None
            )
        except ImageRejected:
            return None

    def shown(self, row: int, side_px: int) -> LabelledPhoto:
        """A photo with its object marked."""
        image = self.read(row, side_px)
        size_px = (image.width_px, image.height_px) if image else None
        picture = thumbnail(image.pixels, side_px, self.boxes[row], "draw", size_px) if image else None
        return LabelledPhoto(self.uris[row], self.labels[row], picture)


def _example(
    photos: _Photos, measured: Measured, role: str, row: int, by_label: Mapping[str, Mapping[str, float]]
) -> Example:
    vectors = measured.vectors[VISUAL]
    cosine = vectors @ vectors[row]
    cosine[row] = -np.inf
    nearest = np.argsort(-cosine, kind="stable")[:N_MATCHES].tolist()
    shown = map_ahead(lambda match: photos.shown(match, SMALL_SIDE_PX), nearest, _DECODE_THREADS)
    matches = tuple((photo, float(cosine[match])) for photo, match in zip(shown, nearest, strict=True))
    return Example(role, photos.shown(row, LARGE_SIDE_PX), matches, by_label[photos.labels[row]]["mAP"])


def _sliced(photos: _Photos, detector: Detector, targets: Sequence[tuple[str, int]]) -> tuple[SlicedObject, ...]:
    from prodseek.vision.settings import describe
    from prodseek.vision.slicing import network_boxes, sliced_cells

    feature_maps = describe(detector.settings).feature_maps
    made = []
    for _, row in targets:
        image = photos.read(row, detector.enough_side_px)
        if image is not None:
            seen = detector.prepare("", image)
            (box,) = network_boxes(seen.placed, np.array([photos.boxes[row]], np.float32)).tolist()
            readings = sliced_cells(seen.placed, photos.boxes[row], feature_maps)
            made.append(SlicedObject(photos.labels[row], seen.canvas, tuple(box), readings))
    return tuple(made)


def _location(photos: _Photos, detector: Detector, projection: Projection) -> Location | None:
    """Objects of different labels at many places; None if fewer than N_FOLDS photos can be read."""
    from prodseek.vision.foreground import find_foreground
    from prodseek.vision.nuisance import slice_grid_places

    first_of_label: dict[str, int] = {}
    for row in np.argsort(photos.ids, kind="stable").tolist():  # ids are hashes, so this is a random order
        first_of_label.setdefault(photos.labels[row], row)
    rows = list(first_of_label.values())[: _CANDIDATES * N_OBJECTS]
    images = map_ahead(partial(photos.read, enough_side_px=detector.enough_side_px), rows, _DECODE_THREADS)
    readable = [(row, image) for row, image in zip(rows, images, strict=True) if image is not None]
    readable.sort(key=lambda each: find_foreground(each[1].pixels) is None)
    objects = readable[:N_OBJECTS]
    if len(objects) < N_FOLDS:
        return None
    placed = [slice_grid_places(detector, image, photos.boxes[row], N_ALONG) for row, image in objects]
    slices = np.concatenate([of_object for of_object, _ in placed])
    centres = np.concatenate([of_object for _, of_object in placed])
    object_ids = np.repeat([str(row) for row, _ in objects], N_ALONG**2).tolist()
    raw = slices.astype(np.float32)
    vectors: dict[str, NDArray[Any]] = {
        RAW_SLICE: raw / np.linalg.norm(raw, axis=1, keepdims=True),
        VISUAL: projection.apply(slices, view_kinds(np.ones(len(slices), bool), np.zeros(len(slices))))[VISUAL],
    }
    panels, shares = [], []
    for name, values in vectors.items():
        by_object = values.reshape(len(objects), N_ALONG**2, -1)
        moved = (by_object - by_object.mean(axis=1, keepdims=True)).reshape(values.shape)
        panels.append(Panel(name, moved, centres, location_leakage(values, centres, object_ids)))
        shares.append(float(moved.var(axis=0).sum() / values.var(axis=0).sum()))
    return Location(len(objects), N_ALONG, tuple(panels), tuple(shares))
