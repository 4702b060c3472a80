"""The data files of the report's pages, and the records in them.

A page that is opened from a file must not fetch anything, but it may load scripts. So each data file is a script that passes
one JSON value to the page, see `shards`. The files under `report/`:

    data/about.js               About, the only one that every page loads
    data/objects-NNNN.js        list of ShownObject, OBJECTS_PER_SHARD each
    data/neighbours-NNNN.js     list of Neighbours, for the objects of the shard of the same number
    data/duplicates-NNNN.js     list of DuplicateGroup, GROUPS_PER_SHARD each
    data/pairs-NNNN.js          list of PairApart, GROUPS_PER_SHARD each
    data/groups-FACET.js        FacetGroups
    data/map.js                 Map
    thumbs/regions-NNNN.js      list of base64 WebP, the content of each object's box; REGION_THUMBS_PER_SHARD each
    thumbs/photos-NNNN.js       the same for whole photos; PHOTO_THUMBS_PER_SHARD each

An object is the primary region of an image. Objects are numbered from 0, one group of look-alikes after another, so that
objects shown together are in the same shards: object i is in shard i // OBJECTS_PER_SHARD, at place i % OBJECTS_PER_SHARD. A
picture that could not be made is an empty string. "Number" below is such a number, of an object unless stated otherwise; -1 is
none. Boxes are [x1, y1, x2, y2] in pixels of the upright photo at full size.
"""

from __future__ import annotations

from typing import TypedDict

OBJECTS_PER_SHARD = 1024
GROUPS_PER_SHARD = 256
REGION_THUMBS_PER_SHARD = 64
PHOTO_THUMBS_PER_SHARD = 16

Box = list[float]


class VerdictWords(TypedDict):
    """A verdict in words. tabs: of the duplicates page, those that show it: copies, look, apart."""

    label: str
    meaning: str
    tabs: list[str]


class About(TypedDict):
    """Facts about the run and its report.

    n_objects: number of objects shown. n_images: number of all images of the run. facets: those in Neighbours. group_facets:
    those with a groups file. n_duplicate_groups, n_pairs: numbers in the data files; n_all_*: numbers in the run.
    n_pairs_to_look_at: the first of the pairs.
    """

    run_id: str
    finished: str
    catalogue: str
    prodseek_version: str
    n_objects: int
    n_images: int
    n_duplicate_groups: int
    n_all_duplicate_groups: int
    n_pairs: int
    n_all_pairs: int
    n_pairs_to_look_at: int
    n_all_pairs_to_look_at: int
    objects_per_shard: int
    groups_per_shard: int
    region_thumbs_per_shard: int
    photo_thumbs_per_shard: int
    facets: list[str]
    group_facets: list[str]
    verdicts: dict[str, VerdictWords]


class CataloguePhoto(TypedDict):
    """A row of `images`. title may be empty."""

    product_id: str
    uri: str
    title: str


class OtherRegion(TypedDict):
    """Another detection in the photo. class_name: in plain English, here and below."""

    class_name: str
    score: float
    box_px: Box


class OddCategory(TypedDict):
    """That a photo is filed under one category and looks like another, which n_like of its n_asked neighbours have."""

    filed_as: str
    like: str
    n_like: int
    n_asked: int


class ShownObject(TypedDict):
    """An image and its primary region.

    photos: rows of `images` with the same bytes, 1 to 50. others: the surest other detections in the photo, up to 20. kind:
    detection, foreground or frame. group, coarse: numbers in `fine` and `coarse` of the visual FacetGroups. membership,
    outlier_score: 0..1. odd_category: of most that look like it, where none has its own; else null. duplicates: number of
    its duplicate group. pairs: numbers of its pairs that are in no group together.
    """

    detection_id: str
    image_id: str
    kind: str
    class_name: str
    width_px: int
    height_px: int
    box_px: Box
    photos: list[CataloguePhoto]
    others: list[OtherRegion]
    group: int
    coarse: int
    membership: float
    outlier_score: float
    odd_category: OddCategory | None
    duplicates: int
    pairs: list[int]


