"""Measure what a catalogue's photos cost on this machine: everything that a night does to each photo, on some of them.

Seconds are CPU time of a core, so that other work of the machine counts little; only reading is measured by the clock. As many
processes measure at a time as a night would have tasks here, because cores that share a cache slow each other down.
"""

from __future__ import annotations

import io
import os
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from prodseek.catalogue.folder import list_photos
from prodseek.catalogue.manifest_reading import Manifest, read_manifest
from prodseek.catalogue.manifests import CatalogueSource, find_catalogue
from prodseek.catalogue.parquet_table import n_rows_of
from prodseek.catalogue.photo_copies import sample_photos
from prodseek.catalogue.photo_rows import RowRules
from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.rows_here import photo_names
from prodseek.config import Config
from prodseek.errors import CatalogueError, ConfigError
from prodseek.photos.decode import ImageRejected, content_id, decode_image
from prodseek.runs.slice_layout import slice_length
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings

# Maximum number of photos for one process, and number of photos between two checks of the time.
_MAX_PHOTOS = 256
_AT_A_TIME = 8
_MAX_PROCESSES = 8
# Maximum size of all photos that are copied out of a manifest to be measured.
_SAMPLED_BYTES = 256 * 2**20
# Photos are decoded at this many times the size of the pictures of regions, see lib/prodseek/spark/report/thumbnails.py.
_DECODE_FACTOR = 4
_VIEWED_SIDE_PX = 832


@dataclass(frozen=True)
class Listing:
    """A catalogue's size. uris: of some rows, in random order; empty if its manifest holds the photos."""

    source: CatalogueSource
    n_rows: int
    uris: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """Means over the measured photos.

    read_seconds: by the clock, for each photo. decode_seconds, prepare_seconds, pass_seconds, features_seconds,
    picture_seconds: of a core, for each photo. view_seconds: of a core, for each photo whose views the projection is fitted on.
    pair_seconds: of a core, for each pair of photos. pass_seconds and view_seconds are by the clock if the network runs on a
    GPU. photo_bytes: of a photo's file. pictures_bytes, features_bytes: what is stored for each photo. regions: for each photo.
    slice_bytes: of one slice. peak_bytes: memory of one process.
    """

    n_photos: int
    n_unreadable: int
    n_processes: int
    device: str
    read_seconds: float
    decode_seconds: float
    prepare_seconds: float
    pass_seconds: float
    features_seconds: float
    picture_seconds: float
    view_seconds: float
    pair_seconds: float
    photo_bytes: float
    pictures_bytes: float
    features_bytes: float
    regions: float
    slice_bytes: int
    peak_bytes: int

    @property
    def reject_share(self) -> float:
        return self.n_unreadable / (self.n_photos + self.n_unreadable)


def list_catalogue(config: Config, seed: int = 0) -> Listing:
    """The number of rows of a catalogue, and the photos of some rows. Raises CatalogueError and ConfigError."""
    if config.catalog.uri is None:
        raise ConfigError(
            "catalog.uri: missing; name a folder of photos, or a manifest: CSV, TSV, JSON lines or Parquet"
        )
    source = find_catalogue(config.catalog.uri)
    catalog = config.catalog
    if source.kind == "folder" and catalog.bytes_column is None:
        uris = list_photos(source, catalog.allowed_roots, catalog.exclude, catalog.any_ending).uris
        n_rows = len(uris)
    else:
        manifest = read_manifest(source, config.catalog)
        if manifest.columns.photo is not None:
            return Listing(source, _held_rows(manifest), ())
        rules = RowRules.of(manifest.columns, catalog, source.base_uri)
        uris, n_rows = photo_names(manifest, rules, 100 * _MAX_PHOTOS * _MAX_PROCESSES)
    if not uris:
        raise CatalogueError(f"the catalogue {source.uri!r} names no photo; there is nothing to plan")
    random.Random(seed).shuffle(uris)
    return Listing(source, n_rows, tuple(uris[: _MAX_PHOTOS * _MAX_PROCESSES]))


def _held_rows(manifest: Manifest) -> int:
    """The number of rows of a manifest that holds the photos. Raises CatalogueError if it has none."""
    n_rows = n_rows_of(manifest.parts)
    if not n_rows:
        raise CatalogueError(f"the catalogue {manifest.source.uri!r} has no rows; there is nothing to plan")
    return n_rows


