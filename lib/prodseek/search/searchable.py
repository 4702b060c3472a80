"""Search a finished run: a box in a photo, or a region of the catalogue, in; similar products out.

A search takes one forward pass of the run's network over the photo, the slice at the box, the run's projection and the run's
index. The same code answers a prompt on the command line and a table of prompts in Spark (`jobs/search.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from prodseek.catalogue.photo_source import PhotoSource, read_photo
from prodseek.config import Config
from prodseek.embedding.confidence import Calibration, likeness_score
from prodseek.embedding.projection import PROJECTION, Projection
from prodseek.embedding.view_kinds import view_kinds
from prodseek.errors import PromptError, StoreError, WeightsError
from prodseek.index.search import ShardedIndex
from prodseek.index.stored import index_folder, open_index
from prodseek.photos.decode import DecodedImage, ImageRejected, content_id, decode_image
from prodseek.runs.columns import FACETS, LIKENESS
from prodseek.runs.facts import EmbedFacts, IngestFacts, ProjectFacts
from prodseek.runs.ids import detection_id
from prodseek.runs.manifest import Manifest
from prodseek.runs.store import MANIFEST, Run, Store
from prodseek.search.folding import fold
from prodseek.search.likeness import Likeness, cosines_of
from prodseek.search.prompts import Box, PromptFault, check_box
from prodseek.search.regions import Regions
from prodseek.search.vectors import Embeddings, ExactFacet
from prodseek.storage import files
from prodseek.vision.configured import detector_settings
from prodseek.vision.settings import DetectorSettings, model_id

if TYPE_CHECKING:
    from prodseek.vision.inference import Detector

DEFAULT_K = 20
# Regions requested for each product asked for, because some are of the same product, others are copies, and things that
# only stand in a photo of another product are no hits.
_REGIONS_A_HIT = 20
# A mix ranks candidates of the index of `likeness` again, and the best by colour may rank low there.
_REGIONS_A_HIT_OF_A_MIX = 50
_WIDER = 8
# A facet without an index is compared with all regions, up to this many: that takes a tenth of a second.
_EXACT_REGIONS = 200_000
# Vectors lie around the mean of their kind, so two things that have nothing in common have a cosine of 0. What is not above
# it is like what was asked for in no way.
_LEAST_LIKENESS = 0.0

Image = str | Path | bytes
Vectors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Hit:
    """A product that was found, with its most similar region.

    rank: from 1. box_px: x1 y1 x2 y2, source pixels. uri: as the catalogue names the photo. cosine_similarity: of the facet or
    mix that was asked for; `likeness` ranks by it less half of the region's hubness. confidence: the chance that it is the same
    product, as far as objects pasted into scenes tell; None if something else than `likeness` was asked for. facets: facet ->
    cosine similarity.
    """

    rank: int
    detection_id: int
    image_id: str
    product_id: str
    uri: str
    box_px: Box
    cosine_similarity: float
    confidence: float | None
    facets: Mapping[str, float]


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


def check_question(k: int, facet: str) -> Likeness:
    """The likeness that is asked for. Raises PromptError for a `facet` or a `k` that no search can answer."""
    if k < 1:
        raise PromptError(PromptFault.INVALID_PROMPT, f"k is {k}; ask for 1 result or more")
    return Likeness.parse(facet)


def config_of(run: Run, manifest: Manifest) -> Config:
    """The configuration of a finished run. Raises StoreError if this version does not know its settings."""
    try:
        return Config.model_validate(manifest.config)
    except ValidationError as error:
        raise StoreError(
            f"run {run.run_id} was made by prodseek {manifest.prodseek_version}, whose settings this version does "
            "not know; run the night again with this version"
        ) from error


def settings_of(run: Run, manifest: Manifest) -> DetectorSettings:
    """The settings of the detector that made a finished run, adapted to this machine. Raises WeightsError and StoreError."""
    made_by = manifest.facts(EmbedFacts).model_id
    config = config_of(run, manifest)
    weights = config.network.weights
    try:
        settings = detector_settings(config)
    except WeightsError as error:
        raise WeightsError(
            f"run {run.run_id} was made by {made_by}, and its weights could neither be found nor fetched; put "
            f"{weights.file_name} with SHA-256 {weights.sha256} at {weights.folder / weights.file_name}, or search by "
            "a region of the catalogue, which needs no network"
        ) from error
    if model_id(settings) != made_by:
        raise StoreError(
            f"run {run.run_id} was made by {made_by}, and this version of prodseek computes {model_id(settings)}, which "
            "cannot be compared with it; run the night again with this version"
        )
    precision = "auto" if settings.precision == "fp16" else settings.precision
    return replace(settings, torch_threads=0, device="auto", precision=precision)


class _Searcher(Protocol):
    """An index of a facet, or its replacement."""

    def search(
        self, queries: NDArray[np.float32], k: int, nprobe: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...


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
        self._searchers: dict[str, tuple[_Searcher, int, int]] = {}

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
    ) -> list[Hit]:
        """The k products most similar to the content of a box, the most similar first; fewer if no more are similar at all.

        image: a path, a URI or a file's bytes. box: x1 y1 x2 y2, pixels of the upright photo at full size. facet: likeness (the
        same thing), visual (the same kind of thing), colour, texture or shape; or a mix such as `mix=visual:0.5,colour:0.5`,
        which takes candidates from the index of `likeness` and ranks them by the weighted mean of the facets' cosines.
        exclude_same_product: leave out the products of this photo and all its copies, if the catalogue has the photo. A product
        is what the primary regions of its photos show. Each is at most one hit, and so are all copies of a photo together.

        Raises PromptError for a question that cannot be answered, WeightsError if the run's network is not available, and
        StoreError if the run is damaged.
        """
        check_question(k, facet)  # before the network is loaded
        photo = self.read(image)
        vectors = self.embed(photo, [box])
        own_image = self.regions.image_number(photo.image_id)
        return self.nearest(
            {name: rows[0] for name, rows in vectors.items()}, k, facet, own_image, exclude_same_product
        )

    def search_region(
        self, detection_id: int, k: int = DEFAULT_K, facet: str = LIKENESS, exclude_same_product: bool = False
    ) -> list[Hit]:
        """`search` with a region of the catalogue, by its stored embeddings; needs neither the photo nor the network."""
        place = self.place(detection_id)
        vectors = self._embeddings.of(self.regions.ids[place : place + 1])
        own_image = int(self.regions.images[place])
        return self.nearest(
            {name: rows[0] for name, rows in vectors.items()}, k, facet, own_image, exclude_same_product
        )

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

    def embed(self, photo: Photo, boxes: Sequence[Sequence[float]]) -> dict[str, NDArray[np.float32]]:
        """The embeddings of N boxes of one photo, by one pass of the network: facet -> (N, d) float32, unit length.

        Raises PromptError.
        """
        inside = [check_box(box, photo.image.width_px, photo.image.height_px) for box in boxes]
        drawn = np.array(inside)
        area = (
            (drawn[:, 2] - drawn[:, 0]) * (drawn[:, 3] - drawn[:, 1]) / (photo.image.width_px * photo.image.height_px)
        )
        prepared = self.detector.prepare(photo.image_id, photo.image)
        on_plain_ground = np.full(len(drawn), prepared.foreground is not None)
        slices = self.detector.embed_prepared_boxes(prepared, inside)
        return self._projection.apply(slices, view_kinds(on_plain_ground, area))

    def nearest(
        self, query: Vectors, k: int, facet: str, own_image: int | None, exclude_same_product: bool
    ) -> list[Hit]:
        """`search` with given vectors. query: facet -> (d,) float32, unit length. own_image: number of their image, or None."""
        likeness = check_question(k, facet)
        searched = likeness.facet or LIKENESS
        searcher, nprobe, nlist = self._searcher(searched)
        excluding = exclude_same_product and own_image is not None
        wanted = k * (_REGIONS_A_HIT if likeness.facet else _REGIONS_A_HIT_OF_A_MIX)
        n_regions = len(self.regions.ids)
        while True:
            wanted, nprobe = min(wanted, n_regions), min(nprobe, nlist)
            found, found_cosine = searcher.search(query[searched][None], wanted, nprobe)
            ids, cosine = found[0][found[0] >= 0], found_cosine[0][found[0] >= 0]
            places = np.searchsorted(self.regions.ids, ids)
            is_product = self.regions.is_primary[places]
            is_down_to_unlike = likeness.facet is not None and bool((cosine <= _LEAST_LIKENESS).any())
            has_seen_all = nprobe == nlist and (wanted == n_regions or is_down_to_unlike)
            ids, cosine, places = ids[is_product], cosine[is_product], places[is_product]
            if likeness.facet is None:
                cosine = likeness.cosine(query, self._embeddings.of(ids))
            score = (
                likeness_score(cosine, self.regions.hubness[places])
                if searched == likeness.facet == LIKENESS
                else cosine
            )
            order = np.lexsort((ids, -score))
            ids, cosine, score = ids[order], cosine[order], score[order]
            alike = cosine > _LEAST_LIKENESS
            hits = self._folded(ids[alike], cosine[alike], k, own_image if excluding else None)
            if len(hits) == k or has_seen_all:
                return self._with_facets(hits, query, searched == likeness.facet == LIKENESS)
            wanted, nprobe = wanted * _WIDER, nprobe * _WIDER

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

    @cached_property
    def _calibration(self) -> Calibration | None:
        """How sure a cosine of `likeness` makes; None for a run that did not fit it."""
        project = self.manifest.facts_if_there(ProjectFacts)
        return None if project is None else Calibration.of_facts(project.likeness_calibration)

    def _searcher(self, facet: str) -> tuple[_Searcher, int, int]:
        """The index to search for a facet, or its replacement, with its nprobe and nlist."""
        if facet not in self._searchers:
            indexed = [name for name in FACETS if files.exists(self.run.path(index_folder(name), MANIFEST))]
            if facet in indexed:
                index: ShardedIndex = open_index(self.run, facet)
                self._searchers[facet] = (index, index.manifest.nprobe, index.manifest.nlist)
            elif len(self.regions.ids) <= _EXACT_REGIONS:
                exact = ExactFacet.read(self.run, facet)
                self._searchers[facet] = (exact, exact.nprobe, exact.nlist)
            else:
                raise PromptError(
                    PromptFault.INVALID_PROMPT,
                    f"run {self.run.run_id} has no index of {facet}, and comparing all {len(self.regions.ids)} regions "
                    f"takes too long: set index.facets to [{', '.join((*indexed, facet))}] for the next night, or ask for "
                    f"mix={LIKENESS}:0.2,{facet}:0.8",
                )
        return self._searchers[facet]

    def _folded(
        self, ids: NDArray[np.int64], cosine: NDArray[np.float32], k: int, excluded_image: int | None
    ) -> list[Hit]:
        regions = self.regions
        places = np.searchsorted(regions.ids, ids)
        rows = [
            (candidate, row)
            for candidate, image in enumerate(regions.images[places].tolist())
            for row in regions.rows_of(image)
        ]
        originals = regions.originals[regions.images[places]].tolist()
        kept = fold(
            ((int(regions.products[row]), originals[candidate]) for candidate, row in rows),
            k,
            () if excluded_image is None else regions.products_of(excluded_image),
            () if excluded_image is None else (int(regions.originals[excluded_image]),),
        )
        hits = []
        for rank, (candidate, row) in enumerate((rows[place] for place in kept), start=1):
            place = int(places[candidate])
            hits.append(
                Hit(
                    rank,
                    int(ids[candidate]),
                    regions.image_ids[int(regions.images[place])].as_py(),
                    regions.photos["product_id"][row].as_py(),
                    regions.photos["uri"][row].as_py(),
                    regions.box_px(place),
                    float(cosine[candidate]),
                    None,
                    {},
                )
            )
        return hits

    def _with_facets(self, hits: list[Hit], query: Vectors, is_likeness: bool) -> list[Hit]:
        if not hits:
            return hits
        ids = np.array([hit.detection_id for hit in hits], np.int64)
        cosines = cosines_of(query, self._embeddings.of(ids))
        of_hubs = self.regions.hubness[np.searchsorted(self.regions.ids, ids)]
        scores = likeness_score(np.array([hit.cosine_similarity for hit in hits]), of_hubs).tolist()
        calibration = self._calibration if is_likeness else None
        return [
            replace(
                hit,
                confidence=None if calibration is None else calibration.confidence(score),
                facets={facet: float(values[row]) for facet, values in cosines.items()},
            )
            for row, (hit, score) in enumerate(zip(hits, scores, strict=True))
        ]
