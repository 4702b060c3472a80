"""Groups of copies that cannot form chains, because each member was verified against the group's representative."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prodseek.duplicates.verdicts import MERGING, Verdict

RULE = ("resolution", "no_overlay", "least_compressed", "oldest")


@dataclass(frozen=True)
class Photo:
    """A photo to be grouped. key: unique; breaks ties. Sizes after EXIF orientation.

    age: since when the photo exists, as text that sorts by time; empty if not known.
    """

    key: str
    image_id: str
    width_px: int
    height_px: int
    n_bytes: int
    age: str = ""


@dataclass(frozen=True)
class VerifiedPair:
    """Two photos with a verdict. similarity: 0 to 1. overlaid_key: the photo with an overlay, if one has it."""

    key_a: str
    key_b: str
    verdict: Verdict
    similarity: float
    overlaid_key: str | None = None


@dataclass(frozen=True)
class GroupRow:
    """A photo in a duplicate group."""

    group_id: str
    key: str
    is_representative: bool
    group_size: int
    similarity_to_representative: float


def group_duplicates(
    photos: Sequence[Photo], pairs: Iterable[VerifiedPair], rule: Sequence[str] = RULE
) -> list[GroupRow]:
    """Form groups of at least two photos, sorted by group_id, the representative first, then by key.

    Only pairs with a verdict in MERGING count. The best original that is in no group yet forms a group with all photos that
    were verified against it and are in no group yet. Then the next best original follows. So two photos are never in one
    group only because of a third between them. Photos with equal bytes count as one photo.

    rule: the criteria for the best original, one after another; ties by key. resolution: more pixels; no_overlay;
    least_compressed: more bytes for each pixel; oldest: unknown age last. Raises ValueError if a pair names a photo that is
    not given, or if keys repeat.
    """
    by_key = {photo.key: photo for photo in photos}
    if len(by_key) != len(photos):
        raise ValueError("photos to group must have different keys")
    same_bytes = _by_image_id(photos)
    likeness: dict[str, dict[str, float]] = defaultdict(dict)
    overlaid: set[str] = set()
    for pair in pairs:
        if pair.verdict not in MERGING:
            continue
        for key in (pair.key_a, pair.key_b):
            if key not in by_key:
                raise ValueError(f"a duplicate pair names {key!r}, which is not among the photos")
        a, b = by_key[pair.key_a].image_id, by_key[pair.key_b].image_id
        if pair.overlaid_key is not None:
            overlaid.add(by_key[pair.overlaid_key].image_id)
        if a != b:
            likeness[a][b] = likeness[b][a] = max(pair.similarity, likeness[a].get(b, 0.0))
    rows: list[GroupRow] = []
    grouped: set[str] = set()
    for image_id in sorted(same_bytes, key=lambda image_id: _rank(same_bytes[image_id], overlaid, rule)):
        if image_id in grouped:
            continue
        members = {other: value for other, value in likeness[image_id].items() if other not in grouped}
        members[image_id] = 1.0
        grouped.update(members)
        rows.extend(_group_rows(same_bytes, image_id, members))
    return sorted(rows, key=lambda row: (row.group_id, not row.is_representative, row.key))


def missing_pairs(
    photos: Sequence[Photo], pairs: Sequence[VerifiedPair], rule: Sequence[str] = RULE
) -> list[tuple[str, str]]:
    """Pairs (key, key of a representative) that were never judged, but would join groups that a third photo links.

    They are for a second pass: verify them, add them to the pairs, and group again. Sorted; linear in the number of pairs.
    """
    rows = group_duplicates(photos, pairs, rule)
    by_key = {photo.key: photo for photo in photos}
    representative = {}
    heads = {row.group_id: row.key for row in rows if row.is_representative}
    for row in rows:
        representative[by_key[row.key].image_id] = heads[row.group_id]
    judged = {frozenset((by_key[p.key_a].image_id, by_key[p.key_b].image_id)) for p in pairs}
    wanted: set[tuple[str, str]] = set()
    for pair in pairs:
        if pair.verdict not in MERGING:
            continue
        heads_of = [representative.get(by_key[key].image_id, key) for key in (pair.key_a, pair.key_b)]
        for key, head in ((pair.key_a, heads_of[1]), (pair.key_b, heads_of[0]), (heads_of[0], heads_of[1])):
            ids = frozenset((by_key[key].image_id, by_key[head].image_id))
            if len(ids) == 2 and ids not in judged:
                wanted.add((min(key, head), max(key, head)))
    return sorted(wanted)


def _by_image_id(photos: Iterable[Photo]) -> dict[str, list[Photo]]:
    groups: dict[str, list[Photo]] = defaultdict(list)
    for photo in sorted(photos, key=lambda photo: photo.key):
        groups[photo.image_id].append(photo)
    return groups


def _rank(same_bytes: Sequence[Photo], overlaid: set[str], rule: Sequence[str]) -> tuple[Any, ...]:
    first = same_bytes[0]
    n_pixels = first.width_px * first.height_px
    age = min((photo.age for photo in same_bytes if photo.age), default="")
    criteria = {
        "resolution": -n_pixels,
        "no_overlay": first.image_id in overlaid,
        "least_compressed": -first.n_bytes / max(1, n_pixels),
        "oldest": (not age, age),
    }
    return *(criteria[name] for name in rule), first.key


def _group_rows(
    same_bytes: dict[str, list[Photo]], representative_id: str, members: dict[str, float]
) -> list[GroupRow]:
    photos = [(photo, members[image_id]) for image_id in members for photo in same_bytes[image_id]]
    if len(photos) < 2:
        return []
    head = same_bytes[representative_id][0].key
    group_id = hashlib.sha256(f"duplicates:{head}".encode()).hexdigest()[:16]
    return [GroupRow(group_id, photo.key, photo.key == head, len(photos), value) for photo, value in photos]