@contextmanager
def _sampled(config: Config, listing: Listing, n_photos: int) -> Iterator[tuple[PhotoSource, Sequence[str]]]:
    """The source of the photos to measure, and their names. Photos held in a manifest are copied to a temporary folder."""
    column = config.catalog.bytes_column
    if column is None:
        yield PhotoSource.of(config, listing.source.base_uri, config.store.root), listing.uris[:n_photos]
        return
    with TemporaryDirectory(prefix="prodseek-plan-") as folder:
        names: list[str] = []
        n_bytes = 0
        for photo in sample_photos(listing.source.uri, column, n_photos, seed=0):
            names.append(str(len(names)))
            (Path(folder) / names[-1]).write_bytes(photo)
            n_bytes += len(photo)
            if len(names) == n_photos or n_bytes > _SAMPLED_BYTES:
                break
        if not names:
            raise CatalogueError(f"the manifest {listing.source.uri!r} holds no photo; there is nothing to plan")
        yield PhotoSource(folder, (), config.images.limits), names


def measure(config: Config, listing: Listing, seconds: float) -> Measured:
    """Measure for about `seconds`, without the loading of the network. Raises CatalogueError if no photo can be read."""
    n_processes = min(_MAX_PROCESSES, os.cpu_count() or 1, listing.n_rows)
    with _sampled(config, listing, _MAX_PHOTOS * n_processes) as (photos, names):
        return _measured(config, listing, photos, names, n_processes, seconds)


def _measured(
    config: Config, listing: Listing, photos: PhotoSource, names: Sequence[str], n_processes: int, seconds: float
) -> Measured:
    settings = detector_settings(config)
    sizes = config.report.region_px, config.report.photo_px
    n_processes = min(n_processes, len(names))
    shares = [names[number::n_processes] for number in range(n_processes)]
    context = get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        views = config.project.nuisance_views
        found = [
            pool.submit(measure_photos, settings, photos, share, sizes, views, seconds, n_processes) for share in shares
        ]
        parts = [part for future in found if (part := future.result()) is not None]
    if not parts:
        raise CatalogueError(f"none of {sum(map(len, shares))} photos of {listing.source.uri!r} can be read")
    return _mean(parts)


