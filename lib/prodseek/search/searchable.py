"""Search a finished run: a box in a photo, or a region of the catalogue, in; similar products out.

A search takes one forward pass of the run's network over the photo, the slice at the box, the run's projection and the run's
index. The same code answers a prompt on the command line and a table of prompts in Spark (`jobs/search.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prodseek.catalogue.photo_source import PhotoSource, read_photo
from prodseek.config import Config
from prodseek.embedding.confidence import Calibration
from prodseek.embedding.projection import PROJECTION, Projection
from prodseek.embedding.view_kinds import ViewKind, view_kinds
from prodseek.errors import PromptError, StoreError
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.runs.columns import LIKENESS
from prodseek.runs.facts import IngestFacts, ProjectFacts
from prodseek.runs.ids import detection_id
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import Run, Store
from prodseek.search.hits import Floor, Hit, Query
from prodseek.search.likeness import Likeness
from prodseek.search.nearest import NearestProducts
from prodseek.search.prompts import Box, PromptFault, check_box
from prodseek.search.regions import Regions
from prodseek.search.run_settings import config_of, settings_of
from prodseek.search.vectors import Embeddings
from prodseek.storage import files
from prodseek.vision.settings import DetectorSettings

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector

DEFAULT_K = 20

Image = str | Path | bytes


@dataclass(frozen=True)
class FoundObject:
    """A region that the network finds in a photo. number: from 1, for `prodseek search --object`.

    box_px: x1 y1 x2 y2, source pixels. class_name, score: of a detection, else None. detection_id: if the catalogue has this
    region, else None.
    """

    number: int
    kind: str
    class_name: str | None
    score: float | None
    box_px: Box
    detection_id: int | None


@dataclass(frozen=True)
class Photo:
    """A photo to search with. image: its pixels, decoded at the size that the network needs."""

    image_id: str
    image: DecodedImage


def check_question(k: int, facet: str, min_confidence: float | None = None) -> Likeness:
    """The likeness that is asked for. Raises PromptError for what no search can answer."""
    if k < 1:
        raise PromptError(PromptFault.INVALID_PROMPT, f"k is {k}; ask for 1 result or more")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise PromptError(
            PromptFault.INVALID_PROMPT,
            f"min_confidence is {min_confidence:g}; it is a chance, from 0 to 1, such as 0.05",
        )
    return Likeness.parse(facet)


class SearchableRun:
    """A run that is opened for searches. Get one from `open`.

    It keeps in memory 44 bytes for each region, the names of photos and products, and up to 1 GiB of recently used vectors.
    The index is memory-mapped. torch is imported when the first photo is searched.
    """

    def __init__(self, run: Run, settings: DetectorSettings | None = None) -> None:
        """settings: of the detector, if they are already known (`settings_of`)."""
        self.run = run
        self._settings = settings
        self.manifest: Manifest = run.manifest()
        self.regions = Regions.read(run)
        self._embeddings = Embeddings(run)
        project = self.manifest.facts_if_there(ProjectFacts)
        calibration = None if project is None else Calibration.of_facts(project.likeness_calibration)
        self._products = NearestProducts(run, self.regions, self._embeddings, calibration)

    @classmethod
    def open(cls, root: str | Path, run_id: str | None = None) -> SearchableRun:
        """Open the newest finished run under `root`, or the run `run_id`. Raises StoreError if there is none."""
        store = Store.at(str(root))
        return cls(store.latest() if run_id is None else store.run(run_id))

    def search(
        self,
        image: Image,
        box: Sequence[float],
        k: int = DEFAULT_K,
        facet: str = LIKENESS,
        exclude_same_product: bool = False,
        min_confidence: float | None = None,
    ) -> list[Hit]:
        """The k products most similar to the content of a box, the most similar first; fewer if no more are similar at all.

        image: a path, a URI or a file's bytes. box: x1 y1 x2 y2, pixels of the upright photo at full size. facet: likeness (the
        same thing), visual (the same kind of thing), colour, texture or shape; or a mix such as `mix=visual:0.5,colour:0.5`,
        which takes candidates from the index of `likeness` and ranks them by the weighted mean of the facets' cosines.
        exclude_same_product: leave out the products of this photo and all its copies, if the catalogue has the photo.
        min_confidence: 0..1, how sure a hit of `likeness` must be, had it no rivals; if None, hits after the first ten must be as
        sure as `search.min_confidence` was set for the run.
        A product is what the primary regions of its photos show, and a room is none, unless the box holds a whole scene. A
        thing that only stands in this photo is not answered by it. Each product is at most one hit, and so are all
        copies of a photo together.

        Raises PromptError for a question that cannot be answered, WeightsError if the run's network is not available, and
        StoreError if the run is damaged.
        """
        check_question(k, facet, min_confidence)  # before the network is loaded
        (query,) = self.embed(self.read(image), [box])
        return self.nearest(query, k, facet, exclude_same_product, min_confidence)

    def search_region(
        self,
        detection_id: int,
        k: int = DEFAULT_K,
        facet: str = LIKENESS,
        exclude_same_product: bool = False,
        min_confidence: float | None = None,
    ) -> list[Hit]:
        """`search` with a region of the catalogue, by its stored embeddings; needs neither the photo nor the network."""
        return self.nearest(self.query_of(detection_id), k, facet, exclude_same_product, min_confidence)

    def query_of(self, detection_id: int) -> Query:
        """The question for the like of a region of the catalogue. Raises PromptError if the run does not have it."""
        place = self.place(detection_id)
        vectors = self._embeddings.of(self.regions.ids[place : place + 1])
        own_image, is_scene = int(self.regions.images[place]), bool(self.regions.is_scene[place])
        return Query({name: rows[0] for name, rows in vectors.items()}, own_image, self.regions.box_px(place), is_scene)

    def nearest(
        self,
        query: Query,
        k: int = DEFAULT_K,
        facet: str = LIKENESS,
        exclude_same_product: bool = False,
        min_confidence: float | None = None,
    ) -> list[Hit]:
        """`search` with a given question."""
        likeness = check_question(k, facet, min_confidence)
        floor = Floor.of(min_confidence, self.config.search.min_confidence)
        return self._products.find(query, k, likeness, exclude_same_product, floor)

    def objects(self, image: Image) -> list[FoundObject]:
        """What the network finds in a photo: detections, the surest first, then the foreground, then the frame."""
        photo = self.read(image)
        (found,) = self.detector.embed([(photo.image_id, photo.image)])
        ids = [detection_id(photo.image_id, region.kind, region.class_name, region.box) for region in found.regions]
        return [
            FoundObject(
                number,
                region.kind,
                region.class_name,
                region.score,
                region.box,
                region_id if self.regions.place(region_id) is not None else None,
            )
            for number, (region, region_id) in enumerate(zip(found.regions, ids, strict=True), start=1)
        ]

    def read(self, image: Image) -> Photo:
        """Read and decode a photo from any place. Raises PromptError that says what is wrong with it."""
        if isinstance(image, bytes):
            return self._decoded("the photo", lambda: image)
        location = self.location(str(image))
        return self._decoded(f"the photo {str(image)!r}", lambda: read_photo(location, self.config.images.max_bytes))

    def read_named(self, uri: str, allowed_roots: Sequence[str] = ()) -> Photo:
        """`read` for a photo that a table names as the catalogue does.

        It is read only from the places that the catalogue's photos may be read from, and from `allowed_roots`.
        """
        image_id = self._copied(uri)
        if image_id is not None:
            return self._decoded(f"the photo {uri!r}", lambda: self.photos.read(uri, image_id))
        photos = replace(self.photos, copies=None, allowed_roots=(*self.photos.allowed_roots, *allowed_roots))
        return self._decoded(f"the photo {uri!r}", lambda: photos.read(uri))

    def location(self, image: str) -> str:
        """The location of a photo that a person names: a file, or else the copy of a photo that the manifest holds."""
        image_id = self._copied(image)
        if image_id is None or os.path.isfile(image):
            return files.absolute(image)
        return self.photos.place(image, image_id)

    def _copied(self, uri: str) -> str | None:
        """The image_id of the photo that the catalogue names `uri`, if its manifest holds the photos; else None."""
        return None if self.photos.copies is None else self.regions.image_named(uri)

    def _decoded(self, name: str, read: Callable[[], bytes]) -> Photo:
        try:
            data = read()
            decoded = decode_image(data, self.config.images.limits, enough_side_px=self.detector.enough_side_px)
            return Photo(content_id(data), decoded)
        except ImageRejected as rejected:
            raise PromptError(
                rejected.reason.value, f"{name} cannot be read ({rejected}); give a photo that opens"
            ) from rejected

    def embed(self, photo: Photo, boxes: Sequence[Sequence[float]]) -> list[Query]:
        """The questions for the like of what is in boxes of one photo, by one pass of the network. Raises PromptError."""
        inside = [check_box(box, photo.image.width_px, photo.image.height_px) for box in boxes]
        drawn = np.array(inside)
        area = (
            (drawn[:, 2] - drawn[:, 0]) * (drawn[:, 3] - drawn[:, 1]) / (photo.image.width_px * photo.image.height_px)
        )
        prepared = self.detector.prepare(photo.image_id, photo.image)
        kinds = view_kinds(np.full(len(drawn), prepared.foreground is not None), area)
        vectors = self._projection.apply(self.detector.embed_prepared_boxes(prepared, inside), kinds)
        own_image = self.regions.image_number(photo.image_id)
        return [
            Query({name: rows[number] for name, rows in vectors.items()}, own_image, box, kind == ViewKind.SCENE)
            for number, (box, kind) in enumerate(zip(inside, kinds.tolist(), strict=True))
        ]

    def place(self, detection_id: int) -> int:
        """The row of a region in `regions`. Raises PromptError if the run does not have it."""
        place = self.regions.place(detection_id)
        if place is None:
            raise PromptError(
                PromptFault.UNKNOWN_REGION,
                f"run {self.run.run_id} has no region {detection_id}; take a detection_id from its table detections",
            )
        return place

    @cached_property
    def photos(self) -> PhotoSource:
        """The source of the photos of the run's catalogue."""
        return PhotoSource.of(self.config, self.manifest.facts(IngestFacts).base_uri, self.run.root)

    @cached_property
    def config(self) -> Config:
        """The run's configuration."""
        return config_of(self.run, self.manifest)

    @cached_property
    def detector(self) -> Detector:
        """The run's network, loaded when it is first needed."""
        settings = self._settings or settings_of(self.run, self.manifest)
        # Imported here, because torch takes seconds, and a search with a region of the catalogue does not need it.
        from prodseek.vision.inference import load_detector

        return load_detector(settings)

    @cached_property
    def _projection(self) -> Projection:
        try:
            return Projection.from_bytes(files.read_bytes(self.run.path(PROJECTION)))
        except OSError as error:
            raise StoreError(f"{self.run.path(PROJECTION)} cannot be read: {error}; run the night again") from error
