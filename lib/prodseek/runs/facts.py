"""What each stage leaves in the manifest beside its tables: one frozen class a stage.

Fields have defaults because an older version may have written the manifest without them; None means "not measured".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import TypeAdapter

from prodseek.runs.columns import LIKENESS, VISUAL
from prodseek.runs.gates import Figure

StageName = Literal["ingest", "embed", "project", "index", "neighbours", "duplicates", "cluster", "gates", "report"]
# In the order in which a night runs them.
STAGES: tuple[str, ...] = get_args(StageName)

CacheKind = Literal["detections", "local_features", "pair_verdicts", "looks", "thumbnails"]
CACHE_KINDS: tuple[CacheKind, ...] = get_args(CacheKind)


class CacheFolder(NamedTuple):
    """A folder of a cache, `cache/<kind>/<key>`. key: what its contents were made with."""

    kind: CacheKind
    key: str


def regions_cache(model_id: str) -> CacheFolder:
    """Where the regions that a model finds are kept."""
    return CacheFolder("detections", f"model={model_id}")


@dataclass(frozen=True, kw_only=True)
class StageFacts(ABC):
    """What a stage leaves. Every subclass says which caches it reads, because `gc` removes those that no run names."""

    stage: ClassVar[StageName]

    @property
    @abstractmethod
    def caches(self) -> tuple[CacheFolder, ...]: ...

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Facts of this or an older version. Raises pydantic's ValidationError for values of other types."""
        facts: Self = _adapter(cls).validate_python(dict(values))
        return facts

    def to_json(self) -> dict[str, Any]:
        """As manifests hold it: all caches stand under `caches`."""
        values = {name: value for name, value in asdict(self).items() if not isinstance(value, CacheFolder)}
        return {**values, "caches": [list(folder) for folder in self.caches]} if self.caches else values


@dataclass(frozen=True, kw_only=True)
class _WithoutCache(StageFacts):
    @property
    def caches(self) -> tuple[CacheFolder, ...]:
        return ()


@dataclass(frozen=True, kw_only=True)
class IngestFacts(_WithoutCache):
    """catalog: URI of the catalogue; base_uri: where relative URIs of photos start. decoder: library -> version.

    copied_photos: out of a Parquet manifest. found_otherwise: photos by how the catalogue's name of them differs from the
    file's. passed_over: files of a folder that are no rows, and folders not entered, by why. rows_without_photo: of a feed
    that has rows for sizes too. compared_with: the run that
    changes are counted against. settings: of the section `catalog` that the catalogue was read with. A task that Spark ran
    again counts again.
    """

    stage: ClassVar[StageName] = "ingest"
    input_rows: int
    catalog: str = ""
    base_uri: str = ""
    decoder: dict[str, str] = field(default_factory=dict)
    copied_photos: int | None = None
    decoded_photos: int | None = None
    retried_reads: int | None = None
    found_otherwise: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    rows_without_photo: int = 0
    compared_with: str | None = None
    changes: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EmbedFacts(StageFacts):
    """slice_layout: part of a slice -> its length. rejected: reason -> rows of the catalogue, all stages so far.

    computed_in: photos by device and precision; on_gpu: photos by GPU; a task that Spark ran again counts again.
    decode_seconds: of all threads that read and decode; device_seconds, wait_seconds: of all tasks.
    """

    stage: ClassVar[StageName] = "embed"
    model_id: str
    slice_layout: dict[str, int] = field(default_factory=dict)
    embedded_images: int | None = None
    cached_images: int | None = None
    images_per_second: float | None = None
    computed_in: dict[str, int] = field(default_factory=dict)
    on_gpu: dict[str, int] = field(default_factory=dict)
    batches_halved: int | None = None
    decode_seconds: float | None = None
    device_seconds: float | None = None
    wait_seconds: float | None = None
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def caches(self) -> tuple[CacheFolder, ...]:
        return (regions_cache(self.model_id),)


@dataclass(frozen=True, kw_only=True)
class ProjectFacts(_WithoutCache):
    """recipe: hash over the model and all settings of the fit. fitted_in: the run that fitted the projection.

    fitted_for: primary regions of the catalogue that it was fitted for; new_since: primary regions that came in since.
    """

    stage: ClassVar[StageName] = "project"
    projection_id: str = ""
    recipe: str = ""
    fitted_in: str = ""
    fitted_for: int = 0
    new_since: int = 0
    fit_regions: int | None = None
    fit_views: int | None = None
    dims: dict[str, int] = field(default_factory=dict)
    visual_weights: dict[str, float] = field(default_factory=dict)
    likeness_calibration: dict[str, float] = field(default_factory=dict)
    explained_variance: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class IndexedFacet:
    """The index of one facet. description, how: for a person. recall: of the `recall_k` nearest, 0..1."""

    description: str = ""
    how: str = ""
    recall: float | None = None
    recall_k: int | None = None
    recall_target: float | None = None
    recall_queries: int | None = None
    nlist: int | None = None
    nprobe: int | None = None


@dataclass(frozen=True, kw_only=True)
class IndexFacts(_WithoutCache):
    """facets: facet -> its index. In JSON the fields of `likeness` stand beside `facets` too."""

    stage: ClassVar[StageName] = "index"
    facets: dict[str, IndexedFacet] = field(default_factory=dict)

    @property
    def likeness(self) -> IndexedFacet:
        """The index that searches use; of runs before there was `likeness`, that of `visual`."""
        return self.facets.get(LIKENESS, self.facets.get(VISUAL, IndexedFacet()))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return super().from_json({"facets": {VISUAL: values}, **values})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.likeness), **super().to_json()}


