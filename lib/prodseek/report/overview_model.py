"""What the report's first page shows, as plain values.

The caller selects, orders and caps; the page says what is left out.
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
    """How many there are, and some of them."""

    n: int = 0
    examples: tuple[T, ...] = ()


@dataclass(frozen=True)
class RejectExample:
    """One rejected row; detail is the sentence in `rejects.detail`. uri and product_id may be empty."""

    uri: str
    detail: str
    product_id: str = ""


@dataclass(frozen=True)
class RejectedRows:
    """All rows rejected for one reason, from the closed list of `rejects.reason`."""

    reason: str
    n_rows: int
    examples: tuple[RejectExample, ...] = ()


@dataclass(frozen=True)
class RowsIn:
    """The rows of the catalogue, and what was read of them. n_rows must equal n_images + the rows rejected.

    n_images: rows of `images`; n_distinct_images: distinct image_id among them.
    """

    n_rows: int
    n_images: int
    n_distinct_images: int
    n_regions: int
    rejects: tuple[RejectedRows, ...] = ()

    @property
    def n_rejects(self) -> int:
        """Rows rejected, for all reasons."""
        return sum(rejected.n_rows for rejected in self.rejects)


@dataclass(frozen=True)
class IndexQuality:
    """How good the index was measured to be.

    recall: of the k nearest by exact search, the share it returns (0..1), measured on n_queries.
    description: what it is, such as "IVF256,Flat, nprobe 16".
    """

    description: str
    k: int
    recall: float
    recall_target: float
    n_queries: int


@dataclass(frozen=True)
class ChangedPhoto:
    """A row of `images` of this run, or of the last one when it went. title may be empty.

    was_product_id, was_uri: where the last run had the same file, when it moved. reason: for which the last run rejected it, when
    it was repaired.
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
    """A group none of whose photos were copies of one another in the last run. The photo is its representative."""

    group_id: str
    n_photos: int
    product_id: str
    uri: str
    title: str = ""


@dataclass(frozen=True)
class NewCopy:
    """A photo that joined a group that was there before."""

    group_id: str
    product_id: str
    uri: str
    title: str = ""


@dataclass(frozen=True)
class NewPair:
    """Two photos that look alike but are no copies, which the last run did not have as such. verdict: of `near_duplicates`."""

    verdict: str
    confidence: float
    product_id_a: str
    uri_a: str
    product_id_b: str
    uri_b: str


@dataclass(frozen=True)
class ChangedGroup:
    """A group of look-alikes to which something happened; of the last run when it is retired.

    level: fine or coarse. previous_titles: of the groups that it took over or came out of.
    """

    group_id: str
    level: str
    title: str
    n_regions: int
    previous_titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupChanges:
    """The groups of the visual facet to which `event` of `group_lineage` happened: born, merged, split or retired."""

    event: str
    n_fine: int
    n_coarse: int
    examples: tuple[ChangedGroup, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What is new since the run `run_id`.

    Photos are known by product and name: came, went, replaced (the same name, another file) and moved (the same file, another
    name or product). A photo that was rejected in the last run and now is read is repaired, and has not come; one that is
    rejected now has not gone: n_lost counts those that were read before. rejects: rejected rows that the last run did not
    reject for the same reason.
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
    pairs_apart: CountedExamples[NewPair] = CountedExamples()
    groups: tuple[GroupChanges, ...] = ()

    @property
    def n_new_rejects(self) -> int:
        """Rows newly rejected, for all reasons."""
        return sum(rejected.n_rows for rejected in self.rejects)


def wanted_photos(changes: Changes) -> tuple[ChangedPhoto, ...]:
    """The photos whose thumbnails the page would show: new ones, then replaced ones, at most MAX_THUMBNAILS."""
    return (*changes.came.examples, *changes.replaced.examples)[:MAX_THUMBNAILS]


@dataclass(frozen=True)
class Cost:
    """What the run's time is worth. n_cores: reserved for it; price_per_core_hour: in `currency`, None where it is not known."""

    n_cores: int
    price_per_core_hour: float | None = None
    currency: str = ""


@dataclass(frozen=True)
class TableFile:
    """A published Parquet table; path as a person would type it."""

    name: str
    n_rows: int
    path: str
    meaning: str = ""


@dataclass(frozen=True)
class Overview:
    """Everything on the page.

    figures: this run's. changes: None in a first run, and where the last run is no longer complete. thumbnails: image_id -> WebP,
    of `wanted_photos`; one that could not be made is missing. objects: image_id -> number of its object, of those that the other
    pages show. breaches: figures beyond a gate, which keep the night from being published.
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
