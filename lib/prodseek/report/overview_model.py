"""The content of the report's first page, as plain values.

The caller selects, orders and limits; the page says what is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prodseek.report.records import About
from prodseek.runs.gates import Breach
from prodseek.runs.history import History, RunFigures

MAX_THUMBNAILS = 24

T = TypeVar("T")


@dataclass(frozen=True)
class CountedExamples(Generic[T]):
    """A number of things, and some of them as examples."""

    n: int = 0
    examples: tuple[T, ...] = ()


@dataclass(frozen=True)
class RejectExample:
    """A rejected row. detail: the sentence in `rejects.detail`. uri and product_id may be empty."""

    uri: str
    detail: str
    product_id: str = ""


@dataclass(frozen=True)
class RejectedRows:
    """All rows that were rejected for one reason of the closed list of `rejects.reason`."""

    reason: str
    n_rows: int
    examples: tuple[RejectExample, ...] = ()


@dataclass(frozen=True)
class RowsIn:
    """The rows of the catalogue, and what became of them. n_rows must equal n_images + the rejected rows.

    n_images: rows of `images`; n_distinct_images: distinct image_id among them. passed_over: files of the catalogue's folder
    that are no rows, in words; empty where there are none.
    """

    n_rows: int
    n_images: int
    n_distinct_images: int
    n_regions: int
    rejects: tuple[RejectedRows, ...] = ()
    passed_over: str = ""

    @property
    def n_rejects(self) -> int:
        """The number of rejected rows, for all reasons."""
        return sum(rejected.n_rows for rejected in self.rejects)


@dataclass(frozen=True)
class IndexQuality:
    """The measured quality of the index.

    recall: share of the k nearest of exact search that the index returns, 0..1, measured on n_queries. description: of the
    index, such as "IVF256,Flat, nprobe 16".
    """

    description: str
    k: int
    recall: float
    recall_target: float
    n_queries: int


@dataclass(frozen=True)
class ChangedPhoto:
    """A row of `images` of this run, or of the last run if the photo went. title may be empty.

    was_product_id, was_uri: product and name of the same file in the last run, if it moved. reason: why the last run rejected
    it, if it was repaired.
    """

    image_id: str
    product_id: str
    uri: str
    title: str = ""
    was_product_id: str = ""
    was_uri: str = ""
    reason: str = ""


@dataclass(frozen=True)
class NewDuplicateGroup:
    """A group whose photos were not copies of each other in the last run. product_id, uri, title: of its representative."""

    group_id: str
    n_photos: int
    product_id: str
    uri: str
    title: str = ""


@dataclass(frozen=True)
class NewCopy:
    """A photo that joined an existing group."""

    group_id: str
    product_id: str
    uri: str
    title: str = ""


@dataclass(frozen=True)
class NewPair:
    """Two photos that are alike, as a pair new in this run. verdict: of `near_duplicates`."""

    verdict: str
    confidence: float
    product_id_a: str
    uri_a: str
    product_id_b: str
    uri_b: str


@dataclass(frozen=True)
class ChangedGroup:
    """A group of look-alikes that changed; a retired one is of the last run.

    level: fine or coarse. previous_titles: of the groups that it was merged or split from.
    """

    group_id: str
    level: str
    title: str
    n_regions: int
    previous_titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupChanges:
    """The groups of the visual facet with one event of `group_lineage`: born, merged, split or retired."""

    event: str
    n_fine: int
    n_coarse: int
    examples: tuple[ChangedGroup, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What is new since the run `run_id`.

    A photo is identified by product and name. It may have come, gone, been replaced (same name, another file) or moved (same
    file, another name or product). A photo that the last run rejected and this one read is repaired, and does not count as come.
    A photo that is rejected now does not count as gone: n_lost is the number of those that were read before. rejects: rejected
    rows that the last run did not reject for the same reason. pairs_to_look_at, pairs_apart: by their decision.
    """

    run_id: str
    came: CountedExamples[ChangedPhoto] = CountedExamples()
    went: CountedExamples[ChangedPhoto] = CountedExamples()
    replaced: CountedExamples[ChangedPhoto] = CountedExamples()
    moved: CountedExamples[ChangedPhoto] = CountedExamples()
    repaired: CountedExamples[ChangedPhoto] = CountedExamples()
    rejects: tuple[RejectedRows, ...] = ()
    n_lost: int = 0
    duplicate_groups: CountedExamples[NewDuplicateGroup] = CountedExamples()
    copies: CountedExamples[NewCopy] = CountedExamples()
    pairs_to_look_at: CountedExamples[NewPair] = CountedExamples()
    pairs_apart: CountedExamples[NewPair] = CountedExamples()
    groups: tuple[GroupChanges, ...] = ()

    @property
    def n_new_rejects(self) -> int:
        """The number of newly rejected rows, for all reasons."""
        return sum(rejected.n_rows for rejected in self.rejects)


def wanted_photos(changes: Changes) -> tuple[ChangedPhoto, ...]:
    """The photos whose thumbnails the page shows: new ones, then replaced ones, at most MAX_THUMBNAILS."""
    return (*changes.came.examples, *changes.replaced.examples)[:MAX_THUMBNAILS]


@dataclass(frozen=True)
class Cost:
    """What the run's time costs. n_cores: reserved for the run. price_per_core_hour: in `currency`; None if not known."""

    n_cores: int
    price_per_core_hour: float | None = None
    currency: str = ""


@dataclass(frozen=True)
class TableFile:
    """A published Parquet table. path: as a person would type it."""

    name: str
    n_rows: int
    path: str
    meaning: str = ""


@dataclass(frozen=True)
class Overview:
    """Everything on the page.

    figures: of this run. changes: None in a first run, and if the last run is no longer complete. thumbnails: image_id -> WebP,
    for `wanted_photos`; one that could not be made is missing. objects: image_id -> number of its object, for images that the
    other pages show. breaches: figures beyond a gate, because of which the night is not published.
    """

    about: About
    figures: RunFigures
    rows_in: RowsIn
    cost: Cost
    history: History
    changes: Changes | None = None
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)
    index: IndexQuality | None = None
    tables: tuple[TableFile, ...] = ()
    breaches: tuple[Breach, ...] = ()