@dataclass(frozen=True, kw_only=True)
class NeighboursFacts(_WithoutCache):
    """recipe: what decides whether the next night carries the edges on. carried_on_from: the run that they come from."""

    stage: ClassVar[StageName] = "neighbours"
    nprobe: int | None = None
    k: int | None = None
    recall: float | None = None
    tasks: int | None = None
    recipe: dict[str, Any] | None = None
    searched_regions: int | None = None
    carried_on_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateSource:
    """A way to find candidate pairs. pairs: that it found, found_alone: that no other way found. seconds: that it took."""

    name: str
    pairs: int = 0
    found_alone: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DuplicatesFacts(StageFacts):
    """candidates: pairs that were proposed; candidate_sources: what found them, before verdicts led to others.

    pairs_looked_at, photos_looked_at: those that no earlier night knew. pairs_judged_copies, pairs_to_look_at,
    pairs_kept_apart: by decision, without equal bytes.
    """

    stage: ClassVar[StageName] = "duplicates"
    candidates: int | None = None
    candidate_sources: tuple[CandidateSource, ...] = ()
    pairs_looked_at: int | None = None
    photos_looked_at: int | None = None
    photos_unread: int | None = None
    pairs_judged_copies: int | None = None
    pairs_to_look_at: int | None = None
    pairs_kept_apart: int | None = None
    groups: int | None = None
    features_cache: CacheFolder
    verdicts_cache: CacheFolder

    @property
    def caches(self) -> tuple[CacheFolder, ...]:
        return (self.features_cache, self.verdicts_cache)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        kept = _listed_caches(values)
        return super().from_json(
            {"features_cache": kept["local_features"], "verdicts_cache": kept["pair_verdicts"], **values}
        )


@dataclass(frozen=True, kw_only=True)
class GroupedFacet:
    """The groups of one facet. recipe: settings of the fit. fitted_for: regions of the fit that these groups go back to;
    changed_since: regions that came or went since. in_other_category: regions that look like another category;
    products_asked: of all products, those with enough neighbours to say so; products_asked_narrowly: those of them that could be
    asked at the narrowest level of their category; None where the catalogue has no categories. how: for a person."""

    recipe: dict[str, Any] = field(default_factory=dict)
    fitted_for: int = 0
    changed_since: int = 0
    grouped_regions: int | None = None
    in_no_group: int | None = None
    in_other_category: int | None = None
    products_asked: int | None = None
    products_asked_narrowly: int | None = None
    products: int | None = None
    fitted_regions: int | None = None
    groups: int | None = None
    coarse_groups: int | None = None
    carried_on: bool = False
    how: str = ""


@dataclass(frozen=True, kw_only=True)
class ClusterFacts(StageFacts):
    """facets: facet -> its groups. In JSON the fields of `visual` stand beside `facets` too.

    title_column: the attribute that titles were read from; None if the catalogue has none.
    """

    stage: ClassVar[StageName] = "cluster"
    facets: dict[str, GroupedFacet] = field(default_factory=dict)
    looks_cache: CacheFolder
    title_column: str | None = "title"

    @property
    def visual(self) -> GroupedFacet:
        return self.facets.get(VISUAL, GroupedFacet())

    @property
    def caches(self) -> tuple[CacheFolder, ...]:
        return (self.looks_cache,)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return super().from_json({"facets": {VISUAL: values}, "looks_cache": _listed_caches(values)["looks"], **values})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.visual), **super().to_json()}


@dataclass(frozen=True, kw_only=True)
class GatesFacts(_WithoutCache):
    """before: the run that figures were compared with; not_compared: what could not be, and why."""

    stage: ClassVar[StageName] = "gates"
    before: str | None = None
    figures: tuple[Figure, ...] = ()
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportFacts(StageFacts):
    """first_page_bytes: size of index.html. thumbnails_cache: None in a manifest of an older version, see `survey`."""

    stage: ClassVar[StageName] = "report"
    shown_images: int | None = None
    first_page_bytes: int | None = None
    thumbnails_cache: CacheFolder | None

    @property
    def caches(self) -> tuple[CacheFolder, ...]:
        return () if self.thumbnails_cache is None else (self.thumbnails_cache,)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        folder = _listed_caches(values)["thumbnails"]
        return super().from_json({"thumbnails_cache": folder if folder.key else None, **values})


def thumbnails_cache(region_px: int, photo_px: int, pixels_version: int = 1, colour_version: int = 1) -> CacheFolder:
    """Where pictures of these sizes are kept. Versions: of decoding, and of the colour; the first is not part of the name."""
    pixels = "" if pixels_version == 1 else f",pixels={pixels_version}"
    colour = "" if colour_version == 1 else f",colour={colour_version}"
    return CacheFolder("thumbnails", f"region_px={region_px},photo_px={photo_px}{pixels}{colour}")


FACTS: dict[str, type[StageFacts]] = {
    kind.stage: kind
    for kind in (
        IngestFacts,
        EmbedFacts,
        ProjectFacts,
        IndexFacts,
        NeighboursFacts,
        DuplicatesFacts,
        ClusterFacts,
        GatesFacts,
        ReportFacts,
    )
}


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _listed_caches(values: Mapping[str, Any]) -> dict[str, CacheFolder]:
    """Cache folders by kind as manifests list them; a kind that is not listed has an empty key, which no folder has."""
    listed = values.get("caches")
    pairs = [pair for pair in listed if isinstance(pair, list | tuple) and len(pair) == 2] if listed else []
    found = {str(kind): str(key) for kind, key in pairs}
    return {kind: CacheFolder(kind, found.get(kind, "")) for kind in CACHE_KINDS}