def measure_photos(
    settings: DetectorSettings,
    photos: PhotoSource,
    uris: Sequence[str],
    sizes_px: tuple[int, int],
    n_views: int,
    seconds: float,
    n_processes: int = 1,
) -> Measured | None:
    """Do what a night does to some photos, in this process; None if none of them can be read.

    sizes_px: longer sides of the pictures of regions and of photos. n_views: random views of a photo for the projection.
    """
    import cv2
    import torch

    from prodseek.duplicates.features import FEATURES_SIDE_PX, code_bits, feature_codes, photo_features
    from prodseek.duplicates.geometry import align
    from prodseek.duplicates.prints import photo_prints
    from prodseek.photos.hashes import pdq_hash, pixel_hash
    from prodseek.report.thumbnails import thumbnail
    from prodseek.vision.inference import load_detector
    from prodseek.vision.nuisance import slice_places, slice_views

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = load_detector(settings)
    on_gpu = detector.device.type == "cuda"
    spent = _Seconds()
    counts = dict.fromkeys(("bytes", "pictures", "features", "regions", "views", "pairs", "photos", "unreadable"), 0)
    list(
        detector.embed([("", decode_image(_grey_photo(), photos.limits))])
    )  # the first pass of a process is slower than the others
    started = time.perf_counter()
    for first in range(0, len(uris), _AT_A_TIME):
        if first and time.perf_counter() - started > seconds:
            break
        read: list[bytes] = []
        for uri in uris[first : first + _AT_A_TIME]:
            try:
                with spent.on("read", by_clock=True):
                    data = photos.read(uri)
                with spent.on("decode"):
                    image = decode_image(data, photos.limits)
                    content_id(data)
                    pdq_hash(image.pixels)
                    pixel_hash(image.pixels, image.alpha, image.moving_id)
            except ImageRejected:
                counts["unreadable"] += 1
                continue
            counts["bytes"] += len(data)
            read.append(data)
        if not read:
            continue
        with spent.on("prepare"):
            images = [decode_image(data, photos.limits, enough_side_px=detector.enough_side_px) for data in read]
            prepared = [detector.prepare("", image) for image in images]
        with spent.on("pass", by_clock=on_gpu):
            found = list(detector.embed_prepared(prepared))
        with spent.on("features"):
            seen = [decode_image(data, photos.limits, FEATURES_SIDE_PX).pixels for data in read]
            features = [photo_features(pixels) for pixels in seen]
            prints = [photo_prints(pixels, one.local.content_box) for pixels, one in zip(seen, features, strict=True)]
        with spent.on("features"):
            codes = [feature_codes(one, code_bits(len(uris))).to_bytes() for one in features]
        kept = (*codes, *(one.local.to_bytes() for one in features), *(one.to_bytes() for one in prints))
        counts["features"] += sum(len(part or b"") for parts in kept for part in parts)
        with spent.on("pair"):
            for one, other in pairwise(features):
                align(one.local, other.local)
        counts["pairs"] += len(features) - 1
        boxes = [next(region for region in one.regions if region.is_primary).box for one in found]
        with spent.on("picture"):
            for data, box in zip(read, boxes, strict=True):
                image = decode_image(data, photos.limits, _DECODE_FACTOR * sizes_px[0])
                size_px = (image.width_px, image.height_px)
                region = thumbnail(image.pixels, sizes_px[0], box, "crop", photo_size_px=size_px)
                counts["pictures"] += len(region) + len(thumbnail(image.pixels, sizes_px[1]))
        with spent.on("view", by_clock=on_gpu):
            image = decode_image(read[0], photos.limits, _VIEWED_SIDE_PX)
            slice_views(detector, image, boxes[0], n_views, None, 0)
            slice_places(detector, image, boxes[0], None, 0)
        counts["views"] += 1
        counts["photos"] += len(read)
        counts["regions"] += sum(len(one.regions) for one in found)
    n = counts["photos"]
    if not n:
        return None
    return Measured(
        n_photos=n,
        n_unreadable=counts["unreadable"],
        n_processes=n_processes,
        device=f"{'GPU' if on_gpu else 'CPU'}, {detector.precision}",
        read_seconds=spent["read"] / n,
        decode_seconds=spent["decode"] / n,
        prepare_seconds=spent["prepare"] / n,
        pass_seconds=spent["pass"] / n,
        features_seconds=spent["features"] / n,
        picture_seconds=spent["picture"] / n,
        view_seconds=spent["view"] / counts["views"],
        pair_seconds=spent["pair"] / max(1, counts["pairs"]),
        photo_bytes=counts["bytes"] / n,
        pictures_bytes=counts["pictures"] / n,
        features_bytes=counts["features"] / n,
        regions=counts["regions"] / n,
        slice_bytes=2 * slice_length(detector.layout),
        peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


class _Seconds(Counter[str]):
    """Seconds spent, by the name of the work: of a core, or by the clock."""

    @contextmanager
    def on(self, name: str, by_clock: bool = False) -> Iterator[None]:
        clock = time.perf_counter if by_clock else time.process_time
        before = clock()
        try:
            yield
        finally:
            self[name] += clock() - before  # type: ignore[assignment]


def _grey_photo() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 320), (128, 128, 128)).save(buffer, "JPEG")
    return buffer.getvalue()


def _mean(parts: Sequence[Measured]) -> Measured:
    """All parts together, with equal weight for each photo."""
    n_photos = sum(part.n_photos for part in parts)

    def mean(name: str) -> float:
        return float(sum(getattr(part, name) * part.n_photos for part in parts)) / n_photos

    means = {name for name, kind in Measured.__annotations__.items() if kind == "float"}
    first = parts[0]
    return Measured(
        n_photos=n_photos,
        n_unreadable=sum(part.n_unreadable for part in parts),
        n_processes=first.n_processes,
        device=first.device,
        slice_bytes=first.slice_bytes,
        peak_bytes=max(part.peak_bytes for part in parts),
        **{name: mean(name) for name in means},
    )