# facet -> [[number, what it is ranked by], ...], the nearest first: a cosine similarity, of likeness a `likeness_score`
Neighbours = dict[str, list[tuple[int, float]]]


class ShownPhoto(TypedDict):
    """A row of `images` as a duplicate card shows it. object: number of the object of its image."""

    object: int
    product_id: str
    uri: str
    title: str
    width_px: int
    height_px: int


class Likeness(TypedDict):
    """What was measured between two photos a and b. verdict: key of About.verdicts. decision: copy, look or variant.

    evidence: pairs [label, value as text]. box_a_px, box_b_px: the part of each photo that both show; null for identical bytes.
    transform: six numbers t; the point x y of b is at t0 x + t1 y + t2, t3 x + t4 y + t5 in a, in fractions of their sides; null
    if none was found.
    """

    verdict: str
    decision: str
    confidence: float
    evidence: list[tuple[str, str]]
    box_a_px: Box | None
    box_b_px: Box | None
    transform: list[float] | None


class Copy(TypedDict):
    """A copy. likeness: with the representative as a, and this photo as b. kept_because: why the representative is kept."""

    photo: ShownPhoto
    likeness: Likeness
    kept_because: str


class DuplicateGroup(TypedDict):
    """Copies of one photo; the largest group comes first.

    n_photos: all photos, with the representative, which is the one to keep, and those not shown. n_products: of all photos.
    conflicts: what their articles differ in; may be empty.
    """

    group_id: str
    n_photos: int
    n_products: int
    conflicts: str
    kept_because: str
    representative: ShownPhoto
    copies: list[Copy]


class PairApart(TypedDict):
    """Two photos that are alike but in no group together: first those that a person is to look at, then variants.

    Of each the surest comes first.
    """

    a: ShownPhoto
    b: ShownPhoto
    likeness: Likeness


class ShownGroup(TypedDict):
    """A group of look-alikes.

    n_regions: all regions, with those not shown. parent: for a fine group, the number in `coarse` of the group that holds it.
    members: numbers of the objects shown: first n_exemplars exemplars, then the others, the firmest first; of a coarse group only
    exemplars and objects in none of its fine groups. category_share: 0..1. event: what happened since the last run (born,
    continued, grown, shrunk, merged, split), empty in a first run. previous_titles: of the groups that it was merged or split
    from.
    """

    group_id: str
    title: str
    title_from: str
    n_regions: int
    n_products: int
    cohesion: float
    separation: float
    category: str
    category_share: float
    class_name: str
    colour: str
    parent: int
    n_exemplars: int
    members: list[int]
    event: str
    previous_titles: list[str]


class RetiredGroup(TypedDict):
    """A group of the last run that no longer exists."""

    group_id: str
    title: str
    level: str


class FacetGroups(TypedDict):
    """The groups of one facet, the largest first.

    n_regions: all regions that were grouped. odd: objects in no fine group, the oddest first. n_ungrouped: number of all regions
    in no fine group, shown or not. odd_category: objects that look like another category, the firmest first, each with
    the number of its group in `fine`, -1 for none, and what it is like. asked: of how many products that could be asked.
    """

    facet: str
    n_regions: int
    n_ungrouped: int
    coarse: list[ShownGroup]
    fine: list[ShownGroup]
    odd: list[int]
    odd_category: list[tuple[int, int, OddCategory]]
    asked: str
    retired: list[RetiredGroup]


class MapColumn(TypedDict):
    """A column to colour points by.

    name: coarse, fine, class, colour, or an attribute of the catalogue. names: the values, the most frequent first; for coarse
    and fine the groups, in the order of the visual FacetGroups. colours: a CSS colour for each of names, or empty. values: an
    index into `names` for each object, base64 of little-endian uint32; 0xFFFFFFFF is none.
    """

    name: str
    label: str
    names: list[str]
    colours: list[str]
    values: str


class Map(TypedDict):
    """The place of each object: x and y (upwards), base64 of little-endian uint16, 0..65535 over the map's longer side."""

    x: str
    y: str
    columns: list[MapColumn]
