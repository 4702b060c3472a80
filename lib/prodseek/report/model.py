"""What the report shows, as plain values.

The caller selects, orders and caps; the page says what is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Photo:
    """A catalogue photo, or a region of one, ready to be shown.

    thumbnail: WebP bytes, from `thumbnails.thumbnail`. width_px, height_px: the photo upright at full size.
    product_id and title may be empty.
    """

    image_id: str
    product_id: str
    uri: str
    width_px: int
    height_px: int
    thumbnail: bytes
    title: str = ""


@dataclass(frozen=True)
class Evidence:
    """One measured fact behind a verdict, as the page names it: Evidence("PDQ distance", 12).

    Integers and text are shown as they are, floats with three decimals, or one from 10 upwards.
    """

    label: str
    value: str | int | float


@dataclass(frozen=True)
class Copy:
    """A photo of a duplicate group that is not its representative.

    verdict: from the closed list of `near_duplicates.verdict`; verdict, confidence (0..1) and evidence are
    those of the pair with the representative, or of the pair that joined the photo to the group.
    """

    photo: Photo
    verdict: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class DuplicateGroup:
    """Copies of one photo.

    n_photos: all photos of the group, the representative and any not shown included.
    """

    group_id: str
    n_photos: int
    representative: Photo
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class PairApart:
    """Two photos that look alike but are not copies: a variant, the same object, an object in a scene."""

    photo_a: Photo
    photo_b: Photo
    verdict: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Duplicates:
    """n_*: how many the run found, whatever the page shows.

    n_photos: photos in all groups, representatives included. n_cross_product_groups: groups that hold photos
    of more than one product, or None when not counted. groups and pairs_apart are shown in the order given:
    largest and surest first, as the page says.
    """

    n_groups: int = 0
    n_photos: int = 0
    groups: tuple[DuplicateGroup, ...] = ()
    n_cross_product_groups: int | None = None
    n_pairs_apart: int = 0
    pairs_apart: tuple[PairApart, ...] = ()


@dataclass(frozen=True)
class Member:
    """A region in a gallery. photo.thumbnail shows the region; class_name may be empty."""

    detection_id: int
    photo: Photo
    class_name: str = ""


@dataclass(frozen=True)
class CurationGroup:
    """A gallery. cohesion: mean cosine similarity to the exemplars. members: those shown besides exemplars.

    n_regions: all regions of the group, exemplars and any not shown included.
    """

    group_id: str
    title: str
    n_regions: int
    n_products: int
    cohesion: float
    exemplars: tuple[Member, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True)
class FacetGroups:
    """The curation groups of one facet. n_*: what the run found, whatever the page shows.

    groups: largest first. n_regions: regions that took part; n_ungrouped of them are in no group, some shown
    as odd_ones_out, the oddest first.
    """

    facet: str
    n_groups: int
    n_regions: int
    n_ungrouped: int
    groups: tuple[CurationGroup, ...] = ()
    odd_ones_out: tuple[Member, ...] = ()


@dataclass(frozen=True)
class RejectExample:
    """One rejected row; detail is the sentence in `rejects.detail`."""

    uri: str
    detail: str
    product_id: str = ""


@dataclass(frozen=True)
class RejectedRows:
    """All rows rejected for one reason; meaning says in plain words what the reason is and what to do."""

    reason: str
    meaning: str
    n_rows: int
    examples: tuple[RejectExample, ...] = ()


@dataclass(frozen=True)
class Intake:
    """What came in. n_rows_in must equal n_images + the rows rejected.

    n_images: rows of `images`; n_distinct_images: distinct image_id among them.
    """

    n_rows_in: int
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
class StageTime:
    """Wall time of one stage; note, if any, is shown beside it, such as "from cache"."""

    stage: str
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class TableFile:
    """A published Parquet table; path as a person would type it."""

    name: str
    n_rows: int
    path: str
    meaning: str = ""


@dataclass(frozen=True)
class RunFacts:
    """Which run this is.

    finished: with a time zone. catalogue: the folder or manifest it read. model: the network.
    """

    run_id: str
    finished: datetime
    catalogue: str
    model: str
    prodseek_version: str


@dataclass(frozen=True)
class Report:
    """Everything on the page. The first facet of `curation` is the one the summary speaks of."""

    run: RunFacts
    intake: Intake
    duplicates: Duplicates = Duplicates()
    curation: tuple[FacetGroups, ...] = ()
    index: IndexQuality | None = None
    stages: tuple[StageTime, ...] = ()
    tables: tuple[TableFile, ...] = ()
